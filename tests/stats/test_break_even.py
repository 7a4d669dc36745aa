"""Break-even against a known truth: starts and savings of known means, whose ratio has to be in the interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiers import Choice

from bench.stats.break_even import break_even
from bench.stats.intervals import interval_of_differences

EXTRA, SAVED = 40.0, 0.01  # seconds, and seconds a step
TRUTH = EXTRA / SAVED


def at_least(rate: float, runs: int) -> float:
    return rate - 3 * math.sqrt(rate * (1 - rate) / runs) * (runs < 1000)


def launches(n: int, start_cv: float, saved_cv: float, seed: int) -> tuple[list[float], list[float]]:
    random = np.random.default_rng([n, seed])
    return (EXTRA * random.normal(1, start_cv, n)).tolist(), (SAVED * random.normal(1, saved_cv, n)).tolist()


@pytest.mark.parametrize("n", [3, 5, 8, 12, 20, 40])
@pytest.mark.parametrize("saved_cv", [0.02, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0])
def test_the_interval_holds_the_true_steps(n: int, saved_cv: float, repeats: Choice) -> None:
    """Up to savings that are as often losses, where the interval has no end."""
    runs = repeats(150, 2000)
    for start_cv in (0.02, 0.1):
        held = 0
        for seed in range(runs):
            found = break_even(*launches(n, start_cv, saved_cv, seed))
            assert found.low is not None
            assert found.high is not None
            held += found.low <= TRUTH <= found.high
        assert held / runs >= at_least(0.93, runs), start_cv


@pytest.mark.parametrize(("n", "start_cv", "saved_cv", "most"), [(12, 0.1, 0.02, 0.15), (20, 0.1, 0.1, 0.45)])
def test_the_start_as_a_point_over_the_ends_of_the_saving_does_not(
    n: int, start_cv: float, saved_cv: float, most: float, repeats: Choice
) -> None:
    """The check above can fail: what was done before, as if one start told how long starts take."""
    runs, held = repeats(150, 2000), 0
    for seed in range(runs):
        extra, saved = launches(n, start_cv, saved_cv, seed)
        ends = interval_of_differences(saved)
        assert ends.low is not None
        assert ends.high is not None
        held += extra[0] / ends.high <= TRUTH <= (extra[0] / ends.low if ends.low > 0 else math.inf)
    assert held / runs < most + 3 * math.sqrt(most / runs) * (runs < 1000)


def test_machines_that_are_fast_or_slow_as_a_whole_are_in_neither() -> None:
    random = np.random.default_rng(3)
    speed = random.lognormal(0, 0.15, 8)
    found = break_even((EXTRA * speed).tolist(), (SAVED * speed).tolist())
    assert (found.estimate, found.low, found.high) == pytest.approx((TRUTH, TRUTH, TRUTH))


def test_fieller_by_hand() -> None:
    # Means 10 and 2, variances 1 and 4 (cv 1), no covariance; t of 2 degrees is 4.30265, t² / n = 6.1709.
    found = break_even([9.0, 11.0, 10.0], [2.0, 2.0, 2.0])
    assert found.estimate == pytest.approx(10 / 2, rel=0.01)
    perhaps = break_even([9.0, 10.0, 11.0], [0.0, 4.0, 2.0])
    a, b, c = 4 - 6.17094 * 4, 20 - 6.17094 * 1, 100 - 6.17094
    root = math.sqrt(b * b - a * c)
    assert perhaps.low == pytest.approx(max((b - root) / a, (b + root) / a), rel=1e-4)
    assert perhaps.high == math.inf
    assert perhaps.estimate == 5
    # Savings that differ by more than a fifth: the ratio of the means, and not the mean of ratios.
    assert break_even([9.0, 10.0, 11.0], [1.0, 4.0, 2.5]).estimate == 4


def test_what_is_lost_is_never_paid_and_what_costs_nothing_is_paid_at_once() -> None:
    lost = break_even([10.0, 11.0, 9.0], [-1.0, -1.1, -0.9])
    assert (lost.estimate, lost.low, lost.high) == (math.inf, math.inf, math.inf)
    free = break_even([-10.0, -11.0, -9.0], [1.0, 1.1, 0.9])
    assert (free.estimate, free.low) == (0.0, 0.0)
    unknown = break_even([-10.0, 11.0, 1.0], [-1.0, 1.1, 0.1])
    assert (unknown.low, unknown.high) == (0.0, math.inf)


def test_one_launch_has_no_interval_and_none_is_an_error() -> None:
    once = break_even([10.0], [2.0])
    assert (once.estimate, once.low, once.high, once.launches) == (5.0, None, None, 1)
    for extra, saved in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="as many starts as savings"):
            break_even(extra, saved)
