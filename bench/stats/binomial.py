"""Exact bounds on a rate of events (Clopper and Pearson). Pure."""

from __future__ import annotations


def upper(x: int, n: int) -> float:
    """The exact one-sided 95 % upper bound of a share seen x times in n (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(x, n, alternative="less").proportion_ci(0.95, method="exact").high)


def lower(x: int, n: int) -> float:
    """The exact one-sided 95 % lower bound."""
    from scipy.stats import binomtest

    return float(binomtest(x, n, alternative="greater").proportion_ci(0.95, method="exact").low)
