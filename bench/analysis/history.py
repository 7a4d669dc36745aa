"""Runs of many commits -> series with their change points: pure functions of frames. No torch.

A series is one metric of one cell on one machine. A point of it is one run: the estimate over its launches. An update
of torch or of Python, or another definition of the workload, is a boundary: nothing is compared across it, and no
change is found in it, since it would not be the commit's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from bench.analysis import comparability
from bench.analysis.confirmation import Confirmation
from bench.analysis.history_points import FINGERPRINT, RATIO, points_of_run, table_of
from bench.results.store import StoredRun
from bench.stats import change_points
from bench.stats.change_points import LEAST_POINTS, Newest

State = Literal["suspected", "confirmed", "not confirmed"]


@dataclass(frozen=True)
class SeriesPoint:
    """One run in a series.

    Attributes:
        run, commit, started: which.
        value, low, high: the estimate over launches and one standard error around it; None: a single launch.
        launches: how many it rests on.
    """

    run: str
    commit: str
    started: str
    value: float
    low: float | None
    high: float | None
    launches: int


@dataclass(frozen=True)
class Boundary:
    """Where the environment or the workload changed.

    Attributes:
        index: the first point after.
        what: one sentence for each thing that changed.
    """

    index: int
    what: Sequence[str]


@dataclass(frozen=True)
class Change:
    """A change of level that is not the environment's.

    Attributes:
        index: the first point after.
        before, after: the neighbouring commits; if others lie between them, they were not measured.
        relative: the new level over the old one, less 1.
        p: of the permutation test.
        left, right: how many points the two levels have.
        worse: whether the metric went where it is worse.
        state: `suspected` until the two commits were raced; only `confirmed` is real.
        race: the sentence that tells of the race, or "".
    """

    index: int
    before: str
    after: str
    relative: float
    p: float
    left: int
    right: int
    worse: bool
    state: State = "suspected"
    race: str = ""


@dataclass(frozen=True)
class MetricSeries:
    """One metric of one cell on one machine, in the order of commits.

    Attributes:
        levels: of each piece between changes and boundaries: its first point, the one past its last, the median.
        newest: the alarm of the last point.
        note: why no change point could be looked for, or is told; or "".
        edited: the first point after each edit of the suite's files, as far as runs have digests of them. It is no
            boundary, since most edits change nothing that is measured; a change there may be the workload's.
    """

    suite: str
    group: str
    cell: str
    metric: str
    unit: str
    better: str
    machine: str
    points: Sequence[SeriesPoint]
    changes: Sequence[Change]
    boundaries: Sequence[Boundary]
    levels: Sequence[tuple[int, int, float]]
    newest: Newest
    note: str = ""
    edited: Sequence[int] = ()


@dataclass(frozen=True)
class HistoryRun:
    """A run that is a point of some series."""

    run: str
    commit: str
    started: str


@dataclass(frozen=True)
class History:
    """All series.

    Attributes:
        metric: the one of all of them.
        ordered_by: `commit`, parents first, or `time` of the run where the repository does not know all commits.
        method: which program split the series.
        left_out: sentences on runs and points that are in no series.
        runs: those that are in one, in the order of the points.
    """

    metric: str
    ordered_by: str
    method: str
    series: Sequence[MetricSeries]
    left_out: Sequence[str]
    runs: Sequence[HistoryRun] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


def points(
    runs: Iterable[StoredRun], metric: str = RATIO, suites: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The points of runs as a table, and sentences on what was left out: `history_points.table_of` of each run's.

    Raises:
        RunError: no run has that metric or suite; says which there are.
    """
    return table_of(map(points_of_run, runs), metric, suites)


def analyse(
    table: pd.DataFrame,
    left_out: Sequence[str] = (),
    order: Mapping[str, int] | None = None,
    confirmations: Sequence[Confirmation] = (),
) -> History:
    """The series of the points, with what changed in them.

    Args:
        table: as `points` gives it.
        left_out: what `points` left out.
        order: the place of each commit, parents before children; None: the points' own times order them.
        confirmations: of races that were run.
    """
    ranks = table["commit"].map(order) if order is not None else 0
    ordered = table.assign(rank=ranks).sort_values(["rank", "started", "run"], kind="stable")
    rows = [own for _, own in ordered.groupby(["cell", "machine"], sort=False)]
    broken = [_breaks(own) for own in rows]
    kept = change_points.kept_series([min((item.p for _, item in own), default=1.0) for own in broken])
    found = [
        _series(own, breaks if sure else [], confirmations, len(rows) if breaks and not sure else 0)
        for own, breaks, sure in zip(rows, broken, kept, strict=True)
    ]
    # As the newest run has them: the order of its plan.
    newest = {cell: place for place, cell in enumerate(ordered["cell"].tolist())}
    found.sort(key=lambda item: newest[item.cell])
    metric = str(table["metric"].iloc[0]) if len(table) else ""
    runs = ordered.drop_duplicates("run")[["run", "commit", "started"]]
    return History(
        metric,
        "time" if order is None else "commit",
        change_points.method(),
        found,
        list(left_out),
        [HistoryRun(*map(str, row)) for row in runs.itertuples(index=False)],
    )


# The first point of the stretch that a break is in, and the break, counted from there.
_Placed = tuple[int, change_points.Break]


def _stretches(rows: pd.DataFrame) -> tuple[list[int], list[list[float]]]:
    """The logs between boundaries, with the first point of each stretch."""
    logs = rows["log_median"].tolist()
    edges = [0, *(boundary.index for boundary in _boundaries(rows)), len(logs)]
    return edges[:-1], [logs[start:end] for start, end in itertools.pairwise(edges)]


def _breaks(rows: pd.DataFrame) -> list[_Placed]:
    starts, stretches = _stretches(rows)
    if len(rows) - len(stretches) < LEAST_POINTS:
        return []
    found = change_points.breaks(stretches)
    return [(start, item) for start, own in zip(starts, found, strict=True) for item in own]


def _series(
    rows: pd.DataFrame, breaks: Sequence[_Placed], confirmations: Sequence[Confirmation], unsure: int
) -> MetricSeries:
    """
    Args:
        unsure: how many series there are, where this one has a break that may be chance among so many; else 0.
    """
    first = rows.iloc[0]
    logs = rows["log_median"].tolist()
    boundaries = _boundaries(rows)
    _, stretches = _stretches(rows)
    note = f"a break that {unsure} series may have by chance is not told" if unsure else ""
    if (steps := len(rows) - len(stretches)) < LEAST_POINTS:
        note = (
            f"{steps} steps from a run to the next in the same environment; change points are "
            f"looked for from {LEAST_POINTS} on"
        )
    commits = rows["commit"].tolist()
    found = [_change(start, item, commits, str(first["better"])) for start, item in breaks]
    found = [
        _with_race(change, str(first["cell"]), str(first["metric"]), str(first["machine"]), confirmations)
        for change in found
    ]
    cuts = sorted({0, len(logs), *(change.index for change in found), *(boundary.index for boundary in boundaries)})
    levels = [(start, end, math.exp(float(np.median(logs[start:end])))) for start, end in itertools.pairwise(cuts)]
    names = ("suite", "group", "cell", "metric", "unit", "better", "machine")
    return MetricSeries(
        **{name: str(first[name]) for name in names},
        points=[_point(row) for row in rows.itertuples()],
        changes=found,
        boundaries=boundaries,
        levels=levels,
        newest=change_points.newest(stretches),
        note=note,
        edited=_edits(rows["files"].tolist() if "files" in rows else []),
    )


def _edits(files: Sequence[str]) -> list[int]:
    """Where the digest of the suite's files is another than the last one that is known."""
    found, before = [], ""
    for index, digest in enumerate(files):
        if digest and before and digest != before:
            found.append(index)
        before = digest or before
    return found


def _boundaries(rows: pd.DataFrame) -> list[Boundary]:
    found = []
    fingerprints = rows[list(FINGERPRINT)].to_dict("records")
    for index, (before, after) in enumerate(itertools.pairwise(fingerprints), start=1):
        what = [
            f"{name} {before[name]} -> {after[name]}" for name in comparability.SOFTWARE if before[name] != after[name]
        ]
        what += ["the workload is defined otherwise"] * (before["workload"] != after["workload"])
        if what:
            found.append(Boundary(index, what))
    return found


def _change(start: int, item: change_points.Break, commits: Sequence[str], better: str) -> Change:
    index = start + item.index
    worse = (item.shift > 0) == (better == "lower")
    return Change(
        index, commits[index - 1], commits[index], math.expm1(item.shift), item.p, item.left, item.right, worse
    )


def _with_race(change: Change, cell: str, metric: str, machine: str, confirmations: Sequence[Confirmation]) -> Change:
    """The change with what the newest race of its two commits says of this cell's time on this machine."""
    if metric not in ("step_time", RATIO):
        return change
    for found in reversed(confirmations):
        if (found.before, found.after, found.cell, found.machine) == (change.before, change.after, cell, machine):
            # A race that could not decide leaves a suspicion what it was.
            state: State = "suspected" if found.state == "undecided" else found.state
            return replace(change, state=state, race=found.sentence())
    return change


def _point(row: Any) -> SeriesPoint:
    value, spread = float(row.log_median), float(row.se)
    low, high = (None, None) if math.isnan(spread) else (math.exp(value - spread), math.exp(value + spread))
    return SeriesPoint(row.run, row.commit, row.started, math.exp(value), low, high, int(row.launches))


def suspects(history: History) -> dict[tuple[str, str], list[tuple[MetricSeries, Change]]]:
    """The changes by their neighbouring commits, one alarm for all cells that changed together, most cells first."""
    found: dict[tuple[str, str], list[tuple[MetricSeries, Change]]] = {}
    for own in history.series:
        for change in own.changes:
            found.setdefault((change.before, change.after), []).append((own, change))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
