"""`bench merge`: runs of several machines as one comparison."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.borders import json_text
from bench.cli.arguments import Adder, formats, results_folder
from bench.cli.output import complain, say
from bench.commands.endings import DONE, Ending
from bench.commands.merge import merge_of_runs, named_texts, price_of_an_hour
from bench.results import files


def add(command: Adder) -> None:
    """The commands of this file."""
    merging = command("merge", show_merge, "runs of several machines as one comparison of accelerators")
    merging.add_argument("runs", nargs="+", metavar="RUN", help="runs' ids or folders, names of baselines")
    merging.add_argument(
        "--label", dest="labels", action="append", default=[], metavar="RUN=NAME", help="what a run's machine is called"
    )
    merging.add_argument(
        "--price",
        dest="prices",
        action="append",
        default=[],
        metavar="NAME=2.50/h",
        help="of a machine, for an hour of one of its nodes, in a currency of your own",
    )
    merging.add_argument(
        "--baseline", metavar="NAME", help="the machine that ratios are over; default: CPUs, then fewest devices"
    )
    merging.add_argument(
        "--history",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder with other runs of these machines, which tell how runs differ; default: where the runs lie",
    )
    results_folder(merging)
    formats(merging, ("table", "md", "csv", "json"))
    merging.add_argument("--html", type=Path, metavar="FILE", help="also write one self-contained page")


def show_merge(arguments: argparse.Namespace) -> Ending:
    """`bench merge`"""
    labels = named_texts("--label", arguments.labels, "RUN=NAME")
    prices = named_texts("--price", arguments.prices, "NAME=2.50/h")
    found = merge_of_runs(
        arguments.runs,
        arguments.out,
        labels=labels,
        prices={name: price_of_an_hour(name, text) for name, text in prices.items()},
        baseline=arguments.baseline,
        history=arguments.history,
    )
    from bench.report import merge as layout
    from bench.report import merge_page

    if arguments.html is not None:
        files.write_aside(arguments.html, merge_page.render_merge_page(found))
    if arguments.format == "json":
        say(json_text(found.to_json(), indent=1))
    else:
        write = {"table": layout.console, "md": layout.markdown, "csv": layout.merge_csv}[arguments.format]
        say(write(found), end="", coloured=arguments.format == "table")
    if arguments.html is not None:
        complain(f"its page: {arguments.html}")
    return Ending("invalid") if found.invalid else DONE
