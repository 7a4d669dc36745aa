"""Cells against their baselines, launch by launch: the rows of `frames.pairs`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.columns import KEY_COLUMNS, PAIR_COLUMNS, names_of, typed_table
from bench.results.record import Outcome, Record
from bench.results.store import StoredRun
from bench.results.turns import Turns
from bench.stats.periods import Period, periods_of
from bench.stats.step_columns import forget_columns
from bench.stats.step_times import (
    LEAST_ROUNDS,
    WINSOR,
    LaunchRatios,
    StepTimes,
    launch_ratios,
    long_events,
    longest_of_events,
    step_times,
)

# Outcomes whose turns are complete and tell how long the cell's steps were, whether or not a ratio may use them.
MEASURED: frozenset[Outcome] = frozenset({"ok", "downgraded", "unequal-settings", "unequal-work", "noisy"})

# The first schema whose records tell which interpreters of a set their arms came from. Of older ones nothing is known
# that their launches share.
SEATS_FROM = 6


@dataclass(frozen=True)
class StepRules:
    """How the steps of each cell are counted, from all of its launches.

    Attributes:
        periods: what comes back every so many steps.
        most: typical steps that a long one of no period counts for, against the baseline
            (`step_times.longest_of_events`).
        times, ratios: what follows for each launch, by cell and number, where that was asked for.
    """

    periods: dict[str, tuple[Period, ...]]
    most: dict[str, float]
    times: dict[tuple[str, int], StepTimes]
    ratios: dict[tuple[str, int], LaunchRatios]

    def of(self, cell: str) -> tuple[tuple[Period, ...], float]:
        return self.periods.get(cell, ()), self.most.get(cell, WINSOR)


def step_rules(run: StoredRun, *, figures: bool = False) -> StepRules:
    """The rules of all cells that were measured.

    Args:
        figures: whether the times and ratios of all launches are wanted as well. They are made group by group, while
            the columns of a group's steps are there.
    """
    baselines = {cell["id"]: cell["baseline"] for cell in run.info["plan"]["cells"]}
    groups: dict[str, dict[str, dict[int, Turns]]] = {}
    for record in run.records:
        if record.turns is not None and record.outcome in MEASURED:
            groups.setdefault(record.group, {}).setdefault(record.cell, {})[record.launch] = record.turns
    rules = StepRules({}, {}, {}, {})
    for cells in groups.values():
        events = {}
        for cell, launches in cells.items():
            rules.periods[cell] = periods_of([*launches.values()])
            events[cell] = long_events([*launches.values()], rules.periods[cell])
        for cell in cells:
            if (base := baselines.get(cell)) in cells and base != cell:
                rules.most[cell] = longest_of_events(events[cell], events[base])
        if figures:
            for cell, launches in cells.items():
                _add_figures(rules, cell, launches, baselines.get(cell), cells)
        forget_columns()
    return rules


def _add_figures(
    rules: StepRules,
    cell: str,
    launches: Mapping[int, Turns],
    base: str | None,
    cells: Mapping[str, Mapping[int, Turns]],
) -> None:
    (own, most), (others, _) = rules.of(cell), rules.of(base or cell)
    for launch, turns in launches.items():
        if len(turns.round) >= LEAST_ROUNDS:
            rules.times[cell, launch] = step_times(turns, own, most=most)
        baseline = cells.get(base or cell, {}).get(launch)
        if base not in (None, cell) and baseline is not None and enough_rounds(turns, baseline):
            rules.ratios[cell, launch] = launch_ratios(turns, baseline, (own, others), most=most)


def enough_rounds(turns: Turns, baseline: Turns) -> bool:
    """Whether two arms took so many rounds together that they are compared."""
    return len({*turns.round} & {*baseline.round}) >= LEAST_ROUNDS


@dataclass(frozen=True)
class LaunchPair:
    """A cell and another one of its group in one launch.

    Attributes:
        crossed: whether the two change places between two interpreters of a set, or, of old records, may do so.
    """

    own: Record
    base: Record
    crossed: bool
    ratios: LaunchRatios


def launch_pairs(
    run: StoredRun,
    cells: tuple[Mapping[int, Record], Mapping[int, Record]],
    rules: StepRules,
    known: Mapping[tuple[str, int], LaunchRatios] | None = None,
) -> Iterator[LaunchPair]:
    """Each launch in which a cell and another one of its group took enough rounds together.

    Args:
        cells: by launch the records of the cell, and those of what it is compared with: its baseline, or any other.
        known: ratios that were made of these two before.
    """
    old = run.info.get("schema", 0) < SEATS_FROM
    for launch, own in cells[0].items():
        base = cells[1].get(launch)
        if base is None or own.turns is None or base.turns is None or not enough_rounds(own.turns, base.turns):
            continue
        found = known.get((own.cell, launch)) if known else None
        if found is None:
            (periods, most), (others, least) = rules.of(own.cell), rules.of(base.cell)
            found = launch_ratios(own.turns, base.turns, (periods, others), most=max(most, least))
        yield LaunchPair(own, base, old or own.seat != base.seat, found)


def pairs_of_planned(run: StoredRun, planned: pd.DataFrame, rules: StepRules) -> pd.DataFrame:
    """The same as `frames.pairs`, of planned cells and rules that are there.

    Args:
        planned: `frames.cells`.
    """
    records: dict[str, dict[int, Record]] = {
        cell: {} for cell in planned.loc[planned["outcome"] == "ok", "cell"].tolist()
    }
    for record in run.records:
        if record.outcome != "void" and record.turns is not None and record.cell in records:
            records[record.cell][record.launch] = record
    rows: list[tuple[Any, ...]] = []
    numbers: list[int] = []
    for number, (cell, baseline) in enumerate(zip(planned["cell"], planned["baseline"], strict=True)):
        if baseline is None or cell == baseline or baseline not in records:
            continue
        for pair in launch_pairs(run, (records.get(cell, {}), records[baseline]), rules, rules.ratios):
            found = pair.ratios
            numbers.append(number)
            rows.append(
                (
                    baseline,
                    pair.own.launch,
                    pair.base.fork_server,
                    pair.crossed,
                    found.rounds,
                    found.mean,
                    found.typical,
                    found.difference,
                    found.step,
                    found.unsettled,
                    found.contended,
                )
            )
    columns: dict[str, Any] = {
        name: planned[name].take(numbers).reset_index(drop=True) for name in names_of(KEY_COLUMNS)
    }
    names = [name for name in names_of(PAIR_COLUMNS) if name not in columns]
    return typed_table({**columns, **{name: [row[at] for row in rows] for at, name in enumerate(names)}}, PAIR_COLUMNS)


def columns_by_cell(frame: pd.DataFrame, *names: str) -> dict[str, dict[str, list[Any]]]:
    """Each cell's own rows of these columns, in the frame's order.

    As lists: a frame for each of thousands of cells takes a millisecond, and they a hundredth of it.
    """
    found: dict[str, dict[str, list[Any]]] = {}
    for cell, *values in zip(frame["cell"].tolist(), *(frame[name].tolist() for name in names), strict=True):
        own = found.get(cell)
        if own is None:
            own = found[cell] = {name: [] for name in names}
        for name, value in zip(names, values, strict=True):
            own[name].append(value)
    return found


def shared_sets(crossed: Sequence[bool], sets: Sequence[int]) -> list[int] | None:
    """The set of interpreters of each launch of one cell's `pairs`, where what a launch reads hangs on its set; else
    None: where cell and baseline change places between two interpreters, that cancels.

    Args:
        crossed, sets: the columns `crossed` and `set` of `frames.pairs`, of that cell.
    """
    return None if all(crossed) else [int(number) for number in sets]
