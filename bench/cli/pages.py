"""`bench show`, `report`, `verify`, `env`: what reads runs, and the machine."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.borders import json_text, one_line
from bench.cli.arguments import Adder, as_duration, formats, positive, run_options, which
from bench.cli.command_parser import Parser
from bench.cli.output import complain, say
from bench.commands.endings import CELLS_FAILED, DONE, Ending
from bench.errors import RunError, SpecError, quote
from bench.machine import environment
from bench.report import SUMMARY_FORMATS, renderer
from bench.results import baselines, files, report_places, store

if TYPE_CHECKING:
    from bench.analysis.frames import Frames
    from bench.analysis.summary import Summary


def add(command: Adder) -> None:
    """The commands of this file."""
    showing = command("show", show, "print a run")
    which(showing)
    goal(showing)
    formats(showing, (*SUMMARY_FORMATS, "json"))
    reporting = command(
        "report", write_page, "write a run's page, one self-contained HTML file; of several, one for all"
    )
    several(reporting)
    goal(reporting)
    formats(reporting, ("html", "pdf"))
    told = "default: reports/RUN/index.html, and reports/index.html lists all"
    reporting.add_argument("-o", "--output", type=Path, metavar="FILE", help=told)
    verifying = command("verify", verify_run, "recompute every figure of a page from the raw records of its runs")
    several(verifying)
    verifying.add_argument("--report", type=Path, metavar="FILE", help="default: reports/RUN/index.html")
    env = command("env", show_environment, "the machine and the software, as runs record them")
    formats(env, ("table", "json"))
    env.add_argument("--calibrate", action="store_true", help="measure what this machine can do at most, and keep it")
    env.add_argument("--threads", type=positive, default=1, metavar="N", help="of every arm; default: 1")
    env.add_argument("--fit", action="store_true", help="the smallest slowdown that a gate would see here")
    told = "of --calibrate, wall time of each accelerator, 24s; of --fit, of the gate that is foreseen, 60s"
    env.add_argument("--budget", type=as_duration, metavar="TIME", help=told)


def several(added: Parser) -> None:
    """The runs of a page."""
    added.add_argument("runs", nargs="*", metavar="RUN", help="runs' ids or folders; default: the newest")
    run_options(added)


def goal(added: argparse.ArgumentParser) -> None:
    """The option of those that show a run which trained for a goal."""
    text = "a validation loss to be reached, of runs that train for one; default: the suite's own"
    added.add_argument("--target", type=as_loss, metavar="LOSS", help=text)


def as_loss(text: str) -> float:
    """A validation loss: any finite number."""
    try:
        loss = float(text)
    except ValueError:
        loss = math.nan
    if not math.isfinite(loss):
        raise argparse.ArgumentTypeError(f"{quote(text)} is no validation loss; allowed: a finite number, e.g. 0.03")
    return loss


def summary_of(run: store.StoredRun, arguments: argparse.Namespace, frames: Frames | None = None) -> Summary:
    """The run's figures, for the step and the target that the user named.

    Raises:
        SpecError: a target was named, and no suite of the run trains for one.
    """
    from bench.analysis.summary import summarize

    return summarize(run, reference_step=arguments.step, target=arguments.target, frames=frames)


def choose_run(which: str | None, out: Path) -> store.StoredRun:
    """The run of that id or folder, or the newest; a baseline's is as it was saved.

    Raises:
        RunError: there is none, or it is not readable.
    """
    if which is None:
        for late in store.ahead(store.every(out)):
            complain(f"{late}: named of a time to come, by a clock that was wrong; not taken for the newest")
    return baselines.as_saved(store.find_folder(which, out))


def print_run(run: store.StoredRun) -> None:
    """The run as a table, with its headlines."""
    from bench.analysis.summary import summarize
    from bench.report import console

    say(console.render(summarize(run)), coloured=True)


def show(arguments: argparse.Namespace) -> Ending:
    """`bench show`"""
    run = choose_run(arguments.which, arguments.out)
    summary = summary_of(run, arguments)
    if arguments.format == "json":
        say(json_text(summary.to_json(), indent=1))
    else:
        say(renderer(arguments.format)(summary), coloured=arguments.format == "table")
    return DONE


def write_page(arguments: argparse.Namespace) -> Ending:
    """`bench report`"""
    from bench.analysis.frames import frames_of
    from bench.report.pdf import print_page
    from bench.report.run_page import write_run_page
    from bench.report.side_by_side_page import write_shared_page

    runs, printed = _runs(arguments), arguments.format == "pdf"
    place = None if printed else arguments.output
    if len(runs) > 1:
        page = write_shared_page([(run, summary_of(run, arguments)) for run in runs], place)
    else:
        frames = frames_of(runs[0])
        page = write_run_page(runs[0], summary_of(runs[0], arguments, frames), place, frames)
    if printed:
        path: Path = arguments.output or page.with_suffix(".pdf")
        files.write_aside(path, print_page(page.read_text(encoding="utf-8")))
        page = path
    say(str(page))
    return DONE


def _runs(arguments: argparse.Namespace) -> list[store.StoredRun]:
    """Those that are named, or the newest.

    Raises:
        RunError: some cannot be read; says of each why.
    """
    found, unread = [], []
    for text in arguments.runs or [None]:
        try:
            found.append(choose_run(text, arguments.out))
        except RunError as error:
            unread.append(str(error))
    if unread:
        raise RunError("\n".join(dict.fromkeys(unread)))
    return found


def verify_run(arguments: argparse.Namespace) -> Ending:
    """`bench verify`"""
    from bench.report.side_by_side_page import verify_shared_page
    from bench.report.verify import verify_page

    runs = _runs(arguments)
    if len(runs) > 1:
        path: Path = (
            arguments.report or report_places.shared_folder([run.folder for run in runs]) / report_places.PAGE_FILE
        )
        found = verify_shared_page(runs, path)
    else:
        path = arguments.report or report_places.page_there(runs[0].folder)
        found = verify_page(runs[0], path)
    for difference in found.differences:
        say(one_line(difference))
    say(f"{path}: {found.sentence}")
    return CELLS_FAILED if found.differences else DONE


def show_environment(arguments: argparse.Namespace) -> Ending:
    """`bench env`"""
    if arguments.calibrate and arguments.fit:
        raise SpecError("--calibrate and --fit want the machine for themselves; give one of them")
    if arguments.calibrate:
        return run_calibrate(arguments)
    if arguments.fit:
        return run_fit(arguments)
    if arguments.budget is not None:
        raise SpecError("--budget is of --calibrate, or of the gate that --fit foresees; give --calibrate or --fit too")
    values = environment.environment(arguments.threads)
    if arguments.format == "json":
        say(json_text(values, indent=1))
    else:
        width = max(map(len, values))
        say("\n".join(f"{key:<{width}}  {value}" for key, value in values.items()), coloured=True)
    return DONE


def run_calibrate(arguments: argparse.Namespace) -> Ending:
    """`bench env --calibrate`: every accelerator that is here."""
    from bench.commands.ceilings import measure_ceilings
    from bench.engine.progress import progress
    from bench.report.calibration import table

    with progress(sys.stderr) as told:
        done = measure_ceilings(arguments.threads, arguments.budget, told)
    if arguments.format == "json":
        say(
            json_text(
                {"calibrations": [{"file": str(path), **asdict(one)} for path, one in done.files.items()]}, indent=1
            )
        )
        return DONE
    lines = [f"{kind}: not measured: {reason}" for kind, reason in done.reasons.items()]
    for path, one in done.files.items():
        lines += [table(one), f"  kept in {path}"]
    say("\n".join(lines), coloured=True)
    return DONE


def run_fit(arguments: argparse.Namespace) -> Ending:
    """`bench env --fit`"""
    from bench.commands.fit import measure_fit
    from bench.engine.progress import progress
    from bench.report import fit

    with progress(sys.stderr) as told:
        found = measure_fit(arguments.threads, arguments.budget, told)
    if arguments.format == "json":
        say(json_text({**found.to_json(), "sentences": [fit.sentence(gate) for gate in found.gates]}, indent=1))
    else:
        say(fit.fit_table(found), coloured=True)
    return DONE
