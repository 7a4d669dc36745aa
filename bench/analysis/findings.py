"""What a suite was asked, from the summary's cells: efficiency of devices, break-even of compiling, starving. Pure.

Intervals come from the paired ratios and differences of step times; what else enters is named with each answer.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from bench.analysis.estimates import LOOKED_AT_MOST
from bench.results.forms import RANK_AXES
from bench.stats.break_even import break_even
from bench.stats.intervals import Interval

if TYPE_CHECKING:
    from bench.analysis.by_launch import LaunchValues
    from bench.analysis.estimates import CellSummary

FindingKind = Literal["efficiency", "break-even-cold", "break-even-warm", "waiting"]

# The whole step of instrumented launches, of which phases are parts.
WHOLE_STEP = "phase_step"

# A loop that waits for its batches during less than this share of an epoch is not starved by its loader.
STARVING_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One figure that answers a suite's question for one cell.

    Attributes:
        kind: `efficiency`, a share of what so many devices would do at best; `break-even-...`, steps until compiling
            has paid for its start; `waiting`, the share of an epoch spent waiting for batches.
        estimate: None: by what was seen, never.
        low, high: 95 % interval over launches; None where there is none. None for `high` with a `low`: no upper end.
            Both None and several launches, of a break-even: no time is saved anywhere in the interval.
        why: of an efficiency below 1, the largest cause, or "" where no launch was instrumented.
    """

    kind: FindingKind
    suite: str
    group: str
    cell: str
    unit: str
    estimate: float | None
    low: float | None
    high: float | None
    launches: int
    why: str = ""


def findings_of(
    cells: Sequence[CellSummary],
    compare: Mapping[str, str],
    waits: Mapping[str, Interval] | None = None,
    launches: Mapping[str, LaunchValues] | None = None,
) -> list[Finding]:
    """The answers of every suite whose compared axis has a question of its own, in the order of the cells.

    Args:
        compare: the compared axis of each suite.
        waits: the share of its steps that each cell waits for its batches.
        launches: what each launch of a cell gave; without it no break-even is told.
    """

    def paid(cell: CellSummary, baseline: CellSummary) -> list[Finding]:
        return _break_even(cell, *((launches or {}).get(one.id) for one in (cell, baseline)))

    def waiting(cell: CellSummary, _: CellSummary) -> list[Finding]:
        return _waiting(cell, (waits or {}).get(cell.id))

    asked: Mapping[str, Callable[[CellSummary, CellSummary], list[Finding]]] = {
        **{axis: partial(_efficiency, axis) for axis in RANK_AXES},
        "compile": paid,
        "loader": waiting,
    }
    by_id = {cell.id: cell for cell in cells}
    found = []
    for cell in cells:
        ask = asked.get(compare.get(cell.suite, ""))
        if ask is None or cell.twin or cell.outcome not in ("ok", "noisy"):
            continue
        baseline = cell if cell.versus is None else by_id.get(cell.versus.baseline)
        if baseline is not None:
            found += ask(cell, baseline)
    return found


def _efficiency(axis: str, cell: CellSummary, baseline: CellSummary) -> list[Finding]:
    """Throughput over that of as many single devices, or nodes.

    (samples a step, over the baseline's) / (devices x ratio).
    """
    if cell.versus is None or not cell.samples_per_step or not baseline.samples_per_step:
        return []
    devices = int(cell.point[axis]) / int(baseline.point[axis])
    share = cell.samples_per_step / baseline.samples_per_step / devices
    ratio = cell.versus.ratio
    low, high = (None if end is None else share / end for end in (ratio.high, ratio.low))
    estimate = share / ratio.estimate
    why = "" if estimate >= 1 else _cause(cell, baseline, share)
    return [Finding("efficiency", cell.suite, cell.group, cell.id, "1", estimate, low, high, ratio.launches, why)]


def _cause(cell: CellSummary, baseline: CellSummary, share: float) -> str:
    """What takes most of the time that is lost, by phase: `share` of the baseline's phase would be none lost.

    Phases come from instrumented launches, so they are compared with the baseline's and with nothing that was timed.
    """
    now, before = ({**one.metrics, **one.instrumented} for one in (cell, baseline))
    if "phase_backward" not in now or "phase_backward" not in before:
        return ""  # no instrumented launch says where the time goes
    if any((one.looked(WHOLE_STEP) or 0.0) > LOOKED_AT_MOST for one in (cell, baseline)):
        return ""  # callbacks changed the step that they looked at

    def growth(name: str) -> float:
        return now[name].estimate - share * before[name].estimate if name in now and name in before else 0.0

    # Where each device has as much to do as one alone, its own arithmetic can only be slower because devices share
    # something; where it has less, what does not shrink is the cost of launching each operator.
    own = "sharing: each device's own arithmetic is slower beside the others'" if share >= 1 else "launch-bound"
    causes = {
        "loader-bound": max(growth("phase_data") + max(0.0, growth("phase_transfer")), growth("data_time")),
        "communication-bound": growth("phase_backward"),
        own: growth("phase_forward") + growth("phase_optimizer"),
        "bound by the loop itself": growth("phase_rest"),
    }
    # The exchange of gradients is inside the backward pass, and so is arithmetic that slows as the forward pass does.
    if "phase_forward" in now and "phase_forward" in before and before["phase_forward"].estimate > 0:
        slower = now["phase_forward"].estimate / before["phase_forward"].estimate
        arithmetic = before["phase_backward"].estimate * max(slower - share, 0.0)
        causes["communication-bound"] -= arithmetic
        causes[own] += arithmetic
    largest = max(causes, key=lambda name: causes[name])
    return largest if causes[largest] > 0 else ""


def _break_even(cell: CellSummary, own: LaunchValues | None, base: LaunchValues | None) -> list[Finding]:
    """Steps until what compiling adds to the start is saved again, from the launches that saw both starts.

    A start that was seen once has no interval: nothing tells how much starts differ.
    """
    if own is None or base is None or not own.difference:
        return []
    usual = base.starts.get("time_to_first_step", {})
    found = []
    kinds: tuple[tuple[Literal["break-even-cold", "break-even-warm"], str], ...] = (
        ("break-even-cold", "time_to_first_step_cold"),
        ("break-even-warm", "time_to_first_step_warm"),
    )
    for kind, metric in kinds:
        starts = own.starts.get(metric, {})
        seen = [launch for launch in starts if launch in usual and launch in own.difference]
        if not seen:
            continue
        extra = [starts[launch] - usual[launch] for launch in seen]
        if len(seen) > 1:
            steps = break_even(extra, [-own.difference[launch] for launch in seen])
        else:
            # What a step saves is known from all launches, which matters to the one start from an empty cache.
            steps = break_even(extra, [-statistics.fmean(own.difference.values())])
        # None stands for never: that has no place in JSON as a number.
        found.append(
            Finding(
                kind,
                cell.suite,
                cell.group,
                cell.id,
                "steps",
                _finite(steps.estimate),
                _finite(steps.low),
                _finite(steps.high),
                len(seen),
            )
        )
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _waiting(cell: CellSummary, share: Interval | None) -> list[Finding]:
    if share is None:
        return []
    parts = (share.estimate, share.low, share.high, share.launches)
    return [Finding("waiting", cell.suite, cell.group, cell.id, "1", *parts)]
