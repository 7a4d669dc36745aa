"""The command `bench`: the only package that prints or exits.

Exit codes: 0 all went well; 1 a gate found a regression; 2 what was asked for cannot be done; 3 cells of the run
failed, or a gate or comparison is invalid; 4 a gate is inconclusive; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench import __version__
from bench.cli import exporting, reading, running, verdicts, versions
from bench.errors import BenchError


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

    for module in (running, versions, verdicts, reading, exporting):
        module.add(command)
    return top
