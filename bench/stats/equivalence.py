"""Whether final losses are as good as each other: two one-sided tests, paired by seed. Pure.

That no difference is seen says nothing: five noisy seeds see none. Equality is claimed only where the 90 % interval of
the ratio lies within a margin, which is what two one-sided tests at 5 % come to (Schuirmann 1987): losses that are
farther apart than the margin are called equivalent in at most one case of twenty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.stats.intervals import CONFIDENCE, Interval, interval_of_logs

MARGIN = 0.02  # relative; of a run of modded-nanogpt 25 times what identical runs differ by (coefficient of variation)
DECIDES = 0.90  # confidence of the interval that two tests at 5 % ask for

# equivalent  the 90 % interval of the ratio lies within the margin, or all pairs are equal bit for bit
# different   the 95 % interval of the ratio lies beyond the margin, or one of both diverged from every seed
# undecided   neither; also where one value is no loss that can be compared
EquivalenceAnswer = Literal["equivalent", "different", "undecided"]


@dataclass(frozen=True)
class Equivalence:
    """What the final losses of two cells say, seed by seed.

    Attributes:
        answer: one of the three; "no difference" is none of them.
        margin: relative; losses within a factor of 1 + margin, up or down, are as good as each other.
        seeds: pairs that there are.
        identical: whether all pairs are equal bit for bit; then nothing is estimated.
        ratio: of the losses, their geometric mean over seeds, with the 90 % interval that decides equivalence; None
            where there is no ratio.
        wider: the same with the 95 % interval, which decides difference.
        apart: whether the 95 % interval excludes 1: a difference is told then, whether it matters or not.
        reason: why nothing could be decided, where that is not the interval's width, or "".
    """

    answer: EquivalenceAnswer
    margin: float
    seeds: int
    identical: bool = False
    ratio: Interval | None = None
    wider: Interval | None = None
    apart: bool = False
    reason: str = ""


def equivalence(losses: Sequence[float], baseline: Sequence[float], margin: float = MARGIN) -> Equivalence:
    """Of final losses, one a seed, those of a cell and of its baseline from the same seeds.

    Losses that are not finite are no reason to leave a seed out: with one among them nothing is equivalent.

    Raises:
        ValueError: there is no pair, or not one loss for each of the baseline's, or the margin is no share.
    """
    if not losses or len(losses) != len(baseline):
        raise ValueError(f"losses in pairs: got {len(losses)} and {len(baseline)}")
    if not 0 < margin < 1:
        raise ValueError(f"a margin is above 0 and below 1; got {margin}")
    pairs = list(zip(losses, baseline, strict=True))
    finite = [(math.isfinite(mine), math.isfinite(theirs)) for mine, theirs in pairs]
    if not all(mine and theirs for mine, theirs in finite):
        return _of_divergence(finite, margin)
    if all(mine == theirs for mine, theirs in pairs):
        return Equivalence("equivalent", margin, len(pairs), identical=True)
    if min(*losses, *baseline) <= 0:
        return Equivalence("undecided", margin, len(pairs), reason="losses of 0 or below have no ratio")
    logs = [math.log(mine / theirs) for mine, theirs in pairs]
    ratio, wider = interval_of_logs(logs, DECIDES), interval_of_logs(logs, CONFIDENCE)
    if ratio.low is None or ratio.high is None or wider.low is None or wider.high is None:
        return Equivalence("undecided", margin, 1, ratio=ratio, wider=wider, reason="one seed gives no interval")
    answer: EquivalenceAnswer = "undecided"
    if 1 / (1 + margin) < ratio.low and ratio.high < 1 + margin:
        answer = "equivalent"
    elif wider.low > 1 + margin or wider.high < 1 / (1 + margin):
        answer = "different"
    return Equivalence(answer, margin, len(pairs), ratio=ratio, wider=wider, apart=not wider.contains(1.0))


def _of_divergence(finite: Sequence[tuple[bool, bool]], margin: float) -> Equivalence:
    """Where some loss is not finite: different if one side alone has such a loss from every seed, else undecided."""
    mine, theirs = (sum(not pair[side] for pair in finite) for side in (0, 1))
    seeds = len(finite)
    always = (mine, theirs) in ((seeds, 0), (0, seeds))
    reason = f"{mine} of {seeds} trainings diverged, of the baseline's {theirs}"
    return Equivalence("different" if always else "undecided", margin, seeds, apart=always, reason=reason)
