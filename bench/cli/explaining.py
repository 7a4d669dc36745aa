"""`bench explain`: where the extra time of one loop over another is spent."""

from __future__ import annotations

import argparse
import sys

from bench.borders import json_text
from bench.cli.arguments import Adder, as_duration, formats, results_folder, suite_folders
from bench.cli.output import complain, say
from bench.cli.pages import choose_run
from bench.commands.endings import CELLS_FAILED, DONE, INTERRUPTED, Ending


def add(command: Adder) -> None:
    """The command of this file."""
    text = "where the extra time of one cell over another is spent, function by function"
    explaining = command("explain", explain_pair, text)
    told = "its id, a part of it that no other has, or a value of the compared axis, as `trainer`"
    explaining.add_argument("one", metavar="CELL", help=told)
    explaining.add_argument("other", metavar="OTHER", help="another of its group; the order makes no difference")
    explaining.add_argument("which", nargs="?", metavar="RUN", help="a run's id or folder; default: the newest")
    results_folder(explaining)
    explaining.add_argument("--again", action="store_true", help="sample stacks anew, also where the run has some")
    suite_folders(explaining)
    explaining.add_argument(
        "--timeout", type=as_duration, default=60.0, metavar="TIME", help="for one answer of an arm; default: 60s"
    )
    formats(explaining, ("table", "json"))


def explain_pair(arguments: argparse.Namespace) -> Ending:
    """`bench explain`"""
    from bench.commands.explain import Asking, explain_cells
    from bench.engine.progress import progress
    from bench.engine.sampled_launches import NotSampled
    from bench.report import explain as layout

    run = choose_run(arguments.which, arguments.out)
    asking = Asking(arguments.again, tuple(arguments.folders), arguments.timeout)
    try:
        with progress(sys.stderr) as told:
            found = explain_cells(run, arguments.one, arguments.other, told, asking)
    except NotSampled as error:
        complain(str(error))
        return CELLS_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    if arguments.format == "json":
        say(json_text(layout.explanation_document(run, found), indent=1))
    else:
        say(layout.render_explanation(found, layout.cell_names(run, found)), end="", coloured=True)
    return DONE
