"""A run -> its points in a history, which are all that a history needs of it. Pure; a value that JSON can keep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis import comparability, frames
from bench.errors import RunError, one_of
from bench.results.store import StoredRun
from bench.stats.intervals import interval_of_differences

# The step time over its baseline's, paired by round: the machine's drift between two runs is in neither.
RATIO = "ratio"

FINGERPRINT = (*comparability.SOFTWARE, "workload")
HISTORY_COLUMNS = (
    "suite",
    "group",
    "cell",
    "metric",
    "unit",
    "better",
    "machine",
    "run",
    "commit",
    "started",
    "log_median",
    "se",
    "launches",
    *FINGERPRINT,
    "files",
)


@dataclass(frozen=True)
class CellPoint:
    """One metric of one cell in one run.

    Attributes:
        log_median: of the estimate over launches; None where a launch's value is not above 0.
        se: standard error of the logs over launches; None of a single one.
    """

    unit: str
    better: str
    log_median: float | None
    se: float | None
    launches: int


@dataclass(frozen=True)
class CellPoints:
    """All metrics of one cell in one run, by name; `files` is the digest of its suite's, or ""."""

    suite: str
    group: str
    cell: str
    machine: str
    workload: str
    files: str
    metrics: Mapping[str, CellPoint]


@dataclass(frozen=True)
class RunPoints:
    """What a history needs of a run.

    Attributes:
        software: versions, by name.
        suites: of its plan.
        metrics: that any of its launches has, twins left out, and `ratio`.
        cells: that are sound, twins left out.
        error: why the run is in no history, or "".
    """

    run: str
    commit: str = ""
    started: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    suites: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    cells: tuple[CellPoints, ...] = ()
    error: str = ""


def points_of_run(run: StoredRun) -> RunPoints:
    """The points of a run, or why it has none."""
    try:
        return _points_of(run)
    except RunError as error:
        return RunPoints(run.id, error=str(error))


def _points_of(run: StoredRun) -> RunPoints:
    commit = comparability.commit(run)
    read = frames.frames_of(run)
    launches = read.launches[~read.launches["instrumented"] & ~read.launches["twin"]]
    pairs = read.pairs[~read.pairs["twin"]]
    # A cell that did other work or had other settings in any launch is no point of its own series.
    sound = {row.cell for row in read.cells.itertuples() if row.outcome == "ok"}
    values: dict[str, dict[tuple[str, str, str], list[float]]] = {}
    rows = zip(*(launches[name].tolist() for name in ("cell", "metric", "unit", "better", "value")), strict=True)
    for cell, metric, unit, better, value in rows:
        values.setdefault(cell, {}).setdefault((metric, unit, better), []).append(value)
    for cell, value in zip(pairs["cell"].tolist(), np.exp(pairs["log_ratio"]).tolist(), strict=True):
        values.setdefault(cell, {}).setdefault((RATIO, "1", "lower"), []).append(value)
    machine, devices = _machine(run), comparability.devices(run)
    planned = {str(cell["id"]): cell for cell in run.info["plan"]["cells"]}
    found = [
        CellPoints(
            suite=str(planned[cell]["suite"]),
            group=str(planned[cell]["group"]),
            cell=cell,
            machine=machine + (f", {devices[cell]}" if cell in devices else ""),
            workload=comparability.workload(run, planned[cell]).version,
            files=comparability.files(run, str(planned[cell]["suite"])),
            metrics={metric: _point(taken, unit, better) for (metric, unit, better), taken in own.items()},
        )
        for cell, own in values.items()
        if cell in sound
    ]
    return RunPoints(
        run.id,
        commit,
        str(run.info.get("started", "")),
        comparability.software(run),
        tuple(run.info["plan"]["suites"]),
        (*dict.fromkeys(map(str, launches["metric"])), RATIO),
        tuple(found),
    )


def _point(values: Sequence[float], unit: str, better: str) -> CellPoint:
    logs = [math.log(value) for value in values] if min(values) > 0 else None
    middle = interval_of_differences(logs).estimate if logs else None
    return CellPoint(unit, better, middle, _standard_error(logs) if logs else None, len(values))


def _standard_error(values: Sequence[float]) -> float | None:
    """Of the mean. By hand, since numpy takes ten times as long for a handful."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def _machine(run: StoredRun) -> str:
    facts = comparability.machine(run)
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['system']} {facts['machine']}, {facts['threads']} threads"


def table_of(
    runs: Iterable[RunPoints], metric: str = RATIO, suites: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """One row per run and cell, twins left out; and sentences on what was left out.

    Columns: suite, group, cell, metric, unit, better, machine, run, commit, started, log_median (of the estimate over
    launches), se (standard error over launches, NaN of a single one), launches, python, torch, lightning, workload,
    files (digest of the suite's, or "").

    Args:
        metric: of timed launches, or `ratio`.
        suites: only these; all if empty.

    Raises:
        RunError: no run has that metric or suite; says which there are.
    """
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    metrics: dict[str, None] = {}
    seen: dict[str, None] = {}
    found = []
    for run in runs:
        if run.error:
            left_out.append(run.error)
            continue
        found += [row for row in _rows(run, metric) if not suites or row["suite"] in suites]
        metrics.update(dict.fromkeys(run.metrics))
        seen.update(dict.fromkeys(run.suites))
    unknown = [one_of("suite", suite, seen) for suite in suites if suite not in seen]
    if seen and unknown:
        raise RunError("\n".join(unknown))
    if seen and not found and metric not in metrics:
        raise RunError(one_of("metric", metric, metrics))
    for row in found:
        if row["log_median"] is None:
            left_out.append(f"run {row['run']}: {row['metric']} of {row['cell']} is not above 0, and has no logarithm")
        else:
            rows.append(row)
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).astype({"log_median": float, "se": float}), left_out


def _rows(run: RunPoints, metric: str) -> list[dict[str, Any]]:
    of_run = {"metric": metric, "run": run.run, "commit": run.commit, "started": run.started, **run.software}
    return [
        {
            **of_run,
            "suite": cell.suite,
            "group": cell.group,
            "cell": cell.cell,
            "machine": cell.machine,
            "workload": cell.workload,
            "files": cell.files,
            "unit": own.unit,
            "better": own.better,
            "log_median": own.log_median,
            "se": math.nan if own.se is None else own.se,
            "launches": own.launches,
        }
        for cell in run.cells
        if (own := cell.metrics.get(metric)) is not None
    ]
