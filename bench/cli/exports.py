"""`bench export`: runs as files of other programs: tables as Parquet or CSV, results as asv has them."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.analysis import comparability
from bench.cli.arguments import Adder, results_folder
from bench.cli.output import complain, say
from bench.cli.pages import choose_run
from bench.commands.endings import DONE, Ending
from bench.errors import RunError, SpecError
from bench.machine import git
from bench.machine.git import Commit
from bench.results import store

EXPORT_FORMATS = ("asv", "csv", "parquet")
# Options that say something of one format only, by their names in the program; all others are of all.
_OF_ASV = {"results_dir": "--results-dir", "commit": "--commit", "machine": "--machine"}
_OF_TABLES = {"what": "--what", "into": "--into"}


def add(command: Adder) -> None:
    """The command of this file."""
    exporting = command("export", export_runs, "write runs as other programs' files: Parquet, CSV, asv's results")
    told = "asv: its results; csv, parquet: a run's tables"
    exporting.add_argument("to", choices=EXPORT_FORMATS, metavar="FORMAT", help=told)
    exporting.add_argument("which", nargs="*", metavar="RUN", help="runs' ids or folders; default: the newest")
    results_folder(exporting)
    told = "of csv and parquet: cells, launches, turns, pairs, ladder, curves, by commas; default: all that have rows"
    exporting.add_argument("--what", metavar="TABLES", help=told)
    told = "of csv and parquet: the folder that gets a folder for each run; default: exports"
    exporting.add_argument("--into", type=Path, metavar="DIR", help=told)
    told = "of asv: as results_dir in asv.conf.json; default: .asv/results"
    exporting.add_argument("--results-dir", type=Path, metavar="DIR", help=told)
    told = "of asv: what the runs measured; default: what they say themselves"
    exporting.add_argument("--commit", metavar="HASH", help=told)
    told = "of asv: a name of the machine; default: one made of processor and cores"
    exporting.add_argument("--machine", metavar="NAME", help=told)
    exporting.add_argument("--repo", type=Path, default=Path("."), metavar="DIR", help="git repository; default: .")


def export_runs(arguments: argparse.Namespace) -> Ending:
    """`bench export`"""
    others = _OF_TABLES if arguments.to == "asv" else _OF_ASV
    if wrong := [option for name, option in others.items() if getattr(arguments, name) is not None]:
        of = "csv and parquet" if arguments.to == "asv" else "asv"
        raise SpecError(f"{', '.join(wrong)}: of {of}, and not of {arguments.to}; leave it away")
    return export_to_asv(arguments) if arguments.to == "asv" else export_tables(arguments)


def export_tables(arguments: argparse.Namespace) -> Ending:
    """`bench export csv` and `parquet`: a run that cannot be read keeps no other from being written."""
    from bench.analysis.run import Run
    from bench.report.export_tables import known_tables, write_tables

    what = known_tables(word.strip() for word in (arguments.what or "").split(",") if word.strip())
    unread: list[str] = []
    made: list[Path] = []
    for which in dict.fromkeys(arguments.which) or [None]:
        try:
            run = Run(choose_run(which, arguments.out))
            made += write_tables(run, arguments.to, arguments.into or Path("exports"), what)
        except RunError as error:
            unread.append(str(error))
    if not made:
        raise RunError("\n".join(unread))
    for reason in unread:
        complain(f"left out: {reason}")
    for path in made:
        say(str(path))
    return DONE


def export_to_asv(arguments: argparse.Namespace) -> Ending:
    """`bench export asv`"""
    from bench.report import asv

    named = git.resolve_commit(arguments.commit, arguments.repo) if arguments.commit is not None else None
    runs: list[tuple[store.StoredRun, Commit]] = []
    unread: list[str] = []
    for which in dict.fromkeys(arguments.which) or [None]:
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
    done = asv.export(runs, arguments.results_dir or Path(".asv/results"), arguments.machine)
    for note in done.notes:
        complain(note)
    for path in done.files:
        say(str(path))
    return DONE
