"""loopmark: honest benchmarks of PyTorch training loops.

The batch stream is the clock, the pause button and the ledger: whatever pulls batches can be measured.

What the command line does, from Python, after `import bench`:

    >>> run = bench.run("overhead", set={"batch_size": [64]}, budget="30s")
    >>> run.cells[["loop", "ratio", "ratio_low", "ratio_high", "outcome"]]

Functions take the options of the commands by their names, and give values. Names that are not there are answered as on
the command line, with all that are allowed. docs/api.md has every column of every table.

Errors are exceptions of one tree, and a message names the thing, its value and what is allowed:

    BenchError             something that was asked for cannot be done
    +-- SpecError          a suite, an axis, a value or an argument is wrong; `mistakes` has all of them
    +-- RunError           a run cannot be read, written, resumed or compared
    +-- Unsupported        a cell cannot run here

Suites, loops, metrics and accelerators are written with `Suite`, `Workload`, `Point`, `register`, `Job`, `Metric` and
`Accelerator`; callbacks are in `bench.callbacks`. Torch, lightning and pandas are imported where they are needed.
"""

from __future__ import annotations

from bench.axes import old_modules
from bench.errors import BenchError, RunError, SpecError, Unsupported
from bench.plan.public_names import public_name
from bench.results.version import __version__

TYPE_CHECKING = False  # not that of `typing`: a Ctrl-C while this is imported is a traceback, so it must be quick
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.analysis.run import Run
    from bench.axes.accelerators.base import Accelerator
    from bench.axes.engine_axes import AxisValue, Point
    from bench.axes.loops import Loop, register
    from bench.axes.loops.job import Job
    from bench.axes.loops.training import TrainingStep
    from bench.axes.loops.workload import Workload
    from bench.axes.watch import watch
    from bench.commands.check import check
    from bench.commands.compare import Comparison
    from bench.commands.counts import counts
    from bench.commands.doctor import doctor
    from bench.commands.fit import fit
    from bench.commands.gate_judgement import Gate
    from bench.commands.jobs import cancel, status, submit
    from bench.commands.merge import merge
    from bench.commands.over_commits import confirm, history
    from bench.commands.race import race
    from bench.commands.trace import Traces
    from bench.commands.tune import tune
    from bench.engine.options import Progress
    from bench.plan.goal import Goal
    from bench.plan.suite import Suite
    from bench.plan.trainer_ladder import ladder_suite
    from bench.report.export_tables import write_tables
    from bench.report.verify import Verification
    from bench.results.record import Metric

    Folder = str | Path
    Which = Run | Folder
    Values = Mapping[str, AxisValue | Sequence[AxisValue]]

__all__ = ["Accelerator", "AxisValue", "Goal", "Job", "Loop", "Metric", "Point", "Suite", "TrainingStep", "Workload"]
__all__ += ["__version__", "ladder_suite", "register"]
__all__ += ["BenchError", "RunError", "SpecError", "Unsupported", "check", "confirm", "gate", "resume", "run"]
__all__ += ["cancel", "compare", "counts", "doctor", "environment", "fit", "history", "load", "merge", "race", "status"]
__all__ += ["submit", "suites", "trace", "tune", "verify", "versions", "watch", "write_report", "write_tables"]

old_modules.install()


def __getattr__(name: str) -> object:
    """A name that is imported when it is first asked for (PEP 562); it then stands here like any other."""
    globals()[name] = value = public_name(name, __all__)
    return value


def run(
    *suites: Folder,
    set: Values | None = None,
    select: str | None = None,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    instrument: int | None = None,
    until: str | None = None,
    compare: str | None = None,
    seeds: int | None = None,
    turn: float | str | None = None,
    folders: Sequence[Folder] = (),
    out: Folder = "results",
    progress: bool | Progress = False,
) -> Run:
    """Measure suites: `bench run`.

    Args:
        suites: names, or paths of files; none: `overhead`.
        set: values by axis, one or several, instead of the suite's own: `{"batch_size": [64, 256]}`.
        select: cells whose id matches: words, `and`, `or`, `not`, parentheses.
        budget: wall time of everything, in seconds or as `"3m"`, which is the default; BENCH_BUDGET at most.
        precision_goal: stop at ratios that are known to plus or minus this: 0.01 or `"1%"`.
        timeout: seconds for one answer of an arm.
        seed: of orders, data and weights.
        threads: of every arm.
        memory_limit: bytes that an arm may allocate, or `"4GiB"`.
        instrument: instrumented launches of each group, which carry callbacks; 0: time only.
        until: stop when this is decided: `"trainer < 5%"`, `"fabric/plain < 30us and trainer > 1.05x"`; the answers are
            `run.summary.conditions`.
        compare: the axis along which cells are compared, instead of the suites' own; its first value is the baseline.
        seeds: of suites that train for a goal: trainings of each.
        turn: seconds of a turn of an arm, in the middle, or `"2s"`, as meters of energy want it.
        folders: folders with more suite files.
        out: the folder that gets the run's folder.
        progress: True: on standard error, as the command does it.

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    from bench.analysis.run import Run
    from bench.commands import run as commands
    from bench.commands.python_arguments import listener, options_of, path_of, selection_of

    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit, instrument, until, seeds, turn)
    selection = selection_of(suites, set, select, folders, threads, compare)
    with listener(progress) as told:
        return Run(commands.run(selection, given, path_of("out", out), told, command=["bench.run"]))


def resume(
    run: Which,
    *,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    instrument: int | None = None,
    folders: Sequence[Folder] = (),
    out: Folder = "results",
    progress: bool | Progress = False,
) -> Run:
    """Go on with a run that was stopped: `bench run --resume`.

    Args, besides those of `run`:
        run: its id or folder, or a `Run`.

    Raises:
        RunError: it cannot go on: the machine is another, the suites' files or the records are not those of the run.
    """
    from bench.analysis.run import Run
    from bench.commands import run as commands
    from bench.commands.python_arguments import listener, options_of, path_of, paths_of, which_run

    given = options_of(budget, precision_goal, timeout, instrument=instrument)
    which, more = which_run(run), paths_of("folders", folders)
    with listener(progress) as told:
        return Run(commands.resume(which, given, more, path_of("out", out), told))


def load(run: Which | None = None, *, out: Folder = "results", step: float | str = "12ms") -> Run:
    """A run that was made before: `bench show`.

    Args:
        run: its id, its folder, a baseline's name or folder, or a `Run`; None: the newest under `out`.
        step: your step, in seconds or as `"12ms"`; costs are stated for it.

    Raises:
        RunError: there is none, or it cannot be read, or is a baseline that was changed.
    """
    from bench.analysis.run import Run
    from bench.commands.python_arguments import path_of, which_run
    from bench.plan.quantities import step_seconds
    from bench.results import baselines

    which, length = None if run is None else which_run(run), step_seconds("step", step)
    return Run(baselines.find_run(which, path_of("out", out)), reference_step=length)


def gate(
    *suites: Folder,
    set: Values | None = None,
    select: str | None = None,
    against: str | None = None,
    allow_dirty: bool = False,
    margin: float | str | None = None,
    target: float | str | None = None,
    budget: float | str | None = None,
    launch: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    instrument: int | None = None,
    counts: bool = False,
    no_more: Sequence[str] = (),
    folders: Sequence[Folder] = (),
    out: Folder = "results",
    progress: bool | Progress = False,
) -> Gate:
    """Is it slower? `bench gate`: a verdict, which is then in gate.json of a new folder under `out`.

    Args, besides those of `run`:
        against: a commit that the code in the working folder is raced with; None: the suite's own compared axis.
        allow_dirty: whether files may then differ from the commit.
        margin: the equivalence margin, a slowdown that is harmless: 0.01 or `"1%"`.
        target: a slowdown that is promised to be caught.
        launch: seconds of turns in one launch.
        counts: whether what a step does is counted too; what is another is told.
        no_more: metrics of `bench counts` of which more a step is a regression.

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: a side cannot be built, interpreters do not start, or the folder cannot be written.
    """
    from bench.commands import gate as commands
    from bench.commands.python_arguments import (
        counting_of,
        gate_options,
        listener,
        options_of,
        path_of,
        rule_of,
        selection_of,
    )

    options = gate_options(options_of(budget, None, timeout, seed, threads, memory_limit, instrument or 0), launch)
    rule, selection = rule_of(margin, target), selection_of(suites, set, select, folders, threads)
    with listener(progress) as told:
        return commands.gate(
            selection,
            rule,
            options,
            path_of("out", out),
            told,
            against=against,
            dirty=allow_dirty,
            counting=counting_of(counts, no_more),
        )


def versions(
    *sides: str,
    requirements: Sequence[str] = (),
    suites: Sequence[str] = (),
    set: Values | None = None,
    select: str | None = None,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    folders: Sequence[Folder] = (),
    out: Folder = "results",
    progress: bool | Progress = False,
) -> Run:
    """Race environments on this machine, now: `bench versions`.

    Args, besides those of `run`:
        sides: requirements (`"lightning==2.5.*"`), folders, `git:COMMIT`; the first one is the baseline.
        requirements: of all sides.

    Raises:
        SpecError: as `run`; fewer than two sides, or texts that name none.
        BenchError: an environment cannot be built, or as `run`.
    """
    from bench.analysis.run import Run
    from bench.commands.python_arguments import listener, options_of, path_of, selection_of, texts_of
    from bench.commands.race_environments import race_environments

    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit, 0)
    selection = selection_of(suites, set, select, folders, threads)
    named = texts_of("sides", sides), texts_of("requirements", requirements)
    with listener(progress) as told:
        return Run(race_environments(*named, selection, given, path_of("out", out), told, command=["bench.versions"]))


def compare(a: Which, b: Which, *, allow_environment_mismatch: bool = False, out: Folder = "results") -> Comparison:
    """Two runs or baselines, cell by cell: `bench compare`.

    Args:
        a, b: a baseline's name, a run's id under `out`, or its folder; ratios are b over a.
        allow_environment_mismatch: whether ratios are given although the machines or versions differ.
        out: where runs lie; the others there tell how runs differ.

    Raises:
        RunError: one of them is not there, or cannot be read.
    """
    from bench.commands import compare as commands
    from bench.commands.python_arguments import path_of, which_run
    from bench.results import baselines

    first, second = (baselines.find_run(which_run(one), path_of("out", out)) for one in (a, b))
    others = commands.other_runs(path_of("out", out))
    return commands.compare(first, second, allow_mismatch=allow_environment_mismatch, runs=others)


def trace(
    *suites: Folder,
    set: Values | None = None,
    select: str | None = None,
    steps: int = 20,
    timeout: float | str | None = None,
    folders: Sequence[Folder] = (),
    out: Folder = "traces",
    progress: bool | Progress = False,
) -> Traces:
    """Profiler traces of so many `steps` a cell, and what one loop does that another does not: `bench trace`.

    Args, besides those of `run`: `steps`, 20 where nothing is said.

    Raises:
        BenchError: as `run`.
    """
    from bench.commands.python_arguments import listener, path_of, selection_of
    from bench.commands.trace import trace_selection
    from bench.plan.quantities import ABOVE_ZERO, seconds

    selection = selection_of(suites, set, select, folders, None)
    how = ABOVE_ZERO.given("steps", steps) or 20, seconds("timeout", timeout) or 60.0, path_of("out", out)
    with listener(progress) as told:
        return trace_selection(selection, *how, told)


def write_report(run: Run, path: Folder | None = None) -> Path:
    """Write a run's page, one self-contained HTML file, to `path` or to its place in reports/: `bench report`.

    Raises:
        RunError: it cannot be written.
    """
    from bench.commands.python_arguments import page_to_write
    from bench.report.run_page import write_run_page

    where = page_to_write(run, path)
    return write_run_page(run.stored, run.summary, where)


def verify(run: Run, path: Folder | None = None) -> Verification:
    """Recompute every figure of a run's page, at `path` or in reports/, from its records: `bench verify`.

    Raises:
        RunError: there is no page, or it cannot be read.
    """
    from bench.commands.python_arguments import page_to_read
    from bench.report.verify import verify_page

    page = page_to_read(run, path)
    return verify_page(run.stored, page)


def suites(folders: Sequence[Folder] = ()) -> Mapping[str, Suite]:
    """Every suite that there is, by name, those of more `folders` too: `bench list`. What is refused is warned of.

    Raises:
        SpecError: a folder is not there.
    """
    from bench.commands.python_arguments import paths_of, warn
    from bench.commands.selection import Selection, look_up

    found, _ = look_up(Selection(folders=tuple(paths_of("folders", folders))), warn)
    return {name: suite for name, (suite, _) in found.suites.items()}


def environment(threads: int = 1) -> Mapping[str, str | int | float | bool]:
    """The machine and the software, as runs with so many `threads` an arm record them: `bench env`.

    Raises:
        SpecError: it is no whole number above 0.
    """
    from bench.machine import environment as machine
    from bench.plan.quantities import ABOVE_ZERO

    return machine.environment(ABOVE_ZERO.given("threads", threads) or 1)
