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
TURNS = 8
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

# What a point shares with the one before, from differences up to so many points apart, and the margin that is added to
# it, over the root of the differences: two of its sampling errors and a bit. With 1.1, one of them, AR(0.8) noise of 21
# points has a break in 11 % of series; with this one in under 1 %.
LAGS = 4
MOST_SHARED = 0.99
SHARED_MARGIN = 2.5
# A two-faced machine gives half of all differences no size: their median alone took its sd of 2 % for 0.7 %.
UPPER = 0.8
# Of the series that a history tells a break of, one in twenty may have none (Benjamini and Hochberg 1995).
FALSE_SHARE = 0.05

_EXACT, _DRAWN = 20_000, 9_999
# The quantiles of the absolute value of Gaussian noise, in sd.
_MEDIAN, _UPPER = 0.6745, 1.2816


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


@dataclass(frozen=True)
class Noise:
    """What single points scatter by.

    Attributes:
        sd: of points about their level.
        shared: the lag-1 autocorrelation that is assumed of them, the estimate and its margin; 0 of white noise.
        block: how many neighbours are permuted together, as they have so much in common.
    """

    sd: float
    shared: float = 0.0
    block: int = 1

    @property
    def inflation(self) -> float:
        """By how much the variance of a mean of many such points exceeds that of as many independent ones."""
        return (1 + self.shared) / (1 - self.shared)


def sigma(differences: Sequence[float] | Array) -> float:
    """The sd of white single points, from quantiles of the absolute differences; a few steps do not move it."""
    return max(_spread(np.asarray(differences, dtype=float)) / math.sqrt(2), LEAST_SIGMA)


def _spread(differences: Array) -> float:
    if not len(differences):
        return 0.0
    off = np.abs(differences - np.median(differences))
    middle, upper = np.quantile(off, [0.5, UPPER])
    return float(max(middle / _MEDIAN, upper / _UPPER))


def noise_of(levels: Sequence[Array]) -> Noise:
    """The noise of points that are in pieces, of which each is at one level.

    Of points that share a part r with the one before, differences k points apart have a variance in proportion to
    1 - r^k. Differences across the pieces are left out, so that a change of level is not taken for memory, and no mean
    of a short piece is taken off its points, which would hide their memory.
    """
    apart = [
        np.concatenate([own[lag:] - own[:-lag] for own in levels if len(own) > lag] or [np.zeros(0)])
        for lag in range(1, LAGS + 1)
    ]
    white = _spread(apart[0]) / math.sqrt(2)
    if len(apart[-1]) < LEAST_PIECE or white < LEAST_SIGMA:
        return Noise(max(white, LEAST_SIGMA))
    clipped = [_clipped_variance(own) for own in apart]
    tried = np.linspace(0, MOST_SHARED, 100)
    off = sum(
        (np.log(one / clipped[0]) - np.log((1 - tried**lag) / (1 - tried))) ** 2
        for lag, one in enumerate(clipped[1:], start=2)
    )
    found = float(tried[int(np.argmin(off))])
    assumed = min(MOST_SHARED, found + SHARED_MARGIN / math.sqrt(len(apart[0])))
    sd = max(white / math.sqrt(1 - assumed), LEAST_SIGMA)
    return Noise(sd, assumed, int((1 + found) / (1 - found)))


def _clipped_variance(differences: Array) -> float:
    middle = np.median(differences)
    reach = 3 * _spread(differences)
    return float(np.mean(np.clip(differences - middle, -reach, reach) ** 2))


def without_outliers(values: Array, scale: float) -> Array:
    """The values, but the median of the nearest five in place of single ones and pairs more than 4 sd off it.

    Only cutting them down to 4 sd leaves enough of a pair for a piece of its own.
    """
    n, width = len(values), min(5, len(values))
    starts = np.clip(np.arange(n) - 2, 0, n - width)
    middle = np.median(values[starts[:, None] + np.arange(width)], axis=1) if n else values
    return np.where(np.abs(values - middle) > SPIKE * scale, middle, values)


def breaks(stretches: Sequence[Sequence[float]]) -> list[list[Break]]:
    """The changes of level in each of some stretches of logs, in order.

    The noise is that of points about the levels that the fit finds, and the fit depends on the noise: they take turns
    until both stay, from white noise on.

    Args:
        stretches: in the order of commits, each of one environment, and all of one series.
    """
    raw = [np.asarray(own, dtype=float) for own in stretches]
    noise = Noise(sigma(np.concatenate([np.diff(own) for own in raw] or [np.zeros(0)])))
    found: list[list[int]] | None = None
    for _ in range(TURNS):
        before, found = found, [_split(own, noise) for own in raw]
        if found == before:
            break
        noise = noise_of([piece for own, cuts in zip(raw, found, strict=True) for piece in np.split(own, cuts)])
    return [
        _kept(own, without_outliers(own, noise.sd), cuts, noise) for own, cuts in zip(raw, found or [], strict=True)
    ]


def _split(raw: Array, noise: Noise) -> list[int]:
    if len(raw) < 2 * LEAST_PIECE:
        return []
    penalty = PENALTY * noise.sd**2 * noise.inflation * math.log(len(raw))
    return pieces(without_outliers(raw, noise.sd), penalty)


def _kept(raw: Array, calm: Array, found: Sequence[int], noise: Noise) -> list[Break]:
    """Those breaks that are large and certain enough. The worst goes first: its pieces are then one, of more points."""
    left = list(found)
    while True:
        judged = [_judge(raw, calm, edges, noise.block) for edges in _windows(left, len(raw))]
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


def _judge(raw: Array, calm: Array, edges: tuple[int, int, int], block: int) -> Break:
    start, middle, end = edges
    shift = float(np.median(raw[middle:end]) - np.median(raw[start:middle]))
    return Break(
        middle, shift, permutation_p(calm[start:middle], calm[middle:end], block), middle - start, end - middle
    )


def permutation_p(left: Array, right: Array, block: int = 1) -> float:
    """How often pieces drawn at random from both together have means as far apart; exact where that is quickly counted.

    Means and not medians: of three points against twenty, the median of the three is the same in many of the draws.

    Args:
        block: so many neighbours stay together, as points do that have something in common.
    """
    small, pooled = min(len(left), len(right)), np.concatenate([left, right])
    n, total = len(pooled), float(pooled.sum())
    observed = abs(float(left.mean() - right.mean())) * (1 - 1e-9)
    ways = math.comb(n, small)
    if block <= 1 and ways <= _EXACT:
        sums = pooled[np.array(list(itertools.combinations(range(n), small)))].sum(axis=1)
        return int(np.count_nonzero(_apart(sums, total, small, n) >= observed)) / ways
    random = np.random.default_rng(0)  # the same answer for the same points
    drawn = _apart(_sums(random, pooled, small, max(1, block), _DRAWN), total, small, n)
    as_far = int(np.count_nonzero(drawn >= observed))
    p = (as_far + 1) / (_DRAWN + 1)
    if as_far:
        return p
    # None of ten thousand is too coarse for the least of hundreds of series. Such means are Gaussian to begin with, and
    # then end sooner.
    spread = math.sqrt(float(np.mean(drawn**2)))
    return min(p, max(math.erfc(observed / spread / math.sqrt(2)), 1 / ways)) if spread else p


def _apart(sums: Array, total: float, small: int, n: int) -> Array:
    return np.abs(sums / small - (total - sums) / (n - small))


def _sums(random: np.random.Generator, pooled: Array, small: int, block: int, draws: int) -> Array:
    """Sums of the first `small` points, with blocks in random order; the last block may be shorter."""
    if block == 1:
        firsts: Array = random.permuted(np.tile(pooled, (draws, 1)), axis=1)[:, :small]
        return np.asarray(firsts.sum(axis=1))
    starts = np.arange(0, len(pooled), block)
    lengths = np.minimum(block, len(pooled) - starts)
    orders = random.permuted(np.tile(np.arange(len(starts)), (draws, 1)), axis=1)
    ends = np.cumsum(lengths[orders], axis=1)
    # What of each block lies within the first points: all, none or, of one, its beginning.
    within = np.clip(small - (ends - lengths[orders]), 0, lengths[orders])
    sums = np.concatenate([[0.0], np.cumsum(pooled)])
    found: Array = (sums[starts[orders] + within] - sums[starts[orders]]).sum(axis=1)
    return found


def kept_series(least: Sequence[float]) -> list[bool]:
    """Which of all series keep their breaks, by the least p of each: 1 where it has none (Benjamini and Hochberg)."""
    ordered = sorted(least)
    last = max((p for rank, p in enumerate(ordered, start=1) if p <= FALSE_SHARE * rank / len(least)), default=-1.0)
    return [p <= last and p < 1 for p in least]


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
