"""What a step of each cell does, counted: by group, beside the baseline, and for gates. No torch, no pandas.

Work needs no statistics: the same code does the same, so one difference of one call is a difference. What is not the
same in two interpreters is told as such, and is compared with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.analysis.count_differences import CountDifference, MetricCount, count_differences, metric_counts
from bench.engine.counted_launches import CountedArm, CountedLaunches
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.errors import SpecError, one_of
from bench.plan.cell import Cell, Group, Plan
from bench.plan.suite import Suite
from bench.results.record import Outcome
from bench.results.step_counts import COUNT_METRICS, PERIOD, STEPS_OF_COUNTS

COUNTS_SCHEMA = 1
COUNTS_FILE = "counts.json"  # of a gate's folder


@dataclass(frozen=True)
class Counting:
    """What a gate counts besides.

    Attributes:
        no_more: metrics of which more a step is a regression; the others are told.

    Raises:
        SpecError: there is no such metric.
    """

    no_more: tuple[str, ...] = ()
    steps: int = STEPS_OF_COUNTS

    def __post_init__(self) -> None:
        unknown = [name for name in self.no_more if name not in COUNT_METRICS]
        if unknown:
            raise SpecError([f"no_more: {one_of('metric', name, COUNT_METRICS)}" for name in unknown])


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
    """Count every cell of a plan that can run here, on a fleet."""
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
