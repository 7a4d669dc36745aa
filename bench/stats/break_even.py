"""After how many steps what a start costs more has been saved: a ratio of two quantities that every launch measures.

Plain floats in, plain floats out; `inf` stands for never.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.intervals import interval_of_logs, t_quantile

# Where launches save amounts that differ by more than this (sd over mean), the mean of logs is no longer the log of the
# mean: at 0.5 and 20 launches an interval on logs covers 92 %. Fieller's asks for no such thing.
STEADY = 0.2


@dataclass(frozen=True)
class Steps:
    """So many steps.

    Attributes:
        estimate: `inf` where no time is saved.
        low, high: the 95 % interval; `high` is `inf` where the saving may be none, both are where it is none for
            certain; both None of a single launch.
        launches: how many it rests on.
    """

    estimate: float
    low: float | None
    high: float | None
    launches: int


def break_even(extra: Sequence[float], saved: Sequence[float]) -> Steps:
    """The steps that save `extra`, each `saved`, with an interval over launches.

    Where every launch saves about as much, from logs launch by launch: what its machine did to both is in neither. Else
    by Fieller's theorem: all numbers of steps that the launches' extra - steps * saved do not tell from none.

    Args:
        extra, saved: seconds, of the same launches in the same order.

    Raises:
        ValueError: not as many of one as of the other, or none.
    """
    if len(extra) != len(saved) or not extra:
        raise ValueError(f"as many starts as savings, one or more; got {len(extra)} and {len(saved)}")
    n, start, step = len(extra), statistics.fmean(extra), statistics.fmean(saved)
    estimate = max(0.0, start / step) if step > 0 else math.inf
    if n == 1:
        return Steps(estimate, None, None, 1)
    if min(extra) > 0 and min(saved) > 0 and statistics.stdev(saved) <= STEADY * step:
        logs = [math.log(more / less) for more, less in zip(extra, saved, strict=True)]
        found = interval_of_logs(logs)
        return Steps(found.estimate, found.low, found.high, n)
    return Steps(estimate, *_fieller(extra, saved, start, step), n)


def _fieller(extra: Sequence[float], saved: Sequence[float], start: float, step: float) -> tuple[float, float]:
    """The ends of all steps T, from 0 on, with (start - T step)² <= t² var(start - T step): a T² - 2 b T + c <= 0."""
    n = len(extra)
    share = t_quantile(n - 1) ** 2 / n
    a = step**2 - share * statistics.variance(saved)
    b = start * step - share * statistics.covariance(extra, saved)
    c = start**2 - share * statistics.variance(extra)
    if a > 0:
        # The saving is told from none, so the discriminant is no less than 0, but for rounding.
        root = math.sqrt(max(0.0, b * b - a * c))
        low, high = (b - root) / a, (b + root) / a
        if step > 0:
            return max(0.0, low), max(0.0, high)
        # Time is lost for certain. What would pay for a dearer start are fewer steps than none.
        return (math.inf, math.inf) if high < 0 else (0.0, math.inf)
    # It may be none, so any number of steps may be too few. From 0 on where the start may cost nothing more.
    if c <= 0 or a == 0 or b * b < a * c:
        return 0.0, math.inf
    root = math.sqrt(b * b - a * c)
    return max((b - root) / a, (b + root) / a), math.inf
