"""Records -> tidy DataFrames: one row a turn, one row a launch and metric, one row a planned cell.

All values are in SI units without prefixes. Each frame has a column for every axis of the run's suites; an axis that
shares its name with a column of the frame is called `axis_<name>`. A cell whose suite lacks an axis has None there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import RunError, one_of
from bench.pause import pause_factors
from bench.record import METRICS, Metric, Outcome, Record
from bench.store import Run

# A launch of fewer rounds stays in the files but is not used: the median of 8 pairs has a standard error of 0.44 of
# their sd, that of the 2 or 3 pairs of a launch which was cut off would add more noise than the launch adds knowledge.
LEAST_ROUNDS = 8

# Outcomes whose turns are complete and tell how long the cell's steps were, whether or not a ratio may use them.
MEASURED: frozenset[Outcome] = frozenset({"ok", "downgraded", "unequal-settings", "unequal-work", "noisy"})

_SECONDS = ("step_time", "first_step_time", "cpu_time")
_KEYS = ("suite", "group", "cell", "twin", "launch", "outcome")
_SOME = ("rank_spread", "data_time", "epoch_gap")  # NaN where an arm has none
_TURN_COLUMNS = (*_KEYS, "round", "position", *_SECONDS, "involuntary", "page_faults", "stolen", *_SOME)
_LAUNCH_COLUMNS = (*_KEYS, "looking", "metric", "unit", "better", "value", "samples")
_CELL_COLUMNS = ("suite", "group", "cell", "twin", "baseline", "outcome", "reason", "launches")


def turns(run: Run) -> pd.DataFrame:
    """One row per turn of every record that has turns, those of failed and of short launches included.

    Columns: suite, group, cell, twin, launch, outcome (of the record), round, position, step_time (s, of the counted
    steps, over the launch's pause factor), first_step_time (s), cpu_time (s, step_time times the share of the turn that
    the arm was on a processor), involuntary (switches), page_faults (a step), stolen (s), rank_spread (s a step, NaN
    for an arm of one process), data_time (s a step, NaN in older records), epoch_gap (s, NaN unless a turn is a whole
    epoch), axes.

    Raises:
        RunError: a turn took no time, or none that is a number.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _TURN_COLUMNS + _axis_columns(run, _TURN_COLUMNS)}
    factors = pause_factors(run.records)
    for record in run.records:
        if record.turns is None:
            continue
        taken = record.turns
        scale = 1 / (taken.steps * factors[record.group, record.launch])
        count = len(taken.round)
        for turn, seconds in enumerate(taken.counted):
            if taken.steps < 1 or not (math.isfinite(seconds) and seconds > 0):
                raise RunError(f"{record.cell}, launch {record.launch}, turn {turn}: {seconds} seconds for "
                               f"{taken.steps} steps; both must be above 0")
        rows = {
            **{name: [value] * count for name, value in _keys(record).items()},
            "round": taken.round,
            "position": taken.position,
            "step_time": [seconds * scale for seconds in taken.counted],
            "first_step_time": taken.first,
            "cpu_time": [
                cpu / (counted + (0.0 if taken.whole else first)) * counted * scale
                for cpu, first, counted in zip(taken.cpu, taken.first, taken.counted, strict=True)
            ],
            "data_time": [seconds * scale for seconds in taken.fetching] or [math.nan] * count,
            "epoch_gap": taken.gap or [math.nan] * count,
            "involuntary": taken.involuntary,
            "page_faults": [faults / taken.taken for faults in taken.faults],
            "stolen": taken.stolen,
            "rank_spread": [seconds * scale for seconds in taken.spread] or [math.nan] * count,
            **{name: [value] * count for name, value in _axes(run, record.point, _TURN_COLUMNS).items()},
        }
        for name, column in columns.items():
            column.extend(rows[name])
    return _typed(columns, (*_SECONDS, "page_faults", "stolen", *_SOME))


def launches(run: Run) -> pd.DataFrame:
    """One row per cell, launch and metric: of launches that measured at least LEAST_ROUNDS rounds, and of looking ones.

    Columns: suite, group, cell, twin, launch, outcome (of the record), looking, metric, unit, better, value, samples
    (how many raw values it rests on), axes. A metric that is a column of `turns` has the median over the launch's
    turns; throughput is samples in a batch over that of step_time; the rest comes from the record's `memory` and
    `extra`. A looking launch has only those of `extra`; it is numbered by itself, and nothing may compare it.

    Raises:
        RunError: a record's `extra` has a name that neither `record.METRICS` nor the record declares; says which are.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _LAUNCH_COLUMNS + _axis_columns(run, _LAUNCH_COLUMNS)}
    looked = ((record, {name: (float(value), 1) for name, value in record.extra.items()})
              for record in run.looks if record.outcome in MEASURED)
    known = declared(run)
    for record, values in (*_launch_values(run), *looked):
        for name, (value, samples) in values.items():
            metric = known[name]
            row = {**_keys(record), **_axes(run, record.point, _LAUNCH_COLUMNS), "looking": record.looking,
                   "metric": name, "unit": metric.unit, "better": metric.better, "value": value, "samples": samples}
            for column, cells_ in columns.items():
                cells_.append(row[column])
    return _typed(columns, ("value",))


def _typed(columns: dict[str, list[Any]], floats: Iterable[str]) -> pd.DataFrame:
    # A frame without rows would have columns of objects, which cannot mask, have no median and no logarithm.
    types: dict[str, Any] = {name: bool for name in ("twin", "looking") if name in columns}
    return pd.DataFrame(columns).astype({**types, **dict.fromkeys(floats, float)})


def declared(run: Run) -> dict[str, Metric]:
    """Every metric of the run by name: those of `record.METRICS`, then those that records declare.

    Raises:
        RunError: a record has a metric that nobody declares, or two of one name differ in unit or direction.
    """
    known = dict(METRICS)
    for record in (*run.records, *run.looks):
        for metric in record.declared:
            first = known.setdefault(metric.name, metric)
            if (first.unit, first.better) != (metric.unit, metric.better):
                raise RunError(f"{record.cell}, launch {record.launch}: metric {metric.name!r} in {metric.unit}, "
                               f"{metric.better} is better; elsewhere in {first.unit}, {first.better} is better")
        for name in record.extra:
            if name not in known:
                raise RunError(f"{record.cell}, launch {record.launch}: {one_of('metric', name, known)}")
    return known


def _launch_values(run: Run) -> Iterable[tuple[Record, dict[str, tuple[float, int]]]]:
    all_turns = turns(run)
    of_turns = [name for name in METRICS if name in all_turns.columns]
    middle = all_turns.groupby(["cell", "launch"], sort=False)[of_turns].median()
    known = declared(run)
    for record in run.records:
        if record.outcome not in MEASURED or record.turns is None or len(record.turns.round) < LEAST_ROUNDS:
            continue
        count = len(record.turns.round)
        medians = middle.loc[(record.cell, record.launch)]
        values = {name: (float(medians[name]), count) for name in of_turns if not math.isnan(medians[name])}
        if record.samples_per_step:
            values["throughput"] = (record.samples_per_step / values["step_time"][0], count)
        for name, value in {**record.memory, **record.extra}.items():
            if name in METRICS or name in record.extra:
                values[name] = (float(value), 1)
        yield record, {name: values[name] for name in known if name in values}


def short_launches(run: Run) -> pd.DataFrame:
    """Launches that measured too few rounds to be used: suite, group, cell, launch, rounds."""
    rows = [(record.suite, record.group, record.cell, record.launch, len(record.turns.round))
            for record in run.records
            if record.turns is not None and record.outcome in MEASURED and len(record.turns.round) < LEAST_ROUNDS]
    return pd.DataFrame(rows, columns=["suite", "group", "cell", "launch", "rounds"])


def pairs(run: Run) -> pd.DataFrame:
    """One row per launch of every cell that may be compared: it and its baseline are `ok` in all of their launches.

    Turns of cell and baseline are paired by round, which takes out what the machine did to both; launches with fewer
    than LEAST_ROUNDS pairs are left out.

    Columns: suite, group, cell, twin, baseline, launch, rounds, log_ratio (median over rounds of ln(cell / baseline) of
    step times), difference (s, median over rounds of cell - baseline), baseline_step_time (s, median over rounds).
    """
    planned = cells(run)
    sound = set(planned.loc[planned["outcome"] == "ok", "cell"])
    against = {row.cell: row.baseline for row in planned.itertuples()
               if row.baseline is not None and row.cell != row.baseline and {row.cell, row.baseline} <= sound}
    taken = turns(run)[["suite", "group", "cell", "twin", "launch", "round", "step_time"]]
    arms = taken[taken["cell"].isin(list(against))].copy()
    arms["baseline"] = arms["cell"].map(against)
    base = taken[["cell", "launch", "round", "step_time"]].rename(
        columns={"cell": "baseline", "step_time": "baseline_step_time"})
    paired = arms.merge(base, on=["baseline", "launch", "round"])
    paired["log_ratio"] = np.log(paired["step_time"] / paired["baseline_step_time"])
    paired["difference"] = paired["step_time"] - paired["baseline_step_time"]
    keys = ["suite", "group", "cell", "twin", "baseline", "launch"]
    medians = paired.groupby(keys, sort=False).agg(
        rounds=("round", "size"), log_ratio=("log_ratio", "median"), difference=("difference", "median"),
        baseline_step_time=("baseline_step_time", "median")).reset_index()
    return medians[medians["rounds"] >= LEAST_ROUNDS].reset_index(drop=True)


def cells(run: Run) -> pd.DataFrame:
    """One row per planned cell, those that could not run or were not reached included, in the plan's order.

    Columns: suite, group, cell, twin, baseline (id, or None), outcome, reason, launches (records of launches that were
    started), axes. The outcome is `ok` only if that of every launch is; else it is that of the first launch that
    was not, and the reason says which launch. A cell that the run ended without reaching has the outcome `timeout`.

    Raises:
        RunError: there are records of a cell that the plan lacks.
    """
    planned = run.info["plan"]["cells"]
    records: dict[str, list[Record]] = {cell["id"]: [] for cell in planned}
    for record in run.records:
        if record.cell not in records:
            raise RunError(f"{run.folder}: records: {one_of('cell', record.cell, records)}")
        records[record.cell].append(record)
    columns: dict[str, list[Any]] = {name: [] for name in _CELL_COLUMNS + _axis_columns(run, _CELL_COLUMNS)}
    for cell in planned:
        own = records[cell["id"]]
        outcome, reason = _outcome(cell, own, finished=bool(run.info.get("finished")))
        row = {"suite": cell["suite"], "group": cell["group"], "cell": cell["id"], "twin": cell["twin"],
               "baseline": cell["baseline"], "outcome": outcome, "reason": reason,
               "launches": sum(record.launch >= 0 for record in own), **_axes(run, cell["point"], _CELL_COLUMNS)}
        for name, column in columns.items():
            column.append(row[name])
    # Without this, pandas turns the None of a missing baseline into NaN, which is no reason and no JSON.
    return _typed(columns, ()).astype({"baseline": object})


def _outcome(cell: Mapping[str, Any], records: list[Record], *, finished: bool) -> tuple[str, str]:
    launched = sorted((record for record in records if record.launch >= 0), key=lambda record: record.launch)
    bad = [record for record in launched if record.outcome != "ok"]
    if bad:
        more = f" (and {len(bad) - 1} more of them)" if len(bad) > 1 else ""
        return bad[0].outcome, f"launch {launched.index(bad[0]) + 1} of {len(launched)}{more}: {bad[0].reason}"
    if launched:
        return "ok", ""
    if cell["outcome"] != "ok":
        return str(cell["outcome"]), str(cell["reason"])
    if records:
        return records[0].outcome, records[0].reason
    return "timeout", "not measured: the run " + ("ended" if finished else "was cut off or still runs") + \
        " before the first launch of this cell"


def _keys(record: Record) -> dict[str, Any]:
    return {"suite": record.suite, "group": record.group, "cell": record.cell, "twin": record.twin,
            "launch": record.launch, "outcome": record.outcome}


def _column(axis: str, taken: Iterable[str]) -> str:
    return f"axis_{axis}" if axis in taken else axis


def axis_names(run: Run) -> list[str]:
    """Every axis of the run's suites, in the order in which their ids show them."""
    suites = run.info["plan"]["suites"].values()
    named = [axis for suite in suites for axis in suite["axes"]]
    named += [axis for cell in run.info["plan"]["cells"] for axis in cell["point"]]
    return list(dict.fromkeys(named))


def _axis_columns(run: Run, taken: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_column(axis, taken) for axis in axis_names(run))


def _axes(run: Run, point: Mapping[str, Any], taken: tuple[str, ...]) -> dict[str, Any]:
    return {_column(axis, taken): point.get(axis) for axis in axis_names(run)}
