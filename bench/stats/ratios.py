"""Step times paired by round -> a log ratio. Pure."""

from __future__ import annotations

import math
import statistics

from bench.results.record import Turns

LEAST_ROUNDS = 8  # a launch with fewer is kept but not used; `stats` says so too


def log_ratio(turns: Turns, baseline: Turns) -> float:
    """Median over rounds of the log ratio of two arms' step times, each round paired with itself."""
    times = dict(zip(baseline.round, baseline.counted, strict=True))
    return statistics.median(
        math.log(counted / times[number])
        for number, counted in zip(turns.round, turns.counted, strict=True)
        if number in times
    )
