"""What trials of a race save against the training as it is, for several claims at once. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.stats.intervals import Interval, interval_of_differences

# Under this share of a step or an epoch nothing is advised: nobody changes a training for it.
WORTH = 0.01
ERROR = 0.05  # that any of all remedies of a diagnosis is told wrong; the same of its bounds


@dataclass(frozen=True)
class Saving:
    """What something saves, for the same work.

    Attributes:
        share: of the time that the training takes as it is.
        seconds: the same, of a step or an epoch.
        per: which of the two.
        bias: the share that a control, which changes nothing, seems to save or cost: no claim is smaller.
    """

    share: Interval
    seconds: Interval
    per: Literal["step", "epoch"]
    bias: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether it saves something that is worth it: the interval holds neither zero nor what the twin shows."""
        return self.share.low is not None and self.share.low > self.bias and self.share.estimate >= WORTH

    @property
    def costs(self) -> bool:
        """Whether it makes the training slower."""
        return self.share.high is not None and self.share.high < -self.bias

    @property
    def most(self) -> float:
        """The largest share that it can be; 1 where nobody knows."""
        return 1.0 if self.share.high is None else self.share.high


def confidence_of(claims: int) -> float:
    """Of each of so many intervals, so that all of them hold at once in 95 of 100 cases (Bonferroni)."""
    return 1 - ERROR / max(1, claims)


def savings_of(
    run: StoredRun, confidences: Mapping[str, float], controls: Collection[str] = ()
) -> tuple[dict[str, Saving], dict[str, str]]:
    """What each trial of a race saves; and of those that tell nothing why.

    Args:
        confidences: of the interval of each trial, by its value on the axis `script`.
        controls: values of further arms without a change, beside the twin.

    Raises:
        RunError: its records are not those of a race.
    """
    from bench.analysis.frames import frames_of  # pandas, which a parent that conducts does not import

    frames = frames_of(run)
    samples = {(record.cell, record.launch): counted_samples(record) for record in run.records}
    cells = {str(cell["point"]["script"]): cell["id"] for cell in run.info["plan"]["cells"] if not cell["twin"]}
    same = [cell["id"] for cell in run.info["plan"]["cells"] if cell["twin"] or cell["point"]["script"] in controls]
    epoch = _epoch_steps(run)
    rows: dict[str, list[tuple[int, float, float]]] = {}
    names = ("cell", "baseline", "launch", "log_ratio", "baseline_step_time")
    for cell, baseline, launch, log, step in zip(*(frames.pairs[name].tolist() for name in names), strict=True):
        mine, theirs = samples.get((cell, launch)), samples.get((baseline, launch))
        more = math.log(mine / theirs) if mine and theirs else 0.0
        rows.setdefault(cell, []).append((launch, log - more, step))
    bias = max((twin_bias([log for _, log, _ in rows.get(cell, ())]) for cell in same), default=0.0)
    planned = (frames.cells[name].tolist() for name in ("cell", "outcome", "reason"))
    outcomes = {cell: (outcome, reason) for cell, outcome, reason in zip(*planned, strict=True)}
    savings, untold = {}, {}
    for label, confidence in confidences.items():
        own = rows.get(cells.get(label, ""), [])
        outcome, reason = outcomes.get(cells.get(label, ""), ("not-run", ""))
        if len(own) < 2:
            untold[label] = f"{outcome}: {reason}" if reason else "too few launches to tell anything"
            continue
        savings[label] = saving_of([log for _, log, _ in own], [step for *_, step in own], confidence, epoch, bias)
    return savings, untold


def saving_of(
    logs: Sequence[float], steps: Sequence[float], confidence: float, epoch: int = 0, bias: float = 0.0
) -> Saving:
    """The saving of launches.

    Args:
        logs: of the time over the baseline's, one a launch.
        steps: seconds of the baseline's mean step, one a launch.
        epoch: steps of an epoch, where turns are epochs; 0: turns are steps.
    """
    found = interval_of_differences(logs, confidence)
    ends = (found.high, found.low)  # what takes least saves most
    low, high = (None if end is None else -math.expm1(min(end, 709.0)) for end in ends)
    share = Interval(-math.expm1(found.estimate), low, high, found.launches)
    base = math.fsum(steps) / len(steps) * (epoch or 1)
    low, high = (None if end is None else end * base for end in (share.low, share.high))
    seconds = Interval(share.estimate * base, low, high, share.launches)
    return Saving(share, seconds, "epoch" if epoch else "step", bias)


def twin_bias(logs: Sequence[float]) -> float:
    """The share by which the twin differs from its baseline, where its interval says that it does; else 0."""
    if len(logs) < 2:
        return 0.0
    found = interval_of_differences(logs)
    return 0.0 if found.contains(0.0) else abs(math.expm1(found.estimate))


def _epoch_steps(run: StoredRun) -> int:
    """Steps of an epoch of the baseline, where turns are whole epochs; else 0."""
    turns = next((record.turns for record in run.records if record.turns is not None and record.turns.whole), None)
    return 0 if turns is None or not turns.taken else int(turns.taken[0])
