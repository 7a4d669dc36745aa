"""The command `bench`: the only package that prints or exits.

Exit codes: 0 all went well; 1 a gate found a regression; 2 what was asked for cannot be done; 3 cells of the run
failed, or a gate or comparison is invalid; 4 a gate is inconclusive; 70 something unforeseen happened, and a log file
that is named says what; 130 interrupted. `bench.commands.endings` has the words that earn them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from bench.cli import (
    completions,
    counting,
    doctors,
    explaining,
    exports,
    gates,
    jobs,
    merges,
    over_commits,
    pages,
    runs,
    trainings,
    tunes,
)
from bench.cli.command_help import COMMAND_HELP
from bench.cli.command_parser import Parser
from bench.cli.output import complain, prepare, say
from bench.commands.endings import CODES, REFUSED, UNFORESEEN, Ending
from bench.commands.unforeseen import unforeseen_line
from bench.errors import BenchError
from bench.plan import guard
from bench.results.version import __version__


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, do, say, and leave with an exit code."""
    sys.exit(exit_code(argv))


def exit_code(argv: Sequence[str] | None = None) -> int:
    """Parse, do, say; the exit code that was earned."""
    try:
        with guard.signals():
            prepare()
            return _ended(argv)
    except BenchError as error:
        complain(str(error) or type(error).__name__)
        return REFUSED
    except KeyboardInterrupt:
        complain("interrupted")
        return CODES["interrupted"]
    except BaseException as error:
        if isinstance(error, FileNotFoundError) and not _has_working_folder():
            complain("the working folder was removed; change to one that is there")
            return REFUSED
        complain(unforeseen_line(error))
        return UNFORESEEN


def _ended(argv: Sequence[str] | None) -> int:
    read = parser()
    try:
        arguments = read.parse_args(argv)
    except SystemExit as left:  # after --help and --version, and after a usage error
        if left.code not in (None, 0):
            return REFUSED
        say("", end="")  # what argparse has printed is still on its way
        return CODES["done"]
    if arguments.command is None:
        read.print_help()  # and nothing was done, which a script whose variable is empty should notice
        return REFUSED
    arguments.parser = read  # of which completion and help tell
    ended = arguments.run(arguments)
    if not isinstance(ended, Ending):
        raise TypeError(f"`bench {arguments.command}` ended with {ended!r}, which says nothing")
    if ended.word == "interrupted":
        complain("interrupted")
    return ended.code


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = Parser(
        prog="bench",
        usage="bench [-h] [-V] COMMAND ...",
        description="Honest benchmarks of PyTorch training loops. bench COMMAND --help has examples of each command.",
    )
    top.add_argument("-V", "--version", action="version", version=f"loopmark {__version__}", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", prog="bench", help=argparse.SUPPRESS)

    def command(name: str, run: Callable[[argparse.Namespace], Ending], text: str) -> Parser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.own_help = COMMAND_HELP.get(name)
        return added

    modules = (runs, jobs, doctors, tunes, trainings, counting, explaining, gates, pages, exports, merges)
    for module in (*modules, over_commits, completions):
        module.add(command)
    return top
