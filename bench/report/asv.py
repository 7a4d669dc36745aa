"""Result files that `asv publish`, `asv show` and `asv compare` read (asv 0.6.6, results.py and benchmarks.py).

asv takes larger as worse, always, so only seconds and bytes are written, and throughput as its inverse. A figure is the
estimate over launches and its statistics are of launches; instrumented launches and twins stay out.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.analysis import comparability, frames
from bench.analysis.comparability import WorkloadVersion, minor
from bench.errors import RunError
from bench.machine.git import Commit
from bench.report import asv_files
from bench.report.asv_files import STATS
from bench.results.record import ADDITIVE, FAILED_OUTCOMES, Metric
from bench.results.store import StoredRun
from bench.stats.intervals import interval_of_differences, interval_of_logs

RESULT_VERSION, BENCHMARKS_VERSION, MACHINE_VERSION = 2, 2, 1
ASV_COLUMNS = (
    "result",
    "params",
    "version",
    "started_at",
    "duration",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
    "profile",
)
ASV_CONFIDENCE = 0.99  # asv's

# asv tests samples by Mann-Whitney where 1/C(n + m, n) < 0.002, but its least p is twice that: with 6 on each side the
# test is chosen and can never fire. Below 7 there are no samples, and asv goes by the intervals.
SAMPLES_FROM = 7

_UNITS = {"s": "seconds", "bytes": "bytes"}
_INVERTED = {"samples/s": "seconds per sample"}
_KINDS = {"seconds": "time", "bytes": "peakmemory"}

# A name of asv's own: what the file system, asv's command line and its pages take as it is.
_MACHINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class AsvValue:
    """One entry of a result file: None failed, NaN was skipped; statistics only where there are several launches."""

    result: float | None
    stats: Mapping[str, float] | None = None
    samples: Sequence[float] | None = None


@dataclass(frozen=True)
class Benchmark:
    """One series of asv's: a metric of a workload; `values` by the workload's params, as asv's strings."""

    name: str
    workload: WorkloadVersion
    unit: str
    title: str
    values: Mapping[tuple[str, ...], AsvValue]


@dataclass(frozen=True)
class AsvExport:
    """What was written: result files, and sentences on what a reader of asv's pages should know."""

    files: Sequence[Path]
    benchmarks: Sequence[str]
    notes: Sequence[str]


def export(runs: Sequence[tuple[StoredRun, Commit]], folder: Path, machine: str | None = None) -> AsvExport:
    """Write the runs into asv's results folder, beside what is there.

    Files of asv's are named by commit and environment, so runs of one commit share one; where two have the same cell,
    the newer one stands.

    Args:
        runs: each with its commit, whose date is where asv draws it.
        folder: asv's `results_dir`.
        machine: its name; default: one made of processor and cores.

    Raises:
        RunError: a run tells of nothing that asv takes, or the folder holds what asv did not write.
    """
    if machine is not None and not _MACHINE.fullmatch(machine):
        raise RunError(f"--machine {machine!r} is no name for a folder; allowed: letters, digits, '.', '_' and '-'")
    known = asv_files.read_results(folder / "benchmarks.json", BENCHMARKS_VERSION) or {"version": BENCHMARKS_VERSION}
    asv_files.check_benchmarks(known, folder / "benchmarks.json")
    files: dict[Path, dict[str, Any]] = {}
    names: dict[str, None] = {}
    notes: dict[str, None] = {}
    for run, commit in sorted(runs, key=lambda pair: str(pair[0].info.get("started", ""))):
        found = benchmarks(run)
        if not found:
            raise RunError(f"run {run.id}: nothing in it for asv: no cell has a time or a number of bytes")
        name = machine or comparability.machine_name(run)
        params = parameters(run, name)
        path = folder / name / f"{commit.hash[:8]}-{environment_name(params)}.json"
        if path not in files:
            files[path] = asv_files.read_results(path, RESULT_VERSION) or {}
            if files[path]:
                asv_files.check_results(files[path], path)
        _put(files[path], run, commit, params, found)
        files[folder / name / "machine.json"] = machine_file(params)
        for benchmark in found:
            before = known.get(benchmark.name)
            if before is not None and before["version"] != benchmark.workload.version:
                changed = "its workload is defined otherwise than before; asv leaves older results out"
                notes[f"{benchmark.name}: {changed}"] = None
            known[benchmark.name] = _described(benchmark, before)
            names[benchmark.name] = None
    files[folder / "benchmarks.json"] = known
    for path, data in files.items():
        asv_files.write(path, data)
    results = [path for path in files if path.name not in ("machine.json", "benchmarks.json")]
    return AsvExport(results, list(names), list(notes))


def benchmarks(run: StoredRun) -> list[Benchmark]:
    """What the run tells asv: one benchmark for each workload and metric."""
    planned = {cell["id"]: cell for cell in run.info["plan"]["cells"] if not cell["twin"]}
    outcomes = {row.cell: str(row.outcome) for row in frames.cells(run).itertuples()}
    launches = frames.launches(run)
    launches = launches[~launches["instrumented"] & ~launches["twin"]]
    known = frames.declared_metrics(run)
    values: dict[str, dict[str, list[float]]] = {}
    for row in launches.itertuples():
        values.setdefault(str(row.cell), {}).setdefault(str(row.metric), []).append(float(row.value))
    cells: dict[str, list[tuple[WorkloadVersion, str]]] = {}
    for cell, plan in planned.items():
        workload = comparability.workload(run, plan)
        cells.setdefault(workload.name, []).append((workload, cell))
    found = []
    for name, members in cells.items():
        metrics = dict.fromkeys(metric for _, cell in members for metric in values.get(cell, {}))
        for metric in [known[metric] for metric in known if metric in metrics]:
            spelled = _spelled(metric)
            if spelled is None:
                continue
            suffix, unit, title = spelled
            entries = {_key(own): _value(outcomes[cell], values.get(cell, {}), metric) for own, cell in members}
            found.append(Benchmark(f"{name}.{suffix}", members[0][0], unit, f"{name}: {title}", entries))
    return found


def _spelled(metric: Metric) -> tuple[str, str, str] | None:
    """The metric's name, unit and title for asv, or None: it is neither seconds nor bytes, or larger is better."""
    words = metric.name.replace("_", " ")
    if metric.better == "lower" and metric.unit in _UNITS:
        return metric.name, _UNITS[metric.unit], words
    if metric.better == "higher" and metric.unit in _INVERTED:
        return f"{metric.name}_inverse", "seconds", f"{_INVERTED[metric.unit]}, {words} inverted"
    return None


def _value(outcome: str, values: Mapping[str, Sequence[float]], metric: Metric) -> AsvValue:
    if outcome in FAILED_OUTCOMES:
        return AsvValue(None)
    # A downgraded cell ran with other settings than its params say: its time is no time of this series.
    if outcome in ("unsupported", "downgraded"):
        return AsvValue(math.nan)
    if not values:
        return AsvValue(None)  # all its launches were too short to be used
    own = (
        [1 / value for value in values.get(metric.name, ())]
        if metric.better == "higher"
        else list(values.get(metric.name, ()))
    )
    if not own:
        return AsvValue(math.nan)  # the metric does not exist here, such as the spread over ranks of one process
    if not all(map(math.isfinite, own)):
        raise RunError(f"metric {metric.name!r}: {own} are not all numbers")
    logs = [math.log(value) for value in own] if min(own) > 0 and metric.name not in ADDITIVE else None
    estimate = (interval_of_logs(logs) if logs else interval_of_differences(own)).estimate
    return AsvValue(estimate, _stats(own, logs), own if len(own) >= SAMPLES_FROM else None)


def _stats(values: Sequence[float], logs: Sequence[float] | None) -> Mapping[str, float] | None:
    """asv's statistics, all of them or, from a single launch, none: it fails where a part is missing."""
    known = interval_of_logs(logs, ASV_CONFIDENCE) if logs else interval_of_differences(values, ASV_CONFIDENCE)
    low, high = known.low, known.high
    if low is None or high is None:
        return None
    quarters = statistics.quantiles(sorted(values), n=4, method="inclusive")
    return {
        "ci_99_a": low,
        "ci_99_b": high,
        "q_25": quarters[0],
        "q_75": quarters[2],
        "number": 1,
        "repeat": len(values),
    }


def parameters(run: StoredRun, machine: str) -> dict[str, str]:
    """What asv draws apart: machine facts, and versions without their last digits, which change too often for that."""
    environment = run.info.get("environment", {})
    facts = comparability.machine(run)
    memory = environment.get("memory")
    found = {
        "machine": machine,
        "os": str(facts["system"]),
        "arch": str(facts["machine"]),
        "cpu": str(facts["cpu"]),
        "num_cpu": str(facts["cores"]),
        # A kernel keeps some megabytes for itself, and each another number.
        "ram": f"{round(memory / 2**30)} GiB" if isinstance(memory, int) else "unknown",
        "threads": str(facts["threads"]),
        **{name: minor(version) for name, version in comparability.software(run).items()},
    }
    names = sorted(set(comparability.devices(run).values()))
    return {**found, "device": ", ".join(names)} if names else found


def environment_name(params: Mapping[str, str]) -> str:
    """The same for all commits that are comparable, as asv joins only those, and another for other parameters, as asv
    has one file for a commit and an environment."""
    name = f"py{params['python']}-torch{params['torch']}-lightning{params['lightning']}-threads{params['threads']}"
    return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{name}-{params['device']}" if "device" in params else name)[:120]


def machine_file(params: Mapping[str, str]) -> dict[str, Any]:
    """machine.json."""
    names = ("machine", "os", "arch", "cpu", "num_cpu", "ram")
    return {**{name: params[name] for name in names}, "version": MACHINE_VERSION}


def _key(workload: WorkloadVersion) -> tuple[str, ...]:
    return tuple(map(repr, workload.params.values()))


def _domain(keys: Iterable[Sequence[str]], before: Sequence[Sequence[str]] = ()) -> list[list[str]]:
    """The values of each param, those of before first: params may grow without losing what is there."""
    columns = [dict.fromkeys(column) for column in before]
    for key in keys:
        columns = columns or [{} for _ in key]
        for column, text in zip(columns, key, strict=True):
            column[text] = None
    return [list(column) for column in columns]


def _described(benchmark: Benchmark, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The benchmark's entry in benchmarks.json; asv shows `code` where one points at it."""
    workload = benchmark.workload
    same = before is not None and before["version"] == workload.version
    fixed = "\n".join(f"{axis} = {value}" for axis, value in workload.fixed.items())
    return {
        "name": benchmark.name,
        "pretty_name": benchmark.title,
        "code": f"{workload.name}\n{fixed}",
        "param_names": list(workload.params),
        "params": _domain(benchmark.values, before["params"] if same and before is not None else ()),
        "type": _KINDS[benchmark.unit],
        "unit": benchmark.unit,
        "version": workload.version,
        "timeout": 60.0,
    }


def _put(
    data: dict[str, Any], run: StoredRun, commit: Commit, params: Mapping[str, str], found: Sequence[Benchmark]
) -> None:
    """Put a run's figures into a result file's data."""
    results = asv_files.result_rows(data)
    for benchmark in found:
        old = results.get(benchmark.name, {})
        entries = _entries(old) if old.get("version") == benchmark.workload.version else {}
        results[benchmark.name] = _row(run, benchmark, {**entries, **benchmark.values})
    environment = run.info.get("environment", {})
    data.clear()
    data.update(
        {
            "version": RESULT_VERSION,
            "commit_hash": commit.hash,
            "env_name": environment_name(params),
            "date": commit.date * 1000,
            "params": dict(params),
            "python": minor(str(environment.get("python", "unknown"))),
            "requirements": {},
            "env_vars": {},
            "result_columns": list(ASV_COLUMNS),
            "durations": {},
            "results": {name: [row[column] for column in ASV_COLUMNS] for name, row in results.items()},
        }
    )


def _entries(row: Mapping[str, Any]) -> dict[tuple[str, ...], AsvValue]:
    entries = {}
    keys = list(itertools.product(*row["params"]))
    columns = {name: row[f"stats_{name}"] or [None] * len(keys) for name in STATS}
    samples = row["samples"] or [None] * len(keys)
    for place, key in enumerate(keys):
        stats = {name: column[place] for name, column in columns.items()}
        result = (row["result"] or [None] * len(keys))[place]
        entries[key] = AsvValue(result, None if None in stats.values() else stats, samples[place])
    return entries


def _row(run: StoredRun, benchmark: Benchmark, entries: Mapping[tuple[str, ...], AsvValue]) -> dict[str, Any]:
    params = _domain(entries)
    # A point that nobody planned is skipped, not failed.
    values = [entries.get(key, AsvValue(math.nan)) for key in itertools.product(*params)]
    row: dict[str, Any] = dict.fromkeys(ASV_COLUMNS)
    row.update(
        result=[value.result for value in values],
        params=params,
        version=benchmark.workload.version,
        started_at=_milliseconds(run),
    )
    if any(value.stats for value in values):
        row.update(
            {f"stats_{name}": [value.stats[name] if value.stats else None for value in values] for name in STATS}
        )
    if any(value.samples for value in values):
        row["samples"] = [list(value.samples) if value.samples else None for value in values]
    return row


def _milliseconds(run: StoredRun) -> int | None:
    started = run.info.get("started")
    return int(datetime.fromisoformat(started).timestamp() * 1000) if started else None
