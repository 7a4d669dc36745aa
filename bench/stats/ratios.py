"""Step times paired by round -> a log ratio. Pure."""

from __future__ import annotations

import math
import statistics

from bench.results.record import Turns

# A launch of fewer rounds stays in the files but is not used: the median of 8 pairs has a standard error of 0.44 of
# their sd, that of the 2 or 3 pairs of a launch which was cut off would add more noise than the launch adds knowledge.
LEAST_ROUNDS = 8


def log_ratio(turns: Turns, baseline: Turns) -> float:
    """Median over rounds of the log ratio of two arms' step times, each round paired with itself."""
    times = dict(zip(baseline.round, baseline.counted, strict=True))
    return statistics.median(
        math.log(counted / times[number])
        for number, counted in zip(turns.round, turns.counted, strict=True)
        if number in times
    )
