"""`bench show`, `report`, `verify`, `env`: what reads runs, and the machine."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.axes.accelerators import accelerators
from bench.borders import json_text, one_line
from bench.cli.arguments import Adder, allowed_budget, duration, positive, which
from bench.cli.output import complain, say
from bench.commands.endings import CELLS_FAILED, DONE, Ended
from bench.errors import RunError, SpecError, Unsupported
from bench.machine import environment
from bench.results import baselines, files, store

if TYPE_CHECKING:
    from bench.analysis.summary import Summary


def add(command: Adder) -> None:
    """The commands of this file."""
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


def summary_of(run: store.Run, arguments: argparse.Namespace) -> Summary:
    """The run's figures, for the step that the user named."""
    from bench.analysis import summary as stats

    return stats.summarize(run, reference_step=getattr(arguments, "step", 0.012))


def chosen(which: str | None, out: Path) -> store.Run:
    """The run of that id or folder, or the newest; a baseline's is as it was saved.

    Raises:
        RunError: there is none, or it is not readable.
    """
    if which is None:
        for late in store.ahead(store.every(out)):
            complain(f"{late}: named of a time to come, by a clock that was wrong; not taken for the newest")
    return baselines.as_saved(store.find_folder(which, out))


def print_run(run: store.Run, arguments: argparse.Namespace) -> None:
    """The run as a table, with its headlines."""
    from bench.report import console

    say(console.render(summary_of(run, arguments)))


def show(arguments: argparse.Namespace) -> Ended:
    """`bench show`"""
    from bench.report import console, csv, markdown

    run = chosen(arguments.which, arguments.out)
    summary = summary_of(run, arguments)
    if arguments.format == "json":
        say(json_text(summary.to_json(), indent=1))
    else:
        writer = {"table": console.render, "csv": csv.render, "md": markdown.render}[arguments.format]
        say(writer(summary))
    return DONE


def write_report(arguments: argparse.Namespace) -> Ended:
    """`bench report`"""
    from bench.report import html

    run = chosen(arguments.which, arguments.out)
    path: Path = arguments.output or run.folder / store.REPORT
    files.write_aside(path, html.render(run, summary_of(run, arguments)))
    say(str(path))
    return DONE


def verify_run(arguments: argparse.Namespace) -> Ended:
    """`bench verify`"""
    from bench.report.verify import examine

    run = chosen(arguments.which, arguments.out)
    path: Path = arguments.report or run.folder / store.REPORT
    if not os.path.lexists(path):
        raise RunError(f"{path}: no report there; `bench report {run.folder}` writes it")
    try:
        page = files.read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: not readable: not UTF-8 at byte {error.start}") from None
    found = examine(run, page)
    for difference in found.differences:
        say(one_line(difference))
    say(f"{path}: {found.sentence}")
    return CELLS_FAILED if found.differences else DONE


def show_environment(arguments: argparse.Namespace) -> Ended:
    """`bench env`"""
    if arguments.calibrate:
        return run_calibrate(arguments)
    if arguments.budget is not None:
        raise SpecError("--budget is how long --calibrate measures; give --calibrate too")
    values = environment.environment(arguments.threads)
    if arguments.format == "json":
        say(json_text(values, indent=1))
    else:
        width = max(map(len, values))
        say("\n".join(f"{key:<{width}}  {value}" for key, value in values.items()))
    return DONE


def run_calibrate(arguments: argparse.Namespace) -> Ended:
    """`bench env --calibrate`: every accelerator that is here."""
    from bench.engine.progress import progress
    from bench.machine import calibrate as calibrating
    from bench.machine import calibration
    from bench.report.calibration import table

    made, lines = [], []
    with progress(sys.stderr) as told:
        for kind, device in accelerators().items():
            if device.unavailable():
                continue
            told.phase(f"measuring the ceilings of {kind}")
            try:
                found = calibrating.calibrate(
                    kind, arguments.threads, allowed_budget(arguments.budget, calibrating.CALIBRATION_BUDGET)
                )
            except Unsupported as error:
                lines.append(f"{kind}: not measured: {error}")
                continue
            path = calibration.save_calibration(found)
            made.append({"file": str(path), **asdict(found)})
            lines += [table(found), f"  kept in {path}"]
    say(json_text({"calibrations": made}, indent=1) if arguments.format == "json" else "\n".join(lines))
    return DONE
