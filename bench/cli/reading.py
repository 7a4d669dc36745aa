"""`bench show`, `report`, `verify`, `env`: what reads runs, and the machine."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench import environment, store
from bench.accelerators import ACCELERATORS
from bench.cli.arguments import Adder, duration, positive, which
from bench.cli.output import say
from bench.endings import DONE, FAILED, Ended
from bench.errors import RunError, SpecError, Unsupported

if TYPE_CHECKING:
    from bench.stats import Summary


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
    from bench import stats

    return stats.summarize(run, reference_step=getattr(arguments, "step", 0.012))


def print_run(run: store.Run, arguments: argparse.Namespace) -> None:
    """The run as a table, with its headlines."""
    from bench.report import console

    say(console.render(summary_of(run, arguments)))


def show(arguments: argparse.Namespace) -> Ended:
    """`bench show`"""
    from bench.report import console, csv, markdown

    run = store.read(store.find(arguments.which, arguments.out))
    summary = summary_of(run, arguments)
    if arguments.format == "json":
        say(json.dumps(summary.to_json(), indent=1))
    else:
        writer = {"table": console.render, "csv": csv.render, "md": markdown.render}[arguments.format]
        say(writer(summary))
    return DONE


def write_report(arguments: argparse.Namespace) -> Ended:
    """`bench report`"""
    from bench.report import html

    run = store.read(store.find(arguments.which, arguments.out))
    path: Path = arguments.output or run.folder / store.REPORT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html.render(run, summary_of(run, arguments)), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    say(str(path))
    return DONE


def verify_run(arguments: argparse.Namespace) -> Ended:
    """`bench verify`"""
    from bench.report.verify import verify

    run = store.read(store.find(arguments.which, arguments.out))
    path: Path = arguments.report or run.folder / store.REPORT
    if not path.is_file():
        raise RunError(f"{path}: no report there; `bench report {run.folder}` writes it")
    found = verify(run, path.read_text(encoding="utf-8"))
    for difference in found:
        say(difference)
    say(f"{path}: {'every figure follows from the records' if not found else f'{len(found)} figures do not'}")
    return FAILED if found else DONE


def show_environment(arguments: argparse.Namespace) -> Ended:
    """`bench env`"""
    if arguments.calibrate:
        return calibrate(arguments)
    if arguments.budget is not None:
        raise SpecError("--budget is how long --calibrate measures; give --calibrate too")
    values = environment.environment(arguments.threads)
    if arguments.format == "json":
        say(json.dumps(values, indent=1))
    else:
        width = max(map(len, values))
        say("\n".join(f"{key:<{width}}  {value}" for key, value in values.items()))
    return DONE


def calibrate(arguments: argparse.Namespace) -> Ended:
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
    say(json.dumps({"calibrations": made}, indent=1) if arguments.format == "json" else "\n".join(lines))
    return DONE
