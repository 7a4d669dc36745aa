"""Launches that count what a step does: an arm at a time, never timed nor beside a timed figure. No torch, no pandas.

Each cell is counted in arms of two interpreters, of other hash seeds and layouts. What is the same in both is exact;
what is not depends on more than the code, and is no ground for a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.borders import file_name
from bench.engine.arm_request import downgrades, request, requested_settings, widest_layout
from bench.engine.equal_work import judge_work
from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import starting_words
from bench.engine.launch import AUDITED_STEPS
from bench.engine.options import Progress
from bench.engine.processes import ArmLost, fork_server_id
from bench.machine.cores import Layout
from bench.plan.cell import Cell, Plan
from bench.protocol import Go
from bench.results.record import Outcome, Record
from bench.results.step_counts import PERIOD, WINDOWS, StepCounts
from bench.results.work_ledger import own_faults

INTERPRETERS = 2  # of each preload: in each of them every cell is counted once


@dataclass(frozen=True)
class CountedArm:
    """One cell in one launch.

    Attributes:
        record: its outcome, settings and ledger; it has no times.
        ranks: what each rank counted; none where the outcome is not `ok`.
    """

    record: Record
    ranks: tuple[StepCounts, ...] = ()


class CountedLaunches:
    """Counts cells on one fleet.

    Args:
        files: the suite file of each suite by name, and of `SUITE@SIDE` where a side has its own.
        logs: the folder that gets the arms' logs.
        steps: counted, of each metric.
        timeout: seconds for one stretch of them.
    """

    def __init__(
        self,
        fleet: Fleet,
        plan: Plan,
        files: Mapping[str, str],
        logs: Path,
        *,
        steps: int,
        timeout: float,
        seed: int = 0,
        memory_limit: int | None = None,
    ) -> None:
        self._fleet = fleet
        self._plan = plan
        self._files = files
        self._logs = logs
        self._steps = steps
        self._timeout = timeout
        self._seed = seed
        self._memory_limit = memory_limit
        self._layout: Layout = widest_layout(plan.cells, fleet.threads)

    def count(self, cells: Sequence[Cell], progress: Progress) -> list[list[CountedArm]]:
        """Count cells of one group, its baseline first: for each interpreter its arms, in this order.

        Raises:
            BenchError: the interpreters do not start.
            KeyboardInterrupt: the user ends it.
        """
        preloads = list(dict.fromkeys(cell.preload for cell in cells))
        wanted = [(number, preload) for number in range(INTERPRETERS) for preload in preloads]
        if missing := [own for number, own in wanted if fork_server_id(own, number) not in self._fleet.fork_servers]:
            progress.phase(starting_words(missing))
        self._fleet.ensure_fork_servers(wanted, self._seed)
        suite = self._plan.suites[cells[0].suite]
        found = []
        for number in range(INTERPRETERS):
            arms = []
            for cell in cells:
                progress.phase(f"counting {cell.id}, {number + 1} of {INTERPRETERS}")
                arms.append(self.again(cell, number))
            judged = judge_work(
                [arm.record for arm in arms], cells[0].baseline, equal=suite.equal, tolerance=suite.tolerance
            )
            found.append([replace(arm, record=record) for arm, record in zip(arms, judged, strict=True)])
        return found

    def again(self, cell: Cell, number: int) -> CountedArm:
        """One cell in the interpreter of that number. What comes from outside may be over: then once more."""
        for _ in range(2):
            try:
                return self._run(cell, number)
            except ArmLost as error:
                lost = error
                if lost.outcome != "void":
                    break
        return CountedArm(self._record(cell, number, lost.outcome, lost.reason))

    def _run(self, cell: Cell, number: int) -> CountedArm:
        fleet = self._fleet
        file = self._files.get(f"{cell.suite}@{cell.side}", self._files[cell.suite])
        asked = request(
            cell,
            file,
            self._layout,
            threads=fleet.threads,
            seed=self._seed,
            caches=fleet.caches
            / f"counts-{number}",  # what is found there is called otherwise than what was just compiled
            memory_limit=self._memory_limit,
        )
        asked["counts"] = {"skip": PERIOD, "steps": self._steps}
        log = self._logs / f"{file_name(cell.id)}-counts-{number}.log"
        fleet.ensure_fork_servers([(number, cell.preload)], self._seed)
        arm = fleet.start_arm(cell.preload, asked, log, number=number)
        try:
            fleet.await_ready([arm], self._timeout)
            if arm.lost is not None:
                raise arm.lost
            # No stretch has an edge of a turn in it: of the stream's own work there only what each step has is left.
            fleet.turn(arm, Go(AUDITED_STEPS, audit=True), self._timeout)
            fleet.turn(arm, Go(PERIOD - AUDITED_STEPS - 1), self._timeout)
            fleet.turn(arm, Go(1 + WINDOWS * self._steps + 1), WINDOWS * self._timeout)
            fleet.turn(arm, Go(AUDITED_STEPS, audit=True), self._timeout)
            result = fleet.result(arm, self._timeout)
        finally:
            fleet.end_arms([arm])
        outcome, reason = "ok", ""
        if otherwise := downgrades(requested_settings(cell, self._layout, fleet.threads), result.effective):
            outcome, reason = "downgraded", otherwise
        elif faults := own_faults(result.ledger):
            outcome, reason = "unequal-work", "; ".join(faults)
        record = self._record(cell, number, outcome, reason)
        return CountedArm(replace(record, effective=result.effective, ledger=result.ledger), tuple(result.counts))

    def _record(self, cell: Cell, number: int, outcome: Any, reason: str) -> Record:
        told: Outcome = outcome
        asked = requested_settings(cell, self._layout, self._fleet.threads)
        return Record(
            cell.suite,
            cell.id,
            cell.group,
            dict(cell.point),
            cell.twin,
            number,
            told,
            reason,
            requested=asked,
            instrumented=True,
            fork_server=number,
        )
