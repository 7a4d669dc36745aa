"""Records -> tidy DataFrames: one row a turn, one row a launch and metric, one row a planned cell.

All values are in SI units without prefixes. Each frame has a column for every axis of the run's suites; an axis that
shares its name with a column of the frame is called `axis_<name>`. A cell whose suite lacks an axis has None there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis import drift
from bench.analysis.columns import (
    LAUNCH_COLUMNS,
    PLANNED_COLUMNS,
    TURN_COLUMNS,
    axis_values,
    names_of,
    typed_table,
)
from bench.analysis.energy import energy_metrics, launch_energies
from bench.analysis.pairs import MEASURED, StepRules, pairs_of_planned, step_rules
from bench.errors import RunError, one_of
from bench.results.old_names import METER_COLUMNS
from bench.results.record import METRICS, Metric, Record, counted_records
from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.results.turns import Turns
from bench.stats.drift import Drift, LaunchSlope, drift_reason
from bench.stats.step_times import LEAST_ROUNDS, step_times

_KEYS = ("suite", "group", "cell", "twin", "launch", "outcome")


@dataclass(frozen=True)
class Frames:
    """All frames of one run, each made once: `of` makes them, and whoever needs several takes them from here."""

    turns: pd.DataFrame
    launches: pd.DataFrame
    pairs: pd.DataFrame
    cells: pd.DataFrame
    declared: Mapping[str, Metric]
    drifts: Mapping[str, Drift]
    rules: StepRules
    memory: Mapping[tuple[str, int], Mapping[str, LaunchSlope]]


def frames_of(run: StoredRun) -> Frames:
    """Every frame of the run, from one pass over its records.

    Raises:
        RunError: as `turns`, `launches` and `cells` do.
    """
    drifts, rules, memory = drift.time_drifts(run), step_rules(run), drift.memory_slopes_of(run.records)
    planned, all_turns, known = _planned(run, drifts), turns(run), declared_metrics(run)
    return Frames(
        all_turns,
        _launches(run, all_turns, known, rules, memory),
        pairs_of_planned(run, planned, rules),
        planned,
        known,
        drifts,
        rules,
        memory,
    )


def turns(run: StoredRun) -> pd.DataFrame:
    """One row per turn of every record that has turns, those of failed and of short launches included.

    Columns: `columns.TURN_COLUMNS`, axes.

    Raises:
        RunError: a turn took no time, or none that is a number.
    """
    records = _with_turns(run)
    columns = _columns_of(records)
    of_records = _record_rows(run, records, names_of(TURN_COLUMNS))
    # Taken row by row from a frame of one row a record: keys and axes of 100,000 turns are not built one by one.
    rows = of_records.take(_record_numbers(records)).reset_index(drop=True)
    named = {**{name: rows[name] for name in _KEYS}, **columns}
    axes = {name: rows[name] for name in of_records.columns if name not in _KEYS}
    return typed_table({**named, **axes}, TURN_COLUMNS)


def _with_turns(run: StoredRun) -> list[Record]:
    return [record for record in run.records if record.turns is not None]


def _record_numbers(records: Sequence[Record]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The place in `records` of the record that each row of `turns` is of."""
    counts = [len(record.turns.round) for record in records if record.turns is not None]
    return np.repeat(np.arange(len(records)), counts)


def _columns_of(records: Sequence[Record]) -> dict[str, Any]:
    """The columns of all turns that are their own, one after the other: arrays of each record's would take the time."""
    all_taken = [record.turns or Turns() for record in records]
    count = sum(len(taken.round) for taken in all_taken)

    def column(values: Callable[[Turns], Iterable[float]], dtype: type = float) -> Any:
        return np.fromiter(chain.from_iterable(map(values, all_taken)), dtype, count)

    def known(values: Callable[[Turns], Sequence[float]]) -> Any:
        """The same, with NaN where a record has none."""
        return column(lambda taken: values(taken) or (math.nan,) * len(taken.round))

    counted, lengths = column(lambda taken: taken.settled), column(lambda taken: taken.lengths)
    wrong = ~(np.isfinite(counted) & (counted > 0) & (lengths > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        numbers = _record_numbers(records)
        record, turn = records[numbers[row]], row - int(np.argmax(numbers == numbers[row]))
        raise RunError(
            f"{record.cell}, launch {record.launch}, turn {turn}: {counted[row]} seconds for "
            f"{lengths[row]:.0f} steps; both must be above 0"
        )
    scale = 1 / lengths
    share = column(lambda taken: taken.cpu) / column(lambda taken: taken.entire)
    return {
        "round": column(lambda taken: taken.round, int),
        "position": column(lambda taken: taken.position, int),
        "step_time": counted * scale,
        "first_step_time": column(lambda taken: taken.opening),
        "cpu_time": share * counted * scale,
        "involuntary": column(lambda taken: taken.involuntary, int),
        "page_faults": column(lambda taken: taken.faults) / column(lambda taken: taken.taken),
        "stolen": column(lambda taken: taken.stolen),
        "rank_spread": known(lambda taken: taken.spread) * scale,
        "data_time": known(lambda taken: taken.fetching) * scale,
        "epoch_gap": known(lambda taken: taken.gap),
        "began": known(lambda taken: taken.began),
        "resident": known(lambda taken: taken.resident),
        "allocated": known(lambda taken: taken.allocated),
        **{name: known(attrgetter(name)) for name in METER_COLUMNS},
        "epoch_time": known(lambda taken: taken.settled if taken.real else ()),
        "epoch_end": known(lambda taken: taken.end),
    }


def _record_rows(run: StoredRun, records: Sequence[Record], taken: tuple[str, ...]) -> pd.DataFrame:
    """One row a record: its keys and its axes, as they stand in a frame with the columns `taken`."""
    names = axis_columns(run, taken)
    keys = {name: [getattr(record, name) for record in records] for name in _KEYS}
    axes = {column: axis_values([record.point.get(axis) for record in records]) for axis, column in names.items()}
    return typed_table({**keys, **axes}, TURN_COLUMNS)


def launches(run: StoredRun) -> pd.DataFrame:
    """One row per cell, launch and metric: of launches that measured LEAST_ROUNDS rounds, and of instrumented ones.

    Columns: `columns.LAUNCH_COLUMNS`, axes. Step times are those of `step_times.step_times`, throughput is samples of a
    step over the mean one; another metric that is a column of `turns` has the median over these; the rest comes from
    the record's `memory` and `extra`. An instrumented launch has only those of `extra`; it is numbered by itself, and
    nothing may compare it.

    Raises:
        RunError: a record's `extra` has a name that neither `record.METRICS` nor the record declares; says which are.
    """
    memory = drift.memory_slopes_of(run.records)
    return _launches(run, turns(run), declared_metrics(run), step_rules(run), memory)


def _launches(
    run: StoredRun,
    all_turns: pd.DataFrame,
    known: Mapping[str, Metric],
    rules: StepRules,
    memory: Mapping[tuple[str, int], Mapping[str, LaunchSlope]],
) -> pd.DataFrame:
    extras = (
        (record, {name: (float(value), 1) for name, value in record.extra.items()})
        for record in run.instrumented
        if record.outcome in MEASURED
    )
    records: list[Record] = []
    numbers: list[int] = []
    names: list[str] = []
    found: list[tuple[float, int]] = []
    # One after the other: of 100,000 records all of them together would be a tenth of all memory.
    for record, values in chain(_launch_values(run, all_turns, known, rules, memory), extras):
        numbers += [len(records)] * len(values)
        records.append(record)
        names += values
        found += values.values()
    of_records = _record_rows(run, records, names_of(LAUNCH_COLUMNS)).assign(
        instrumented=[record.instrumented for record in records]
    )
    rows = of_records.take(numbers).reset_index(drop=True)
    metrics = [known[name] for name in names]
    columns: dict[str, Any] = {name: rows[name] for name in (*_KEYS, "instrumented")}
    columns |= {
        "metric": names,
        "unit": [metric.unit for metric in metrics],
        "better": [metric.better for metric in metrics],
        "value": [value for value, _ in found],
        "samples": [samples for _, samples in found],
    }
    axes = {name: rows[name] for name in rows.columns if name not in columns}
    return typed_table({**columns, **axes}, LAUNCH_COLUMNS)


def declared_metrics(run: StoredRun) -> dict[str, Metric]:
    """Every metric of the run by name: those of `record.METRICS`, then those that records declare.

    Raises:
        RunError: a record has a metric that nobody declares, or two of one name differ in unit or direction.
    """
    known = dict(METRICS)
    for record in (*run.records, *run.instrumented):
        for metric in record.declared:
            first = known.setdefault(metric.name, metric)
            if (first.unit, first.better) != (metric.unit, metric.better):
                raise RunError(
                    f"{record.cell}, launch {record.launch}: metric {metric.name!r} in {metric.unit}, "
                    f"{metric.better} is better; elsewhere in {first.unit}, {first.better} is better"
                )
        for name in record.extra:
            if name not in known:
                raise RunError(f"{record.cell}, launch {record.launch}: {one_of('metric', name, known)}")
    return known


def _launch_values(
    run: StoredRun,
    all_turns: pd.DataFrame,
    known: Mapping[str, Metric],
    rules: StepRules,
    memory: Mapping[tuple[str, int], Mapping[str, LaunchSlope]],
) -> Iterable[tuple[Record, dict[str, tuple[float, int]]]]:
    of_turns = [name for name in METRICS if name in all_turns.columns]
    records = _with_turns(run)
    energies = launch_energies(records)
    middle = all_turns[of_turns].groupby(_record_numbers(records), sort=True).median()
    medians = dict(zip(middle.index.tolist(), middle.to_numpy().tolist(), strict=True))
    for number, record in enumerate(records):
        turns_ = record.turns
        if record.outcome not in MEASURED or turns_ is None or len(turns_.round) < LEAST_ROUNDS:
            continue
        count = len(turns_.round)
        values = {
            name: (value, count) for name, value in zip(of_turns, medians[number], strict=True) if not math.isnan(value)
        }
        own, most = rules.of(record.cell)
        times = step_times(turns_, own, most=most)
        values |= {
            "step_time": (times.mean, times.steps),
            "typical_step_time": (times.typical, times.steps),
            "step_time_p95": (times.p95, times.steps),
            "step_time_p99": (times.p99, times.steps),
        }
        if samples := counted_samples(record):
            values["throughput"] = (samples / values["step_time"][0], count)
        for name, given in {**record.memory, **record.extra}.items():
            if name in METRICS or name in record.extra:
                values[name] = (float(given), 1)
        of_launch = energies.get((record.group, record.launch))
        values |= {name: (value, count) for name, value in energy_metrics(record, of_launch).items()}
        values |= {name: (slope.slope, count) for name, slope in memory[record.cell, record.launch].items()}
        yield record, {name: values[name] for name in known if name in values}


def short_launches(run: StoredRun) -> pd.DataFrame:
    """Launches that measured too few rounds to be used: suite, group, cell, launch, rounds."""
    rows = [
        (record.suite, record.group, record.cell, record.launch, len(record.turns.round))
        for record in run.records
        if record.turns is not None and record.outcome in MEASURED and len(record.turns.round) < LEAST_ROUNDS
    ]
    return pd.DataFrame(rows, columns=["suite", "group", "cell", "launch", "rounds"])


def pairs(run: StoredRun) -> pd.DataFrame:
    """One row per launch of every cell that may be compared: it and its baseline are `ok` in all of their launches.

    The two are compared by the rounds that both took (`step_times.launch_ratios`); launches with fewer than
    LEAST_ROUNDS of them are left out.

    Columns: `columns.PAIR_COLUMNS`.
    """
    return pairs_of_planned(run, cells(run), step_rules(run))


def cells(run: StoredRun) -> pd.DataFrame:
    """One row per planned cell, those that could not run or were not reached included, in the plan's order.

    Columns: `columns.PLANNED_COLUMNS`, axes; `baseline` is None where there is none. The outcome is `ok` only if that
    of every launch is; else it is that of the first launch that was not, and the reason says which launch; void
    launches do not count where there are others. A cell that the run ended without reaching has the outcome `timeout`,
    one whose launches are all `ok` but whose steps change within them is `drifting`.

    Raises:
        RunError: there are records of a cell that the plan lacks.
    """
    return _planned(run, drift.time_drifts(run))


def _planned(run: StoredRun, drifts: Mapping[str, Drift]) -> pd.DataFrame:
    planned = run.info["plan"]["cells"]
    records: dict[str, list[Record]] = {cell["id"]: [] for cell in planned}
    for record in counted_records(run.records):
        if record.cell not in records:
            raise RunError(f"{run.folder}: records: {one_of('cell', record.cell, records)}")
        records[record.cell].append(record)
    finished = bool(run.info.get("finished"))
    fates = [_outcome(cell, records[cell["id"]], drifts.get(cell["id"]), finished=finished) for cell in planned]
    columns: dict[str, Any] = {name: [cell[name] for cell in planned] for name in ("suite", "group")}
    columns |= {
        "cell": [cell["id"] for cell in planned],
        "twin": [cell["twin"] for cell in planned],
        # Made here, since pandas would make NaN of the None of a missing baseline, which is no reason and no JSON.
        "baseline": pd.Series([cell["baseline"] for cell in planned], dtype=object),
        "outcome": [outcome for outcome, _ in fates],
        "reason": [reason for _, reason in fates],
        "launches": [sum(record.launch >= 0 for record in records[cell["id"]]) for cell in planned],
    }
    axes = axis_columns(run, names_of(PLANNED_COLUMNS))
    values = {column: axis_values([cell["point"].get(axis) for cell in planned]) for axis, column in axes.items()}
    return typed_table({**columns, **values}, PLANNED_COLUMNS)


def _outcome(cell: Mapping[str, Any], records: list[Record], found: Drift | None, *, finished: bool) -> tuple[str, str]:
    launched = sorted((record for record in records if record.launch >= 0), key=lambda record: record.launch)
    bad = [record for record in launched if record.outcome != "ok"]
    if bad:
        more = f" (and {len(bad) - 1} more of them)" if len(bad) > 1 else ""
        return bad[0].outcome, f"launch {launched.index(bad[0]) + 1} of {len(launched)}{more}: {bad[0].reason_and_log}"
    if launched:
        return ("drifting", drift_reason(found)) if found is not None and found.material else ("ok", "")
    if cell["outcome"] != "ok":
        return str(cell["outcome"]), str(cell["reason"])
    if records:
        return records[0].outcome, records[0].reason
    return "timeout", "not measured: the run " + (
        "ended" if finished else "was cut off or still runs"
    ) + " before the first launch of this cell"


def _column(axis: str, taken: Iterable[str]) -> str:
    return f"axis_{axis}" if axis in taken else axis


def axis_columns(run: StoredRun, columns: Iterable[str]) -> dict[str, str]:
    """By axis, the name of its column in a frame that has these columns already."""
    return {axis: _column(axis, columns) for axis in axis_names(run)}


def axis_names(run: StoredRun) -> list[str]:
    """Every axis of the run's suites, in the order in which their ids show them."""
    suites = run.info["plan"]["suites"].values()
    named = [axis for suite in suites for axis in suite["axes"]]
    named += [axis for cell in run.info["plan"]["cells"] for axis in cell["point"]]
    return list(dict.fromkeys(named))
