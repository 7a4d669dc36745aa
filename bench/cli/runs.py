"""`bench list`, `run`, `check`, `versions`, `trace`, `selftest`: what starts arms, or says which it would start."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.axes.accelerators import accelerator, accelerators
from bench.axes.trainer_sets import sets_in_words
from bench.borders import json_text
from bench.cli.arguments import (
    Adder,
    as_duration,
    command_line,
    formats,
    given_options,
    measuring_options,
    positive,
    running_options,
    selection,
    selection_of_arguments,
    suite_folders,
    until,
)
from bench.cli.command_parser import MACHINES, WRITTEN
from bench.cli.debug import debug
from bench.cli.output import complain, say
from bench.cli.pages import print_run
from bench.commands.endings import CELLS_FAILED, DONE, INTERRUPTED, Ending
from bench.commands.placing import Placing
from bench.commands.selection import Selection, allowed_budget, plan_everything
from bench.engine import launchers
from bench.engine.options import Options
from bench.errors import SpecError, one_of
from bench.plan.plan import named_sets
from bench.results import store
from bench.results.record import FAILED_OUTCOMES
from bench.results.work_ledger import EQUALITIES


def add(command: Adder) -> None:
    """The commands of this file."""
    listing = command("list", list_cells, "suites, their cells, and what cannot run here and why")
    selection(listing)
    running = command("run", run_suites, "race the cells of suites, and keep what was measured")
    running_options(running)
    machines, written = running.section(MACHINES), running.section(WRITTEN)
    machines.add_argument("--share", metavar="K/N", help="only the groups of task K of N; bench merge pools the runs")
    written.add_argument("--name", metavar="NAME", help="of the run's folder; default: the time and a random suffix")
    written.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped")
    machines.add_argument(
        "--launcher",
        choices=launchers.NODE_LAUNCHERS,
        metavar="NAME",
        help=f"what starts a program on each node of a cluster: {', '.join(launchers.NODE_LAUNCHERS)}",
    )
    machines.add_argument("--nodes", type=positive, metavar="N", help="machines of the launcher; default: all it has")
    machines.add_argument("--devices", type=positive, metavar="N", help="of each node, with a rank each")
    machines.add_argument("--address", metavar="HOST", help="of this machine, as the nodes reach it")
    machines.add_argument("--port", type=positive, metavar="N", help="at which nodes knock; default: any")
    running.add_argument(
        "--debug", action="store_true", help="a few steps of one cell in this process, where breakpoint() works"
    )
    checking = command("check", check_one, "try on one suite what every suite must be able to do")
    checking.add_argument("suite", metavar="SUITE", help="its name, or the path of its file")
    suite_folders(checking)
    formats(checking, ("table", "json"))
    scripts = command("race", race_training, "race training scripts as they are; the first is the baseline")
    scripts.add_argument(
        "scripts", nargs="+", metavar="SCRIPT", help='e.g. "train.py" "train.py --precision bf16-mixed"'
    )
    scripts.add_argument(
        "--env",
        dest="environs",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an arm of each with this variable",
    )
    scripts.add_argument(
        "--epochs", action="store_true", help="turns are whole epochs: validation, checkpoints, workers"
    )
    scripts.add_argument(
        "--equal",
        choices=tuple(EQUALITIES),
        metavar="WORK",
        help=f"that must be equal for a ratio: {', '.join(EQUALITIES)}",
    )
    scripts.add_argument(
        "--devices", type=positive, default=1, metavar="N", help="of each node, with a rank each; default: 1"
    )
    until(scripts)
    measuring_options(scripts, "wall time for all of it; default: 55s", timeout="120s", old_names=False)
    racing = command("versions", race_versions, "race environments: requirements, folders, git:COMMIT; baseline first")
    racing.add_argument("sides", nargs="+", metavar="SIDE", help='e.g. "lightning==2.5.*" "lightning==2.6.*"')
    racing.add_argument(
        "--with", dest="more", action="append", default=[], metavar="REQ", help="requirements of all sides"
    )
    selection(racing, option=True, default="overhead at one step length")
    measuring_options(racing, "wall time for all of it; it begins when the environments are built; default: 3m")
    racing.set_defaults(instrument=0)  # what differs is asked of the clock
    trace = command("trace", trace_suites, "write profiler traces, and tell what one loop does that another does not")
    selection(trace)
    trace.add_argument("--steps", type=positive, default=20, metavar="N", help="counted steps a cell; default: 20")
    trace.add_argument(
        "--timeout", type=as_duration, default=60.0, metavar="TIME", help="for one answer of an arm; default: 60s"
    )
    trace.add_argument(
        "--out", type=Path, default=Path("traces"), metavar="DIR", help="where traces lie; default: traces"
    )
    formats(trace, ("table", "json"))
    testing = command("selftest", run_selftest, "measure the tool itself on this machine")
    formats(testing, ("table", "json"))
    testing.add_argument("-k", dest="select", metavar="CHECK", action="append", default=[], help="only this check")
    testing.add_argument("--quick", action="store_true", help="fewer repetitions: a glance, not a measurement")
    testing.add_argument("--power", action="store_true", help="gates with known slowdowns instead: what it sees here")
    testing.add_argument("--repeats", type=positive, metavar="N", help="of --power, each slowdown; default: 10")
    testing.add_argument(
        "--budget", type=as_duration, metavar="TIME", help="of --power, wall time of each gate; default: 120s"
    )


def list_cells(arguments: argparse.Namespace) -> Ending:
    """`bench list`"""
    plan = plan_everything(selection_of_arguments(arguments), complain)
    for name in accelerators():
        reason = accelerator(name).unavailable()
        say(f"accelerator {name}: " + (f"not here: {reason}" if reason else "here"), coloured=True)
    for name, suite in plan.suites.items():
        say(f"{name}: {suite.title}", coloured=True)
        told = f"  compares {suite.compare}, baseline {suite.baseline}; each group also runs the baseline's twin"
        say(told, coloured=True)
        for own, told in sets_in_words(named_sets(suite, plan.cells), suite.ladder).items():
            say(f"  trainer {own}: {told}", coloured=True)
        for loop in suite.own_loops:
            say(f"  its own loop {loop.name}: {loop.title}")
        for cell in plan.cells:
            if cell.suite == name and not cell.twin:
                say(f"  {cell.id}" + (f"   unsupported: {cell.unsupported}" if cell.unsupported else ""), coloured=True)
    return DONE


def run_suites(arguments: argparse.Namespace) -> Ending:
    """`bench run`"""
    from bench.commands import run
    from bench.engine.progress import progress

    if arguments.debug:
        if arguments.resume is not None:
            raise SpecError("--debug trains a cell from its beginning; leave out --resume")
        return debug(arguments)
    given = given_options(arguments)
    placing = placing_of_arguments(arguments)
    if placing.launcher == "torchrun" and launchers.is_other_node():
        return stand_for_node(arguments.out)
    with progress(sys.stderr) as told:
        if arguments.resume is None:
            done = run.run(
                selection_of_arguments(arguments),
                given,
                arguments.out,
                told,
                command=command_line(),
                placing=placing,
                name=arguments.name or "",
            )
        elif arguments.suites or arguments.settings or arguments.select or arguments.share or arguments.name:
            raise SpecError("--resume goes on with the run's own cells; leave out SUITE, -k, --set, --share and --name")
        else:
            done = run.resume(arguments.resume, given, arguments.folders, arguments.out, told, placing=placing)
    return print_measured(done, resumable=True)


def placing_of_arguments(arguments: argparse.Namespace) -> Placing:
    """The nodes that the command line asks for."""
    names = ("launcher", "nodes", "devices", "address", "port")
    return Placing(**{name: value for name in names if (value := getattr(arguments, name)) is not None})


def stand_for_node(out: Path) -> Ending:
    """Be the program of this node for a run that torchrun has started on another one; of its processes, the first."""
    from bench.engine import node_agent

    if not launchers.is_agent():
        complain("--launcher torchrun: one process a node is enough (--nproc-per-node 1); this one has nothing to do")
        return DONE
    node_agent.stand_for_conductor(launchers.secret_file(out))
    return DONE


def check_one(arguments: argparse.Namespace) -> Ending:
    """`bench check`"""
    from bench.commands.check import check_suite
    from bench.engine.progress import progress
    from bench.report.check import suite_checks_table

    with progress(sys.stderr) as told:
        done = check_suite(Selection((arguments.suite,), folders=tuple(arguments.folders)), told)
    if arguments.format == "json":
        say(json_text(done.to_json(), indent=1))
    else:
        say(suite_checks_table(done), coloured=True)
    if done.interrupted:
        return INTERRUPTED
    return DONE if done.ok else CELLS_FAILED


def race_versions(arguments: argparse.Namespace) -> Ending:
    """`bench versions`"""
    from bench.commands.race_environments import race_environments
    from bench.engine.progress import progress

    with progress(sys.stderr) as told:
        done = race_environments(
            arguments.sides,
            arguments.more,
            selection_of_arguments(arguments),
            given_options(arguments),
            arguments.out,
            told,
            command=command_line(),
        )
    return print_measured(done, resumable=False)


def race_training(arguments: argparse.Namespace) -> Ending:
    """`bench race`"""
    from bench.commands.race import RaceRules, race_failed, race_scripts
    from bench.engine.progress import progress
    from bench.plan.scripts import parse_scripts

    scripts = parse_scripts(arguments.scripts, arguments.environs)
    rules = RaceRules(epochs=arguments.epochs, equal=arguments.equal or "", devices=arguments.devices)
    with progress(sys.stderr) as told:
        done = race_scripts(scripts, given_options(arguments), arguments.out, told, rules=rules, command=command_line())
    ended = print_measured(done, resumable=False)
    return CELLS_FAILED if ended is DONE and race_failed(done) else ended


def print_measured(run: store.StoredRun, *, resumable: bool) -> Ending:
    """What was measured; gives how it ended."""
    from bench.commands.run import has_failures, was_interrupted

    print_run(run)
    say(f"\nrun {run.folder}; its page: bench report {run.folder}", coloured=True)
    if was_interrupted(run):
        say("interrupted" + (f"; to go on: bench run --resume {run.folder}" if resumable else ""), coloured=True)
        return INTERRUPTED
    return CELLS_FAILED if has_failures(run) else DONE


def trace_suites(arguments: argparse.Namespace) -> Ending:
    """`bench trace`"""
    from bench.commands.trace import trace_selection
    from bench.engine.progress import progress
    from bench.report import trace as layout

    with progress(sys.stderr) as told:
        done = trace_selection(
            selection_of_arguments(arguments), arguments.steps, arguments.timeout, arguments.out, told
        )
    if arguments.format == "json":
        say(json_text(done.to_json(), indent=1))
    else:
        for group, cells in done.groups:
            say(layout.render(done.suites[group.suite], group, cells, done.steps), end="\n\n", coloured=True)
        say(layout.footnote())
        say(
            f"\n{done.folder}: open a .json.gz at https://ui.perfetto.dev, or all of them: "
            f"tensorboard --logdir {done.folder}"
        )
    if done.interrupted:
        return INTERRUPTED
    return CELLS_FAILED if any(traced.outcome in FAILED_OUTCOMES for traced in done.cells) else DONE


def run_selftest(arguments: argparse.Namespace) -> Ending:
    """`bench selftest`"""
    from bench.commands import selftest
    from bench.engine.progress import progress
    from bench.report.selftest import checks_table

    if arguments.power:
        return measure_power(arguments)
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
        say(checks_table(checks), coloured=True)
    return DONE if all(check["ok"] for check in checks) else CELLS_FAILED


def measure_power(arguments: argparse.Namespace) -> Ending:
    """`bench selftest --power`"""
    from bench.commands import false_alarms, gate_power
    from bench.engine.progress import progress
    from bench.report.gate_power import power_table
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
        say(power_table(points, sentence), coloured=True)
    return DONE if gate_power.keeps_its_promise(points, rule) else CELLS_FAILED
