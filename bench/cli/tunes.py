"""`bench tune`: the fastest configuration that keeps memory and loss."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.cli.arguments import (
    Adder,
    as_duration,
    as_fraction,
    as_size,
    command_line,
    formats,
    positive,
    results_folder,
    suite_folders,
)
from bench.cli.command_parser import CELL_OPTIONS
from bench.cli.output import complain, say
from bench.commands.endings import DONE, INTERRUPTED, Ending
from bench.commands.tune_request import TUNE_BUDGET, TuneRequest
from bench.commands.tune_study import SAMPLERS
from bench.errors import SpecError
from bench.results import files

PAGE = "tune.html"


def add(command: Adder) -> None:
    """The command of this file."""
    asked = command("tune", tune_target, "search the configuration that trains most samples a second, at the same loss")
    asked.add_argument(
        "target", nargs="?", metavar="TARGET", help="a suite, train.py, package.module:LitModule; default: tunable"
    )
    asked.set_defaults(arguments=[])
    asked.rest = "arguments"
    asked.usage = "bench tune [TARGET] [options] [-- ARGS of the script, or NAME=VALUE of a module's Trainer]"
    asked.section(CELL_OPTIONS).add_argument(
        "--set", dest="settings", action="append", default=[], metavar="AXIS=V1,V2", help="take these values of an axis"
    )
    asked.add_argument(
        "--arg", dest="args", action="append", default=[], metavar="NAME=V1,V2", help="of a script, --NAME V1 or V2"
    )
    asked.add_argument(
        "--env",
        dest="environs",
        action="append",
        default=[],
        metavar="NAME=V1,V2",
        help="an arm of each with this variable; here with the values to choose from",
    )
    asked.add_argument("--data", metavar="TARGET", help="of a module: a DataModule, or what gives loaders")
    asked.add_argument("--trials", type=positive, metavar="N", help="configurations that are tried; default: all")
    asked.add_argument(
        "--train-epochs", type=positive, metavar="N", help="that a candidate trains at most; default: the suite's"
    )
    asked.add_argument(
        "--loss-margin", type=as_fraction, metavar="P", help="that a loss may be above the default's; default: 2%%"
    )
    asked.add_argument(
        "--sampler",
        choices=SAMPLERS,
        metavar="NAME",
        help=f"that proposes what is tried: {', '.join(SAMPLERS)}; default: tpe",
    )
    asked.add_argument("--storage", type=Path, metavar="FILE", help="the study's SQLite file; default: in its folder")
    asked.add_argument(
        "--resume", metavar="RUN", help="go on with a run that was stopped; here with a search, by its id or folder"
    )
    asked.add_argument("--budget", type=as_duration, metavar="TIME", help="wall time for all of it; default: 10m")
    asked.add_argument("--timeout", type=as_duration, metavar="TIME", help="for one answer of an arm; default: 120s")
    asked.add_argument("--seed", type=int, metavar="N", help="of orders, data and weights; default: 0")
    asked.add_argument("--threads", type=positive, metavar="N", help="of every arm; default: 1")
    asked.add_argument("--memory-limit", type=as_size, metavar="SIZE", help="an arm may allocate, e.g. 4GiB")
    results_folder(asked)
    suite_folders(asked)
    formats(asked, ("table", "md", "csv", "json"))


def tune_target(arguments: argparse.Namespace) -> Ending:
    """`bench tune`"""
    from bench.commands.tune import begin_search, resume_search
    from bench.engine.progress import progress
    from bench.report import tune as layout
    from bench.report.tune_page import render_tune_page

    with progress(sys.stderr) as told:
        if arguments.resume is not None:
            _refuse_others(arguments)
            found = resume_search(
                arguments.resume, arguments.out, told, budget=arguments.budget, command=command_line()
            )
        else:
            found = begin_search(_request(arguments), arguments.out, told, command=command_line())
    say(layout.TUNE_FORMATS[arguments.format](found), end="", coloured=arguments.format == "table")
    page = found.folder / PAGE
    files.write_aside(page, render_tune_page(found))
    complain(f"trials, races and picture: {page}")
    if found.interrupted:
        complain(f"to go on: bench tune --resume {found.folder}")
        return INTERRUPTED
    return DONE


# What a search was asked for, and cannot be asked for anew; `budget` and `format` can.
_ASKED = ("target", "data", "trials", "train_epochs", "loss_margin", "sampler", "storage", "timeout", "seed", "threads")


def _refuse_others(arguments: argparse.Namespace) -> None:
    named = [name for name in (*_ASKED, "memory_limit") if getattr(arguments, name) is not None]
    named += [name for name in ("settings", "args", "environs", "arguments", "folders") if getattr(arguments, name)]
    if named:
        words = {"settings": "--set", "args": "--arg", "environs": "--env", "folders": "--suites"}
        words |= {"target": "TARGET", "arguments": "ARGS"}
        told = ", ".join(words.get(name, f"--{name.replace('_', '-')}") for name in named)
        raise SpecError(f"--resume goes on with the search as it was asked for; leave out {told}; allowed: --budget")


def _request(arguments: argparse.Namespace) -> TuneRequest:
    return TuneRequest(
        target=arguments.target or "",
        arguments=tuple(arguments.arguments),
        settings=tuple(arguments.settings),
        args=tuple(arguments.args),
        environs=tuple(arguments.environs),
        data=arguments.data,
        suite_folders=tuple(str(folder.absolute()) for folder in arguments.folders),
        trials=arguments.trials,
        epochs=arguments.train_epochs,
        loss_margin=arguments.loss_margin or 0.02,
        memory_limit=arguments.memory_limit,
        sampler=arguments.sampler or "tpe",
        seed=arguments.seed or 0,
        threads=arguments.threads or 1,
        timeout=arguments.timeout,
        budget=arguments.budget or TUNE_BUDGET,
        storage="" if arguments.storage is None else str(arguments.storage),
    )
