"""The signed-rank test, its bounds and Holm's correction: known answers, by scipy or by trying all signs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bench.stats.signed_rank import bound_index, chance_to_pass, holm, signed_rank_p, upper_bound


@pytest.mark.parametrize("n", [5, 10, 16, 24])
def test_signed_ranks_agree_with_scipys_exact_test(n: int) -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.01, 0.02, n)
        theirs = stats.wilcoxon(values - 0.005, alternative="greater", method="exact").pvalue
        assert signed_rank_p(list(values), 0.005) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("values", [[1, 1, -1, 2, 2, 3], [0, 1, -2, 2, 0, 3, 4], [1, 1, 1, 1, 1, 1], [0, 0, 0]])
def test_signed_ranks_with_ties_and_zeros_by_trying_all_signs(values: list[float]) -> None:
    ranks = [rank for rank, value in zip(stats.rankdata(np.abs(values)), values, strict=True) if value]
    signs = [value > 0 for value in values if value]
    seen = sum(rank for rank, positive in zip(ranks, signs, strict=True) if positive)
    as_large = [
        sum(rank for rank, positive in zip(ranks, tried, strict=True) if positive) >= seen
        for tried in product((False, True), repeat=len(ranks))
    ]
    assert signed_rank_p(values) == pytest.approx(sum(as_large) / len(as_large), rel=1e-12)


def test_the_least_p_is_two_to_the_minus_n() -> None:
    assert signed_rank_p([0.1, 0.2, 0.3, 0.4, 0.5]) == 2**-5


@pytest.mark.parametrize("n", range(1, 26))
def test_bound_index_is_that_of_the_binomial(n: int) -> None:
    fit = [k for k in range(1, n + 1) if stats.binom.cdf(k - 1, n, 0.5) <= 0.05]
    assert bound_index(n) == max(fit, default=0)


def test_upper_bound_of_six_is_the_largest_and_of_four_there_is_none() -> None:
    assert upper_bound([3, 1, 2, 6, 5, 4]) == 6
    assert upper_bound([1, 2, 3, 4]) is None


def test_holm_by_hand() -> None:
    assert holm({"a": 0.001, "b": 0.004, "c": 0.02}, 0.01, 3) == {"a": 0.01 / 3, "b": 0.005}
    assert holm({"a": 0.004, "b": 0.001}, 0.01, 10) == {"b": 0.001}
    assert holm({}, 0.01, 3) == {}


@pytest.mark.parametrize(
    ("looks", "above"), [((5,), (0,)), ((5, 9), (0, 1)), ((3, 5, 8), (0, 1, 3)), ((4, 7), (-1, 2))]
)
def test_the_chance_to_pass_by_trying_all_signs(looks: tuple[int, ...], above: tuple[int, ...]) -> None:
    passed = [
        any(sum(tosses[:n]) <= most for n, most in zip(looks, above, strict=True))
        for tosses in product((0, 1), repeat=looks[-1])
    ]
    assert chance_to_pass(looks, above) == sum(passed) / len(passed)
