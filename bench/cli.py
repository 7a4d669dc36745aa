"""The command `bench`: the only file that prints or exits.

Exit codes: 0 all went well; 2 what was asked for cannot be done; 3 cells of the run failed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import __version__, discovery, environment, plan, store
from bench.accelerators import ACCELERATORS, accelerator
from bench.errors import BenchError, RunError, SpecError, Unsupported, one_of
from bench.looks import LOOKS
from bench.record import FAILED, Record
from bench.spec import Suite

if TYPE_CHECKING:
    from bench.conductor import Options
    from bench.stats import Summary

DEFAULT_SUITE = "overhead"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, do, say, and leave with an exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:
        code = 0  # the reader of our output, `head` say, has seen enough
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="bench", description="Honest benchmarks of PyTorch training loops.")
    top.add_argument("--version", action="version", version=f"loopmark {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    def selection(added: argparse.ArgumentParser) -> None:
        added.add_argument("suites", nargs="*", metavar="SUITE", help=f"suites; default: {DEFAULT_SUITE}")
        added.add_argument("-k", dest="select", metavar="EXPR", help="cells whose id matches: words, and, or, not")
        added.add_argument("--set", dest="settings", action="append", default=[], metavar="AXIS=V1,V2")
        added.add_argument(
            "--suites",
            dest="folders",
            action="append",
            default=[],
            type=Path,
            metavar="DIR",
            help="a folder with more suite files",
        )

    def which(added: argparse.ArgumentParser) -> None:
        added.add_argument("which", nargs="?", metavar="RUN", help="a run's id or folder; default: the newest")
        added.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs lie")
        added.add_argument("--step", type=duration, default=0.012, metavar="TIME", help="your step; default: 12ms")

    listing = command("list", list_cells, "suites, their cells, and what cannot run here and why")
    selection(listing)
    running = command("run", run_suites, "measure")
    selection(running)
    running.add_argument("--budget", type=duration, metavar="TIME", help="wall time for all of it; default: 3m")
    running.add_argument("--target", type=fraction, metavar="P", help="stop at ratios known to +- this; default: 1%%")
    running.add_argument("--timeout", type=duration, metavar="TIME", help="for one answer of an arm; default: 60s")
    running.add_argument("--seed", type=int, metavar="N", help="of orders, data and weights; default: 0")
    running.add_argument("--threads", type=positive, metavar="N", help="of every arm; default: 1")
    running.add_argument("--memory-limit", type=size, metavar="SIZE", help="an arm may allocate, e.g. 4GiB")
    running.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    running.add_argument(
        "--look",
        dest="looks",
        type=count,
        nargs="?",
        const=LOOKS,
        metavar="N",
        help=f"looking launches of each group, which carry callbacks; default: {LOOKS}, as far as the budget goes",
    )
    running.add_argument("--no-look", dest="looks", action="store_const", const=0, help="time only")
    running.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped")
    tracing = command("trace", trace_suites, "write profiler traces, and tell what one loop does that another does not")
    selection(tracing)
    tracing.add_argument("--steps", type=positive, default=20, metavar="N", help="counted steps a cell; default: 20")
    tracing.add_argument("--timeout", type=duration, default=60.0, metavar="TIME", help="for one answer; default: 60s")
    tracing.add_argument("--out", type=Path, default=Path("traces"), metavar="DIR", help="default: traces")
    tracing.add_argument("--format", choices=("table", "json"), default="table")
    showing = command("show", show, "print a run")
    which(showing)
    showing.add_argument("--format", choices=("table", "json", "csv", "md"), default="table")
    reporting = command("report", write_report, "write a run's page, one self-contained HTML file")
    which(reporting)
    reporting.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: report.html in the run's folder")
    verifying = command("verify", verify_run, "recompute every figure of a run's page from its raw records")
    which(verifying)
    verifying.add_argument("--report", type=Path, metavar="FILE", help="default: report.html in the run's folder")
    env = command("env", show_environment, "the machine and the software, as runs record them")
    env.add_argument("--format", choices=("table", "json"), default="table")
    env.add_argument("--calibrate", action="store_true", help="measure what this machine can do at most, and keep it")
    env.add_argument("--threads", type=positive, default=1, metavar="N", help="of every arm; default: 1")
    env.add_argument("--budget", type=duration, metavar="TIME", help="of --calibrate, each accelerator; default: 24s")
    testing = command("selftest", run_selftest, "measure the tool itself on this machine")
    testing.add_argument("--format", choices=("table", "json"), default="table")
    testing.add_argument("-k", dest="select", metavar="CHECK", action="append", default=[], help="only this check")
    testing.add_argument("--quick", action="store_true", help="fewer repetitions: a look, not a measurement")
    return top


def duration(text: str) -> float:
    """Seconds from `90`, `90s`, `12ms`, `3m`, `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; allowed: a number above 0 with ms, s, m or h, e.g. 90s"
        )
    return float(match[1]) * {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def fraction(text: str) -> float:
    """A fraction from `1%` or `0.01`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; allowed: above 0 and below 100%, e.g. 1% or 0.01")
    return value


def size(text: str) -> int:
    """Bytes from `4GiB`, `512MiB` or a number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(KiB|MiB|GiB|)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; allowed: a number with KiB, MiB or GiB, e.g. 4GiB")
    return int(float(match[1]) * {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[match[2]])


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on; name suites before --look")
    return int(text)


def planned(arguments: argparse.Namespace) -> tuple[plan.Plan, dict[str, str]]:
    """The plan of the command line, and the file of each of its suites."""
    found = discovery.all_suites(arguments.folders)
    suites: dict[str, Suite] = {name: suite for name, (suite, _) in found.items()}
    # `bench list` alone shows everything; `bench run` and `bench trace` alone take the default.
    names = arguments.suites or (list(suites) if arguments.command == "list" else [DEFAULT_SUITE])
    threads = getattr(arguments, "threads", None) or 1
    made = plan.make_plan(suites, names, settings=arguments.settings, select=arguments.select, threads=threads)
    return made, {name: found[name][1] for name in made.suites}


def list_cells(arguments: argparse.Namespace) -> int:
    """`bench list`"""
    made, _ = planned(arguments)
    for name in ACCELERATORS:
        reason = accelerator(name).unavailable()
        print(f"accelerator {name}: " + (f"not here: {reason}" if reason else "here"))
    for name, suite in made.suites.items():
        print(f"{name}: {suite.title}")
        print(f"  compares {suite.compare}, baseline {suite.baseline}; each group also runs the baseline's twin")
        for cell in made.cells:
            if cell.suite == name and not cell.twin:
                print(f"  {cell.id}" + (f"   unsupported: {cell.unsupported}" if cell.unsupported else ""))
    return 0


def run_suites(arguments: argparse.Namespace) -> int:
    """`bench run`"""
    from bench.conductor import Conductor
    from bench.progress import progress

    if arguments.resume is not None:
        made, files, folder, info, done, options = resumed(arguments)
    else:
        made, files = planned(arguments)
        options = chosen_options(arguments, {})
        folder, done = store.create(arguments.out), ()
        info = {
            "run": folder.folder.name,
            "loopmark": __version__,
            "argv": ["bench", *sys.argv[1:]],
            "options": vars(options),
            "plan": plan.to_json(made),
            "files": files,
            "environment": environment.environment(options.threads),
            "started": now(),
            "finished": None,
            "stops": {},
            "timing": {},
        }
        folder.write_info(info)
    with progress(sys.stderr) as told:
        told.note(f"run {folder.folder}")
        conductor = Conductor(made, files, folder, options, told, done)
        stops = conductor.run()
    earlier = info["timing"]
    timing = {name: round(earlier.get(name, 0.0) + value, 6) for name, value in conductor.timing.items()}
    folder.write_info({**info, "finished": now(), "stops": stops, "timing": timing})
    folder.close()
    run = store.read(folder.folder)
    print_run(run, arguments)
    print(f"\nrun {folder.folder}; its page: bench report {folder.folder}")
    if any(stop["reason"] == "interrupted" for stop in stops.values()):
        print(f"interrupted; to go on: bench run --resume {folder.folder}")
        return 130
    return 3 if any(record.outcome in FAILED for record in run.records) else 0


def trace_suites(arguments: argparse.Namespace) -> int:
    """`bench trace`"""
    from bench import tracing
    from bench.progress import progress
    from bench.report import traces as layout

    made, files = planned(arguments)
    folder = store.fresh_folder(arguments.out, "traces")
    with progress(sys.stderr) as told:
        done = tracing.trace(made, files, folder, arguments.steps, arguments.timeout, told)
    if arguments.format == "json":
        print(json.dumps(done.to_json(), indent=1))
    else:
        for group, cells in done.groups:
            print(layout.render(made.suites[group.suite], group, cells, done.steps), end="\n\n")
        print(layout.footnote())
        print(f"\n{folder}: open a .json.gz at https://ui.perfetto.dev, or all of them: tensorboard --logdir {folder}")
    if done.interrupted:
        return 130
    return 3 if any(traced.outcome in FAILED for traced in done.cells) else 0


def chosen_options(arguments: argparse.Namespace, stored: dict[str, Any]) -> Options:
    """Options of the command line over those of a stored run over the defaults."""
    from bench.conductor import Options

    names = ("budget", "target", "timeout", "seed", "threads", "memory_limit", "looks")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return Options(**{"looks": LOOKS, **stored, **given})


def resumed(
    arguments: argparse.Namespace,
) -> tuple[plan.Plan, dict[str, str], store.RunFolder, dict[str, Any], tuple[Record, ...], Options]:
    """What `--resume` goes on with.

    Raises:
        RunError: it cannot go on: other suites or settings were asked for, or the machine is another.
    """
    if arguments.suites or arguments.settings or arguments.select:
        raise SpecError("--resume goes on with the run's own cells; leave out SUITE, -k and --set")
    path = store.find(arguments.resume, arguments.out)
    folder = store.RunFolder(path)
    folder.repair()
    run = store.read(path)
    info = dict(run.info)
    info.pop("schema")
    options = chosen_options(arguments, info["options"])
    differ = environment.mismatches(info["environment"], environment.environment(options.threads))
    if differ:
        raise RunError(f"{path}: this is another environment than the run's: {'; '.join(differ)}")
    found = discovery.all_suites(arguments.folders)
    files = {name: found[name][1] for name in info["plan"]["suites"] if name in found}
    made = plan.from_json(info["plan"], {name: suite for name, (suite, _) in found.items()}, options.threads)
    return made, files, folder, info, (*run.records, *run.looks), options


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def summary_of(run: store.Run, arguments: argparse.Namespace) -> Summary:
    """The run's figures, for the step that the user named."""
    from bench import stats

    return stats.summarize(run, reference_step=getattr(arguments, "step", 0.012))


def print_run(run: store.Run, arguments: argparse.Namespace) -> None:
    """The run as a table, with its headlines."""
    from bench.report import console

    print(console.render(summary_of(run, arguments)))


def show(arguments: argparse.Namespace) -> int:
    """`bench show`"""
    from bench.report import console, csv, markdown

    run = store.read(store.find(arguments.which, arguments.out))
    summary = summary_of(run, arguments)
    if arguments.format == "json":
        print(json.dumps(summary.to_json(), indent=1))
    else:
        writer = {"table": console.render, "csv": csv.render, "md": markdown.render}[arguments.format]
        print(writer(summary))
    return 0


def write_report(arguments: argparse.Namespace) -> int:
    """`bench report`"""
    from bench.report import html

    run = store.read(store.find(arguments.which, arguments.out))
    path: Path = arguments.output or run.folder / store.REPORT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html.render(run, summary_of(run, arguments)), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    print(path)
    return 0


def verify_run(arguments: argparse.Namespace) -> int:
    """`bench verify`"""
    from bench.report.verify import verify

    run = store.read(store.find(arguments.which, arguments.out))
    path: Path = arguments.report or run.folder / store.REPORT
    if not path.is_file():
        raise RunError(f"{path}: no report there; `bench report {run.folder}` writes it")
    found = verify(run, path.read_text(encoding="utf-8"))
    for difference in found:
        print(difference)
    print(f"{path}: {'every figure follows from the records' if not found else f'{len(found)} figures do not'}")
    return 3 if found else 0


def show_environment(arguments: argparse.Namespace) -> int:
    """`bench env`"""
    if arguments.calibrate:
        return calibrate(arguments)
    if arguments.budget is not None:
        raise SpecError("--budget is how long --calibrate measures; give --calibrate too")
    values = environment.environment(arguments.threads)
    if arguments.format == "json":
        print(json.dumps(values, indent=1))
    else:
        width = max(map(len, values))
        print("\n".join(f"{key:<{width}}  {value}" for key, value in values.items()))
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """`bench env --calibrate`: every accelerator that is here."""
    from bench import calibration, ceilings
    from bench.progress import progress

    made, lines = [], []
    with progress(sys.stderr) as told:
        for kind, device in ACCELERATORS.items():
            if device.unavailable():
                continue
            told.phase(f"measuring the ceilings of {kind}")
            try:
                found = ceilings.calibrate(kind, arguments.threads, arguments.budget or ceilings.BUDGET)
            except Unsupported as error:
                lines.append(f"{kind}: not measured: {error}")
                continue
            path = calibration.save(found)
            made.append({"file": str(path), **asdict(found)})
            lines += [ceilings.table(found), f"  kept in {path}"]
    print(json.dumps({"calibrations": made}, indent=1) if arguments.format == "json" else "\n".join(lines))
    return 0


def run_selftest(arguments: argparse.Namespace) -> int:
    """`bench selftest`"""
    from bench import selftest
    from bench.progress import progress

    unknown = [name for name in arguments.select if name not in selftest.CHECKS]
    if unknown:
        raise SpecError([one_of("check", name, selftest.CHECKS) for name in unknown])
    with progress(sys.stderr) as told:
        checks = selftest.run(arguments.select or list(selftest.CHECKS), quick=arguments.quick, progress=told)
    if arguments.format == "json":
        print(json.dumps({"checks": checks}, indent=1))
    else:
        print(selftest.table(checks))
    return 0 if all(check["ok"] for check in checks) else 3
