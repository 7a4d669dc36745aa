"""The signed-rank test, bounds from it, and Holm's correction. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

_Name = TypeVar("_Name", bound=Any)  # whatever names a test, and can be sorted

BOUND = 0.95  # confidence of the one-sided bound that a pass rests on


def signed_rank_p(values: Sequence[float], shift: float = 0.0) -> float:
    """The exact one-sided p of Wilcoxon's signed-rank test that the values lie above `shift`.

    Exact with ties too: it counts the sign patterns of the ranks that are there. Zeros keep their ranks and have no
    sign (Pratt 1959).
    """
    moved = [value - shift for value in values]
    ordered = sorted(abs(value) for value in moved)
    # Ranks are doubled, so that the mean rank of ties is a whole number.
    first = {value: index for index, value in reversed(list(enumerate(ordered)))}
    last = {value: index for index, value in enumerate(ordered)}
    ranks = [(value, first[abs(value)] + last[abs(value)] + 2) for value in moved if value]
    statistic = sum(rank for value, rank in ranks if value > 0)
    return _tail(tuple(sorted(rank for _, rank in ranks)))[statistic] / float(2 ** len(ranks))


@cache
def _tail(ranks: tuple[int, ...]) -> tuple[int, ...]:
    """Of the 2**n sign patterns of these ranks, how many have a sum of positive ranks of at least 0, 1, 2, ...

    No pattern gives more than the sum of all ranks, which ends the table.
    """
    counts = [1]
    for rank in ranks:
        counts = [
            (counts[total] if total < len(counts) else 0) + (counts[total - rank] if total >= rank else 0)
            for total in range(len(counts) + rank)
        ]
    tail, seen = [0] * len(counts), 0
    for total in range(len(counts) - 1, -1, -1):
        seen += counts[total]
        tail[total] = seen
    return tuple(tail)


def holm(ps: Mapping[_Name, float], alpha: float, family: int) -> dict[_Name, float]:
    """The names that Holm's procedure rejects, each with the alpha that it was held against.

    Args:
        family: hypotheses in all; those without a p here count as not rejected.
    """
    rejected = {}
    for index, (name, p) in enumerate(sorted(ps.items(), key=lambda item: (item[1], item[0]))):
        share = alpha / (family - index)
        if p > share:
            break
        rejected[name] = share
    return rejected


@cache
def bound_index(n: int) -> int:
    """The largest k, from 1, for which the k-th largest of n values is above the median with 95 %; 0 below 5 values."""
    k, tail = 0, 0
    while n > 0:
        tail += math.comb(n, k)
        if tail > (1 - BOUND) * 2**n:
            return k
        k += 1
    return 0


def upper_bound(values: Sequence[float]) -> float | None:
    """The one-sided 95 % bound of the median by order statistics; None for fewer than 5 values."""
    k = bound_index(len(values))
    return sorted(values)[len(values) - k] if k else None


@cache
def chance_to_pass(looks: tuple[int, ...], above: tuple[int, ...]) -> float:
    """How often fair coins pass one of several looks, exactly: of the first n tosses no more than so many are heads.

    Each value of a cell is such a coin for the question whether it lies above the cell's median, whatever its noise: so
    this is how often a cell passes whose median is the bound itself, over all looks together.

    Args:
        looks: numbers of tosses, rising.
        above: heads allowed at each, below 0: none passes there.
    """
    ways, tossed, passed = [1], 0, 0  # ways: to every number of heads, of those that passed no look yet
    for look, allowed in zip(looks, above, strict=True):
        for _ in range(look - tossed):
            ways = [one + other for one, other in zip([*ways, 0], [0, *ways], strict=True)]
        tossed = look
        passed += sum(ways[: allowed + 1]) << (looks[-1] - look)
        ways[: allowed + 1] = [0] * len(ways[: allowed + 1])
    return passed / 2 ** looks[-1] if looks else 0.0
