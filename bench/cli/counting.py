"""`bench counts`: what a step does, counted and not timed."""

from __future__ import annotations

import argparse
import sys

from bench.borders import json_text
from bench.cli.arguments import Adder, as_duration, formats, positive, selection, selection_of_arguments
from bench.cli.output import say
from bench.commands.endings import CELLS_FAILED, DONE, INTERRUPTED, Ending
from bench.results.record import FAILED_OUTCOMES
from bench.results.step_counts import STEPS_OF_COUNTS


def add(command: Adder) -> None:
    """The command of this file."""
    counting = command(
        "counts", count_suites, "count what a step does: Python calls, allocations, operators ...; exact"
    )
    selection(counting)
    counting.add_argument(
        "--steps",
        type=positive,
        default=STEPS_OF_COUNTS,
        metavar="N",
        help=f"counted steps a cell; default: {STEPS_OF_COUNTS}",
    )
    counting.add_argument(
        "--timeout", type=as_duration, default=60.0, metavar="TIME", help="for one answer of an arm; default: 60s"
    )
    formats(counting, ("table", "json"))


def count_suites(arguments: argparse.Namespace) -> Ending:
    """`bench counts`"""
    from bench.commands.counts import count_selection
    from bench.engine.progress import progress
    from bench.report import counts as layout

    with progress(sys.stderr) as told:
        done = count_selection(selection_of_arguments(arguments), arguments.steps, arguments.timeout, told)
    if arguments.format == "json":
        say(json_text(done.to_json(), indent=1))
    else:
        say(layout.render(done), end="", coloured=True)
    if done.interrupted:
        return INTERRUPTED
    return CELLS_FAILED if any(one.outcome in FAILED_OUTCOMES for one in done.cells) else DONE
