"""`bench export`, `history`, `confirm`: what takes runs of many commits."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.analysis import comparability
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
from bench.cli.pages import choose_run
from bench.cli.runs import print_measured
from bench.commands.endings import DONE, Ending
from bench.commands.read_history import read_history
from bench.errors import RunError
from bench.machine import git
from bench.machine.git import Commit
from bench.results import files, store
from bench.stats.gate_rule import Rule

EXPORT_FORMATS = ("asv",)


def add(command: Adder) -> None:
    """The commands of this file."""
    exporting = command("export", export_runs, "write runs as another program's files: asv's results")
    exporting.add_argument(
        "to", choices=EXPORT_FORMATS, metavar="PROGRAM", help=f"whose files: {', '.join(EXPORT_FORMATS)}"
    )
    exporting.add_argument("which", nargs="*", metavar="RUN", help="runs' ids or folders; default: the newest")
    _runs(exporting)
    exporting.add_argument(
        "--results-dir",
        type=Path,
        default=Path(".asv/results"),
        metavar="DIR",
        help="as results_dir in asv.conf.json; default: .asv/results",
    )
    exporting.add_argument("--commit", metavar="HASH", help="what the runs measured; default: what they say themselves")
    exporting.add_argument("--machine", metavar="NAME", help="default: one made of processor and cores")
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


def export_runs(arguments: argparse.Namespace) -> Ending:
    """`bench export`"""
    from bench.report import asv

    named = git.resolve_commit(arguments.commit, arguments.repo) if arguments.commit is not None else None
    runs: list[tuple[store.StoredRun, Commit]] = []
    unread: list[str] = []
    for which in arguments.which or [None]:
        try:
            run = store.intact(choose_run(which, arguments.out))
            commit = named or git.resolve_commit(comparability.commit(run), arguments.repo)
            if not asv.benchmarks(run):
                raise RunError(f"run {run.id}: nothing in it for asv: no cell has a time or a number of bytes")
            runs.append((run, commit))
        except RunError as error:
            unread.append(str(error))
    if not runs:
        raise RunError("\n".join(unread))
    for reason in unread:
        complain(f"left out: {reason}")
    done = asv.export(runs, arguments.results_dir, arguments.machine)
    for note in done.notes:
        complain(note)
    for path in done.files:
        say(str(path))
    return DONE


def show_history(arguments: argparse.Namespace) -> Ending:
    """`bench history`"""
    from bench.report import history as layout

    found = read_history(arguments.out, arguments.repo, arguments.metric, arguments.suites, tell=complain)
    if arguments.html is not None:
        files.write_aside(arguments.html, layout.page(found))
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
