"""`bench check`: what every suite must be able to do, tried on one in real arms. No torch, no pandas.

One launch of a few groups that have every value of every axis among them, and one arm that trains past the end of its
epoch. Nothing of it is kept, and nothing is said of time: a suite that is sound here may still be a bad benchmark.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.axes.engine_axes import AxisValue
from bench.commands.python_arguments import listener, paths_of, suite_name, text_of
from bench.commands.run import Measurement, chosen_options, run_document
from bench.commands.selection import Selection, look_up, plan_selection
from bench.engine.arm_request import request
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.launch import AUDITED_STEPS
from bench.engine.options import Options, Progress
from bench.engine.processes import ArmLost
from bench.errors import SpecError
from bench.machine.cores import layout
from bench.machine.process_env import PACKAGE_PARENT
from bench.machine.scratch import scratch_folder
from bench.plan import discovery
from bench.plan.cell import Cell, Group, Plan, as_text
from bench.plan.hook_rule import INSTEAD, imported_beside, read_hooks
from bench.plan.suite import Suite
from bench.protocol import Go
from bench.results import store
from bench.results.record import Record
from bench.results.sample_counts import sample_faults

CheckState = Literal["ok", "note", "not applicable", "failed"]
# One short launch of each group, without anything else: what there is to see is seen in it.
CHECKING = Options(budget=40.0, launch=0.02, launches=1, fork_servers=1, instrument=0)
EPOCH_PATIENCE = 10.0  # seconds of training until it is seen that batches come again
MOST_BATCHES = 10_000  # of a loader without a length
SLOW_IMPORT = 0.5  # seconds: every command that looks for suites imports the file
IMPORTING = """
import json, sys, time
from pathlib import Path
from bench.plan import discovery
from bench.plan.suite_files import import_file
discovery.engine_axes()
began = time.perf_counter()
import_file(Path(sys.argv[1]))
print("\\n" + json.dumps([time.perf_counter() - began, "torch" in sys.modules]))
"""


@dataclass(frozen=True)
class SuiteCheck:
    """One thing that was tried.

    Attributes:
        state: `failed` is a mistake of the suite's; `note` is none, but somebody may want to know.
        reason: why it failed or could not be tried, or what was seen.
    """

    name: str
    state: CheckState
    reason: str


@dataclass(frozen=True)
class CheckedSuite:
    """What `bench check` found.

    Attributes:
        suite: its name.
        file: where it lies, "" for one that came by an entry point.
        checks: all that was tried, in this order.
        interrupted: whether the user stopped it; the rest was not tried.
    """

    suite: str
    file: str
    checks: tuple[SuiteCheck, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether all that could be tried was right."""
        return not self.interrupted and all(check.state != "failed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check(suite: str | Path, *, folders: Sequence[str | Path] = (), progress: bool | Progress = False) -> CheckedSuite:
    """Try on one suite, in real arms, what every suite must be able to do: `bench check`.

    Args:
        suite: its name, or the path of its file.
        folders: folders with more suite files.
        progress: True: on standard error, as the command does it.

    Raises:
        SpecError: there is no such suite, or its file does not import.
        BenchError: interpreters do not start.
    """
    selection = Selection((text_of("suite", suite_name(suite)),), folders=tuple(paths_of("folders", folders)))
    with listener(progress) as told:
        return check_suite(selection, told)


# --- the whole of it


def check_suite(selection: Selection, progress: Progress, fleet: Fleet | None = None) -> CheckedSuite:
    """Check the suite of a selection of one; see `check`.

    Args:
        fleet: with interpreters that are warm already; None: one of its own.
    """
    found, (name,) = look_up(selection, progress.note)
    suite, file = found.get(name)
    checks = [*_file_checks(suite, file)]
    progress.phase(f"checking {suite.name}")
    try:
        plan, files = plan_selection(selection)
    except SpecError as error:  # of its own functions, which are asked for every cell
        return CheckedSuite(suite.name, file, (*checks, SuiteCheck("plan", "failed", "; ".join(error.mistakes))))
    chosen = covering(plan, suite)
    with scratch_folder("check-") as home:
        if fleet is not None:
            more, stopped = _in_arms(chosen, suite, files, fleet, home, progress)
        else:
            with Fleet(CHECKING.threads, home / store.LOGS) as own:
                more, stopped = _in_arms(chosen, suite, files, own, home, progress)
    return CheckedSuite(suite.name, file, (*checks, *more), stopped)


def _in_arms(
    chosen: Covering, suite: Suite, files: Mapping[str, str], fleet: Fleet, home: Path, progress: Progress
) -> tuple[list[SuiteCheck], bool]:
    """What is seen in real arms, and whether the user stopped it."""
    opened = store.create(home / "results")
    options = chosen_options(vars(CHECKING))
    opened.write_info(run_document(Measurement(chosen.plan, files, options), opened.folder.name))
    Conductor(chosen.plan, files, opened, options, _Phases(progress)).run(fleet)
    opened.close()
    records = store.read_run(opened.folder).records
    first = chosen.plan.groups[0]
    checks = [*_value_checks(chosen, records), *_pair_checks(first, records)]
    if fleet.interrupts or not first.runnable:
        return checks, bool(fleet.interrupts)
    try:
        checks.append(_comes_again(fleet, first.runnable[0], files[suite.name], home / "again.log"))
    except KeyboardInterrupt:
        return checks, True
    return checks, False


@dataclass(frozen=True)
class _Phases:
    """Progress without the notes of a run: nobody asked for its budget or its folder."""

    told: Progress

    def phase(self, text: str) -> None:
        self.told.phase(text)

    def update(self, spent: float, budget: float, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


# --- the file


def _file_checks(suite: Suite, file: str) -> Iterator[SuiteCheck]:
    if not file:
        yield SuiteCheck("import", "not applicable", "it came by an entry point")
        return
    path = [str(PACKAGE_PARENT), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{IMPORTING}", file],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    try:
        seconds, torch = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        yield SuiteCheck("import", "failed", f"not in a process of its own: {why}")
        return
    told = f"{1000 * seconds:.0f} ms, {'with' if torch else 'without'} torch"
    slow = torch or seconds > SLOW_IMPORT
    yield SuiteCheck("import", "note" if slow else "ok", f"{told}; all commands wait for it" if slow else told)
    for others in discovery.own_suites(Path(file)).values():
        yield SuiteCheck("import", "note", f"{others}, and only `suite` counts")
    yield from _hook_checks(Path(file))


def _hook_checks(file: Path) -> Iterator[SuiteCheck]:
    """Whether a hook of a LightningModule measures, in the file and those beside it that it imports.

    A note, since a name in a text is not yet a measurement; and nothing where there is no LightningModule.
    """
    read = read_hooks(imported_beside(file))
    for found in read.measuring:
        yield SuiteCheck("hooks", "note", f"{found}; {INSTEAD}")
    if read.modules and not read.measuring:
        yield SuiteCheck("hooks", "ok", f"none of {', '.join(read.modules)} measures")


# --- a plan that has every value


@dataclass(frozen=True)
class Covering:
    """A plan that has every value of every axis, and the cell that stands for each."""

    plan: Plan
    cells: Mapping[tuple[str, AxisValue], Cell]


def covering(plan: Plan, suite: Suite) -> Covering:
    """As few cells of a plan as have every value of every axis: each in one that is otherwise as the first.

    Where that one cannot run here, in the next one that can.
    """
    first = plan.groups[0].cells[0]
    tried = [cell for cell in plan.cells if not cell.twin]

    def distance(cell: Cell) -> tuple[bool, int]:
        return bool(cell.unsupported), sum(cell.point[axis] != value for axis, value in first.point.items())

    values = dict.fromkeys((axis, cell.point[axis]) for axis in suite.axes for cell in tried)
    cells = {
        (axis, value): min((cell for cell in tried if cell.point[axis] == value), key=distance)
        for axis, value in values
    }
    kept = {first.id, *(cell.id for cell in cells.values())}
    groups = []
    for group in plan.groups:
        if any(cell.id in kept for cell in group.cells):
            own = tuple(cell for cell in group.cells if cell.id in kept or cell.id == cell.baseline or cell.twin)
            groups.append(Group(group.id, group.suite, own))
    return Covering(replace(plan, groups=tuple(groups)), cells)


def _value_checks(chosen: Covering, records: Sequence[Record]) -> Iterator[SuiteCheck]:
    by_cell = {record.cell: record for record in records}
    for (axis, value), cell in chosen.cells.items():
        name = f"{axis}={as_text(value)}"
        record = by_cell.get(cell.id)
        if cell.unsupported:
            yield SuiteCheck(name, "not applicable", cell.unsupported)
        elif record is None or record.outcome == "void":
            yield SuiteCheck(name, "not applicable", record.reason if record else "it was not reached")
        elif record.outcome == "ok":
            yield SuiteCheck(name, "ok", f"{record.ledger['steps']} steps")
        else:
            where = f"{cell.id}: " if cell.id != name else ""
            yield SuiteCheck(name, "failed", f"{where}{record.outcome}: {record.reason}")


# --- the baseline and its twin


def _pair_checks(group: Group, records: Sequence[Record]) -> Iterator[SuiteCheck]:
    """What the ledgers of two builds from one seed say; the suite's own code is the same in both."""
    base, twin = (
        next((record for record in records if record.cell == cell.id and record.ledger), None)
        for cell in group.cells[:2]
    )
    names = ("same weights", "same batches", "samples", "loss", "gradients", "update", "twin")
    if base is None:
        for name in names:
            yield SuiteCheck(name, "not applicable", "the baseline did not come to its end")
        return
    ledger = base.ledger
    if twin is None:
        for name in ("same weights", "same batches"):
            yield SuiteCheck(name, "not applicable", "the twin did not come to its end")
    else:
        for name, key, what in (
            ("same weights", "initial_weights", "built twice from one seed, it begins with other weights"),
            ("same batches", "samples_digest", "built twice from one seed, it gives other batches"),
        ):
            same = ledger[key] == twin.ledger[key]
            yield SuiteCheck(name, "ok" if same else "failed", "of two builds from one seed" if same else what)
    yield _samples_check(ledger)
    told = ", ".join(f"{loss:.4g}" for loss in ledger["losses"][:AUDITED_STEPS])
    if not told:
        yield SuiteCheck("loss", "not applicable", "none was handed to backward")
    elif all(math.isfinite(loss) for loss in ledger["losses"]):
        yield SuiteCheck("loss", "ok", told)
    else:
        yield SuiteCheck("loss", "failed", f"not finite: {told}")
    share = ledger["nonzero_gradients"]
    told = f"{100 * share:.0f} % of the parameters have one other than 0"
    yield SuiteCheck("gradients", "ok" if share > 0 else "failed", told if share > 0 else "all were zero in a step")
    changed = ledger["initial_weights"] != ledger["final_weights"]
    told = (
        f"{ledger['optimizer_updates']} in {ledger['steps']} steps" if changed else "the weights are those of the start"
    )
    yield SuiteCheck("update", "ok" if changed else "failed", told)
    if twin is None or twin.outcome == "void":
        yield SuiteCheck("twin", "not applicable", "the twin did not come to its end")
    elif twin.outcome == "ok":
        yield SuiteCheck("twin", "ok", f"equal to the baseline in {twin.ledger.get('equal') or 'its work'}")
    else:
        yield SuiteCheck("twin", "failed", f"{twin.outcome}: {twin.reason}")


def _samples_check(ledger: Mapping[str, Any]) -> SuiteCheck:
    if faults := sample_faults(ledger):
        return SuiteCheck("samples", "failed", "; ".join(faults))
    declared = ledger.get("declared_samples")
    counted = f"{ledger['samples'] / max(1, ledger['steps']):.4g} a step"
    return SuiteCheck("samples", "ok", f"counted, {counted}" if declared is None else f"{counted}, declared {declared}")


# --- batches come again


def _comes_again(fleet: Fleet, cell: Cell, file: str, log: Path) -> SuiteCheck:
    """Whether a loader that is exhausted gives its batches once more: an arm trains until it must have been."""
    name = "batches again"
    place = layout(fleet.threads)
    asked = request(cell, file, place, threads=fleet.threads, seed=CHECKING.seed, caches=fleet.caches)
    arm = fleet.start_arm(cell.preload, asked, log)
    try:
        fleet.await_ready([arm], CHECKING.timeout)
        if arm.lost is not None:
            return SuiteCheck(name, "not applicable", f"{arm.lost.outcome}: {arm.lost.reason}")
        epoch, steps, spent = arm.ranks[0].epoch, 0, 0.0
        if epoch == 1:
            return SuiteCheck(name, "failed", "an epoch has 1 batch, so that one left out is not seen; allowed: 2")
        wanted = epoch + 2 if epoch else MOST_BATCHES
        while steps < wanted:
            left = EPOCH_PATIENCE - spent
            size = min(64, wanted - steps, int(left * steps / spent)) if steps else AUDITED_STEPS
            if size < 1 or (epoch and steps and (wanted - steps) * spent / steps > left):
                break
            reply = fleet.turn(arm, Go(size, audit=not steps), CHECKING.timeout, uncounted=0)
            steps, spent = steps + size, spent + sum(reply.seconds)
        if epoch and steps >= wanted:
            return SuiteCheck(name, "ok", f"{epoch} in an epoch, and {steps} were taken")
        length = f"an epoch has {epoch}" if epoch else "the loader has no length"
        return SuiteCheck(name, "not applicable", f"{length}; {steps} were taken in {spent:.1f} s")
    except ArmLost as lost:
        return SuiteCheck(name, "failed", f"after {steps} of them: {lost.outcome}: {lost.reason}")
    finally:
        fleet.end_arms([arm])
