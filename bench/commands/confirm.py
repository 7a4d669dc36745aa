"""A suspected change is raced: its two neighbouring commits, side by side on this machine, now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.analysis import confirmation
from bench.analysis.confirmation import Confirmation, Suspicion
from bench.commands import environments
from bench.commands.read_history import read_history
from bench.commands.run import Measurement, chosen_options, measure_cells
from bench.commands.selection import Selection, plan_selection
from bench.engine.options import Progress
from bench.errors import RunError
from bench.machine import git
from bench.results import store
from bench.results.run_info import timestamp
from bench.results.store import StoredRun
from bench.stats.gate_rule import Rule
from bench.stats.intervals import Interval


@dataclass(frozen=True)
class ChangeRace:
    """What a race said.

    Attributes:
        confirmations: one for each suspected cell.
        path: the file that they were written to.
        run: the race.
    """

    confirmations: tuple[Confirmation, ...]
    path: Path
    run: StoredRun


def confirm_change(
    before: str,
    after: str,
    repository: Path,
    given: Mapping[str, Any],
    folders: Sequence[Path],
    out: Path,
    progress: Progress,
    *,
    command: Sequence[str],
    tell: Callable[[str], None],
    margin: float | None = None,
    size: float | None = None,
) -> ChangeRace:
    """Race the commits before and after a suspected change, in the cells where it is suspected.

    Args:
        before, after: names of commits.
        given: options by the names of `Options`.
        folders: folders with more suite files.
        out: where the runs of the history lie, and where the race's goes.
        tell: is told of runs that are left out.
        margin: the largest change that is harmless, as a fraction; None: a gate's.
        size: how large the suspected change is, as a fraction; None: as the history tells, cell by cell.

    Raises:
        RunError: nothing is suspected between the two, or no more than is harmless, or the race did not measure a
            suspected cell.
    """
    first, second = (git.resolve_commit(name, repository).hash for name in (before, after))
    suspects = _suspicions(out, repository, tell)
    if (first, second) not in suspects:
        there = ", ".join(f"{one[:8]} {other[:8]}" for one, other in suspects) or "(none)"
        raise RunError(f"nothing is suspected between {first[:8]} and {second[:8]}; allowed: {there}")
    suspicions = [
        item if size is None else replace(item, relative=size if item.relative > 0 else 1 / (1 + size) - 1)
        for item in suspects[first, second]
    ]
    runs: list[StoredRun] = []

    def race(one: str, other: str, cells: Sequence[str]) -> Mapping[str, Interval]:
        selection = selection_of_cells(cells, folders, chosen_options(given).threads)
        runs.append(_raced(one, other, selection, given, out, progress, command))
        return ratios(runs[-1], environments.COMMIT + other, cells)

    done = confirmation.confirmations_of(first, second, suspicions, race, timestamp(), margin or Rule().margin)
    path = store.append_confirmations(out, [confirmation.encode_confirmation(item) for item in done])
    return ChangeRace(tuple(done), path, runs[-1])


def _suspicions(
    out: Path, repository: Path, tell: Callable[[str], None]
) -> Mapping[tuple[str, str], Sequence[Suspicion]]:
    """What is suspected between two commits, of the step time or of its ratio to the baseline's.

    A cell that both suspect goes by its ratio, in which the machine's changes between two runs are not.
    """
    from bench.analysis import history, history_points

    found: dict[tuple[str, str], dict[tuple[str, str], Suspicion]] = {}
    for metric in ("step_time", history_points.RATIO):
        try:
            read = read_history(out, repository, metric, tell=tell if metric == "step_time" else lambda _: None)
        except RunError:
            if metric == "step_time":
                raise
            continue  # no cell has a baseline beside it
        for pair, members in history.suspects(read).items():
            of_pair = found.setdefault(pair, {})
            for series, change in members:
                of_pair[series.cell, series.machine] = Suspicion(series.cell, series.machine, change.relative)
    return {pair: list(own.values()) for pair, own in found.items()}


def selection_of_cells(cells: Sequence[str], folders: Sequence[Path], threads: int) -> Selection:
    """The selection of just these cells, by their ids."""
    points = [cell_id_parts(cell) for cell in cells]
    axes: dict[str, dict[str, None]] = {}
    for _, point in points:
        for axis, value in point.items():
            axes.setdefault(axis, {})[value] = None
    return Selection(
        suites=tuple(dict.fromkeys(suite for suite, _ in points)),
        settings=tuple(f"{axis}={','.join(values)}" for axis, values in axes.items()),
        select=" or ".join(
            "(" + " and ".join([suite, *(f"{axis}={value}" for axis, value in point.items())]) + ")"
            for suite, point in points
        ),
        folders=tuple(folders),
        threads=threads,
    )


def _raced(
    before: str,
    after: str,
    selection: Selection,
    given: Mapping[str, Any],
    out: Path,
    progress: Progress,
    command: Sequence[str],
) -> StoredRun:
    """The run in which two commits raced."""
    sides = [environments.COMMIT + commit for commit in (before, after)]
    plan, files = plan_selection(selection, lambda suite: environments.over_sides(suite, sides), progress.note)
    with environments.ready_sides(environments.parse_sides(sides), progress) as ready:
        work = Measurement(plan, environments.side_files(files, ready), chosen_options(given), ready)
        return measure_cells(work, out, progress, command=command)


def ratios(run: StoredRun, side: str, cells: Sequence[str]) -> dict[str, Interval]:
    """The ratio of this side over the baseline's in each of these cells, of which ids name no side.

    Raises:
        RunError: a cell did not end well; a race that did not measure is no answer.
    """
    from bench.analysis.summary import summarize

    raced = [cell for cell in summarize(run).cells if cell.point["environment"] == side and not cell.twin]
    found = {}
    for name in cells:
        suite, point = cell_id_parts(name)
        for cell in raced:
            if cell.suite == suite and all(str(cell.point.get(axis)) == value for axis, value in point.items()):
                if cell.versus is None:
                    why = cell.reason or "it has no ratio"
                    raise RunError(f"{cell.id}: {cell.outcome}: {why}; nothing is confirmed")
                found[name] = cell.versus.ratio
    return found


def cell_id_parts(cell: str) -> tuple[str, dict[str, str]]:
    """The suite and the axes that a cell's id names: `overhead[loop=plain,batch_size=64]`."""
    suite, _, inner = cell.removesuffix("]").partition("[")
    return suite, dict(part.split("=", 1) for part in inner.split(",") if part)
