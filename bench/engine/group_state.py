"""What is known of each group while a run goes on: its launches, their ratios, what they took. No torch, no pandas."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine import budget
from bench.engine.instrumented_launches import GroupInstrumentation
from bench.engine.interpreter_sets import interpreters_of
from bench.engine.options import CellProgress, LiveProgress, Options, Progress
from bench.plan.cell import Cell, Group
from bench.plan.goal import Goal
from bench.results.record import Outcome, Record
from bench.stats import intervals
from bench.stats.step_times import LEAST_ROUNDS, launch_ratios

KNOWN_FROM = 4  # launches whose spread tells how long the next should be
# Processes differ by this much at least (sd of a log ratio): 0.5 to 1.2 % was seen, and a handful of launches that
# agree by luck would ask for one of a minute.
LEAST_BETWEEN = 0.006
OVERRUN = 1.5


@dataclass
class GroupState:
    """What is known of a group so far: the log ratios of each launch by cell, and which cells still run."""

    group: Group
    cells: list[Cell]
    launches: int = 0
    voids: int = 0  # launches among them that were disturbed from outside; they tell nothing, and are made again
    ratios: dict[str, list[float]] = field(default_factory=dict)
    sets: dict[str, list[int]] = field(default_factory=dict)  # of interpreters, of these launches
    uncrossed: set[str] = field(default_factory=set)  # cells that do not change places with the baseline
    errors: list[float] = field(default_factory=list)  # standard errors of these within their launches
    turns: list[float] = field(default_factory=list)  # seconds of turns of each launch that has ratios
    widths: list[float | None] = field(default_factory=list)
    half_widths: dict[str, float | None] = field(default_factory=dict)  # of each cell's ratio, as it is known now
    costs: list[float] = field(default_factory=list)  # wall seconds of each launch
    overheads: list[float] = field(default_factory=list)  # of these, what was not in turns
    stop: str = ""
    instrumented: GroupInstrumentation = field(default_factory=GroupInstrumentation)

    @property
    def measured(self) -> int:
        """Launches that count."""
        return self.launches - self.voids

    @property
    def goal(self) -> Goal | None:
        """What its arms train for; launches are then whole trainings."""
        return self.group.cells[0].goal

    @property
    def goal_epochs(self) -> dict[str, int]:
        """By cell, the epochs that it trains for its goal."""
        return {cell.id: cell.goal.epochs for cell in self.cells if cell.goal is not None}

    def wanted(self, launches: int | None) -> int | None:
        """Launches that it is to have, where their number is fixed: by the options, or by its goal's seeds."""
        return self.goal.seeds if launches is None and self.goal is not None else launches

    @property
    def patience(self) -> float:
        """How far over the budget a launch is cut short. A training that was begun since it fits goes to its end."""
        return OVERRUN if self.goal is not None and self.costs else 1.0

    def caches(self, folder: Path) -> Path:
        """Where the next launch keeps compiled code: each training for a goal compiles anew, as each is a replicate."""
        return folder if self.goal is None else folder / f"launch-{self.launches}"

    @property
    def compiles(self) -> bool:
        return any(cell.point.get("compile", "off") != "off" for cell in self.group.runnable)

    @property
    def alone(self) -> bool:
        """Whether its arms are set up one after the other, since how long that takes is one of the questions."""
        return self.compiles or self.goal is not None

    @property
    def least(self) -> int:
        """Launches that it is given whatever the budget: where code is compiled, one cold and one warm."""
        return 2 if self.compiles and self.goal is None else 1

    @property
    def cost(self) -> float:
        """Wall seconds that another launch is expected to take.

        The last one may have cost less than those before it, which compiled cold.
        """
        if not self.costs:
            return self.start_up + budget.LEAST_TURNS * len(self.cells)
        return min(statistics.median(self.costs), self.costs[-1])

    def expected(self, launches: int) -> float:
        """Wall seconds until it has so many launches, the present one left out."""
        return max(0, launches - self.measured - 1) * self.cost

    @property
    def start_up(self) -> float:
        """Seconds of a launch besides its turns."""
        return statistics.median(self.overheads or [budget.ARM_START * len(self.cells)])

    @property
    def best_turns(self) -> float | None:
        """Seconds of turns of a launch by which the ratios are known in the least time; None before that is known.

        Kalibera and Jones (2013): with c seconds of start-up, V the variance that a second of turns leaves, and T2 the
        variance between launches, sqrt(c V / T2).
        """
        series = [values for values in self.ratios.values() if len(values) >= KNOWN_FROM]
        if not series or not self.errors:
            return None
        length = statistics.median(self.turns)
        within = statistics.fmean(error**2 for error in self.errors)
        between = max(LEAST_BETWEEN**2, statistics.fmean(statistics.variance(values) for values in series) - within)
        return math.sqrt(self.start_up * within * length / between)

    def interval(self, cell: str) -> intervals.Interval:
        """What is known of a cell's ratio; launches hang on their sets unless it changes places with the baseline."""
        return intervals.interval_of_logs(self.ratios[cell], sets=self.sets[cell] if cell in self.uncrossed else None)

    def give_up(self, outcome: Outcome, why: Callable[[Cell], str]) -> list[Record]:
        """Take cells that cannot be started out; a record for each.

        Args:
            why: "" of those that can be.
        """
        told = {cell.id: why(cell) for cell in self.cells}
        lost = [never_started(cell, outcome, told[cell.id]) for cell in self.cells if told[cell.id]]
        self.cells = [cell for cell in self.cells if not told[cell.id]]
        return lost

    def learn(self, records: Sequence[Record]) -> None:
        """Take the records of one launch in: ratios for the stopping rule, cells that are out, what it took."""
        self.launches = max(self.launches, records[0].launch + 1)
        failed = {record.cell for record in records if record.outcome not in ("ok", "void")}
        # A cell that failed is not tried again: it would fail again, at the price of a timeout for everybody else.
        self.cells = [cell for cell in self.cells if cell.id not in failed]
        if any(record.outcome == "void" for record in records):
            self.voids += 1
            return
        self.costs.append(records[0].launch_seconds)
        taken = [record.turns for record in records if record.turns is not None]
        in_turns = math.fsum(seconds for turns in taken for seconds in turns.entire)
        self.overheads.append(self.costs[-1] - in_turns)
        paces = [math.fsum(turns.settled) / sum(turns.lengths) for turns in taken]
        self.instrumented.expect(self.overheads[-1] / len(records), paces)
        by_cell = {record.cell: record for record in records if record.outcome == "ok"}
        baseline = by_cell.get(self.group.cells[0].id)
        if baseline is None or baseline.turns is None or len(baseline.turns.round) < LEAST_ROUNDS:
            self.widths.append(None)
            return
        self.turns.append(in_turns)
        for cell, record in by_cell.items():
            if record is not baseline and record.turns is not None:
                found = launch_ratios(record.turns, baseline.turns)
                self.ratios.setdefault(cell, []).append(found.mean)
                self.sets.setdefault(cell, []).append(baseline.fork_server)
                if record.seat == baseline.seat:
                    self.uncrossed.add(cell)
                if math.isfinite(found.error):
                    self.errors.append(found.error)
        self.half_widths = {
            cell.id: intervals.half_width(self.interval(cell.id)) for cell in self.cells if cell.id in self.ratios
        }
        widths = list(self.half_widths.values())
        self.widths.append(
            None if not widths or None in widths else max(width for width in widths if width is not None)
        )


def tell_cells(progress: Progress, states: Sequence[GroupState], *, options: Options) -> None:
    """Say how far each cell is, twins among them, to whoever has a use for it."""
    if not isinstance(progress, LiveProgress):
        return
    goal = None if options.until is not None or options.launches is not None else options.precision_goal
    running = {state.group.id: {cell.id for cell in state.cells} for state in states}
    found = [
        CellProgress(
            cell.id,
            cell is not state.group.cells[0],
            state.half_widths.get(cell.id),
            None if state.goal is not None else goal,
            bool(state.stop) or cell.id not in running[state.group.id],
        )
        for state in states
        for cell in state.group.cells
    ]
    progress.cells(found)


def never_started(cell: Cell, outcome: Outcome, reason: str) -> Record:
    """The record of a cell that was never started."""
    return Record(cell.suite, cell.id, cell.group, cell.point, cell.twin, -1, outcome, reason)


def work(states: Sequence[GroupState]) -> budget.Work:
    """What these groups ask for, as far as it takes time."""
    return budget.Work(
        preloads=tuple(preload for preload, _ in interpreters_of(state.cells for state in states)),
        arms=tuple(len(state.cells) for state in states),
        compiled=tuple(sum(cell.point.get("compile", "off") != "off" for cell in state.cells) for state in states),
        least=tuple(max(0, state.least - state.measured) for state in states),
    )


def time_for_launches(waiting: Sequence[GroupState], left: float, launches: int | None) -> float:
    """Seconds in which there will be launches, after the present one.

    Args:
        left: of the budget.
        launches: of each group, where their number is fixed.
    """
    return left if launches is None else min(left, math.fsum(state.expected(launches) for state in waiting))


def another_set(waiting: Sequence[GroupState], imports: Mapping[tuple[str, ...], float], cores: int) -> float:
    """Seconds until a set of interpreters that begins to import now has served a launch.

    Args:
        imports: seconds that interpreters took, by what they import.
        cores: on which they import.
    """
    wanted = [preload for preload, _ in interpreters_of(state.cells for state in waiting)]
    least = min((state.cost for state in waiting), default=0.0)
    return budget.one_after_the_other(wanted, imports) / max(1, cores) + least
