"""`bench counts`: what a step of each loop does, counted and not timed. No torch, no pandas.

Work needs no statistics: the same code does the same, so one difference of one call is a difference. What is not the
same in two interpreters is told as such, and is compared with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.analysis.count_differences import CountDifference, MetricCount, count_differences, metric_counts
from bench.axes.engine_axes import AxisValue
from bench.commands.python_arguments import listener, selection_of
from bench.commands.selection import Selection, plan_selection
from bench.engine.counted_launches import CountedArm, CountedLaunches
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.errors import SpecError
from bench.machine.scratch import scratch_folder
from bench.plan.cell import Cell, Group, Plan
from bench.plan.quantities import seconds
from bench.plan.suite import Suite
from bench.results import store
from bench.results.record import Outcome
from bench.results.step_counts import COUNTED_STEPS, PERIOD

COUNTS_SCHEMA = 1


@dataclass(frozen=True)
class CountedCell:
    """What a step of one cell does.

    Attributes:
        outcome: `ok`, or why there are no counts, with its reason.
        metrics: by name.
        differences: to the baseline, by metric, where both counts are exact and not the same.
        other_ranks: metrics of which another rank than the first counted another number.
    """

    cell: Cell
    outcome: Outcome
    reason: str = ""
    metrics: Mapping[str, MetricCount] = field(default_factory=dict)
    differences: Mapping[str, CountDifference] = field(default_factory=dict)
    other_ranks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "cell": self.cell.id,
            "point": dict(self.cell.point),
            "outcome": self.outcome,
            "reason": self.reason,
            "counts": {name: one.to_json() for name, one in self.metrics.items()},
            "differences": {name: one.to_json() for name, one in self.differences.items()},
            "other_ranks": list(self.other_ranks),
        }


@dataclass(frozen=True)
class Counts:
    """What `bench counts` found.

    Attributes:
        steps: that each metric was counted over.
        suites: of the plan, by name.
        groups: every group with its cells, the baseline first, twins left out.
        interrupted: whether the user stopped it; groups that were not reached are missing.
    """

    steps: int
    suites: Mapping[str, Suite]
    groups: tuple[tuple[Group, tuple[CountedCell, ...]], ...]
    interrupted: bool = False

    @property
    def cells(self) -> list[CountedCell]:
        return [cell for _, cells in self.groups for cell in cells]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; `by` is over all steps, all else a step."""
        groups = [
            {
                "group": group.id,
                "baseline": self.suites[group.suite].baseline,
                "cells": [cell.to_json() for cell in cells],
            }
            for group, cells in self.groups
        ]
        return {"schema": COUNTS_SCHEMA, "steps": self.steps, "interrupted": self.interrupted, "groups": groups}


def counts(
    *suites: str | Path,
    set: Mapping[str, AxisValue | Sequence[AxisValue]] | None = None,
    select: str | None = None,
    steps: int | None = None,
    timeout: float | str | None = None,
    folders: Sequence[str | Path] = (),
    progress: bool | Progress = False,
) -> Counts:
    """What a step of each loop does, counted and not timed: `bench counts`.

    Args, besides those of `bench.run`:
        steps: that each metric is counted over, whole periods of 50; 100 where nothing is said.
        timeout: seconds for one metric of an arm.

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: interpreters do not start.
    """
    selection = selection_of(suites, set, select, folders, None)
    how = COUNTED_STEPS if steps is None else steps, seconds("timeout", timeout) or 60.0
    with listener(progress) as told:
        return count_selection(selection, *how, told)


def count_selection(selection: Selection, steps: int, timeout: float, progress: Progress) -> Counts:
    """Count what a step of each of these cells does.

    Args:
        steps: that each metric is counted over: whole periods of 50, since Trainer logs every 50th.
        timeout: seconds for one stretch of them.

    Raises:
        SpecError: the selection is wrong, or the steps are no whole periods.
        BenchError: the interpreters do not start.
    """
    steps = whole_periods(steps)
    plan, files = plan_selection(selection, tell=progress.note)
    with scratch_folder("counts-") as home, Fleet(selection.threads, home / store.LOGS) as fleet:
        return count_plan(plan, files, home / store.LOGS, steps, timeout, progress, fleet)


def whole_periods(steps: int) -> int:
    """Raises:
    SpecError: they are no whole periods of 50.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < PERIOD or steps % PERIOD:
        raise SpecError(
            f"steps: {steps!r} is not possible; allowed: multiples of {PERIOD}, since Trainer logs every {PERIOD}th"
        )
    return steps


def count_plan(
    plan: Plan,
    files: Mapping[str, str],
    logs: Path,
    steps: int,
    timeout: float,
    progress: Progress,
    fleet: Fleet,
    seed: int = 0,
) -> Counts:
    """Count every cell of a plan that can run here, on a fleet; see `count_selection`."""
    launches = CountedLaunches(fleet, plan, files, logs, steps=steps, timeout=timeout, seed=seed)
    done: list[tuple[Group, tuple[CountedCell, ...]]] = []
    try:
        for group in plan.groups:
            done.append((group, _group(group, launches, progress)))
    except KeyboardInterrupt:  # arms do not see Ctrl-C; what was counted is kept
        return Counts(steps, plan.suites, tuple(done), interrupted=True)
    return Counts(steps, plan.suites, tuple(done))


def _group(group: Group, launches: CountedLaunches, progress: Progress) -> tuple[CountedCell, ...]:
    runnable = [cell for cell in group.runnable if not cell.twin]
    found: dict[str, CountedCell] = {}
    rounds = launches.count(runnable, progress) if runnable else []
    for place, cell in enumerate(runnable):
        found[cell.id] = _cell(cell, [arms[place] for arms in rounds], found.get(cell.baseline))
        if found[cell.id].reason:
            progress.note(f"{cell.id}: {found[cell.id].outcome}: {found[cell.id].reason}")
    return tuple(
        found[cell.id] if cell.id in found else CountedCell(cell, "unsupported", cell.unsupported)
        for cell in group.cells
        if not cell.twin
    )


def _cell(cell: Cell, arms: Sequence[CountedArm], baseline: CountedCell | None) -> CountedCell:
    failed = next((arm.record for arm in arms if arm.record.outcome != "ok"), None)
    if failed is not None:
        return CountedCell(cell, failed.outcome, failed.reason)
    metrics = metric_counts([arm.ranks[0] for arm in arms])
    others = {
        one.metric
        for arm in arms
        for rank in arm.ranks[1:]
        for one, first in zip(rank.counted, arm.ranks[0].counted, strict=True)
        if one.total != first.total
    }
    differences = {} if baseline is None or baseline.outcome != "ok" else count_differences(metrics, baseline.metrics)
    return CountedCell(cell, "ok", "", metrics, differences, tuple(sorted(others)))
