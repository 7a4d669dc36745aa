"""The command `bench`: the only package that prints or exits.

Exit codes: 0 all went well; 1 a gate found a regression; 2 what was asked for cannot be done; 3 cells of the run
failed, or a gate or comparison is invalid; 4 a gate is inconclusive; 70 something unforeseen happened, and a log file
that is named says what; 130 interrupted. `bench.commands.endings` has the words that earn them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.borders import encodable, one_line
from bench.cli import counting, doctors, gates, over_commits, pages, runs, tunes
from bench.cli.arguments import Parser
from bench.cli.output import complain, prepare, say
from bench.commands.endings import CODES, REFUSED, UNFORESEEN, Ending
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
        complain(_unforeseen(error))
        return UNFORESEEN


def _ended(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as left:  # after --help and --version, and after a usage error
        if left.code not in (None, 0):
            return REFUSED
        say("", end="")  # what argparse has printed is still on its way
        return CODES["done"]
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


def _unforeseen(error: BaseException) -> str:
    """What is said of an exception that nobody foresaw: one line that names the log file with all of it."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as second:  # the exception's own methods may raise
        text = f"{type(error)!r}, whose traceback cannot be written: {type(second)!r}\n"
    head = f"loopmark {__version__}, Python {platform.python_version()}\n{sys.argv!r}\n"
    name = f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    home = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"))
    reason: OSError | None = None
    for folder in (home / "loopmark", Path(tempfile.gettempdir()) if _has_temporary_folder() else Path("/tmp")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(encodable(head + text), encoding="utf-8")
        except OSError as failed:
            reason = failed
            continue
        return f"unforeseen: {one_line(guard.exception_line(error))}; its log: {folder / name}"
    return f"unforeseen: {one_line(guard.exception_line(error))}; its log could not be written: {reason}"


def _has_temporary_folder() -> bool:
    try:
        tempfile.gettempdir()
    except OSError:  # none of the usual places can be written
        return False
    return True


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = Parser(prog="bench", description="Honest benchmarks of PyTorch training loops.")
    top.add_argument("--version", action="version", version=f"loopmark {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], Ending], text: str) -> Parser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    for module in (runs, doctors, tunes, counting, gates, pages, over_commits):
        module.add(command)
    return top
