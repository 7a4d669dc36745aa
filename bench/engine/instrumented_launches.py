"""The conductor's half of instrumented launches: which, how many, how long, and their steps. No torch, no pandas.

They come after all timed ones. Their arms are forked as always, carry callbacks, and are never compared.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from bench.borders import file_name
from bench.engine import budget
from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import SEATS
from bench.engine.launch import Race
from bench.engine.processes import Arm, ArmLost, fork_server_id
from bench.engine.sampled_launches import RUN_SECONDS, LaunchPlace, headline_pair, price_of_samples, sample_pair
from bench.engine.stopping import Interrupted
from bench.errors import BenchError
from bench.machine.cores import Layout
from bench.plan.cell import Cell, Group, Plan
from bench.protocol import Go
from bench.results.record import Record
from bench.results.run_info import timestamp
from bench.results.stacks import add_stacks, read_stacks
from bench.results.store import RunFolder

if TYPE_CHECKING:
    from bench.engine.options import Options, Progress

# Of each group, by default: with three there is an interval.
INSTRUMENTED_LAUNCHES = 3
# Of each arm in one instrumented launch: enough for means, since nothing is compared.
INSTRUMENTED_SECONDS = 0.5
# Seconds that an instrumented arm adds besides its steps, at least: four took 4.2 to 5.6 s on two slow cores. With what
# a timed arm adds, 0.25 s, a run of 180 s had no time left for call stacks.
INSTRUMENTED_START = 0.7
LEAST_STEPS = 24  # two windows of Throughput, and two samples that PeakMemory takes of the workers
# What they may take of the budget before timed launches are done; what these leave over is theirs as well.
LARGEST_SHARE = 0.15


class Recorder(Protocol):
    """What the answers of an arm come to."""

    def __call__(
        self, cell: Cell, race: Race, launch: int, fork_server: int, order: int, started: str, seconds: float
    ) -> Record: ...


@dataclass(frozen=True)
class Host:
    """What the conductor lends.

    Attributes:
        request: what an arm of a cell is asked for in the launch of that number.
        record: what its answers come to.
        judge: whether the arms of a launch did the work of the baseline, whose id it gets.
        folder: takes records and logs.
        elapsed: seconds of the run so far.
    """

    request: Callable[[Cell, int], dict[str, Any]]
    record: Recorder
    judge: Callable[[Sequence[Record], str], list[Record]]
    folder: RunFolder
    elapsed: Callable[[], float]


@dataclass
class GroupInstrumentation:
    """What is known of the instrumented launches of a group.

    Attributes:
        launches: how many there were.
        void: numbers of those that were disturbed from outside.
        cost: wall seconds of the last one.
        failed: cells that are not instrumented again.
        start_up: seconds that an arm adds to a launch besides its turns, as the last timed launch has shown.
        steps: seconds that the instrumented steps of an arm will take.
    """

    launches: int = 0
    void: set[int] = field(default_factory=set)
    cost: float = 0.0
    failed: set[str] = field(default_factory=set)
    start_up: float = INSTRUMENTED_START
    steps: float = INSTRUMENTED_SECONDS

    def expect(self, start_up: float, paces: Sequence[float]) -> None:
        """Take in what a timed launch tells: its start-up an arm, and the seconds of a step of each arm."""
        self.start_up = max(INSTRUMENTED_START, start_up)
        self.steps = max(INSTRUMENTED_SECONDS, LEAST_STEPS * max(paces, default=0.0))

    def price(self, arms: int) -> float:
        """Seconds that the next instrumented launch is expected to take."""
        return self.cost or budget.instrumented_launch(arms, self.start_up, self.steps)

    def take(self, record: Record) -> float:
        """Take in the record of one cell in one instrumented launch; gives the launch's seconds, once each launch."""
        new = record.launch >= self.launches
        self.launches = max(self.launches, record.launch + 1)
        self.cost = record.launch_seconds
        if record.outcome == "void":
            self.void.add(record.launch)
        elif record.outcome != "ok":
            self.failed.add(record.cell)
        return self.cost if new else 0.0


def preload(cell: Cell) -> tuple[str, ...]:
    """What the fork server of an instrumented arm imports: what its loop needs, and lightning, whose hooks they have.

    So a plain arm that is instrumented has lightning imported, which one that is timed never has; its record says so.
    """
    return tuple(dict.fromkeys((*cell.preload, "lightning")))


def why_not() -> str | None:
    """Why nothing can be instrumented here, or None."""
    return None if importlib.util.find_spec("lightning") else "the package 'lightning' is not installed"


def reserve(plan: Plan, options: Options, imports: Mapping[tuple[str, ...], float] | None = None) -> float:
    """Seconds of the budget that are kept for one instrumented launch of each group; none where they hold none.

    Args:
        imports: seconds that the interpreters which are there took, by what they import.
    """
    took = imports or {}
    groups = [[cell for cell in group.runnable if not cell.twin] for group in plan.groups]
    cells = [cell for group in groups for cell in group]
    if not options.instrument or not cells or why_not():
        return 0.0
    each = [GroupInstrumentation().price(len(group)) for group in groups if group]
    own = preload(cells[0])
    there = own in took or any(cell.preload == preload(cell) for cell in cells)
    extra = 0.0 if there else budget.seconds_of_imports([own], took, 1)
    kept = min(LARGEST_SHARE * options.budget, extra + sum(each) + price_of_samples())
    return kept if kept >= extra + min(each) else 0.0


class Instrumenter:
    """Makes instrumented launches.

    Args:
        fleet: whose arms are used.
        place: where things run.
        host: the conductor's side.
    """

    def __init__(
        self,
        fleet: Fleet,
        options: Options,
        progress: Progress,
        place: Layout,
        host: Host,
    ) -> None:
        self._fleet = fleet
        self._options = options
        self._progress = progress
        self._place = place
        self._host = host
        self._given_up = False

    @property
    def _number(self) -> int:
        """Of the fork servers that are used: those of the set in use, with others that only instrumented arms need."""
        return SEATS * self._fleet.set_in_use

    def run(self, groups: Sequence[tuple[Group, Sequence[Cell], GroupInstrumentation]]) -> int:
        """Sweep after sweep of instrumented launches, as many as were asked for and as the budget has room for.

        Args:
            groups: each with those of its cells that still run, and what is known of its instrumented launches.

        Returns:
            How many groups were not instrumented at all since the budget has no room for it.
        """
        left_out: set[str] = set()
        for sweep in range(self._options.instrument):
            for group, cells, known in groups:
                cells = [cell for cell in cells if not cell.twin and cell.id not in known.failed]
                if not cells or self._given_up or self._fleet.interrupts or known.launches - len(known.void) > sweep:
                    continue
                if self._host.elapsed() + self._price(cells, known) > self._options.budget:
                    left_out |= {group.id} if not known.launches else set()
                    continue
                self._progress.update(
                    self._host.elapsed(), self._options.budget, f"{group.id} instrumented launch {known.launches + 1}"
                )
                if self._disturbed(group, cells, known) and self._disturbed(group, cells, known):
                    self._given_up = True
                    self._progress.note("no more instrumented launches: two in a row are void; what was timed stands")
            if not sweep:
                self._sample([(group, cells) for group, cells, _ in groups])
        return len(left_out)

    def _sample(self, groups: Sequence[tuple[Group, Sequence[Cell]]]) -> None:
        """Sample the stacks of the headline's two cells, for `bench explain` and the page, if there is time for it.

        Args:
            groups: each with those of its cells that still run.
        """
        pair = headline_pair(groups)
        folder, room = self._host.folder, self._options.budget - self._host.elapsed()
        if pair is None or self._fleet.interrupts or self._given_up:
            return
        if any(one.of(pair[0].id, pair[1].id) for one in read_stacks(folder.folder)):
            return  # of a run that is gone on with
        there = all(fork_server_id(cell.preload, self._number) in self._fleet.fork_servers for cell in pair)
        if price_of_samples() > room or not there:
            self._progress.note(
                f"no stacks are sampled: no time is left; `bench explain` samples those of {folder.folder}"
            )
            return
        self._progress.update(self._host.elapsed(), self._options.budget, f"{pair[0].group} sampled launch")
        place = LaunchPlace(
            self._fleet,
            self._place,
            lambda cell: self._host.request(cell, 0),
            folder.log,
            self._options.seed,
            self._options.timeout,
            self._number,
        )
        try:
            add_stacks(folder.folder, sample_pair(pair, place, RUN_SECONDS))
        except (BenchError, ArmLost) as error:
            self._progress.note(f"no stacks are sampled: {error}; what was timed stands")
        except Interrupted:
            self._interrupted()

    def _disturbed(self, group: Group, cells: Sequence[Cell], known: GroupInstrumentation) -> bool:
        """Make an instrumented launch; whether it is void, so that it is to be made again."""
        baseline = group.cells[0].id
        records = self._launch(cells, known, baseline)
        records = self._host.judge(records, baseline) if records else []
        self._host.folder.append(records)
        for record in records:
            known.take(record)
            if record.outcome != "ok":
                self._progress.note(f"{record.cell}, instrumented: {record.outcome}: {record.reason}")
        return any(record.outcome == "void" for record in records)

    def _price(self, cells: Sequence[Cell], known: GroupInstrumentation) -> float:
        """Seconds that an instrumented launch of these cells will take, with the interpreters that it alone needs."""
        wanted = dict.fromkeys(preload(cell) for cell in cells)
        missing = [own for own in wanted if fork_server_id(own, self._number) not in self._fleet.fork_servers]
        starting = budget.seconds_of_imports(missing, self._fleet.imports, len(self._place.usable) or 1)
        return starting + known.price(len(cells))

    def _launch(self, cells: Sequence[Cell], known: GroupInstrumentation, baseline: str) -> list[Record]:
        """One instrumented launch of these cells of a group: its records."""
        began, started, number = time.monotonic(), timestamp(), known.launches
        self._given_up = not self._interpreters([preload(cell) for cell in cells])
        if self._given_up:
            return []
        arms: dict[str, Arm] = {}
        for cell in cells:
            log = self._host.folder.log(f"{file_name(cell.id)}-instrumented-{number}")
            request = {**self._host.request(cell, number), "instrument": True}
            arms[cell.id] = self._fleet.start_arm(preload(cell), request, log, number=self._number)
        try:
            self._fleet.await_ready(list(arms.values()), self._options.timeout)
        except Interrupted:
            return self._interrupted()
        race = instrumented_race(self._fleet, arms, self._place.arms, self._options.timeout, baseline)
        if self._fleet.interrupts:
            return self._interrupted()
        seconds = time.monotonic() - began
        return [
            replace(self._host.record(cell, race, number, 0, order, started, seconds), instrumented=True)
            for order, cell in enumerate(cells)
        ]

    def _interrupted(self) -> list[Record]:
        self._progress.note("interrupted: instrumented launches are left out; what was timed stands")
        return []

    def _interpreters(self, preloads: Sequence[tuple[str, ...]]) -> bool:
        """Whether they are there. They may be the first of the run to import lightning; what was timed stands."""
        reason = why_not()
        try:
            if reason is None:
                self._fleet.ensure_fork_servers(
                    [(self._number, wanted) for wanted in dict.fromkeys(preloads)], self._options.seed
                )
        except BenchError as error:
            reason = str(error)
        if reason is not None:
            self._progress.note(f"no instrumented launches: {reason}")
        return reason is None


def instrumented_race(
    fleet: Fleet, arms: Mapping[str, Arm], cores: Sequence[int], timeout: float, baseline: str
) -> Race:
    """Audited steps and warm-up as in a timed launch, then each arm's instrumented steps in one turn, then results.

    Args:
        arms: by cell id, all waiting at their first pull, or lost. They are ended.
        baseline: whose steps tell how many are taken; any other's where it is lost. All arms take the same number.
    """
    race = Race(fleet, arms, cores, timeout, INSTRUMENTED_SECONDS)
    race.warm_up(baseline)
    # Means, not medians: where steps return before their work is done only the sum of a stretch is right.
    pace = {name: statistics.fmean(race.warmups[name][len(race.warmups[name]) // 2 :]) for name in race.alive}
    if pace:
        steps = max(LEAST_STEPS, math.ceil(INSTRUMENTED_SECONDS / pace.get(baseline, min(pace.values()))))
        for name in race.alive:
            try:
                fleet.turn(arms[name], Go(steps, instrument=True), timeout)
            except ArmLost:
                continue  # `lost` is on the arm, and becomes the record's outcome
    race.finish()
    return race
