"""Change points of one series of logs, and the newest point's alarm. Plain arrays in, plain values out.

A fit of constant pieces by least squares with a penalty for each piece. What it finds is a suspicion: between runs of
different days lie the machine's own changes too, and only a race of the two commits tells them from the code's.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Under 15 differences their spread is known too badly to say what is an ordinary one.
LEAST_POINTS = 15
LEAST_PIECE = 3
# BIC's 2 sigma^2 ln n splits too often: ruptures' own maintainers say so (ruptures issue 4).
PENALTY = 3.0
SPIKE = 4.0
# Of noise with spikes in 5 % of the points, 200 points have three of them together in one series of 14.
BURST = 5
HARMLESS = 0.02  # a change below is none that anyone wants to hear of; also the gate's margin
SIGNIFICANT = 1e-3
FENCE = 3.0
# With 15 of them the alarm goes off for nothing in 1.1 % of Gaussian series: their quartiles are not known well enough.
LEAST_FOR_ALARM = 20
# The alarm goes by the newest differences: noise of a year ago is that of another machine.
RECENT = 60
# Equal figures in all runs have no spread, and every rounding would be a break.
LEAST_SIGMA = HARMLESS / 20

_EXACT, _DRAWN = 20_000, 9_999


@dataclass(frozen=True)
class Break:
    """A change of level.

    Attributes:
        index: the first point of the new level.
        shift: the difference of the two levels' medians, in logs.
        p: of the permutation test of the pieces on both sides.
        left, right: points of these pieces.
    """

    index: int
    shift: float
    p: float
    left: int
    right: int


@dataclass(frozen=True)
class Newest:
    """Whether the newest point lies further from the one before than points do.

    Attributes:
        difference: from the point before, in logs; None where there is none in the same environment.
        limit: the largest ordinary one; None where there are too few points to tell.
        fired: whether it is above the limit, and not harmless.
    """

    difference: float | None
    limit: float | None
    fired: bool


def sigma(differences: Sequence[float] | Array) -> float:
    """The sd of single points, from the median absolute deviation of their differences; a few steps do not move it."""
    taken = np.asarray(differences, dtype=float)
    deviation = float(np.median(np.abs(taken - np.median(taken)))) if len(taken) else 0.0
    return max(1.4826 * deviation / math.sqrt(2), LEAST_SIGMA)


def without_outliers(values: Array, scale: float) -> Array:
    """The values, but the median of the nearest five in place of single ones and pairs more than 4 sd off it.

    Only cutting them down to 4 sd leaves enough of a pair for a piece of its own.
    """
    n = len(values)
    starts = np.clip(np.arange(n) - 2, 0, max(0, n - 5))
    middle = np.array([np.median(values[start : start + 5]) for start in starts])
    return np.where(np.abs(values - middle) > SPIKE * scale, middle, values)


def breaks(values: Sequence[float], scale: float) -> list[Break]:
    """The changes of level in one stretch of logs, in order.

    Args:
        values: in the order of commits, all of one environment.
        scale: their sd, as `sigma` tells.
    """
    raw = np.asarray(values, dtype=float)
    if len(raw) < 2 * LEAST_PIECE:
        return []
    calm = without_outliers(raw, scale)
    penalty = PENALTY * scale**2 * math.log(len(raw))
    return _kept(raw, calm, pieces(calm, penalty))


def _kept(raw: Array, calm: Array, found: Sequence[int]) -> list[Break]:
    """Those breaks that are large and certain enough. The worst goes first: its pieces are then one, of more points."""
    left = list(found)
    while True:
        judged = [_judge(raw, calm, edges) for edges in _windows(left, len(raw))]
        bad = [item for item in judged if item.p >= SIGNIFICANT or abs(item.shift) < math.log1p(HARMLESS)]
        if bad:
            left.remove(min(bad, key=lambda item: (abs(item.shift), -item.p)).index)
            continue
        burst = next((pair for pair in itertools.pairwise(judged) if _is_burst(*pair)), None)
        if burst is None:
            return judged
        for item in burst:
            left.remove(item.index)


def _is_burst(up: Break, down: Break) -> bool:
    """Whether some points only left their level and came back to it."""
    return down.index - up.index <= BURST and abs(up.shift + down.shift) < math.log1p(HARMLESS)


def _windows(found: Sequence[int], n: int) -> list[tuple[int, int, int]]:
    edges = [0, *found, n]
    return list(zip(edges, edges[1:], edges[2:], strict=False))


def _judge(raw: Array, calm: Array, edges: tuple[int, int, int]) -> Break:
    start, middle, end = edges
    shift = float(np.median(raw[middle:end]) - np.median(raw[start:middle]))
    return Break(middle, shift, permutation_p(calm[start:middle], calm[middle:end]), middle - start, end - middle)


def permutation_p(left: Array, right: Array) -> float:
    """How often pieces drawn at random from both together have means as far apart; exact where that is quickly counted.

    Means and not medians: of three points against twenty, the median of the three is the same in many of the draws.
    """
    small, pooled = min(len(left), len(right)), np.concatenate([left, right])
    n, total = len(pooled), float(pooled.sum())
    ways = math.comb(n, small)
    if ways <= _EXACT:
        sums = pooled[np.array(list(itertools.combinations(range(n), small)))].sum(axis=1)
    else:
        random = np.random.default_rng(0)  # the same answer for the same points
        sums = random.permuted(np.tile(pooled, (_DRAWN, 1)), axis=1)[:, :small].sum(axis=1)
    drawn = np.abs(sums / small - (total - sums) / (n - small))
    observed = abs(float(left.mean() - right.mean()))
    as_far = int(np.count_nonzero(drawn >= observed * (1 - 1e-9)))
    return as_far / ways if ways <= _EXACT else (as_far + 1) / (_DRAWN + 1)


def method() -> str:
    """Which program splits the series here."""
    return "ruptures (KernelCPD, linear)" if _has_ruptures() else "exact dynamic programme"


def _has_ruptures() -> bool:
    return importlib.util.find_spec("ruptures") is not None


def pieces(values: Array, penalty: float) -> list[int]:
    """The first points of all pieces but the first, with the least squared deviation plus penalty for each piece."""
    return _by_ruptures(values, penalty) if _has_ruptures() else exact(values, penalty)


def _by_ruptures(values: Array, penalty: float) -> list[int]:
    import ruptures  # an extra

    # KernelCPD tries every point. Pelt's own default of jump=5 would place breaks at multiples of 5 only.
    search: Any = ruptures.KernelCPD(kernel="linear", min_size=LEAST_PIECE, jump=1)
    return [int(end) for end in search.fit(values.reshape(-1, 1)).predict(pen=penalty)[:-1]]


def exact(values: Array, penalty: float) -> list[int]:
    """The same without ruptures, by trying all: O(n^2), 40 ms for 1,000 points."""
    n = len(values)
    # Sums of squares of values far from zero would lose the digits that matter.
    centred = values - values.mean()
    sums, squares = (np.concatenate([[0.0], np.cumsum(taken)]) for taken in (centred, centred**2))
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    last = np.zeros(n + 1, dtype=int)
    for end in range(LEAST_PIECE, n + 1):
        starts = np.arange(0, end - LEAST_PIECE + 1)
        cost = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / (end - starts)
        total = best[starts] + cost + penalty
        last[end] = int(np.argmin(total))
        best[end] = total[last[end]]
    found = []
    end = int(last[n])
    while end > 0:
        found.append(end)
        end = int(last[end])
    return found[::-1]


def newest(stretches: Sequence[Sequence[float]]) -> Newest:
    """The alarm for the last point of the last stretch, from the differences within all stretches before it.

    The limit is the upper quartile of absolute differences and three times their range between quartiles, as rustc-perf
    has it; of Gaussian noise one in 3,700 points lies above.
    """
    past = [abs(b - a) for stretch in stretches for a, b in itertools.pairwise(stretch)]
    if not stretches or len(stretches[-1]) < 2:
        return Newest(None, _limit(past), False)
    difference = stretches[-1][-1] - stretches[-1][-2]
    limit = _limit(past[:-1])
    fired = limit is not None and abs(difference) > max(limit, math.log1p(HARMLESS))
    return Newest(float(difference), limit, fired)


def _limit(differences: Sequence[float]) -> float | None:
    if len(differences) < LEAST_FOR_ALARM:
        return None
    low, high = np.quantile(differences[-RECENT:], [0.25, 0.75])
    return float(high + FENCE * (high - low))
