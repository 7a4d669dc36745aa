"""How long trainings take to reach a target, where some end before they do: medians and paired ratios. Pure.

A training that ended without the target would have taken longer than it was given: it is censored there, and never
dropped, which would leave the lucky ones. What is unknown of it is taken at its worst: for the lower end of an interval
as the time that it was given, for the upper end as never. So an interval holds what it should at least as often as it
says, whatever made trainings end.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from bench.stats.intervals import CONFIDENCE


@dataclass(frozen=True)
class Wait:
    """What one training took to reach the target: seconds, epochs or samples.

    Attributes:
        amount: until the target, or, where it was not reached, until the end.
        reached: whether it was.
    """

    amount: float
    reached: bool


@dataclass(frozen=True)
class MedianWait:
    """The median over seeds, with an interval by order statistics.

    Attributes:
        estimate: Kaplan and Meier's; None where half of the seeds or more are not known to get there.
        low, high: ends of the interval; None for both where one seed gives none, None for `high` alone: no upper end.
        level: how often such an interval holds the median, at least; 0.95 or more from 6 seeds on.
        seeds, reached: how many there are, and how many of them reached the target.
    """

    estimate: float | None
    low: float | None
    high: float | None
    level: float
    seeds: int
    reached: int


@dataclass(frozen=True)
class PairedRatio:
    """The median over seeds of what a cell takes over what its baseline takes from the same seed.

    Attributes:
        estimate: None where censored pairs leave it open.
        at_least, at_most: what the estimate lies between, whatever the censored ones would have taken; None: no bound.
        low, high: ends of the interval by order statistics; None: no end on that side, or one seed.
        level: how often such an interval holds the median, at least; 0 where there is none.
        seeds: pairs.
        longer, shorter, even: seeds from which the cell is known to take longer, less, or exactly as much.
    """

    estimate: float | None
    at_least: float | None
    at_most: float | None
    low: float | None
    high: float | None
    level: float
    seeds: int
    longer: int
    shorter: int
    even: int


@cache
def median_ends(count: int) -> tuple[int, float]:
    """Which order statistics, counted from each end, bound a median of so many values, and how often they do.

    The innermost pair that does so in 95 % of cases; of fewer than 6 values the outermost, which does so less often:
    5 values 93.75 %, 4 87.5 %, 3 75 %, 2 50 %; (0, 0.0) of one.
    """
    if count < 2:
        return 0, 0.0
    tail, place = Fraction(1, 2**count), 1
    while (more := tail + Fraction(math.comb(count, place), 2**count)) * 2 <= 1 - Fraction(str(CONFIDENCE)):
        tail, place = more, place + 1
    return place, float(1 - 2 * tail)


def median_wait(waits: Sequence[Wait]) -> MedianWait:
    """The median of what seeds take.

    Raises:
        ValueError: there is none, or one is not a finite amount above 0.
    """
    _check(waits)
    place, level = median_ends(len(waits))
    reached = sum(wait.reached for wait in waits)
    low = high = None
    if place:
        low = sorted(wait.amount for wait in waits)[place - 1]
        high = _finite(sorted(map(_at_most, waits))[-place])
    return MedianWait(_kaplan_meier_median(waits), low, high, level, len(waits), reached)


def share_left(waits: Sequence[Wait]) -> list[tuple[float, Fraction]]:
    """Kaplan and Meier's estimate (1958): after each amount at which some got there, the share that still has not."""
    left, found = Fraction(1), []
    for amount in sorted({wait.amount for wait in waits if wait.reached}):
        there = sum(wait.amount >= amount for wait in waits)
        now = sum(wait.reached and wait.amount == amount for wait in waits)
        left *= 1 - Fraction(now, there)
        found.append((amount, left))
    return found


def _kaplan_meier_median(waits: Sequence[Wait]) -> float | None:
    """Where the share that is left falls to a half; between two amounts if it stays there, as usual medians do."""
    curve = share_left(waits)
    half = Fraction(1, 2)
    for place, (amount, left) in enumerate(curve):
        if left < half:
            return amount
        if left == half:
            return (amount + curve[place + 1][0]) / 2 if place + 1 < len(curve) else None
    return None


def paired_ratio(waits: Sequence[Wait], baseline: Sequence[Wait]) -> PairedRatio:
    """What a cell takes over its baseline, seed by seed.

    A pair of which one is censored says on which side of a bound its ratio lies; one of two censored says nothing, and
    counts as may be anything.

    Raises:
        ValueError: as `median_wait`, or there is not one for each of the baseline's.
    """
    _check(waits)
    _check(baseline)
    if len(waits) != len(baseline):
        raise ValueError(f"waits in pairs: got {len(waits)} and {len(baseline)}")
    pairs = list(zip(waits, baseline, strict=True))
    lows = sorted(math.log(mine.amount / base.amount) if base.reached else -math.inf for mine, base in pairs)
    highs = sorted(math.log(mine.amount / base.amount) if mine.reached else math.inf for mine, base in pairs)
    place, level = median_ends(len(pairs))
    at_least, at_most = (_exp(statistics.median(ends)) for ends in (lows, highs))
    return PairedRatio(
        estimate=at_least if at_least == at_most else None,
        at_least=at_least,
        at_most=at_most,
        low=_exp(lows[place - 1]) if place else None,
        high=_exp(highs[-place]) if place else None,
        level=level,
        seeds=len(pairs),
        longer=sum(_longer(mine, base) for mine, base in pairs),
        shorter=sum(_longer(base, mine) for mine, base in pairs),
        even=sum(mine == base and mine.reached for mine, base in pairs),
    )


def _longer(one: Wait, other: Wait) -> bool:
    """Whether the one is known to take longer: the other got there, and the one did not within that or took more."""
    return other.reached and (one.amount > other.amount or (one.amount == other.amount and not one.reached))


def _check(waits: Sequence[Wait]) -> None:
    if not waits or not all(0 < wait.amount < math.inf for wait in waits):
        raise ValueError(f"waits: one or more, each finite and above 0; got {list(waits)}")


def _at_most(wait: Wait) -> float:
    return wait.amount if wait.reached else math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exp(value: float) -> float | None:
    return math.exp(value) if math.isfinite(value) else None
