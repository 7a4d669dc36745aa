"""What the memory layouts of few sets of interpreters may shift a mean over launches by. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

LAYOUT = 0.006  # of a log ratio, as a standard deviation over sets; measured: 0.46 and 0.57 %


def layout_shift(sets: Sequence[int], chance: float, layout: float = LAYOUT) -> float:
    """What the layouts of few sets of interpreters shift the middle of launches by, with that chance at most.

    Launches of one set share its layout, so their scatter does not tell of it: the mean of n launches, of which the
    share q_i came from set i, has a variance of layout**2 * (sum of q_i**2 - 1 / n) that n launches from sets of
    their own do not have.

    Args:
        sets: the set of each launch; none: each came from a set of its own.
        chance: of a larger shift to one side.

    Returns:
        A log ratio.
    """
    n = len(sets)
    shared = math.fsum((sets.count(one) / n) ** 2 for one in set(sets)) - 1 / n if n else 0.0
    # Rounded sums of equal shares differ from 1 / n by some 1e-17, whose root would be an allowance of 1e-9.
    return NormalDist().inv_cdf(1 - chance) * layout * math.sqrt(shared) if shared > 1e-12 else 0.0
