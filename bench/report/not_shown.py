"""What a page does not show: noise, cells that have no figure, what this machine brings; in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.analysis.fastest import USABLE
from bench.analysis.summary import Summary
from bench.report.tables import arm_name, first_names
from bench.report.units import percent

NOT_SHOWN_TITLE = "What this does not show"
# Kinds of failure, and cells of each, that are named.
_KINDS, _NAMED = 8, 3
_LONGEST_REASON = 300
# A core that others want as well; the load before the run is its own and theirs.
_BUSY = 0.5


def not_shown(run_info: Mapping[str, Any], summary: Summary) -> list[str]:
    """One sentence each."""
    return [noise_floor(summary), *_without_figures(summary), *_of_the_machine(run_info.get("environment") or {})]


def noise_floor(summary: Summary) -> str:
    """What the same code reads against itself."""
    if summary.twin is None:
        return "Noise floor: not known. No twin, the baseline's own code, was measured, so nothing tells noise."
    ratio = summary.twin.ratio
    # Groups together have an interval of one launch each, and none of them has one.
    if ratio.low is None or ratio.high is None or all(twin.ratio.low is None for twin in summary.twins.values()):
        return "Noise floor: not known. The twin, the baseline's own code, has one launch, which gives no interval."
    read = percent(ratio.estimate - 1, ratio.low - 1, ratio.high - 1)
    return f"Noise floor: the twin, the baseline's own code, reads {read}. A difference of this size is no finding."


def _without_figures(summary: Summary) -> list[str]:
    """Cells that did not end well, those of one outcome and reason together."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for cell in summary.cells:
        if cell.outcome in USABLE:
            continue
        reason = " ".join(cell.reason.split())
        reason = reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
        where = ", ".join(str(value) for axis, value in cell.point.items() if axis != summary.compare[cell.suite])
        name = arm_name(summary.compare[cell.suite], cell)
        kinds.setdefault((cell.outcome, reason), []).append(f"{name} ({where})" if where else name)
    told = []
    for (outcome, reason), names in list(kinds.items())[:_KINDS]:
        count = "1 cell is" if len(names) == 1 else f"{len(names)} cells are"
        told.append(f"{count} {outcome}, and without a ratio: {first_names(names, _NAMED)}. Reason: {reason}.")
    if len(kinds) > _KINDS:
        rest = sum(map(len, list(kinds.values())[_KINDS:]))
        told.append(
            f"{rest} more cells are without a ratio, for {len(kinds) - _KINDS} other reasons; their sections say why."
        )
    return told


def _of_the_machine(there: Mapping[str, Any]) -> list[str]:
    cpu = there.get("cpu")
    told = (
        [f"Measured on one machine ({cpu}); on another, figures are others, and so may be their order."] if cpu else []
    )
    if there.get("virtual_machine") is True:
        told.append(
            "The machine is a virtual one: what else runs on its host is not seen, and only pairing takes that out."
        )
    if there.get("cpu_quota") not in (None, "unknown", "", "none"):
        told.append(
            f"Processor time was limited from outside (quota {there['cpu_quota']}): steps may have been held up."
        )
    governor = there.get("governor")
    if governor not in (None, "unknown", "", "performance"):
        told.append(
            f"The processor's clock was not held (governor {governor}): step times hang on it, ratios hardly do."
        )
    load, cores = there.get("load_average"), there.get("cores_usable")
    if isinstance(load, (int, float)) and isinstance(cores, int) and load > _BUSY * cores:
        told.append(
            f"The machine was not idle when the run began (load {load:.1f} on {cores} cores): step times are those of "
            "a busy machine."
        )
    return told
