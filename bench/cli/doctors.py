"""`bench doctor`: advice that was raced."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.borders import json_text
from bench.cli.arguments import Adder, command_line, formats, given_options, measuring_options
from bench.cli.output import complain, say
from bench.commands.endings import CELLS_FAILED, DONE, INTERRUPTED, Ending


def add(command: Adder) -> None:
    """The command of this file."""
    asked = command("doctor", examine_training, "what makes a training slower than it could be; every advice is raced")
    asked.add_argument("target", metavar="TARGET", help="train.py, package.module:LitModule, train.py:LitModule")
    asked.set_defaults(arguments=[])
    asked.rest = "arguments"
    asked.usage = "bench doctor TARGET [options] [-- ARGS of the script, or NAME=VALUE of a module's Trainer]"
    asked.add_argument("--data", metavar="TARGET", help="of a module: a DataModule, or what gives loaders")
    asked.add_argument(
        "--features",
        action="store_true",
        help="price each feature of its Trainer, too, in 405s where no budget is given",
    )
    asked.add_argument("--fix", action="store_true", help="print the change that the advice asks for, as a patch")
    formats(asked, ("table", "json"))
    measuring_options(asked, "wall time for all of it; default: 165s", timeout="120s", old_names=False)


def examine_training(arguments: argparse.Namespace) -> Ending:
    """`bench doctor`"""
    from bench.commands.doctor import diagnose_target
    from bench.commands.doctor_target import parse_target
    from bench.engine.progress import progress
    from bench.report import doctor as layout

    target = parse_target(arguments.target, arguments.arguments, arguments.data)
    with progress(sys.stderr) as told:
        found = diagnose_target(
            target,
            given_options(arguments),
            arguments.out,
            told,
            features=arguments.features,
            command=command_line(),
        )
    if found.failed:
        complain(layout.failed_line(found))
        return CELLS_FAILED
    if arguments.format == "json":
        say(json_text(found.to_json(), indent=1))
    elif arguments.fix:
        sources = {
            name: text for name in found.edited_files() if (text := _text_of(Path(target.script.own_folder, name)))
        }
        say(layout.render_fix(found, found.patch(sources)), end="")
    else:
        say(layout.render_diagnosis(found), end="", coloured=True)
    return INTERRUPTED if found.interrupted else DONE


def _text_of(path: Path) -> str:
    """A file's text, "" where it is none that can be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
