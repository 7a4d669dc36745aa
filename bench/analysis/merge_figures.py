"""The figures of one run that may stand beside those of another machine: logs, cell by cell, one a launch. Pure.

Absolute figures, as nothing is paired across machines. Timed launches have throughput, the host's memory and, where a
meter was read between turns, energy; instrumented ones have the device's memory, the share of the measured ceiling and
energy as a callback sees it, on either side, so that what is compared was looked at alike. A share of a ceiling belongs
to its own machine and gets no ratio.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import comparability, frames
from bench.analysis.merge_work import TimedRecords, ranks_of, timed_records
from bench.plan.cell import SIDES
from bench.results.record import Metric
from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.stats.between_runs import Variance
from bench.stats.intervals import interval_of_differences

MERGED_METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("throughput", "samples/s", "higher", "samples of a step, all ranks together, over the mean step"),
        Metric("samples_per_joule", "samples/J", "higher", "samples of turns over what their devices took meanwhile"),
        Metric(
            "samples_per_joule_seen", "samples/J", "higher", "a rank's samples over its board's energy, instrumented"
        ),
        Metric("peak_memory_device", "bytes", "lower", "most that tensors held on the device"),
        Metric("peak_memory_host", "bytes", "lower", "largest resident set of an arm's process"),
        Metric("ceiling_share", "1", "higher", "time that the step needs at the measured ceilings over its time"),
        Metric("price_per_million", "1", "lower", "of a million samples, in the currency that prices were given in"),
    )
}
NO_RATIO = frozenset({"ceiling_share"})  # each machine's share is of its own ceiling
# Vary from run to run as times do.
OF_TIMES = frozenset({"throughput", "samples_per_joule", "samples_per_joule_seen", "price_per_million"})
_OF_INSTRUMENTED = frozenset({"peak_memory_device", "ceiling_share", "samples_per_joule_seen"})


@dataclass(frozen=True)
class RunFigures:
    """What a run says of its cells.

    Attributes:
        run: the run itself.
        logs: of each launch, by cell and metric of MERGED_METRICS.
        outcomes: outcome and reason, by cell; twins are left out.
        timed: records with turns, by cell and launch.
        works: what identifies the work, by cell.
    """

    run: StoredRun
    logs: Mapping[str, Mapping[str, Sequence[float]]]
    outcomes: Mapping[str, tuple[str, str]]
    timed: Mapping[str, TimedRecords]
    works: Mapping[str, str]


def figures_of_run(run: StoredRun) -> RunFigures:
    """Every figure of the run that may be merged.

    Raises:
        RunError: a record has a metric that nobody declares, or a time that is none.
    """
    planned = frames.cells(run)
    cells = planned[~planned["twin"]]
    timed = timed_records(run)
    logs: dict[str, dict[str, list[float]]] = {}
    launches = frames.launches(run)
    for (cell, metric, looked), own in launches.groupby(["cell", "metric", "instrumented"], sort=False):
        name, values = str(metric), [float(value) for value in own["value"]]
        if name == "energy_per_step" and looked:
            name, values = "samples_per_joule_seen", _per_joule(values, timed.get(str(cell), {}))
        if name in MERGED_METRICS and looked == (name in _OF_INSTRUMENTED) and values and min(values) > 0:
            logs.setdefault(str(cell), {})[name] = [math.log(value) for value in values]
    outcomes = {str(row.cell): (str(row.outcome), str(row.reason)) for row in cells.itertuples()}
    return RunFigures(run, logs, outcomes, timed, works_of(run))


def _per_joule(joules: Sequence[float], records: TimedRecords) -> list[float]:
    """Of each instrumented launch: what one rank's step has of samples, over what its board took for the step."""
    if not records or min(joules) <= 0:
        return []
    samples = statistics.median(counted_samples(record) / ranks_of(record.point) for record in records.values())
    return [samples / value for value in joules]


def works_of(run: StoredRun) -> dict[str, str]:
    """The version of each cell's work (`comparability.workload`); none of runs that compared environments, whose cells
    are other sides by name."""
    if any(SIDES in suite["axes"] for suite in run.info["plan"]["suites"].values()):
        return {}
    return {str(cell["id"]): comparability.workload(run, cell).version for cell in run.info["plan"]["cells"]}


def of_a_run(logs: Sequence[float]) -> float:
    """The one value that a run has of its launches."""
    return interval_of_differences(logs).estimate


def launch_variance(logs: Sequence[float]) -> Variance | None:
    """The variance that launches give a run's value; None of a single one."""
    if len(logs) < 2:
        return None
    return Variance(statistics.variance(logs) / len(logs), len(logs) - 1)
