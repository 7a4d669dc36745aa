"""`bench list`, `run`, `trace`, `selftest`: what starts arms, or says which it would start."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.axes.accelerators import accelerator, accelerators
from bench.borders import json_text
from bench.cli.arguments import (
    Adder,
    allowed_budget,
    count_from_zero,
    duration,
    measuring_options,
    now,
    planned,
    positive,
    selection,
)
from bench.cli.output import complain, say
from bench.cli.reading import print_run
from bench.commands import endings
from bench.commands.endings import DONE, INTERRUPTED, Ended
from bench.engine.instrumented import LOOKS
from bench.engine.options import Options
from bench.errors import RunError, SpecError, one_of
from bench.machine import environment
from bench.plan import discovery, plan
from bench.plan.cell import Plan
from bench.plan.side import Side
from bench.results import baselines, decoding, identity, run_info, store
from bench.results.record import FAILED_OUTCOMES, Record, counted
from bench.results.version import __version__


def add(command: Adder) -> None:
    """The commands of this file."""
    listing = command("list", list_cells, "suites, their cells, and what cannot run here and why")
    selection(listing)
    running = command("run", run_suites, "measure")
    selection(running)
    measuring_options(running)
    running.add_argument(
        "--look",
        dest="looks",
        type=count_from_zero,
        nargs="?",
        const=LOOKS,
        metavar="N",
        help=f"looking launches of each group, which carry callbacks; default: {LOOKS}, as far as the budget goes",
    )
    running.add_argument("--no-look", dest="looks", action="store_const", const=0, help="time only")
    running.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped")
    trace = command("trace", trace_suites, "write profiler traces, and tell what one loop does that another does not")
    selection(trace)
    trace.add_argument("--steps", type=positive, default=20, metavar="N", help="counted steps a cell; default: 20")
    trace.add_argument("--timeout", type=duration, default=60.0, metavar="TIME", help="for one answer; default: 60s")
    trace.add_argument("--out", type=Path, default=Path("traces"), metavar="DIR", help="default: traces")
    trace.add_argument("--format", choices=("table", "json"), default="table")
    testing = command("selftest", run_selftest, "measure the tool itself on this machine")
    testing.add_argument("--format", choices=("table", "json"), default="table")
    testing.add_argument("-k", dest="select", metavar="CHECK", action="append", default=[], help="only this check")
    testing.add_argument("--quick", action="store_true", help="fewer repetitions: a look, not a measurement")
    testing.add_argument("--power", action="store_true", help="gates with known slowdowns instead: what it sees here")
    testing.add_argument("--repeats", type=positive, metavar="N", help="of --power, each slowdown; default: 10")
    testing.add_argument("--budget", type=duration, metavar="TIME", help="of --power, each gate; default: 120s")


def list_cells(arguments: argparse.Namespace) -> Ended:
    """`bench list`"""
    made, _ = planned(arguments)
    for name in accelerators():
        reason = accelerator(name).unavailable()
        say(f"accelerator {name}: " + (f"not here: {reason}" if reason else "here"))
    for name, suite in made.suites.items():
        say(f"{name}: {suite.title}")
        say(f"  compares {suite.compare}, baseline {suite.baseline}; each group also runs the baseline's twin")
        for cell in made.cells:
            if cell.suite == name and not cell.twin:
                say(f"  {cell.id}" + (f"   unsupported: {cell.unsupported}" if cell.unsupported else ""))
    return DONE


def run_suites(arguments: argparse.Namespace) -> Ended:
    """`bench run`"""
    if arguments.resume is not None:
        made, files, folder, info, done, options = resumed(arguments)
        return conduct(arguments, made, files, folder, info, options, done)
    made, files = planned(arguments)
    return start(arguments, made, files)


def start(
    arguments: argparse.Namespace,
    made: Plan,
    files: dict[str, str],
    sides: Mapping[str, Side] | None = None,
    folder: store.RunFolder | None = None,
) -> Ended:
    """A new run of this plan, from its folder to what is printed; gives how it ended.

    Args:
        sides: the environments that it compares, if it does.
        folder: where it goes; None: a new one.
    """
    options = chosen_options(arguments, {})
    folder = folder or store.create(arguments.out)
    info = {
        "run": folder.folder.name,
        "loopmark": __version__,
        "argv": ["bench", *sys.argv[1:]],
        "options": vars(options),
        "plan": plan.plan_document(made),
        "files": files,
        "environment": environment.environment(options.threads),
        "sides": list(sides or ()),
        "started": now(),
        "finished": None,
        "stops": {},
        "timing": {},
        "warnings": [],
        "digests": {"options": run_info.options_digest(vars(options)), "files": identity.digests(files)},
    }
    folder.write_info(info)
    return conduct(arguments, made, files, folder, info, options, sides=sides)


def conduct(
    arguments: argparse.Namespace,
    made: Plan,
    files: Mapping[str, str],
    folder: store.RunFolder,
    info: dict[str, Any],
    options: Options,
    done: Sequence[Record] = (),
    sides: Mapping[str, Side] | None = None,
) -> Ended:
    """Run it, or go on with it, and print what came of it; gives how it ended."""
    from bench.engine.conductor import Conductor
    from bench.engine.progress import progress

    with progress(sys.stderr) as told:
        told.note(f"run {folder.folder}")
        conductor = Conductor(made, files, folder, options, told, done, sides)
        stops = conductor.run()
    earlier = info["timing"]
    timing = {name: round(earlier.get(name, 0.0) + value, 6) for name, value in conductor.timing.items()}
    warnings = [*info.get("warnings", ()), *conductor.warnings]
    if edited := _edited(info["digests"], files):
        warnings.append(f"edited while the run went on: {edited}; its launches are of different workloads")
    warnings = list(dict.fromkeys(warnings))
    folder.write_info({**info, "finished": now(), "stops": stops, "timing": timing, "warnings": warnings})
    folder.close()
    run = store.read_run(folder.folder)
    print_run(run, arguments)
    say(f"\nrun {folder.folder}; its page: bench report {folder.folder}")
    if any(stop["reason"] == "interrupted" for stop in stops.values()):
        say("interrupted" + ("" if sides else f"; to go on: bench run --resume {folder.folder}"))
        return INTERRUPTED
    return endings.CELLS_FAILED if any(record.outcome in FAILED_OUTCOMES for record in counted(run.records)) else DONE


def trace_suites(arguments: argparse.Namespace) -> Ended:
    """`bench trace`"""
    from bench.commands import trace
    from bench.engine.progress import progress
    from bench.report import trace as layout

    made, files = planned(arguments)
    folder = store.fresh_folder(arguments.out, "traces")
    with progress(sys.stderr) as told:
        done = trace.trace(made, files, folder, arguments.steps, arguments.timeout, told)
    if arguments.format == "json":
        say(json_text(done.to_json(), indent=1))
    else:
        for group, cells in done.groups:
            say(layout.render(made.suites[group.suite], group, cells, done.steps), end="\n\n")
        say(layout.footnote())
        say(f"\n{folder}: open a .json.gz at https://ui.perfetto.dev, or all of them: tensorboard --logdir {folder}")
    if done.interrupted:
        return INTERRUPTED
    return endings.CELLS_FAILED if any(traced.outcome in FAILED_OUTCOMES for traced in done.cells) else DONE


def chosen_options(arguments: argparse.Namespace, stored: Mapping[str, Any], where: Path | str = "options") -> Options:
    """Options of the command line over those of a stored run over the defaults.

    Raises:
        RunError: the stored ones are none.
    """
    chosen = decoding.convert(Options, {"looks": LOOKS, **stored, **_given(arguments)}, where)
    return replace(chosen, budget=allowed_budget(arguments.budget, chosen.budget))


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line names."""
    names = ("budget", "target", "timeout", "seed", "threads", "memory_limit", "looks")
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def resumed(
    arguments: argparse.Namespace,
) -> tuple[Plan, dict[str, str], store.RunFolder, dict[str, Any], tuple[Record, ...], Options]:
    """What `--resume` goes on with.

    Raises:
        RunError: it cannot go on: other suites or settings were asked for, the machine is another, the suites' files
            or the records are not those of the run.
    """
    if arguments.suites or arguments.settings or arguments.select:
        raise SpecError("--resume goes on with the run's own cells; leave out SUITE, -k and --set")
    path = store.find_folder(arguments.resume, arguments.out)
    if (path / baselines.FILE).exists():
        raise RunError(f"{path}: a baseline is not gone on with; resume the run that it was made from")
    folder = store.RunFolder(path)
    try:
        made, files, info, done, options = _joined(folder, arguments)
    except BaseException:
        folder.close()
        raise
    return made, files, folder, info, done, options


def _joined(
    folder: store.RunFolder, arguments: argparse.Namespace
) -> tuple[Plan, dict[str, str], dict[str, Any], tuple[Record, ...], Options]:
    path = folder.folder
    folder.repair()
    run = store.intact(store.read_run(path))
    info = dict(run.info)
    info.pop("schema")
    if info["sides"]:
        raise RunError(f"{path}: a run of several environments cannot be gone on with; start it again")
    given, stored = _given(arguments), info["options"]
    other = [name for name in given if name not in identity.MAY_CHANGE and given[name] != stored.get(name)]
    if other:
        asked = "; ".join(f"{name} is {stored.get(name)} in the run, and {given[name]} was asked for" for name in other)
        allowed = ", ".join(identity.MAY_CHANGE)
        raise RunError(f"{path}: {asked}: that is another experiment; allowed to change: {allowed}")
    options = chosen_options(arguments, stored, f"{path / store.RUN}: $.options")
    differ = environment.mismatches(info["environment"], environment.environment(options.threads))
    if differ:
        raise RunError(f"{path}: this is another environment than the run's: {'; '.join(differ)}")
    found = discovery.all_suites(arguments.folders)
    files = {name: found[name][1] for name in info["plan"]["suites"] if name in found}
    _same_files(run, files)
    made = plan.plan_of_document(info["plan"], {name: suite for name, (suite, _) in found.items()}, options.threads)
    info["options"] = vars(options)
    made_from = (info["digests"] or {}).get("files") or identity.digests(files)
    info["digests"] = {"options": run_info.options_digest(info["options"]), "files": made_from}
    return made, files, info, (*run.records, *run.looks), options


def _edited(digests: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The suites' files that are not as they were when the run began, as words; "" where all are."""
    try:
        return ", ".join(identity.edited(digests, identity.digests(files)))
    except RunError as error:  # one is gone; what was measured stands
        return str(error)


def _same_files(run: store.Run, files: Mapping[str, str]) -> None:
    """Raises:
    RunError: a suite's files are not those that the run was made from.
    """
    edited = identity.edited(run.info["digests"], identity.digests(files))
    if edited:
        raise RunError(
            f"{run.folder}: not as when the run was made: {', '.join(edited)}; "
            "two workloads in one interval say nothing: start a run of its own"
        )
    if not (run.info["digests"] or {}).get("files"):
        complain(f"{run.folder}: it has no digests of its suite files, so nobody knows whether they were edited since")


def run_selftest(arguments: argparse.Namespace) -> Ended:
    """`bench selftest`"""
    from bench.commands import selftest
    from bench.engine.progress import progress

    if arguments.power:
        return run_power(arguments)
    if arguments.repeats is not None or arguments.budget is not None:
        raise SpecError("--repeats and --budget are of --power; give --power too")

    unknown = [name for name in arguments.select if name not in selftest.CHECKS]
    if unknown:
        raise SpecError([one_of("check", name, selftest.CHECKS) for name in unknown])
    with progress(sys.stderr) as told:
        checks = selftest.run_checks(arguments.select or list(selftest.CHECKS), quick=arguments.quick, progress=told)
    if arguments.format == "json":
        say(json_text({"checks": checks}, indent=1))
    else:
        say(selftest.checks_table(checks))
    return DONE if all(check["ok"] for check in checks) else endings.CELLS_FAILED


def run_power(arguments: argparse.Namespace) -> Ended:
    """`bench selftest --power`"""
    from bench.commands import false_alarms, gate_power
    from bench.engine.progress import progress
    from bench.stats.gate_rule import Rule

    if arguments.select:
        raise SpecError("--power measures one thing; leave out -k")
    rule = Rule()
    options = Options(budget=allowed_budget(arguments.budget, gate_power.POWER_BUDGET))
    repeats = arguments.repeats or (1 if arguments.quick else gate_power.POWER_REPEATS)
    with tempfile.TemporaryDirectory(prefix="bench-power-") as folder, progress(sys.stderr) as told:
        points = gate_power.run_power(repeats, options, rule, Path(folder), told)
    sentence = false_alarms.read_tally(options.threads).sentence
    if arguments.format == "json":
        say(json_text(gate_power.power_document(points, sentence), indent=1))
    else:
        say(gate_power.power_table(points, sentence))
    return DONE if gate_power.keeps_its_promise(points, rule) else endings.CELLS_FAILED
