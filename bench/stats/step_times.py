"""Two arms' turns of one launch -> how much longer a step takes, typically and in the mean. Pure.

A stand-in until the estimator of single steps is there: the typical ratio is the median of paired turns, that of the
mean the ratio of all counted seconds in the rounds that both have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.results.record import Turns
from bench.stats.ratios import log_ratio


@dataclass(frozen=True)
class LaunchRatios:
    """What a launch says of two arms, as log ratios.

    Attributes:
        typical: of the typical step, the median.
        mean: of the mean step, which a user pays.
    """

    typical: float
    mean: float


def launch_ratios(turns: Turns, baseline: Turns) -> LaunchRatios:
    """The ratios of an arm to its baseline in one launch."""
    both = set(turns.round) & set(baseline.round)
    own, base = (
        math.fsum(seconds for number, seconds in zip(arm.round, arm.counted, strict=True) if number in both)
        for arm in (turns, baseline)
    )
    return LaunchRatios(log_ratio(turns, baseline), math.log(own / base))


def mean_step(turns: Turns) -> float:
    """Seconds of an arm's mean step in one launch."""
    return math.fsum(turns.counted) / (turns.steps * len(turns.counted))
