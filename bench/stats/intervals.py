"""95 % intervals over launches, and when a group has enough of them. Plain floats in, plain floats out.

Launches are the replicates; rounds within a launch are not. Treating 25 correlated samples of each of two processes
as independent gives 60 % false alarms instead of 5 % (Monte Carlo at an intra-class correlation of 0.5).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

CONFIDENCE = 0.95

# With the 10th launch, and with every fourth after it, one launch more is left out at each end: a mean of the middle
# with Student's t (Tukey and McLaughlin 1963). By this rule the expected width of Gaussian launches never rises with
# their number; one that began with the 9th would stand still there. Order statistics, which were taken from 8 launches
# on, are then the extremes: at 8 they were 1.61 times as wide as the t interval of 7, and at 12 1.22 times as wide as
# this one. Where one launch in ten is disturbed the t interval of all is 1.5 times as wide at 12 launches and 1.8 times
# at 20; of Gaussian launches this one is wider by 4 to 7 %, on two-faced machines by 10 to 18 %.
TRIMMED_FROM = 10
TRIMMED_EVERY = 4

# What a set of interpreters adds to all of its launches, taken at twice the 0.3 to 0.6 % (sd over sets) that was
# measured. It is asked for only where too few sets tell it themselves: of 3 sets, t is 4.3 and of 2 it is 12.7.
LAYOUT_SD = 0.01
SETS_FOR_THEIR_OWN = 4

# Of fewer runs it is not known how runs of one machine differ: t of 5 degrees is 2.6 already.
RUNS_THAT_TELL = 6

# Looking after every launch and stopping at the first narrow interval picks the luckily narrow ones. Simulated with
# Gaussian launches of 1 % sd and a goal of 1 %: judged from 2 launches on, the printed 95 % interval covers 89.6 %;
# from 4 on, 93.8 %; from 6 on, 94.8 %, for 1.4 launches more on average.
GOAL_FROM = 6

# A plateau is judged against the width 4 launches before, as often as one more is left out at the ends: with pure
# launch noise 4 more launches narrow it by 18 % at 12 launches and by 5 % at 40.
PLATEAU_FROM = 8
PLATEAU_LAUNCHES = TRIMMED_EVERY
PLATEAU_GAIN = 0.05

StopReason = Literal["precision-goal", "plateau"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; `low` and `high` are None where one launch, or none, allows no interval.

    Attributes:
        estimate, low, high: in the unit of the values.
        launches: how many values it rests on.
    """

    estimate: float
    low: float | None
    high: float | None
    launches: int

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share a value; true where either is without an interval, which excludes nothing."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high

    def contains(self, value: float) -> bool:
        """Whether the interval holds the value; true without an interval, which excludes nothing."""
        return self.low is None or self.high is None or self.low <= value <= self.high


@cache
def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The quantile of Student's t that leaves half of the rest above it: at 95 %, 2.5 %."""
    # Imported here: scipy.special takes 0.5 s, and whoever only lists or plans does not need it.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def interval_of_differences(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    sets: Sequence[int] | None = None,
    layout: float = LAYOUT_SD,
) -> Interval:
    """The estimate and interval, of 95 % unless told otherwise, of values that may have either sign, one a launch.

    Up to 9 launches their mean, from the 10th on the mean of those in the middle, with Student's t.

    Args:
        sets: the number of the interpreter set that each launch came from; launches of one set share what its memory
            layout does to them. None, as a set of its own for each launch: they share nothing. Of 4 sets or more the
            means of the sets are what the interval is made of. Of fewer, it has the launches' own scatter about the
            means of their sets and `layout` a set; it is no narrower than that, however many launches.
        layout: what a set adds to its launches (sd), in the unit of the values.

    Raises:
        ValueError: there is no value, or one that is not finite, or not as many sets as values.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"an interval needs finite values, one or more; got {list(values)}")
    if sets is None or len(set(sets)) == len(values) == len(sets):
        return _of_middle(values, confidence)
    if len(sets) != len(values):
        raise ValueError(f"sets: one for each value; got {len(sets)} for {len(values)} values")
    by_set: dict[int, list[float]] = {}
    for value, number in zip(values, sets, strict=True):
        by_set.setdefault(number, []).append(value)
    means = [math.fsum(own) / len(own) for own in by_set.values()]
    if len(means) >= SETS_FOR_THEIR_OWN:
        found = _of_middle(means, confidence)
        return Interval(found.estimate, found.low, found.high, len(values))
    return _of_few_sets(list(by_set.values()), means, confidence, layout)


def _of_middle(values: Sequence[float], confidence: float) -> Interval:
    """The mean of the middle, with Winsorised variance and t: each launch left out counts as its next one inwards."""
    n = len(values)
    ordered = sorted(values)
    left_out = max(0, (n - TRIMMED_FROM + TRIMMED_EVERY) // TRIMMED_EVERY)
    middle = ordered[left_out : n - left_out]
    taken = len(middle)
    mean = math.fsum(middle) / taken
    if n == 1:
        return Interval(mean, None, None, n)
    pulled_in = [*[middle[0]] * left_out, *middle, *[middle[-1]] * left_out]
    # By hand: `statistics` computes in fractions, a hundred times as long for the same to the 15th digit.
    about = math.fsum(pulled_in) / n
    squares = math.fsum((value - about) ** 2 for value in pulled_in)
    spread = math.sqrt(squares / (taken * (taken - 1))) * t_quantile(taken - 1, confidence)
    return Interval(mean, mean - spread, mean + spread, n)


def _of_few_sets(
    by_set: Sequence[Sequence[float]], means: Sequence[float], confidence: float, layout: float
) -> Interval:
    """The launches' own scatter, pooled over sets, as it is in the mean of the sets' means, and the layout's."""
    launches, sets = sum(map(len, by_set)), len(by_set)
    squares = math.fsum((value - mean) ** 2 for own, mean in zip(by_set, means, strict=True) for value in own)
    degrees = launches - sets  # above 0: with a launch a set, launches are what is counted
    share = math.fsum(1 / len(own) for own in by_set) / sets**2
    own = t_quantile(degrees, confidence) * math.sqrt(squares / degrees * share)
    shared = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * layout / math.sqrt(sets)
    estimate, spread = math.fsum(means) / sets, math.hypot(own, shared)
    return Interval(estimate, estimate - spread, estimate + spread, launches)


def interval_of_logs(
    values: Sequence[float], confidence: float = CONFIDENCE, *, sets: Sequence[int] | None = None
) -> Interval:
    """The estimate and interval of positive quantities, times or ratios, one a launch, given as natural logs.

    Taken on the logs, where noise is nearly symmetric, and returned as the quantity itself: the geometric mean of all
    launches or of those in the middle.

    Args:
        sets: as `interval_of_differences` has it.

    Raises:
        ValueError: there is no value, or one that is not finite, or not as many sets as values.
    """
    logs = interval_of_differences(values, confidence, sets=sets)
    if logs.low is None or logs.high is None:
        return Interval(math.exp(logs.estimate), None, None, logs.launches)
    return Interval(_exp(logs.estimate), _exp(logs.low), _exp(logs.high), logs.launches)


def _exp(value: float) -> float:
    # Two launches that differ a lot give a t interval of hundreds of log units; the bound is then the largest float,
    # as JSON has no infinity.
    return math.exp(min(value, 709.0))


def half_width(interval: Interval) -> float | None:
    """Half the interval's width as a fraction of its estimate; None where there is no interval or the estimate is 0."""
    if interval.low is None or interval.high is None or interval.estimate == 0:
        return None
    return (interval.high - interval.low) / 2 / abs(interval.estimate)


def stop_reason(history_of_half_widths: Sequence[float | None], goal: float) -> StopReason | None:
    """Why a group needs no further launch, or None if it does.

    Args:
        history_of_half_widths: the half width after each launch so far, from the first; None where there was none.
        goal: the half width to reach, as a fraction, e.g. 0.01.
    """
    launches = len(history_of_half_widths)
    if launches < GOAL_FROM:
        return None
    latest = history_of_half_widths[-1]
    if latest is not None and latest <= goal:
        return "precision-goal"
    if launches < PLATEAU_FROM + PLATEAU_LAUNCHES:
        return None
    before = history_of_half_widths[-1 - PLATEAU_LAUNCHES]
    since = [width for width in history_of_half_widths[-PLATEAU_LAUNCHES:] if width is not None]
    if before is None or not since:
        return None
    return "plateau" if min(since) > before * (1 - PLATEAU_GAIN) else None


def welch(a: Sequence[float], b: Sequence[float]) -> Interval:
    """exp(mean(b) - mean(a)) with Welch's 95 % interval; without one where a side has a single value.

    Raises:
        ValueError: a side has no value.
    """
    from scipy.special import stdtrit

    if not a or not b:
        raise ValueError("a ratio needs values on both sides")
    apart = statistics.fmean(b) - statistics.fmean(a)
    launches = min(len(a), len(b))
    if launches < 2:
        return Interval(math.exp(apart), None, None, launches)
    shares = [statistics.variance(values) / len(values) for values in (a, b)]
    if not sum(shares):
        return Interval(math.exp(apart), math.exp(apart), math.exp(apart), launches)
    degrees = sum(shares) ** 2 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (a, b), strict=True))
    reach = float(stdtrit(degrees, 0.5 + CONFIDENCE / 2)) * math.sqrt(sum(shares))
    return Interval(math.exp(apart), math.exp(apart - reach), math.exp(apart + reach), launches)


def run_to_run(launches: Interval, runs: Sequence[float]) -> Interval | None:
    """The ratio of two runs with the 95 % interval of what runs differ by; None where too few tell.

    Two runs are two more draws of what the others were drawn from, so that their difference has twice the variance.
    Launches scatter about their own run and know nothing of that: of runs that differ by 3 % (sd) and launches that
    differ by 1 %, Welch's interval of 8 launches a side covers in 1 of 5 cases.

    Args:
        launches: the ratio with Welch's interval; what is given is no narrower.
        runs: logs of what other runs found on the same machine in the same cell, one a run.
    """
    if len(runs) < RUNS_THAT_TELL:
        return None
    reach = math.exp(t_quantile(len(runs) - 1) * math.sqrt(2 * statistics.variance(runs)))
    ends = (launches.estimate / reach, launches.estimate * reach)
    low, high = (
        (ends[0], ends[1])
        if launches.low is None or launches.high is None
        else (min(ends[0], launches.low), max(ends[1], launches.high))
    )
    return Interval(launches.estimate, low, high, launches.launches)
