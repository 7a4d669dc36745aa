"""`bench export`, `history`, `confirm`: what takes runs of many commits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis import comparability, confirmation
from bench.borders import json_text
from bench.cli.arguments import Adder, measuring_options, now, planned
from bench.cli.output import complain, say
from bench.cli.reading import chosen
from bench.cli.running import start
from bench.commands.endings import DONE, Ended
from bench.errors import RunError
from bench.machine import git
from bench.machine.git import Commit
from bench.results import files, store
from bench.stats.intervals import Interval

if TYPE_CHECKING:
    from bench.analysis.history import History

FORMATS = ("asv",)


def add(command: Adder) -> None:
    """The commands of this file."""
    exporting = command("export", export_runs, "write runs as another program's files: asv's results")
    exporting.add_argument("to", choices=FORMATS, help="whose files")
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
    telling.add_argument("--suite", dest="suites", action="append", default=[], metavar="SUITE", help="default: all")
    telling.add_argument("--metric", default="step_time", metavar="NAME", help="a metric, or ratio; default: step_time")
    telling.add_argument("--format", choices=("table", "json"), default="table")
    telling.add_argument("--html", type=Path, metavar="FILE", help="also write one self-contained page")
    racing = command("confirm", confirm_change, "race the two commits of a suspected change on this machine, now")
    racing.add_argument("before", metavar="COMMIT_A", help="the commit before the change")
    racing.add_argument("after", metavar="COMMIT_B", help="the commit after it")
    measuring_options(racing, "wall time of the race, once the commits are checked out; default: 3m")
    racing.add_argument("--repo", type=Path, default=Path("."), metavar="DIR", help="default: .")
    racing.add_argument(
        "--suites",
        dest="folders",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder with more suite files",
    )
    racing.set_defaults(looks=0)


def _runs(added: argparse.ArgumentParser) -> None:
    added.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where runs lie")
    added.add_argument("--repo", type=Path, default=Path("."), metavar="DIR", help="git repository; default: .")


def export_runs(arguments: argparse.Namespace) -> Ended:
    """`bench export`"""
    from bench.report import asv

    named = git.resolve_commit(arguments.commit, arguments.repo) if arguments.commit is not None else None
    runs: list[tuple[store.Run, Commit]] = []
    unread: list[str] = []
    for which in arguments.which or [None]:
        try:
            run = store.intact(chosen(which, arguments.out))
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


def show_history(arguments: argparse.Namespace) -> Ended:
    """`bench history`"""
    from bench.report import history as layout

    found = read_history(arguments.out, arguments.repo, arguments.metric, arguments.suites)
    if arguments.html is not None:
        files.write_aside(arguments.html, layout.page(found))
    say(json_text(found.to_json(), indent=1) if arguments.format == "json" else layout.console(found), end="")
    if arguments.html is not None:
        complain(f"its page: {arguments.html}")
    return DONE


def read_history(out: Path, repository: Path, metric: str, suites: Sequence[str] = ()) -> History:
    """The history of all runs under a folder.

    Raises:
        RunError: there are no runs, or none that belongs to a commit; says why not.
    """
    from bench.analysis import history

    runs, unread = [], []
    for folder in store.every(out):
        try:
            runs.append(store.intact(store.read_run(folder)))
        except RunError as error:
            unread.append(str(error))
    table, left_out = history.points(runs, metric, suites)
    left_out = unread + left_out
    for reason in unread:
        complain(f"left out: {reason}")
    if table.empty:
        raise RunError("\n".join([f"no run under {out} is a point of a history:", *left_out]))
    order = git.ancestry(table["commit"], repository)
    told = [confirmation.decode_confirmation(line, where) for where, line in store.read_confirmations(out)]
    return history.analyse(table, left_out, order, told)


def confirm_change(arguments: argparse.Namespace) -> Ended:
    """`bench confirm`"""
    from bench.analysis import history

    before, after = (git.resolve_commit(name, arguments.repo).hash for name in (arguments.before, arguments.after))
    found = history.suspects(read_history(arguments.out, arguments.repo, "step_time"))
    if (before, after) not in found:
        there = ", ".join(f"{one[:8]} {other[:8]}" for one, other in found) or "(none)"
        raise RunError(f"nothing is suspected between {before[:8]} and {after[:8]}; allowed: {there}")
    suspicions = [
        confirmation.Suspicion(own.cell, own.machine, change.relative) for own, change in found[before, after]
    ]

    def race(one: str, other: str, cells: Sequence[str]) -> Mapping[str, Interval]:
        return race_commits(arguments, one, other, cells)

    done = confirmation.confirm(before, after, suspicions, race, now())
    path = store.append_confirmations(arguments.out, [confirmation.encode_confirmation(item) for item in done])
    for item in done:
        say(f"{item.state}: {item.cell}: {item.sentence()}; the history said {1 + item.relative:.3f}")
    say(f"kept in {path}")
    return DONE


def race_commits(
    arguments: argparse.Namespace, before: str, after: str, cells: Sequence[str]
) -> Mapping[str, Interval]:
    """Race two commits in these cells, as `bench versions` does; the ratio of each.

    Raises:
        RunError: a cell did not end well; a race that did not measure is no answer.
    """
    from bench.analysis import summary
    from bench.commands import environments
    from bench.engine.progress import progress

    sides = [environments.COMMIT + commit for commit in (before, after)]
    points = {cell: parse_cell_id(cell) for cell in cells}
    axes: dict[str, dict[str, None]] = {}
    for _, point in points.values():
        for axis, value in point.items():
            axes.setdefault(axis, {})[value] = None
    arguments.suites = list(dict.fromkeys(suite for suite, _ in points.values()))
    arguments.settings = [f"{axis}={','.join(values)}" for axis, values in axes.items()]
    arguments.select = " or ".join(
        "(" + " and ".join([suite, *(f"{axis}={value}" for axis, value in point.items())]) + ")"
        for suite, point in points.values()
    )
    made, files = planned(arguments, lambda suite: environments.over_sides(suite, sides))
    with progress(sys.stderr) as told, environments.prepared(environments.parse_sides(sides), told) as ready:
        told.close()  # the run has a bar of its own
        files |= {
            f"{suite}@{name}": environments.side_file(file, side)
            for suite, file in files.items()
            for name, side in ready.items()
        }
        folder = store.create(arguments.out)
        start(arguments, made, files, ready, folder)
    run = store.read_run(folder.folder)
    ratios = {}
    raced = summary.summarize(run).cells
    for cell, (suite, point) in points.items():
        for found in raced:
            same = all(str(found.point.get(axis)) == value for axis, value in point.items())
            if found.suite == suite and same and found.point["environment"] == sides[1] and not found.twin:
                if found.versus is None:
                    why = found.reason or "it has no ratio"
                    raise RunError(f"{found.id}: {found.outcome}: {why}; nothing is confirmed")
                ratios[cell] = found.versus.ratio
    return ratios


def parse_cell_id(cell: str) -> tuple[str, dict[str, str]]:
    """The suite and the axes that a cell's id names: `overhead[loop=plain,batch_size=64]`."""
    suite, _, inner = cell.removesuffix("]").partition("[")
    return suite, dict(part.split("=", 1) for part in inner.split(",") if part)
