"""`bench history`, `confirm`: what takes runs of many commits."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.borders import json_text
from bench.cli.arguments import (
    Adder,
    as_fraction,
    command_line,
    formats,
    given_options,
    measuring_options,
    results_folder,
    suite_folders,
)
from bench.cli.command_parser import Parser
from bench.cli.output import complain, say
from bench.cli.runs import print_measured
from bench.commands.endings import DONE, Ending
from bench.commands.read_history import read_history
from bench.machine import git
from bench.results import files
from bench.stats.gate_rule import Rule


def add(command: Adder) -> None:
    """The commands of this file."""
    telling = command("history", show_history, "series over commits: change points, boundaries, alarms")
    _runs(telling)
    telling.add_argument(
        "--suite", dest="suites", action="append", default=[], metavar="SUITE", help="suites; default: all"
    )
    telling.add_argument(
        "--metric", metavar="NAME", help="a metric, or ratio; default: ratio, or step_time where no cell has one"
    )
    formats(telling, ("table", "json"))
    telling.add_argument("--html", type=Path, metavar="FILE", help="also write one self-contained page")
    racing = command("confirm", race_suspects, "race the two commits of a suspected change on this machine, now")
    racing.add_argument("before", metavar="COMMIT_A", help="the commit before the change")
    racing.add_argument("after", metavar="COMMIT_B", help="the commit after it")
    measuring_options(racing, "wall time for all of it; it begins when the commits are checked out; default: 3m")
    racing.add_argument(
        "--margin",
        type=as_fraction,
        default=Rule().margin,
        metavar="P",
        help=f"the equivalence margin, a harmless slowdown; default: {Rule().margin:.0%}".replace("%", "%%"),
    )
    racing.add_argument(
        "--size", type=as_fraction, metavar="P", help="how large the suspected change is; default: as the history tells"
    )
    racing.add_argument("--repo", type=Path, default=Path("."), metavar="DIR", help="git repository; default: .")
    suite_folders(racing)
    racing.set_defaults(instrument=0)


def _runs(added: Parser) -> None:
    results_folder(added)
    added.add_argument("--repo", type=Path, default=Path("."), metavar="DIR", help="git repository; default: .")


def show_history(arguments: argparse.Namespace) -> Ending:
    """`bench history`"""
    from bench.report import history as layout
    from bench.report.history_page import history_page, page_links

    found = read_history(arguments.out, arguments.repo, arguments.metric, arguments.suites, tell=complain)
    if arguments.html is not None:
        links, commits = page_links(arguments.out, arguments.html), git.commit_pages(arguments.repo)
        files.write_aside(arguments.html, history_page(found, links, commits))
    if arguments.format == "json":
        say(json_text(found.to_json(), indent=1), end="")
    else:
        say(layout.console(found), end="", coloured=True)
    if arguments.html is not None:
        complain(f"its page: {arguments.html}")
    return DONE


def race_suspects(arguments: argparse.Namespace) -> Ending:
    """`bench confirm`"""
    from bench.commands.confirm import confirm_change
    from bench.engine.progress import progress

    with progress(sys.stderr) as told:
        done = confirm_change(
            arguments.before,
            arguments.after,
            arguments.repo,
            given_options(arguments),
            arguments.folders,
            arguments.out,
            told,
            command=command_line(),
            tell=complain,
            margin=arguments.margin,
            size=arguments.size,
        )
    print_measured(done.run, resumable=False)
    for one in done.confirmations:
        said = f"{one.state}: {one.cell}: {one.sentence()}; the history said {1 + one.relative:.3f}"
        say(said, coloured=True)
    say(f"kept in {done.path}")
    return DONE
