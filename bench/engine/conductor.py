"""Runs a plan: forks arms, gives turns, watches the clock, writes records. No torch, no pandas.

One launch of a group is one fresh set of processes: all its arms start at once in random order, warm up, and then take
short turns in balanced random order on the same cores, one running while all others are held. Launches of the groups
alternate, sweep after sweep, until every group's intervals are narrow enough or the budget is spent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.borders import file_name
from bench.engine import budget, group_state, turn_order
from bench.engine.arm_request import (
    all_cores,
    informed_cells,
    request,
    runs_behind,
    widest_layout,
    widest_layouts,
)
from bench.engine.equal_work import judge_work
from bench.engine.fleet import Fleet
from bench.engine.goal_race import GoalRace
from bench.engine.group_state import GroupState, never_started
from bench.engine.instrumented_launches import Host, Instrumenter, reserve
from bench.engine.interpreter_sets import STANDING, InterpreterSets, interpreters_of, starting_words
from bench.engine.launch import Race, heap_padding
from bench.engine.launch_records import arm_record
from bench.engine.launchers import Launcher
from bench.engine.lost_devices import LostDevices
from bench.engine.options import Options, Progress, ticks_of
from bench.engine.processes import Arm
from bench.engine.stopping import SIGNALS_APART, Interrupted, heard_within, heed_signals
from bench.engine.until import Until
from bench.machine.cores import own_cores
from bench.plan.cell import SIDES, Cell, Plan
from bench.plan.side import Side
from bench.results.record import Record
from bench.results.run_info import timestamp
from bench.results.store import RunFolder

TIMES = ("wall", "fork_servers", "launches", "turns", "instrumented", "conductor_cpu")  # of run.json's `timing`
SAME_WORK = ("loop", SIDES)  # axes along which trainings for a goal do the same work; along others they are compared
VOIDS = 2  # launches in a row that were disturbed from outside, of whatever group: the run ends


class Conductor:
    """Runs one plan into one folder.

    Args:
        plan: what to run.
        files: the suite file of each suite by name, "" for one that came by an entry point.
        folder: the run's folder, opened for writing.
        options: how.
        progress: whom to tell.
        done: records that an earlier part of this run has written.
        sides: the environments by name, where the plan compares some; `files` may have `SUITE@SIDE` then.
        launcher: what places nodes, or None.
    """

    def __init__(
        self,
        plan: Plan,
        files: Mapping[str, str],
        folder: RunFolder,
        options: Options,
        progress: Progress,
        done: Sequence[Record] = (),
        sides: Mapping[str, Side] | None = None,
        *,
        launcher: Launcher | None = None,
    ) -> None:
        self._launcher = launcher
        self._files, self._sides, self._folder = files, sides, folder
        self._options, self._progress = options, progress
        self._own = self._layout = widest_layout(plan.cells, options.threads)
        self._random = random.Random(f"{options.seed}/{len(done)}")
        self._states = [GroupState(group, list(group.runnable)) for group in plan.groups]
        self._spent = 0.0  # wall seconds of earlier parts of this run
        self._began = time.monotonic()
        self._plan = plan
        self._until = Until(options.until, plan)
        self._timed_budget = options.budget - reserve(plan, options)
        self._set_from = 1 + max((record.fork_server for record in done), default=-1)
        self._voids = 0  # launches in a row that were disturbed from outside
        self._lost = LostDevices()
        self._never: set[str] = {cell.id for cell in plan.cells}  # cells without a record
        self.warnings: list[str] = []  # what a reader of the figures should know of the budget
        self.timing = dict.fromkeys(TIMES, 0.0)
        self._recall(plan, done)

    def _recall(self, plan: Plan, done: Sequence[Record]) -> None:
        """Take up the state that records of an earlier part of the run describe."""
        self._never -= {record.cell for record in done}
        self._append([never_started(cell, "unsupported", cell.unsupported) for cell in plan.cells if cell.unsupported])
        for state in self._states:
            launches: dict[int, list[Record]] = {}
            for record in done:
                if record.group == state.group.id and record.instrumented:
                    self._spent += state.instrumented.take(record)
                elif record.group == state.group.id and record.launch >= 0:
                    launches.setdefault(record.launch, []).append(record)
            for number in sorted(launches):
                self._spent += launches[number][0].launch_seconds
                state.learn(launches[number])
                self._until.take(launches[number])

    def _append(self, records: Sequence[Record]) -> None:
        """Write records down; those of cells that were never started only where a cell has no other."""
        records = [record for record in records if record.launch >= 0 or record.cell in self._never]
        self._folder.append(records)
        self._never -= {record.cell for record in records}

    def run(self, fleet: Fleet | None = None) -> dict[str, dict[str, Any]]:
        """Run until every group has stopped; gives each group's reason to stop and its launches.

        Args:
            fleet: with interpreters that are warm already; None: one of this run's own.

        Raises:
            BenchError: the interpreters do not start.
        """
        self._began = time.monotonic()
        if fleet is not None:
            return self._run(fleet)
        with Fleet(self._options.threads, self._folder.logs, self._sides, launcher=self._launcher) as own:
            own.set_in_use = self._set_from
            return self._run(own)

    def _run(self, fleet: Fleet) -> dict[str, dict[str, Any]]:
        options = self._options
        fleet.while_waiting = ticks_of(self._progress)
        with heed_signals(fleet):
            try:
                self._place(fleet)
                alone = set(self._layout.conductor).isdisjoint(self._layout.arms)
                sets = InterpreterSets(
                    fleet, options.seed, options.fork_servers, beside=alone, generator=random.Random(options.seed)
                )
                self._start(fleet, sets)
                with own_cores(self._own):
                    fleet.keep_off(self._layout)
                    while (state := self._next(fleet)) is not None:
                        self._launch(fleet, sets, state)
                    if self._voids < VOIDS:
                        self._instrument(fleet)
            except Interrupted:
                for state in self._states:
                    state.stop = state.stop or "interrupted"
            self.timing["conductor_cpu"] = fleet.conductor_cpu
        self.timing["wall"] = time.monotonic() - self._began
        return {state.group.id: {"reason": state.stop, "launches": state.launches} for state in self._states}

    def _place(self, fleet: Fleet) -> None:
        """Have the nodes of the launcher, and give up what they are too few for."""
        if fleet.launcher is not None:
            self._progress.phase(f"waiting for {budget.in_words(fleet.launcher.nodes, 'node')}")
            fleet.join()
            for difference in fleet.placement.differences:
                self._warn(difference)
        self._without_nodes(fleet)

    def _without_nodes(self, fleet: Fleet) -> None:
        """Lay out the nodes that are there, and end the cells that need more of them."""
        placement = fleet.placement
        if placement.changed:
            if placement.lost:
                heard_within(fleet, SIGNALS_APART)
            layouts = widest_layouts(self._plan.cells, self._options.threads, [one.cores for one in placement.live])
            self._layout = layouts or self._own
        for state in () if fleet.interrupts else self._states:
            lost = state.give_up(placement.outcome, lambda cell: placement.lacking(cell.num_nodes))
            self._append(lost)
            for record in lost:
                self._progress.note(f"{record.cell}: {record.outcome}: {record.reason}")

    def _start(self, fleet: Fleet, sets: InterpreterSets) -> None:
        """Start a set of interpreters; where no other can import beside turns, more of them. Says first what fits."""
        options = self._options
        states = [state for state in self._states if not self._stop(fleet, state)]
        work, wanted = group_state.work(states), interpreters_of(state.cells for state in states)
        if not wanted:
            return
        most = 1 if sets.beside else min(options.fork_servers, STANDING)
        missing = sets.missing(wanted, sets.current)
        if not self._spent and len(missing) == len(wanted):
            kept = options.budget - self._timed_budget
            told = budget.forecast(work, options.budget, kept, len(self._layout.usable) or 1, most)
            if not told.fits:
                self._warn(told.sentence())
            elif all(state.wanted(options.launches) is None for state in states):
                self._progress.note(told.sentence())
        if missing:
            self._progress.phase(starting_words(missing))
        self._fork_servers(lambda: sets.ensure(wanted))
        self._timed_budget = options.budget - reserve(self._plan, options, fleet.imports)
        least = work.launches()
        if least and self._elapsed() + least > options.budget and not self.warnings:
            self._warn(budget.late(self._elapsed(), options.budget, least, max(work.least)))
        if self._elapsed() + least > self._timed_budget:
            self._timed_budget = options.budget  # instrumented launches would not fit behind those
        launches = work.launches(options.launches or budget.INTERVAL_LAUNCHES)
        left = self._timed_budget - self._elapsed()
        cores = len(self._layout.usable) or 1
        further = [
            budget.seconds_of_imports(sets.missing(wanted, number), fleet.imports, cores) for number in range(1, most)
        ]
        sets.standing = budget.sets(most, further, left, launches)
        if sets.standing > 1:
            self._progress.phase(f"starting {sets.standing - 1} more sets of interpreters")
            self._fork_servers(lambda: sets.ensure(wanted))
        if not sets.beside and options.fork_servers > 1:
            self._warn(budget.no_core_beside(sets.standing))

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self._progress.note(text)

    def _fork_servers(self, start: Callable[[], None]) -> None:
        began = time.monotonic()
        start()
        self.timing["fork_servers"] += time.monotonic() - began

    def _elapsed(self) -> float:
        return self._spent + time.monotonic() - self._began

    def _next(self, fleet: Fleet) -> GroupState | None:
        """The group whose turn it is to be launched, or None when all have stopped."""
        self._without_nodes(fleet)
        for state in self._states:
            if not state.stop:
                state.stop = "void" if self._voids >= VOIDS else self._stop(fleet, state)
        waiting = [state for state in self._states if not state.stop]
        group_state.tell_cells(self._progress, self._states, options=self._options)
        if not waiting:
            return None
        fewest = min(state.measured for state in waiting)
        return self._random.choice([state for state in waiting if state.measured == fewest])

    def _stop(self, fleet: Fleet, state: GroupState) -> str:
        if fleet.interrupts:
            return "interrupted"
        if gone := self._lost.drop(state):
            self._append(gone)
        if not state.group.runnable:
            return "unsupported"
        if not state.cells:
            return "failed"
        if (wanted := state.wanted(self._options.launches)) is not None:
            if state.measured >= wanted:
                return "launches"
        elif reason := self._until.stop_reason(state.group.id, state.widths, self._options.precision_goal):
            return reason
        # The first launch is always made: a budget too small for anything still gives each cell a record.
        if state.measured >= state.least and self._elapsed() + state.cost > self._timed_budget:
            return "budget"
        return ""

    def _measuring_time(self, state: GroupState) -> float:
        """Seconds of turns for a launch of this group: its share of what is left of the budget."""
        if self._options.launch is not None:
            return self._options.launch
        open_groups = sum(1 for other in self._states if not other.stop)
        share = (self._timed_budget - self._elapsed()) / max(1, open_groups)
        return budget.seconds_of_turns(share, state.measured, state.start_up, state.best_turns)

    def _launch(self, fleet: Fleet, sets: InterpreterSets, state: GroupState) -> None:
        """One launch of one group: fresh processes for all its cells, rounds of turns, records."""
        began, started = time.monotonic(), timestamp()
        number, options, nodes = state.launches, self._options, len(fleet.placement.live)
        self._fork_servers(lambda: sets.begin_launch(interpreters_of([state.cells])))
        self._progress.update(self._elapsed(), options.budget, f"{state.group.id} launch {number + 1}, starting")
        places = sets.places(state.group.id, state.cells)
        order = list(range(len(state.cells)))
        self._random.shuffle(order)
        arms: dict[str, Arm] = {}
        for index in order:
            cell = state.cells[index]
            asked = self._request(cell, number, state.caches(fleet.caches), alone=state.alone)
            log, seat = self._folder.log(f"{file_name(cell.id)}-{number}"), sets.number(places[cell.id])
            arms[cell.id] = fleet.start_arm(cell.preload, asked, log, number=seat)
            if state.alone:
                fleet.await_ready([arms[cell.id]], options.timeout)
        fleet.await_ready(list(arms.values()), options.timeout)
        behind, known = runs_behind(state.cells, arms), informed_cells(state.cells, arms)
        wider = self._layout.usable if known[0].workers > state.cells[0].workers else ()
        state.cells = known
        cores, meters = all_cores(state.cells, self._layout, options.threads), fleet.turn_meters
        race = (GoalRace if state.goal else Race)(
            fleet, arms, cores, options.timeout, options.turn, asynchronous=behind, generator=self._random,
            epochs=state.cells[0].epochs, wider=wider, goal=state.goal_epochs, meters=meters,
        )  # fmt: skip
        measuring_time = self._measuring_time(state)
        waiting = [other for other in self._states if not other.stop]
        left = group_state.time_for_launches(waiting, self._timed_budget - self._elapsed(), options.launches)
        if group_state.another_set(waiting, fleet.imports, len(self._layout.conductor)) < left:
            sets.prepare_next(interpreters_of(other.cells for other in waiting))
        race.warm_up(state.group.cells[0].id, measuring_time)
        for position_by_round in turn_order.rounds(len(state.cells), self._random):
            late = race.rounds >= race.least_rounds and self._elapsed() > self._timed_budget * state.patience
            if race.void or not race.alive or fleet.interrupts or late or race.enough(measuring_time):
                break
            race.take_round([state.cells[index].id for index in position_by_round])
            self._progress.update(self._elapsed(), options.budget, f"{state.group.id} launch {number + 1}")
        race.finish()
        for told in fleet.meters.told(state.group.id, number, race.unsteady):
            self._warn(told)
        self._lost.take(state.cells, arms, fleet.meters)
        self.timing["turns"] += race.turn_seconds
        fewer = len(fleet.placement.live) < nodes and heard_within(fleet, SIGNALS_APART)
        if fleet.interrupts and (state.goal or not race.rounds or race.swept or fewer):
            return  # nothing was measured, or no whole training, or a scheduler has ended all processes of its job
        seconds = time.monotonic() - began
        records = [
            replace(
                self._record(cell, race, number, sets.current, order.index(index), started, seconds, alone=state.alone),
                seat=places[cell.id],
            )
            for index, cell in enumerate(state.cells)
        ]
        records = self._judge(records, state.group.cells[0].id)
        self._append(records)
        self.timing["launches"] += seconds
        state.learn(records)
        self._until.take(records)
        for record in records:
            if record.outcome not in ("ok", "void"):
                self._progress.note(f"{record.cell}: {record.outcome}: {record.reason_and_log}")
        self._count_void(race.void, f"{state.group.id} launch {number + 1}")

    def _count_void(self, cause: str, launch: str) -> None:
        """Take note of a launch that was disturbed from outside. It is made again; the second in a row ends the run."""
        self._voids = self._voids + 1 if cause else 0
        if cause and self._voids < VOIDS:
            self._progress.note(f"{launch} is void, and is made again: {cause}")
        elif cause:
            self._progress.note(f"{launch} is void, the second in a row; the run ends: {cause}")
            reason = f"the run ended before its first launch: {cause}"
            self._append([never_started(cell, "void", reason) for state in self._states for cell in state.cells])

    def _instrument(self, fleet: Fleet) -> None:
        """The instrumented launches of all groups, as far as the budget has room for them."""
        began = time.monotonic()
        host = Host(
            request=lambda cell, number: self._request(cell, number, fleet.caches, alone=False),
            record=self._record,
            judge=self._judge,
            folder=self._folder,
            elapsed=self._elapsed,
        )
        instrumenter = Instrumenter(fleet, self._options, self._progress, self._layout, host)
        left_out = instrumenter.run([(state.group, state.cells, state.instrumented) for state in self._states])
        if left_out:
            which = "" if left_out == len(self._states) else f" of {left_out} of {len(self._states)} groups"
            room = f"they would not fit into the budget of {budget.in_seconds(self._options.budget)}"
            self._warn(f"no instrumented launches{which}: {room}")
        self.timing["instrumented"] += time.monotonic() - began

    def _judge(self, records: Sequence[Record], baseline: str) -> list[Record]:
        suite = self._plan.suites[records[0].suite]
        equal = suite.equal if suite.goal is None else suite.equal or ("" if suite.compare in SAME_WORK else "none")
        return judge_work(records, baseline, equal=equal, tolerance=suite.tolerance, trained=suite.goal is not None)

    def _request(self, cell: Cell, launch: int, caches: Path, *, alone: bool) -> dict[str, Any]:
        options = self._options
        return request(
            cell,
            self._files.get(f"{cell.suite}@{cell.side}", self._files[cell.suite]),
            self._layout,
            threads=options.threads,
            seed=options.seed + launch,
            caches=caches,
            padding=heap_padding(self._random),
            alone=alone,
            memory_limit=options.memory_limit,
        )

    def _record(
        self,
        cell: Cell,
        race: Race,
        launch: int,
        fork_server: int,
        order: int,
        started: str,
        seconds: float,
        *,
        alone: bool = False,
    ) -> Record:
        return arm_record(
            cell, race, launch, fork_server, order, started, seconds, alone=alone, place=self._layout,
            threads=self._options.threads,
        )  # fmt: skip
