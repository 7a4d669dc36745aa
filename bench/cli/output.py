"""Where a command's words go: standard output and error as they are, full, closed, or without Unicode."""

from __future__ import annotations

import os
import sys

from bench.borders import terminal
from bench.cli.colour import paint
from bench.errors import BenchError
from bench.machine.terminal import takes_colour
from bench.report.text_layout import fold_lines
from bench.results.files import discard


class OutputError(BenchError):
    """Standard output cannot be written; what was to be said there is on the disk, or can be asked for again."""


def prepare() -> None:
    """Make the standard streams safe to write to, before any file is opened.

    A descriptor that is closed would be given to the next file, a run's records perhaps, and receive what libraries
    write to it. A stream of few characters, ASCII say, writes out the others.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue  # it stands in for a closed one
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the program runs
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, end: str = "\n", *, coloured: bool = False) -> None:
    """Print text to standard output, and wait until it has gone there.

    A reader that has seen enough, `head` say, ends what is said and nothing else.

    Args:
        coloured: whether it is for people: in lines of the terminal's width, with colour where that is wanted.

    Raises:
        OutputError: it cannot be written: the disk is full, or there is no standard output.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed; nothing could be said there")
    try:
        said = terminal(text)
        if coloured:
            said = paint(fold_lines(said)) if takes_colour(sys.stdout) else fold_lines(said)
        sys.stdout.write(said + end)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except (OSError, ValueError) as error:  # ValueError: the stream was closed
        discard(sys.stdout)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"standard output cannot be written: {reason}") from None


def complain(text: str) -> None:
    """Print a line to standard error, if there is any that takes it."""
    try:
        print(terminal(f"bench: {text}"), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)
