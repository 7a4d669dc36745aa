"""What is known of cells: plain values, below all that makes or shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.stats.drift import Drift
from bench.stats.intervals import Interval

# Callbacks that make a step longer than this many times the timed one have changed what they look at: where its time
# went is then told of no step that anybody takes.
LOOKED_AT_MOST = 1.25


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
class StepDifference:
    """Seconds a step that a cell takes more than its baseline."""

    unit: str
    estimate: float
    low: float | None
    high: float | None
    launches: int


@dataclass(frozen=True)
class Versus:
    """A cell against the baseline of its group, from the rounds that both took.

    Attributes:
        ratio, difference: of mean steps: what a user pays.
        typical: the ratio of median steps.
        unsettled: what `ratio` may be off by since pauses cost both unlike: half of what it changes by, as a log, from
            the first half of turns to the second.
        per_sample: the ratio of times a sample; None where both have as many samples a step, so that it is `ratio`, and
            where nobody counted them.
        joules: the ratio of joules a sample, of launches that told them of both.
    """

    baseline: str
    ratio: Interval
    difference: StepDifference
    per_sample: Interval | None = None
    typical: Interval | None = None
    unsettled: Interval | None = None
    joules: Interval | None = None

    @property
    def of_work(self) -> Interval:
        """The ratio for the same work: a sample where steps have not as many, else a step."""
        return self.ratio if self.per_sample is None else self.per_sample


@dataclass(frozen=True)
class CellSummary:
    """What is known of one planned cell.

    `versus` is None for the baseline and where no ratio may be taken. `instrumented` are the metrics of
    instrumented launches, which are never compared. `drift` is how the step time changes within a launch, as its turns
    took it; None where it was not measured. `equal` says what was equal to the baseline's work; "" in older records.
    `epoch_steps` are those of an epoch, where turns are whole epochs.
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
    instrumented: Mapping[str, MetricEstimate] = field(default_factory=dict)
    samples_per_step: float = 0
    epoch_steps: int = 0
    drift: Drift | None = None
    equal: str = ""

    def looked(self, whole: str) -> float | None:
        """The step that instrumented launches looked at over the timed one; None where one of them is not known.

        Args:
            whole: the metric of instrumented launches that is the whole step, in seconds.
        """
        seen, timed = self.instrumented.get(whole), self.metrics.get("step_time")
        return None if seen is None or timed is None or timed.estimate <= 0 else seen.estimate / timed.estimate

    def share(self, part: str, whole: str) -> float | None:
        """The share of the looked step that a part of it took; None where that step is too far from the timed one."""
        if part not in self.instrumented or whole not in self.instrumented:
            return None
        over = self.looked(whole)
        if self.instrumented[whole].unit == "s" and (over is None or over > LOOKED_AT_MOST):
            return None
        return self.instrumented[part].estimate / self.instrumented[whole].estimate


@dataclass(frozen=True)
class Twin:
    """The A/A control: the baseline's second copy over the baseline; what it differs from 1 by is noise."""

    ratio: Interval
