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

# From 8 launches on, order statistics: they need no shape. Below, a t interval on the mean: for 7 values and fewer the
# extremes would be the interval, and below 6 they would not reach 95 %.
ORDER_STATISTICS_FROM = 8

# Looking after every launch and stopping at the first narrow interval picks the luckily narrow ones. Simulated with
# Gaussian launches of 1 % sd and a goal of 1 %: judged from 2 launches on, the printed 95 % interval covers 89.6 %;
# from 4 on, 93.8 %; from 6 on, 94.8 %, for 1.4 launches more on average.
GOAL_FROM = 6

# A plateau is judged against the width 4 launches before, both by order statistics: the index of these moves every 2
# or 3 launches, and between moves the interval of even the best data widens, so fewer than 4 would see plateaus that
# are none. With pure launch noise 4 more launches narrow it by 18 % at 12 launches and by 5 % at 40.
PLATEAU_FROM = ORDER_STATISTICS_FROM
PLATEAU_LAUNCHES = 4
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


@cache
def order_index(n: int, confidence: float = CONFIDENCE) -> int:
    """The largest k, from 1, for which the k-th smallest and k-th largest of n values bound the median with that
    confidence; 0 where no k does, which is below 6 values at 95 %, and below 8 at 99 %."""
    # 2 * binom.cdf(k - 1, n, 1/2) <= 5 %, in exact integers: 2**n has no float from 1024 on, and the twins of all
    # groups together are thousands of values.
    one_in = round(1 / (1 - confidence))
    k, tail, ways = 0, 0, 1
    while True:
        tail += ways
        if 2 * tail * one_in > 2**n:
            return k
        ways = ways * (n - k) // (k + 1)
        k += 1


def interval_of_differences(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The estimate and 95 % interval of values that may have either sign, one a launch.

    Below 8 launches mean and t interval, from 8 on median and order statistics (Hoefler & Belli 2015, rule 8).

    Args:
        confidence: at most 0.99, which 8 launches have by order statistics.

    Raises:
        ValueError: there is no value, or one that is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"an interval needs finite values, one or more; got {list(values)}")
    n = len(values)
    ordered = sorted(values)
    if n >= ORDER_STATISTICS_FROM:
        k = order_index(n, confidence)
        return Interval((ordered[(n - 1) // 2] + ordered[n // 2]) / 2, ordered[k - 1], ordered[n - k], n)
    mean = math.fsum(ordered) / n
    if n == 1:
        return Interval(mean, None, None, n)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / (n - 1) / n)
    spread = error * t_quantile(n - 1, confidence)
    return Interval(mean, mean - spread, mean + spread, n)


def interval_of_logs(values: Sequence[float]) -> Interval:
    """The estimate and 95 % interval of positive quantities, times or ratios, one a launch, given as natural logs.

    Taken on the logs, where noise is nearly symmetric, and returned as the quantity itself: below 8 launches the
    geometric mean, from 8 on the median.

    Raises:
        ValueError: there is no value, or one that is not finite.
    """
    logs = interval_of_differences(values)
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
