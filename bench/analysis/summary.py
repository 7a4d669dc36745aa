"""Records -> the summary that `show --format json` prints: estimates, intervals, ratios, outcomes, warnings. Pure.

A launch gives one value. Intervals come from these values, never from turns.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.by_launch import by_launch
from bench.analysis.convergence import Convergence, convergence_of
from bench.analysis.costs import Cost, costs
from bench.analysis.estimates import CellSummary, MetricEstimate, StepDifference, Twin, Versus
from bench.analysis.fastest import Fastest, fastest_of
from bench.analysis.findings import Finding, findings_of
from bench.analysis.frames import Frames, frames_of
from bench.analysis.ladder import RungPrice, ladder_of
from bench.analysis.pairs import columns_by_cell, shared_sets
from bench.analysis.searches import FoundSetting, searches_of
from bench.analysis.until import until_answers
from bench.analysis.warnings import instrumented_warnings, run_warnings, twin_of
from bench.axes.trainer_sets import sets_in_words
from bench.results.record import ADDITIVE, Metric, Record
from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.stats.conditions import Answer
from bench.stats.intervals import LAYOUT_SD, Interval, half_width, interval_of_differences, interval_of_logs
from bench.stats.periods import Period
from bench.stats.rounding import percent_of
from bench.stats.step_times import LEAST_ROUNDS

# The step whose cost the headline states, unless asked for another: 12 ms is a small model on a GPU, short enough for
# a loop's cost to matter.
REFERENCE_STEP = 0.012

# The rule by which a page's figures were made: the mean step, folded by step numbers, of settled steps.
ESTIMATE = "mean step, folded"

# A ratio known to no better than 10 % tells a 0.1 ms cost from none only on steps below 1 ms.
NOISY_HALF_WIDTH = 0.10
# The t interval of two launches is 12.7 standard errors wide to each side, so that it says more of their number than of
# the noise. What is not known is not known: such a cell is noisy too, and its reason says of what.
FEW_LAUNCHES = 2


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
        conditions: what the launches say of those of `--until`, where there were any.
        answers: to the questions of suites that compare devices, compile modes or loaders.
        fastest: of each group with cells to choose from, the one that takes least time, and what it is told apart from.
        stops: why each group stopped, and after how many launches.
        timing: where the run's wall time went, seconds.
        periods: by cell, what comes back every so many steps of it.
        estimate: by which rule step times and ratios were made from steps (`ESTIMATE`).
        warnings: sentences.
        declared: what the metrics of `instrumented` are, by name, in the order of their callbacks.
        ladder: of suites whose compared axis is one, what each rung costs over the one below.
        convergence: of suites that train for a goal, who gets there when; None where there is none.
        searches: what cells found by themselves before they trained.
        trainers: what the sets of Trainer's arguments that cells name set, in words, by suite and set.
    """

    run: str
    suite: str | list[str]
    compare: Mapping[str, str]
    cells: Sequence[CellSummary]
    twin: Twin | None
    twins: Mapping[str, Twin]
    reference_step: float
    costs: Sequence[Cost]
    answers: Sequence[Finding] = ()
    conditions: Sequence[Answer] = ()
    stops: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    periods: Mapping[str, Sequence[Period]] = field(default_factory=dict)
    estimate: str = ESTIMATE
    warnings: Sequence[str] = ()
    declared: Mapping[str, Metric] = field(default_factory=dict)
    trainers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fastest: Mapping[str, Fastest] = field(default_factory=dict)
    ladder: Sequence[RungPrice] = ()
    convergence: Convergence | None = None
    searches: Sequence[FoundSetting] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        found: dict[str, Any] = msgspec.to_builtins(self)  # asdict copies every number: of 10,000 cells, for 9 s
        return found


def summarize(
    run: StoredRun,
    reference_step: float = REFERENCE_STEP,
    target: float | None = None,
    *,
    frames: Frames | None = None,
) -> Summary:
    """The summary of a run, finished or not.

    Args:
        reference_step: seconds a step, for which the costs are stated.
        target: a validation loss in place of that which the run's trainings were for.
        frames: the run's, where they are made already; they take most of the time.

    Raises:
        RunError: a record has an unknown metric, or belongs to no planned cell.
        SpecError: there is a target, and no suite of the run trains for a goal.
    """
    frames = frames or frames_of(run)
    pairs, known = frames.pairs, frames.declared
    cells = _cells(run, frames)
    twin_pairs = pairs[pairs["twin"]]
    of_launches = by_launch(pairs, frames.launches, _samples(run))
    extra = {name for cell in cells for name in cell.instrumented}
    suites = list(run.info["plan"]["suites"])
    compare = {name: suite["compare"] for name, suite in run.info["plan"]["suites"].items()}
    return Summary(
        run=run.id,
        suite=suites[0] if len(suites) == 1 else suites,
        compare=compare,
        cells=cells,
        twin=twin_of(twin_pairs),
        twins=_twins(twin_pairs),
        reference_step=reference_step,
        costs=costs(run.info["plan"], pairs, reference_step),
        answers=findings_of(cells, compare, _waits(frames.launches), of_launches),
        conditions=until_answers(run.info, run.records),
        stops=run.info.get("stops", {}),
        timing=run.info.get("timing", {}),
        periods={cell: found for cell, found in frames.rules.periods.items() if found},
        warnings=[*run.broken, *run_warnings(run, cells, frames), *instrumented_warnings(run, cells, known)],
        declared={name: metric for name, metric in known.items() if name in extra},
        trainers={
            name: sets_in_words(sets, suite.get("ladder") or {})
            for name, suite in run.info["plan"]["suites"].items()
            if (sets := suite.get("trainers"))
        },
        fastest=fastest_of(cells, of_launches),
        ladder=ladder_of(run, set(frames.cells.loc[frames.cells["outcome"] == "ok", "cell"])),
        convergence=convergence_of(run, target),
        searches=searches_of(run),
    )


def _twins(pairs: pd.DataFrame) -> dict[str, Twin]:
    """The twin of each group that has pairs of it."""
    logs: dict[str, list[float]] = {}
    for group, log in zip(pairs["group"].tolist(), pairs["log_ratio"].tolist(), strict=True):
        logs.setdefault(group, []).append(log)
    return {group: Twin(interval_of_logs(own)) for group, own in logs.items()}


def _cells(run: StoredRun, frames: Frames) -> list[CellSummary]:
    points = {cell["id"]: cell["point"] for cell in run.info["plan"]["cells"]}
    last: dict[str, Record] = {record.cell: record for record in run.records}
    # A launch that failed before the settings were read back has none; the last one that has them tells.
    settings = {record.cell: record.effective for record in run.records if record.effective}
    metrics, extra = _metrics(frames.launches)
    versus = _versus(run, frames.pairs, _joules(frames.launches))
    # A launch whose work was not judged says nothing of it; the last one that was judged tells.
    equal = {record.cell: str(said) for record in run.records if (said := record.ledger.get("equal"))}
    found = []
    for row in frames.cells.itertuples():
        against = versus.get(row.cell)
        outcome, reason = row.outcome, row.reason
        # Trainings for a goal answer another question, and have told it whatever is known of their steps.
        if outcome == "ok" and not run.info["plan"]["suites"][row.suite].get("goal"):
            outcome, reason = _enough(row, metrics.get(row.cell), against)
        record = last.get(row.cell)
        found.append(
            CellSummary(
                id=row.cell,
                suite=row.suite,
                group=row.group,
                twin=bool(row.twin),
                point=points[row.cell],
                outcome=outcome,
                reason=reason,
                requested=record.requested if record else {},
                effective=settings.get(row.cell, {}),
                metrics=metrics.get(row.cell, {}),
                versus=against,
                instrumented=extra.get(row.cell, {}),
                samples_per_step=counted_samples(record) if record else 0,
                epoch_steps=max(record.turns.taken) if record and record.turns and record.turns.whole else 0,
                drift=frames.drifts.get(row.cell),
                equal=equal.get(row.cell, ""),
            )
        )
    return found


def _enough(row: Any, metrics: Mapping[str, MetricEstimate] | None, versus: Versus | None) -> tuple[str, str]:
    """`noisy` with its reason for a cell that ran well but tells too little, else `ok`."""
    if metrics is None:
        return "noisy", f"none of {row.launches} launches has {LEAST_ROUNDS} rounds or more"
    # Whatever has no interval is known to nothing: a ratio, and the step time of a baseline, which has no ratio.
    if metrics["step_time"].low is None or (versus is not None and versus.ratio.low is None):
        return "noisy", "one launch gives no interval, so nothing is told from it"
    width = half_width(versus.ratio) if versus else None
    if versus and width and width > NOISY_HALF_WIDTH:
        few = ", which are few for an interval" if versus.ratio.launches <= FEW_LAUNCHES else ""
        return "noisy", (
            f"the ratio {versus.ratio.estimate:.3f} is known to {_known_to(width)} after {versus.ratio.launches} "
            f"launches{few}; a cell is noisy above ±{percent_of(NOISY_HALF_WIDTH, 0)}"
        )
    return "ok", ""


def _known_to(width: float) -> str:
    # Two launches may span hundreds of log units; nobody wants to read three hundred digits.
    return f"±{percent_of(width, 1)}" if width < 10 else "no better than ±1000 %"


def _waits(launches: pd.DataFrame) -> dict[str, Interval]:
    """The share of its steps that each cell waits for its batches, over launches, where that was seen."""
    seen: dict[str, dict[str, dict[int, float]]] = {}
    timed = launches[~launches["instrumented"] & launches["metric"].isin(["data_time", "typical_step_time"])]
    for cell, metric, launch, value in zip(
        *(timed[name].tolist() for name in ("cell", "metric", "launch", "value")), strict=True
    ):
        seen.setdefault(cell, {}).setdefault(metric, {})[launch] = value
    found = {}
    for cell, metrics in seen.items():
        steps = metrics.get("typical_step_time", {})  # as the waiting is: the median
        shares = [min(1.0, waited / steps[launch]) for launch, waited in metrics.get("data_time", {}).items()]
        if shares:
            share = interval_of_differences(shares)
            low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (share.low, share.high))
            found[cell] = replace(share, low=low, high=high)
    return found


_OfCells = dict[str, dict[str, MetricEstimate]]


def _metrics(launches: pd.DataFrame) -> tuple[_OfCells, _OfCells]:
    """Every cell's metrics of timed launches, and those of instrumented ones."""
    # One pass into lists: a frame for each cell and metric takes 0.5 ms, and there are thousands of them.
    values: dict[tuple[bool, str, str], list[float]] = {}
    samples: dict[tuple[bool, str, str], int] = {}
    kinds: dict[str, tuple[str, str]] = {}
    names = ("instrumented", "cell", "metric", "unit", "better", "value", "samples")
    for instrumented, cell, metric, unit, better, value, count in zip(
        *(launches[name].tolist() for name in names), strict=True
    ):
        key = (instrumented, cell, metric)
        values.setdefault(key, []).append(value)
        samples[key] = samples.get(key, 0) + count
        kinds.setdefault(metric, (unit, better))
    found: tuple[_OfCells, _OfCells] = ({}, {})
    for (instrumented, cell, metric), own in values.items():
        # A count of a callback's may be zero, which has no logarithm.
        positive = metric not in ADDITIVE and all(value > 0 for value in own)
        interval = interval_of_logs([math.log(value) for value in own]) if positive else interval_of_differences(own)
        found[instrumented].setdefault(cell, {})[metric] = MetricEstimate(
            *kinds[metric],
            interval.estimate,
            interval.low,
            interval.high,
            interval.launches,
            samples[instrumented, cell, metric],
        )
    return found


def _samples(run: StoredRun) -> dict[tuple[str, int], float]:
    """Samples a step by cell and launch, where they were counted."""
    found = {(record.cell, record.launch): counted_samples(record) for record in run.records}
    return {key: samples for key, samples in found.items() if samples}


def _joules(launches: pd.DataFrame) -> dict[tuple[str, int], float]:
    """The log of joules a sample, by cell and launch, where they are told."""
    rows = launches[~launches["instrumented"] & (launches["metric"] == "samples_per_joule")]
    names = ("cell", "launch", "value")
    return {(cell, n): -math.log(value) for cell, n, value in zip(*(rows[one].tolist() for one in names), strict=True)}


def _versus(run: StoredRun, pairs: pd.DataFrame, joules: Mapping[tuple[str, int], float]) -> dict[str, Versus]:
    """Every cell that has pairs, against its baseline."""
    samples, found = _samples(run), {}
    names = ("baseline", "launch", "crossed", "set", "log_ratio", "typical_log_ratio", "baseline_step_time")
    for cell, own in columns_by_cell(pairs, *names, "difference", "unsettled").items():
        baseline, shared = own["baseline"][0], shared_sets(own["crossed"], own["set"])
        launches, logs = own["launch"], own["log_ratio"]
        more: list[float | None] = []  # logs of samples a step over the baseline's, launch by launch
        for launch in launches:
            mine, base = samples.get((cell, launch)), samples.get((baseline, launch))
            more.append(math.log(mine / base) if mine and base else None)
        both = [(joules.get((cell, launch)), joules.get((baseline, launch))) for launch in launches]
        energy = [own_log - base for own_log, base in both if own_log is not None and base is not None]
        steps = [base + extra for base, extra in zip(own["baseline_step_time"], own["difference"], strict=True)]
        layout = LAYOUT_SD * statistics.median(steps)  # of the arm's own
        difference = interval_of_differences(own["difference"], sets=shared, layout=layout)
        found[cell] = Versus(
            baseline,
            interval_of_logs(logs, sets=shared),
            StepDifference("s", difference.estimate, difference.low, difference.high, difference.launches),
            _per_sample(logs, more, shared),
            interval_of_logs(own["typical_log_ratio"], sets=shared),
            interval_of_differences([value / 2 for value in own["unsettled"]]),
            interval_of_logs(energy) if energy else None,
        )
    return found


# Means of counted samples are sums over counts: as many samples may differ in the last digit.
SAME_SAMPLES = 1e-9


def _per_sample(logs: Sequence[float], more: Sequence[float | None], sets: Sequence[int] | None) -> Interval | None:
    """The ratio of times a sample; None where it is that of steps, or not known in every launch."""
    known = [one for one in more if one is not None]
    if len(known) < len(more) or all(abs(one) < SAME_SAMPLES for one in known):
        return None
    return interval_of_logs([log - one for log, one in zip(logs, known, strict=True)], sets=sets)
