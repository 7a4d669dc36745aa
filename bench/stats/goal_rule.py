"""The rule by which the records of modded-nanogpt are taken: the mean of the final losses lies below the goal. Pure.

Its README asks for "a statistical significance level of p<0.01 that their mean val loss is" at most the goal, by a t
test of one sample, as `scipy.stats.ttest_1samp(losses, goal, alternative="less")` makes it. It says of a mean that it
lies below the goal, and nothing of how often one training gets there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RULE_ALPHA = 0.01


@dataclass(frozen=True)
class GoalRule:
    """What the rule says of a cell.

    Attributes:
        mean: of the final losses; None where one is not finite.
        p: of the one-sided t test; None where there is none, of one seed or with a loss that is not finite.
        seeds: trainings.
        met: whether p is below 0.01.
    """

    mean: float | None
    p: float | None
    seeds: int
    met: bool


def goal_rule(losses: Sequence[float], goal: float) -> GoalRule:
    """The rule, of one final loss a seed.

    Raises:
        ValueError: there is no loss.
    """
    # Imported here: scipy.special takes 0.5 s, and whoever only lists or plans does not need it.
    from scipy.special import stdtr

    if not losses:
        raise ValueError("the rule needs losses")
    count = len(losses)
    if not all(map(math.isfinite, losses)):
        return GoalRule(None, None, count, met=False)
    mean = statistics.fmean(losses)
    if count < 2:
        return GoalRule(mean, None, count, met=False)
    spread = statistics.stdev(losses) / math.sqrt(count)
    if not spread:  # all alike: there is no noise that they could owe it to
        return GoalRule(mean, float(mean >= goal), count, met=mean < goal)
    p = float(stdtr(count - 1, (mean - goal) / spread))
    return GoalRule(mean, p, count, met=p < RULE_ALPHA)
