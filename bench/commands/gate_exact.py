"""Metrics that are the same in every launch, and so are compared without statistics. Pure; no torch, no pandas."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.count_differences import accounted_for
from bench.commands.counting import CountedCell, Counts
from bench.plan.cell import Group
from bench.results.record import Record

# Read once, exact at one launch: counts that must not grow. FLOPs come from instrumented launches, where there are any.
COUNTS: Mapping[str, str] = {"graphs": "1", "graph_breaks": "1", "recompiles": "1"}
INSTRUMENTED_COUNTS: Mapping[str, str] = {"flops_per_step": "FLOP"}
A_STEP = "a step"  # the unit of what is counted
PEAK = "peak_memory"
# A process's peak moves by the padding of its heap (up to 1 MiB, drawn for each launch) and by pages that the allocator
# keeps; a device's by nothing. 0.5 % is what a change of code has to exceed in large arms.
BYTES, SHARE = 2 * 2**20, 0.005

ExactVerdict = Literal["pass", "regression", "improvement", "unsteady", "told"]


@dataclass(frozen=True)
class Exact:
    """A metric that is the same in every launch, compared without statistics.

    Attributes:
        cell, metric, unit: of what.
        base, head: in the first launch; of what is counted, a step.
        tolerance: what a difference has to exceed.
        verdict: `unsteady` where the twin differs from its baseline by more, or launches disagree; it tells nothing.
            `told` where it is another, and nobody has asked to be judged by it.
        why: what accounts for a count that is another, or why there is none.
        wanted: whether the gate was asked to judge by it, so that without it nothing passes.
    """

    cell: str
    metric: str
    unit: str
    base: float
    head: float
    tolerance: float
    verdict: ExactVerdict
    why: str = ""
    wanted: bool = False


def exact_metrics(group: Group, records: Sequence[Record], instrumented: Sequence[Record]) -> list[Exact]:
    """The exact metrics of each cell of a group beside its baseline's.

    Args:
        instrumented: records of instrumented launches; `records` are those of timed ones.
    """
    baseline = group.cells[0].id
    twin = next((cell.id for cell in group.cells if cell.twin), "")
    values: dict[tuple[str, str], dict[tuple[str, int], float]] = {}  # by cell and metric, by start and launch
    for record in (*records, *instrumented):
        if record.group == group.id and record.outcome == "ok":
            for metric, value in _values(record).items():
                values.setdefault((record.cell, metric), {})[record.started, record.launch] = value
    found = []
    for (cell, metric), own in values.items():
        base = values.get((baseline, metric), {})
        shared = [launch for launch in own if launch in base]
        if cell in (baseline, twin) or not shared:
            continue
        unit = "bytes" if metric.startswith(PEAK) else {**COUNTS, **INSTRUMENTED_COUNTS}[metric]
        tolerance = max(BYTES, SHARE * base[shared[0]]) if unit == "bytes" else 0.0
        apart = [own[launch] - base[launch] for launch in shared]
        control = values.get((twin, metric), {})
        noise = max((abs(control[launch] - base[launch]) for launch in control if launch in base), default=0.0)
        verdict: ExactVerdict = "unsteady"
        if all(abs(value) <= tolerance for value in apart):
            verdict = "pass"
        elif noise > tolerance:
            pass  # what differs between two copies of the same code is not exact here
        elif min(apart) > tolerance:
            verdict = "regression"
        elif max(apart) < -tolerance:
            verdict = "improvement"
        found.append(Exact(cell, metric, unit, base[shared[0]], own[shared[0]], tolerance, verdict))
    return found


def counted_metrics(counts: Counts, no_more: Collection[str]) -> list[Exact]:
    """What a step of each gated cell does beside its baseline's; see `bench.commands.counting`.

    Args:
        no_more: metrics of which more is a regression, and fewer an improvement. Any other is told: a call more that
            takes no time that could be seen is no reason to fail, unless somebody says so.
    """
    found = []
    for group, cells in counts.groups:
        base = next((cell for cell in cells if cell.cell.id == group.cells[0].id), None)
        for cell in cells:
            if base is None or cell is base or "unsupported" in (cell.outcome, base.outcome):
                continue
            names = list(cell.metrics) or list(base.metrics) or list(no_more)
            found += [_counted(name, cell, base, wanted=name in no_more) for name in names]
    return found


def _counted(name: str, cell: CountedCell, base: CountedCell, *, wanted: bool) -> Exact:
    both = [side.metrics.get(name) for side in (base, cell)]
    lost = next((f"{side.cell.id}: {side.outcome}: {side.reason}" for side in (base, cell) if side.outcome != "ok"), "")
    if lost or None in both:
        return Exact(cell.cell.id, name, A_STEP, 0.0, 0.0, 0.0, "unsteady", f"not counted: {lost}", wanted)
    theirs, own = (one for one in both if one is not None)
    refused = theirs.refused or own.refused
    values = (0.0, 0.0) if refused else (theirs.per_step, own.per_step)
    verdict: ExactVerdict = "pass"
    why = ""
    if refused:
        verdict, why = "unsteady", f"not counted: {refused}"
    elif not (theirs.exact and own.exact):
        verdict, why = "unsteady", "not the same in two interpreters"
    elif own.per_step != theirs.per_step:
        worse = own.per_step > theirs.per_step
        verdict = ("regression" if worse else "improvement") if wanted else "told"
        why = accounted_for(cell.differences[name])
    return Exact(cell.cell.id, name, A_STEP, *values, 0.0, verdict, why, wanted)


def _values(record: Record) -> dict[str, float]:
    if record.instrumented:
        return {name: float(record.extra[name]) for name in INSTRUMENTED_COUNTS if name in record.extra}
    counts = {name: float(record.effective[name]) for name in COUNTS if name in record.effective}
    return counts | {name: float(value) for name, value in record.memory.items() if name.startswith(PEAK)}
