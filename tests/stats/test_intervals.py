"""Intervals: known answers, and coverage of the printed 95 % in seeded simulations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import product

import pytest
from tiers import Choice

from bench.stats.intervals import (
    GOAL_FROM,
    PLATEAU_FROM,
    PLATEAU_LAUNCHES,
    Interval,
    half_width,
    interval_of_differences,
    interval_of_logs,
    order_index,
    stop_reason,
    t_quantile,
)

FEW, RUNS = 200, 2000


def at_least(rate: float, runs: int) -> float:
    """The rate itself in full; of fewer runs, less by three times what these scatter more."""
    return rate - 3 * math.sqrt(rate * (1 - rate)) * (runs**-0.5 - RUNS**-0.5)


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (6, 2.4469)])
def test_t_quantile_is_that_of_the_printed_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-5)


def test_t_interval_by_hand() -> None:
    # mean 2, sd 1, standard error 0.57735, times 4.30265.
    interval = interval_of_differences([1.0, 2.0, 3.0])
    assert interval.estimate == 2.0
    assert bounds(interval) == pytest.approx((-0.48414, 4.48414), abs=1e-5)
    assert interval.launches == 3


@pytest.mark.parametrize(("n", "k"), [(5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (16, 4), (20, 6), (30, 10)])
def test_order_index_is_that_of_the_published_table(n: int, k: int) -> None:
    assert order_index(n) == k


@pytest.mark.parametrize("n", range(6, 15))
def test_order_index_by_trying_all_signs(n: int) -> None:
    # The k-th smallest of n exceeds the median if fewer than k values lie below it.
    below = [sum(signs) for signs in product((0, 1), repeat=n)]
    misses = {k: sum(count < k or n - count < k for count in below) / 2**n for k in range(1, n // 2 + 1)}
    assert order_index(n) == max(k for k, share in misses.items() if share <= 0.05)


def test_from_eight_launches_on_the_median_and_order_statistics() -> None:
    assert interval_of_differences([5, 1, 8, 2, 7, 3, 6, 4]) == Interval(4.5, 1, 8, 8)
    assert interval_of_differences([9, 5, 1, 8, 2, 7, 3, 6, 4]) == Interval(5, 2, 8, 9)
    assert interval_of_logs([math.log(value) for value in range(1, 10)]).estimate == pytest.approx(5)


def test_one_launch_has_no_interval() -> None:
    interval = interval_of_logs([0.0])
    assert (interval.estimate, interval.low, interval.high, interval.launches) == (1.0, None, None, 1)
    assert half_width(interval) is None
    assert interval.contains(17.0)


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [math.inf]])
def test_no_values_and_nan_raise(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        interval_of_differences(values)


def test_two_launches_far_apart_give_finite_bounds() -> None:
    low, high = bounds(interval_of_logs([0.0, 200.0]))
    assert low >= 0
    assert math.isfinite(high)


def test_negating_logs_inverts_the_ratio() -> None:
    for n in (4, 9):
        values = [random.Random(n).gauss(0.1, 0.05) for _ in range(n)]
        one, other = interval_of_logs(values), interval_of_logs([-value for value in values])
        low, high = bounds(other)
        assert other.estimate == pytest.approx(1 / one.estimate)
        assert (1 / high, 1 / low) == pytest.approx(bounds(one))


def gaussian(random_: random.Random) -> float:
    return random_.gauss(0.0, 0.01)


def spiky(random_: random.Random) -> float:
    # One launch in ten disturbed, as often the arm as its baseline.
    stall = random_.lognormvariate(0.0, 1.0) * 0.02 if random_.random() < 0.1 else 0.0
    return random_.gauss(0.0, 0.01) + random_.choice((-1, 1)) * stall


@pytest.mark.parametrize("noise", [gaussian, spiky])
@pytest.mark.parametrize("launches", [4, 6, 8, 12])
def test_intervals_cover_what_they_promise(
    launches: int, noise: Callable[[random.Random], float], repeats: Choice
) -> None:
    random_, runs = random.Random(f"{launches} {noise.__name__}"), repeats(FEW, RUNS)
    covered = sum(
        interval_of_logs([math.log(1.1) + noise(random_) for _ in range(launches)]).contains(1.1) for _ in range(runs)
    )
    assert covered / runs >= at_least(0.93, runs)


def test_pooled_turns_would_not_cover(repeats: Choice) -> None:
    # The same simulation finds the usual mistake, so it can fail: turns of 4 launches taken for 40 launches.
    random_, runs = random.Random(1), repeats(FEW, RUNS)
    covered = 0
    for _ in range(runs):
        launches = [random_.gauss(0, 0.01) for _ in range(4)]
        covered += interval_of_logs(
            [launch + random_.gauss(0, 0.01) for launch in launches for _ in range(10)]
        ).contains(1.0)
    assert covered / runs < 0.75


@pytest.mark.parametrize("target", [0.02, 0.01])
def test_stopping_at_the_target_keeps_the_interval_honest(target: float, repeats: Choice) -> None:
    random_, runs = random.Random(2), repeats(FEW, RUNS)
    covered = 0
    for _ in range(runs):
        values: list[float] = []
        widths: list[float | None] = []
        while not values or (len(values) < 24 and stop_reason(widths, target) is None):
            values.append(random_.gauss(0, 0.01))
            widths.append(half_width(interval_of_logs(values)))
        covered += interval_of_logs(values).contains(1.0)
    assert covered / runs >= at_least(0.93, runs)


def test_half_width_is_relative() -> None:
    assert half_width(Interval(2.0, 1.9, 2.1, 5)) == pytest.approx(0.05)
    assert half_width(Interval(-2.0, -2.1, -1.9, 5)) == pytest.approx(0.05)
    assert half_width(Interval(0.0, -1.0, 1.0, 5)) is None


def test_stops_at_the_goal_but_not_before_it_may_be_judged() -> None:
    narrow = [None, *[0.001] * (GOAL_FROM - 2)]
    assert stop_reason(narrow, 0.01) is None
    assert stop_reason([*narrow, 0.001], 0.01) == "precision-goal"
    assert stop_reason([*narrow, 0.02], 0.01) is None
    assert stop_reason([], 0.01) is None


def test_stops_at_a_plateau() -> None:
    start = [None, *[0.2] * (PLATEAU_FROM - 2), 0.1]
    flat = [*start, *[0.099] * PLATEAU_LAUNCHES]
    assert stop_reason(flat[:-1], 0.01) is None
    assert stop_reason(flat, 0.01) == "plateau"
    assert stop_reason([*start, 0.099, 0.099, 0.094, 0.099], 0.01) is None
    assert stop_reason([*flat, 0.009], 0.01) == "precision-goal"


def test_thousands_of_values_have_an_interval() -> None:
    # The twins of 2,500 groups with 3 launches each; 2**n has no float from 1024 on.
    found = interval_of_differences([float(number) for number in range(7500)])
    assert found.low is not None
    assert found.high is not None
    # 1.96 standard deviations of the count, half the root of n, to each side.
    assert found.high - found.low == pytest.approx(1.96 * math.sqrt(7500), abs=2)
