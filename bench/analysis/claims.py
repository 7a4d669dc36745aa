"""What may be claimed of a figure, by one rule that every sentence, table and figure of a report asks. Pure.

Nothing is claimed by default. A difference is told only if it has an interval, if the twin of its group has one too, if
it is larger than anything that the twin, which runs the same code as the baseline, may show, and if its interval
excludes none. Every other case has a word of its own, so that whoever writes the sentence says which it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from bench.stats.intervals import Interval

# told        the difference may be claimed
# zero        its interval holds zero
# as-twin     it is no larger than what the twin's interval reaches
# no-twin     a twin was planned and has no interval: nothing tells noise from a difference
# one-launch  it has no interval itself
# too-wide    its interval reaches values that cannot be, such as a step of less than no time
# nothing     there is no figure
ClaimWord = Literal["told", "zero", "as-twin", "no-twin", "one-launch", "too-wide", "nothing"]


def claim(figure: Interval | None, twins: Sequence[Interval | None] = (), *, least: float = -math.inf) -> ClaimWord:
    """What may be said of a difference that is 0 where there is none.

    Args:
        figure: the difference; None where there is none.
        twins: what the twins beside it read on the same scale; None for one that was planned and has no figure. Empty
            where no twin belongs to it, as between runs of different days.
        least: what no difference can fall below, such as the baseline's whole step taken off it.
    """
    if figure is None:
        return "nothing"
    if figure.low is None or figure.high is None:
        return "one-launch"
    if min(figure.low, figure.estimate) <= least:
        return "too-wide"
    reaches = [reach(twin) for twin in twins]
    if any(far is None for far in reaches):
        return "no-twin"
    if any(far is not None and abs(figure.estimate) <= far for far in reaches):
        return "as-twin"
    return "zero" if figure.contains(0.0) else "told"


def reach(twin: Interval | None) -> float | None:
    """How far from none the twin may lie: the farther end of its interval. None where it has no interval."""
    if twin is None or twin.low is None or twin.high is None:
        return None
    return max(abs(twin.low), abs(twin.high), abs(twin.estimate))


def of_ratio(ratio: Interval | None, twins: Sequence[Interval | None] = ()) -> ClaimWord:
    """`claim` for ratios, which are 1 where there is no difference; judged on logs, so that 2 is as far off as 0.5."""
    return claim(None if ratio is None else _logs(ratio), [None if twin is None else _logs(twin) for twin in twins])


def _logs(ratio: Interval) -> Interval:
    low, high = (None if end is None else _log(end) for end in (ratio.low, ratio.high))
    return Interval(_log(ratio.estimate), low, high, ratio.launches)


def _log(value: float) -> float:
    # An interval of hundreds of log units has a lower end that is 0 as a float; the smallest float is e ** -745.
    return math.log(value) if value > 0 else -746.0
