"""Records -> the summary that `show --format json` prints: estimates, intervals, ratios, outcomes, warnings. Pure.

A launch gives one value: the median over its turns or rounds. Intervals come from these values, never from turns.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench import frame
from bench.answers import Answer, answers
from bench.fit import Cost, costs
from bench.intervals import Interval, half_width, interval_of_differences, interval_of_logs
from bench.pause import pause_factors
from bench.record import Metric, Record
from bench.store import Run

# The step whose cost the headline states, unless asked for another: 12 ms is a small model on a GPU, short enough for
# a loop's cost to matter.
REFERENCE_STEP = 0.012

# A ratio known to no better than 10 % tells a 0.1 ms cost from none only on steps below 1 ms. With two launches the t
# interval is 12.7 standard errors wide to each side and says little about the noise.
NOISY_HALF_WIDTH = 0.10
NOISY_FROM_LAUNCHES = 3

# What place in the round an arm has is balanced, so an effect of it cancels in the ratios. Up to 4 % was seen where the
# arms do nothing while held: an arm that comes late in the round has waited longer, and its caches are colder.
POSITION_EFFECT = 0.06

# With more than 5 % of the turns' time taken by the hypervisor, what was measured is the neighbours too.
STOLEN_SHARE = 0.05


@dataclass(frozen=True)
class MetricEstimate:
    """One metric of one cell: unit and direction from the registry, estimate with interval over launches."""

    unit: str
    better: str
    estimate: float
    low: float | None
    high: float | None
    launches: int
    samples: int


@dataclass(frozen=True)
class Difference:
    """Seconds a step that a cell takes more than its baseline."""

    unit: str
    estimate: float
    low: float | None
    high: float | None
    launches: int


@dataclass(frozen=True)
class Versus:
    """A cell against the baseline of its group, from step times paired by round."""

    baseline: str
    ratio: Interval
    difference: Difference


@dataclass(frozen=True)
class Cell:
    """What is known of one planned cell.

    `versus` is None for the baseline and where no ratio may be taken. `looked` are the metrics of looking launches,
    which are never compared.
    """

    id: str
    suite: str
    group: str
    twin: bool
    point: Mapping[str, Any]
    outcome: str
    reason: str
    requested: Mapping[str, Any]
    effective: Mapping[str, Any]
    metrics: Mapping[str, MetricEstimate]
    versus: Versus | None
    looked: Mapping[str, MetricEstimate] = field(default_factory=dict)
    samples_per_step: int = 0


@dataclass(frozen=True)
class Twin:
    """The A/A control: the baseline's second copy over the baseline; what it differs from 1 by is noise."""

    ratio: Interval


@dataclass(frozen=True)
class Summary:
    """Everything that is printed about a run; every figure in it can be recomputed from the run's records.

    Attributes:
        run: the run's id.
        suite: the suite's name, or a list of names.
        compare: the compared axis of each suite.
        cells: one per planned cell, in the plan's order.
        twin: over all groups together; None where no twin was measured.
        twins: by group.
        reference_step: seconds; the step that `costs` are stated for.
        costs: what each arm costs a step over the baseline, for suites with a length axis.
        answers: to the questions of suites that compare devices, compile modes or loaders.
        stops: why each group stopped, and after how many launches.
        timing: where the run's wall time went, seconds.
        pause_factors: by group, the median over launches of step time in turns over undisturbed step time; step times
            are given undisturbed, that is, divided by the factor of their launch.
        warnings: sentences.
        declared: what the metrics of `looked` are, by name, in the order of their callbacks.
    """

    run: str
    suite: str | list[str]
    compare: Mapping[str, str]
    cells: Sequence[Cell]
    twin: Twin | None
    twins: Mapping[str, Twin]
    reference_step: float
    costs: Sequence[Cost]
    answers: Sequence[Answer] = ()
    stops: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    pause_factors: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    declared: Mapping[str, Metric] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


def summarize(run: Run, reference_step: float = REFERENCE_STEP) -> Summary:
    """The summary of a run, finished or not.

    Args:
        reference_step: seconds a step, for which the costs are stated.

    Raises:
        RunError: a record has an unknown metric, or belongs to no planned cell.
    """
    frames = frame.of(run)
    pairs, known = frames.pairs, frames.declared
    cells = _cells(run, frames)
    twin_pairs = pairs[pairs["twin"]]
    looked = {name for cell in cells for name in cell.looked}
    suites = list(run.info["plan"]["suites"])
    compare = {name: suite["compare"] for name, suite in run.info["plan"]["suites"].items()}
    return Summary(
        run=run.id,
        suite=suites[0] if len(suites) == 1 else suites,
        compare=compare,
        cells=cells,
        twin=_twin(twin_pairs),
        twins={str(group): twin for group, rows in twin_pairs.groupby("group", sort=False) if (twin := _twin(rows))},
        reference_step=reference_step,
        costs=costs(run.info["plan"], pairs, reference_step),
        answers=answers(cells, compare),
        stops=run.info.get("stops", {}),
        timing=run.info.get("timing", {}),
        pause_factors=_pause_factors(run),
        warnings=[*run.broken, *_warnings(run, cells, frames), *_seen_in_looks(run, cells, known)],
        declared={name: metric for name, metric in known.items() if name in looked},
    )


def _pause_factors(run: Run) -> dict[str, float]:
    by_group: dict[str, list[float]] = {}
    for (group, launch), factor in pause_factors(run.records).items():
        if launch >= 0:
            by_group.setdefault(group, []).append(factor)
    return {group: statistics.median(factors) for group, factors in by_group.items()}


def _cells(run: Run, frames: frame.Frames) -> list[Cell]:
    points = {cell["id"]: cell["point"] for cell in run.info["plan"]["cells"]}
    last: dict[str, Record] = {record.cell: record for record in run.records}
    # A launch that failed before the settings were read back has none; the last one that has them tells.
    settings = {record.cell: record.effective for record in run.records if record.effective}
    metrics, looked = _metrics(frames.launches)
    versus = _versus(frames.pairs)
    found = []
    for row in frames.cells.itertuples():
        against = versus.get(row.cell)
        outcome, reason = row.outcome, row.reason
        if outcome == "ok":
            outcome, reason = _enough(row, metrics.get(row.cell), against)
        record = last.get(row.cell)
        found.append(Cell(
            id=row.cell, suite=row.suite, group=row.group, twin=bool(row.twin), point=points[row.cell],
            outcome=outcome, reason=reason, requested=record.requested if record else {},
            effective=settings.get(row.cell, {}), metrics=metrics.get(row.cell, {}), versus=against,
            looked=looked.get(row.cell, {}), samples_per_step=record.samples_per_step if record else 0))
    return found


def _enough(row: Any, metrics: Mapping[str, MetricEstimate] | None, versus: Versus | None) -> tuple[str, str]:
    """`noisy` with its reason for a cell that ran well but tells too little, else `ok`."""
    if metrics is None:
        return "noisy", f"none of {row.launches} launches has {frame.LEAST_ROUNDS} rounds or more"
    # Whatever has no interval is known to nothing: a ratio, and the step time of a baseline, which has no ratio.
    if metrics["step_time"].low is None or (versus is not None and versus.ratio.low is None):
        return "noisy", "one launch gives no interval, so nothing is told from it"
    width = half_width(versus.ratio) if versus else None
    if versus and width and width > NOISY_HALF_WIDTH and versus.ratio.launches >= NOISY_FROM_LAUNCHES:
        return "noisy", (f"the ratio {versus.ratio.estimate:.3f} is known to ±{100 * width:.1f} % after "
                         f"{versus.ratio.launches} launches; a cell is noisy above ±{100 * NOISY_HALF_WIDTH:.0f} %")
    return "ok", ""


_OfCells = dict[str, dict[str, MetricEstimate]]


def _metrics(launches: pd.DataFrame) -> tuple[_OfCells, _OfCells]:
    """Every cell's metrics of timed launches, and those of looking ones."""
    # One pass into lists: a frame for each cell and metric takes 0.5 ms, and there are thousands of them.
    values: dict[tuple[bool, str, str], list[float]] = {}
    samples: dict[tuple[bool, str, str], int] = {}
    kinds: dict[str, tuple[str, str]] = {}
    names = ("looking", "cell", "metric", "unit", "better", "value", "samples")
    for looking, cell, metric, unit, better, value, count in zip(*(launches[name].tolist() for name in names),
                                                                 strict=True):
        key = (looking, cell, metric)
        values.setdefault(key, []).append(value)
        samples[key] = samples.get(key, 0) + count
        kinds.setdefault(metric, (unit, better))
    found: tuple[_OfCells, _OfCells] = ({}, {})
    for (looking, cell, metric), own in values.items():
        # A count of a callback's may be zero, which has no logarithm.
        positive = all(value > 0 for value in own)
        interval = interval_of_logs([math.log(value) for value in own]) if positive else interval_of_differences(own)
        found[looking].setdefault(cell, {})[metric] = MetricEstimate(
            *kinds[metric], interval.estimate, interval.low, interval.high, interval.launches,
            samples[looking, cell, metric])
    return found


def _versus(pairs: pd.DataFrame) -> dict[str, Versus]:
    """Every cell that has pairs, against its baseline."""
    logs: dict[str, list[float]] = {}
    differences: dict[str, list[float]] = {}
    for cell, log, difference in zip(*(pairs[name].tolist() for name in ("cell", "log_ratio", "difference")),
                                     strict=True):
        logs.setdefault(cell, []).append(log)
        differences.setdefault(cell, []).append(difference)
    baselines = dict(zip(pairs["cell"].tolist(), pairs["baseline"].tolist(), strict=True))
    found = {}
    for cell, baseline in baselines.items():
        difference = interval_of_differences(differences[cell])
        found[cell] = Versus(baseline, interval_of_logs(logs[cell]), Difference(
            "s", difference.estimate, difference.low, difference.high, difference.launches))
    return found


def _twin(rows: pd.DataFrame) -> Twin | None:
    return Twin(interval_of_logs(rows["log_ratio"].tolist())) if len(rows) else None


def position_effects(turns: pd.DataFrame) -> dict[int, Interval]:
    """How a place in the round changes a step, as intervals over launches of mean log deviations, by position.

    A turn's deviation is that of its log step time from its cell's median in the launch, less the round's mean of
    these, which drift moves.
    """
    if turns.empty:
        return {}
    turns = turns[turns["outcome"] == "ok"].copy()
    turns["log"] = np.log(turns["step_time"])
    turns["log"] -= turns.groupby(["cell", "launch"])["log"].transform("median")
    turns["log"] -= turns.groupby(["group", "launch", "round"])["log"].transform("mean")
    means = turns.groupby(["position", "group", "launch"])["log"].mean()
    return {int(str(position)): interval_of_differences(values.tolist())
            for position, values in means.groupby(level="position")}


def _warnings(run: Run, cells: Sequence[Cell], frames: frame.Frames) -> list[str]:
    warnings = [*run.info.get("warnings", ())]
    if not run.info.get("finished"):
        warnings.append("the run is not finished: it was cut off or still runs")
    fewest: dict[tuple[str, int], int] = {}
    short = frame.short_launches(run)
    for group, launch, rounds in zip(*(short[name].tolist() for name in ("group", "launch", "rounds")), strict=True):
        fewest[group, launch] = min(rounds, fewest.get((group, launch), rounds))
    warnings += [f"{group}: launch {launch} is not used: it has {rounds} rounds, fewer than {frame.LEAST_ROUNDS}"
                 for (group, launch), rounds in fewest.items()]
    by_id = {cell.id: cell for cell in cells}
    for baseline in dict.fromkeys(cell["baseline"] for cell in run.info["plan"]["cells"]):
        if baseline in by_id and by_id[baseline].outcome not in ("ok", "noisy"):
            cell = by_id[baseline]
            warnings.append(f"{cell.group}: no ratios, as the baseline is {cell.outcome}: {cell.reason}")
    warnings += _xla_warnings(run)
    changing = _changing(run)
    warnings += [f"{cell.id}: effective settings differ between launches: {', '.join(changing[cell.id])}"
                 for cell in cells if cell.id in changing]
    for cell in cells:
        if again := cell.effective.get("recompiles"):
            warnings.append(f"{cell.id}: {again} times a guard failed and a frame was compiled again, as for a short "
                            "last batch: compile time is in its steps")
    twin = _twin(frames.pairs[frames.pairs["twin"]])
    if twin and not twin.ratio.contains(1.0):
        warnings.append(f"the twin, the same code as the baseline, reads {twin.ratio.estimate:.4f} "
                        f"[{twin.ratio.low:.4f}, {twin.ratio.high:.4f}] of its time, which excludes 1: "
                        "a difference of this size may be noise")

    def percent(effect: Interval) -> str:
        return f"{100 * effect.estimate:+.1f} % [{100 * (effect.low or 0.0):.1f}, {100 * (effect.high or 0.0):.1f}]"

    for position, effect in position_effects(frames.turns).items():
        if not effect.contains(0.0) and abs(effect.estimate) > POSITION_EFFECT:
            warnings.append(f"place {position + 1} in the round changes a step by {percent(effect)}: arms disturb each "
                            "other. Orders are balanced, so ratios hold, but their intervals are wider than need be")
    stolen = _stolen_share(run)
    if stolen > STOLEN_SHARE:
        warnings.append(f"the hypervisor took {100 * stolen:.0f} % of the turns' time: "
                        "the machine is shared with busy others")
    return warnings


def _xla_warnings(run: Run) -> list[str]:
    found = []
    if any(record.effective.get("accelerator") == "xla-cpu" for record in run.records):
        found.append("xla-cpu is torch_xla's CPU device, where loops can be tried without a TPU: "
                     "its figures say nothing of a TPU")
    compiled: dict[str, list[int]] = {}
    for record in run.records:
        compiled.setdefault(record.cell, []).append(record.effective.get("compilations_timed", 0))
    for cell, counts in compiled.items():
        if sum(counts):
            found.append(f"{cell}: XLA compiled {sum(counts)} graphs within timed turns, in {sum(map(bool, counts))} "
                         f"of {len(counts)} launches: shapes change, or the warm-up was too short")
    return found


def _seen_in_looks(run: Run, cells: Sequence[Cell], known: Mapping[str, Metric]) -> list[str]:
    """What is wrong with looking launches; it spoils nothing that was timed."""
    warnings = [f"{record.cell}: looking launch {record.launch} is {record.outcome}: {record.reason}"
                for record in run.looks if record.outcome != "ok"]
    for cell in cells:
        for name, seen in cell.looked.items():
            metric = known[name]
            worse = metric.limit is not None and (
                seen.estimate > metric.limit if metric.better == "lower" else seen.estimate < metric.limit)
            if worse:
                warnings.append(f"{cell.id}: {name} is {seen.estimate:.3g}, and should be {metric.limit:g} or "
                                f"{'less' if metric.better == 'lower' else 'more'}: {metric.description}")
    return warnings


# What compiling finds differs between a cold cache and a warm one, and is meant to.
_OF_CACHES = frozenset({"compile_cache", "cache_hits", "cache_misses"})


def _changing(run: Run) -> dict[str, list[str]]:
    """The names of settings that differ between a cell's launches, by cell; only cells that have any."""
    first: dict[str, Mapping[str, Any]] = {}
    found: dict[str, set[str]] = {}
    for record in run.records:
        if not record.effective:
            continue
        before = first.setdefault(record.cell, record.effective)
        names = {name for name in {*before, *record.effective} - _OF_CACHES
                 if before.get(name) != record.effective.get(name)}
        if names:
            found.setdefault(record.cell, set()).update(names)
    return {cell: sorted(names) for cell, names in found.items()}


def _stolen_share(run: Run) -> float:
    taken = [record.turns for record in run.records if record.turns is not None]
    total = math.fsum(seconds for item in taken for seconds in (*item.first, *item.counted))
    return math.fsum(seconds for item in taken for seconds in item.stolen) / total if total else 0.0
