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
    planned, launches, pairs, known = frame.cells(run), frame.launches(run), frame.pairs(run), frame.declared(run)
    cells = _cells(run, planned, launches, pairs)
    twin_pairs = pairs[pairs["twin"]]
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
        warnings=[*_warnings(run, cells, twin_pairs), *_seen_in_looks(run, cells, known)],
        declared={name: metric for name, metric in known.items() if any(name in cell.looked for cell in cells)},
    )


def _pause_factors(run: Run) -> dict[str, float]:
    by_group: dict[str, list[float]] = {}
    for (group, launch), factor in pause_factors(run.records).items():
        if launch >= 0:
            by_group.setdefault(group, []).append(factor)
    return {group: statistics.median(factors) for group, factors in by_group.items()}


def _cells(run: Run, planned: pd.DataFrame, launches: pd.DataFrame, pairs: pd.DataFrame) -> list[Cell]:
    points = {cell["id"]: cell["point"] for cell in run.info["plan"]["cells"]}
    last: dict[str, Record] = {record.cell: record for record in run.records}
    # A launch that failed before the settings were read back has none; the last one that has them tells.
    settings = {record.cell: record.effective for record in run.records if record.effective}
    timed, looks = launches[~launches["looking"]], launches[launches["looking"]]
    metrics = {str(cell): _metrics(rows) for cell, rows in timed.groupby("cell", sort=False)}
    looked = {str(cell): _metrics(rows) for cell, rows in looks.groupby("cell", sort=False)}
    versus = {str(cell): _versus(rows) for cell, rows in pairs.groupby("cell", sort=False)}
    found = []
    for row in planned.itertuples():
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
    width = half_width(versus.ratio) if versus else None
    if versus and width and width > NOISY_HALF_WIDTH and versus.ratio.launches >= NOISY_FROM_LAUNCHES:
        return "noisy", (f"the ratio {versus.ratio.estimate:.3f} is known to ±{100 * width:.1f} % after "
                         f"{versus.ratio.launches} launches; a cell is noisy above ±{100 * NOISY_HALF_WIDTH:.0f} %")
    return "ok", ""


def _metrics(rows: pd.DataFrame) -> dict[str, MetricEstimate]:
    found = {}
    for name, own in rows.groupby("metric", sort=False):
        first = own.iloc[0]
        values = [float(value) for value in own["value"]]
        # A count of a callback's may be zero, which has no logarithm.
        positive = all(value > 0 for value in values)
        interval = interval_of_logs([math.log(value) for value in values]) if positive else \
            interval_of_differences(values)
        found[str(name)] = MetricEstimate(str(first["unit"]), str(first["better"]), interval.estimate, interval.low,
                                          interval.high, interval.launches, int(own["samples"].sum()))
    return found


def _versus(rows: pd.DataFrame) -> Versus:
    difference = interval_of_differences(rows["difference"].tolist())
    return Versus(
        baseline=str(rows["baseline"].iloc[0]),
        ratio=interval_of_logs(rows["log_ratio"].tolist()),
        difference=Difference("s", difference.estimate, difference.low, difference.high, difference.launches))


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


def _warnings(run: Run, cells: Sequence[Cell], twin_pairs: pd.DataFrame) -> list[str]:
    turns = frame.turns(run)
    warnings = [*run.info.get("warnings", ())]
    if not run.info.get("finished"):
        warnings.append("the run is not finished: it was cut off or still runs")
    short = frame.short_launches(run)
    for (group, launch), rows in short.groupby(["group", "launch"], sort=False):
        warnings.append(f"{group}: launch {launch} is not used: it has {rows['rounds'].min()} rounds, "
                        f"fewer than {frame.LEAST_ROUNDS}")
    by_id = {cell.id: cell for cell in cells}
    for baseline in dict.fromkeys(cell["baseline"] for cell in run.info["plan"]["cells"]):
        if baseline in by_id and by_id[baseline].outcome not in ("ok", "noisy"):
            cell = by_id[baseline]
            warnings.append(f"{cell.group}: no ratios, as the baseline is {cell.outcome}: {cell.reason}")
    warnings += _xla_warnings(run)
    warnings += [f"{cell.id}: effective settings differ between launches: {', '.join(names)}"
                 for cell in cells if (names := _changing(run, cell.id))]
    for cell in cells:
        if again := cell.effective.get("recompiles"):
            warnings.append(f"{cell.id}: {again} times a guard failed and a frame was compiled again, as for a short "
                            "last batch: compile time is in its steps")
    twin = _twin(twin_pairs)
    if twin and not twin.ratio.contains(1.0):
        warnings.append(f"the twin, the same code as the baseline, reads {twin.ratio.estimate:.4f} "
                        f"[{twin.ratio.low:.4f}, {twin.ratio.high:.4f}] of its time, which excludes 1: "
                        "a difference of this size may be noise")

    def percent(effect: Interval) -> str:
        return f"{100 * effect.estimate:+.1f} % [{100 * (effect.low or 0.0):.1f}, {100 * (effect.high or 0.0):.1f}]"

    for position, effect in position_effects(turns).items():
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
    for cell in dict.fromkeys(record.cell for record in run.records):
        counts = [record.effective.get("compilations_timed", 0) for record in run.records if record.cell == cell]
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


def _changing(run: Run, cell: str) -> list[str]:
    seen = [record.effective for record in run.records if record.cell == cell and record.effective]
    names = set().union(*seen) - _OF_CACHES
    return sorted(name for name in names if any(item.get(name) != seen[0].get(name) for item in seen))


def _stolen_share(run: Run) -> float:
    taken = [record.turns for record in run.records if record.turns is not None]
    total = math.fsum(seconds for item in taken for seconds in (*item.first, *item.counted))
    return math.fsum(seconds for item in taken for seconds in item.stolen) / total if total else 0.0
