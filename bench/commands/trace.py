"""`bench trace`: each cell's loop for some steps under the profiler, one cell at a time. No torch, no pandas.

Arms are forked from fork servers, pinned and warmed up as in a run. Nothing of it is timed for a figure: a launch with
a profiler is never one that is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.analysis.trace_profile import EDGE_STEPS, TracedCell, read_trace, trace_document
from bench.borders import file_name
from bench.commands.selection import Selection, plan_selection
from bench.engine.arm_request import downgrades, request, requested_settings
from bench.engine.fleet import Fleet
from bench.engine.launch import AUDITED_STEPS
from bench.engine.merge_ranks import ArmResult
from bench.engine.options import Progress, ticks_of
from bench.engine.processes import ArmLost
from bench.errors import BenchError, SpecError
from bench.machine.cores import layout
from bench.plan.cell import Cell, Group, Plan
from bench.plan.suite import Suite
from bench.protocol import Go
from bench.results import store

TRACE_WARMUP = 16  # first steps allocate, and autotune where there is something to tune
PROFILER_WARMUP = 2  # steps in which the profiler starts up and records nothing
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Traces:
    """What `bench trace` did.

    Attributes:
        suites: the suites of the plan, by name.
        groups: every group with its cells, twins left out: the same code gives the same counts.
        interrupted: whether the user stopped it; cells that were not reached are missing.
    """

    folder: Path
    steps: int
    suites: Mapping[str, Suite]
    groups: tuple[tuple[Group, tuple[TracedCell, ...]], ...]
    interrupted: bool

    @property
    def cells(self) -> list[TracedCell]:
        return [cell for _, cells in self.groups for cell in cells]

    def to_json(self) -> dict[str, Any]:
        return trace_document(self.folder, self.steps, self.groups)


def trace_selection(selection: Selection, steps: int, timeout: float, out: Path, progress: Progress) -> Traces:
    """Trace the cells of a selection, into a new folder under `out`; see `trace`.

    Raises:
        SpecError: the selection is wrong, or there are no steps.
        BenchError: the interpreters do not start.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise SpecError(f"steps: {steps!r} is not possible; allowed: a whole number above 0")
    plan, files = plan_selection(selection, tell=progress.note)
    return trace(plan, files, store.fresh_folder(out, "traces"), steps, timeout, progress)


def trace(
    plan: Plan,
    files: Mapping[str, str],
    folder: Path,
    steps: int,
    timeout: float,
    progress: Progress,
    fleet: Fleet | None = None,
) -> Traces:
    """Trace every cell that can run here, and write the summary beside the traces.

    Args:
        files: the suite file of each suite by name, "" for one that came by an entry point.
        folder: where traces and logs go; there and empty.
        steps: counted steps of each cell.
        timeout: seconds after which an arm that does not answer is ended.
        fleet: with interpreters that are warm already; None: one of its own.

    Raises:
        BenchError: the interpreters do not start.
    """
    (folder / store.LOGS).mkdir()
    if fleet is not None:
        traces = _trace(plan, TraceBench(fleet, files, folder, steps, timeout), folder, steps, progress)
    else:
        with Fleet(1, folder / store.LOGS) as own:
            own.while_waiting = ticks_of(progress)
            traces = _trace(plan, TraceBench(own, files, folder, steps, timeout), folder, steps, progress)
    path = folder / SUMMARY
    try:
        path.write_text(json.dumps(traces.to_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        progress.note(f"{path}: cannot be written: {error.strerror}; the traces lie beside it")
    return traces


def _trace(plan: Plan, bench: TraceBench, folder: Path, steps: int, progress: Progress) -> Traces:
    done: list[tuple[Group, tuple[TracedCell, ...]]] = []
    interrupted = False
    for group in plan.groups:
        cells: list[TracedCell] = []
        try:
            for cell in group.cells:
                if not cell.twin and not interrupted:
                    progress.phase(f"tracing {cell.id}")
                    cells.append(bench.trace(cell))
                    if cells[-1].reason:
                        progress.note(f"{cell.id}: {cells[-1].outcome}: {cells[-1].reason}")
        except KeyboardInterrupt:  # arms do not see Ctrl-C; what is traced already is kept
            interrupted = True
        done.append((group, tuple(cells)))
    return Traces(folder, steps, plan.suites, tuple(done), interrupted)


class TraceBench:
    """Traces cells on one fleet."""

    def __init__(self, fleet: Fleet, files: Mapping[str, str], folder: Path, steps: int, timeout: float) -> None:
        self._fleet = fleet
        self._files = files
        self._folder = folder
        self._steps = steps
        self._timeout = timeout
        self._layout = layout(fleet.threads)

    def trace(self, cell: Cell) -> TracedCell:
        """One cell: its trace, or why there is none. The others go on whatever became of it."""
        if cell.unsupported:
            return TracedCell(cell, "unsupported", cell.unsupported)
        name = file_name(cell.id)
        target = self._folder / name
        try:
            target.mkdir()
        except OSError as error:
            return TracedCell(cell, "crashed", f"{target}: cannot be written: {error.strerror}")
        try:
            result = self._run(cell, name, target)
        except ArmLost as lost:
            if lost.outcome != "void":
                return TracedCell(cell, lost.outcome, lost.reason)
            try:  # what disturbed it came from outside, and may be over
                result = self._run(cell, name, target)
            except ArmLost as again:
                return TracedCell(cell, again.outcome, again.reason)
        traced = self._read(cell, target)
        otherwise = downgrades(requested_settings(cell, self._layout, self._fleet.threads), result.effective)
        if traced.outcome == "ok" and otherwise:
            return replace(traced, outcome="downgraded", reason=otherwise)
        return traced

    def _run(self, cell: Cell, name: str, target: Path) -> ArmResult:
        """The arm from its start to its result; by then the trace is written."""
        self._fleet.ensure_fork_servers([(0, cell.preload)], 0)
        file, threads = self._files[cell.suite], self._fleet.threads
        asked = {
            **request(cell, file, self._layout, threads=threads, seed=0, caches=self._fleet.caches),
            "trace": {
                "folder": str(target.resolve()),  # arms work in a folder of their own
                "name": name,
                "skip": AUDITED_STEPS + TRACE_WARMUP,
                "warmup": PROFILER_WARMUP,
                "steps": self._steps + EDGE_STEPS,
            },
        }
        arm = self._fleet.start_arm(cell.preload, asked, self._folder / store.LOGS / f"{name}.log")
        try:
            self._fleet.await_ready([arm], self._timeout)
            if arm.lost is not None:
                raise arm.lost
            # The pull after the last recorded step ends it and writes the trace.
            traced = PROFILER_WARMUP + self._steps + EDGE_STEPS + 1
            for steps, audit in ((AUDITED_STEPS, True), (TRACE_WARMUP, False), (traced, False)):
                self._fleet.turn(arm, Go(steps, audit=audit), self._timeout)
            return self._fleet.result(arm, self._timeout)
        finally:
            self._fleet.end_arms([arm])

    def _read(self, cell: Cell, target: Path) -> TracedCell:
        paths = sorted(target.glob("*.pt.trace.json.gz"), key=rank_of)
        if not paths:
            return TracedCell(cell, "crashed", f"{target}: the arm wrote no trace")
        try:
            first, *others = [read_trace(path, self._steps) for path in paths]
        except BenchError as error:
            return TracedCell(cell, "crashed", str(error), tuple(paths))
        return TracedCell(cell, "ok", "", tuple(paths), first, tuple(others))


def rank_of(path: Path) -> int:
    """The rank in a trace's file name."""
    match = re.search(r"rank_(\d+)\.pt\.trace", path.name)
    return int(match[1]) if match else 0
