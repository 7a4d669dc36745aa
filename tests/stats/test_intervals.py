"""Intervals: known answers, and coverage of the printed 95 % in seeded simulations."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import noise
import pytest
from tiers import Choice

from bench.stats.intervals import (
    GOAL_FROM,
    LAYOUT_SD,
    PLATEAU_FROM,
    PLATEAU_LAUNCHES,
    Interval,
    half_width,
    interval_of_differences,
    interval_of_logs,
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


def test_from_ten_launches_on_the_mean_of_those_in_the_middle() -> None:
    assert interval_of_differences([9, 5, 1, 8, 2, 7, 3, 6, 4]).estimate == 5
    # 1 and 90 count as 2 and 9: squares about 5.5 are 4 (3.5²) + 2 (2.5² + 1.5² + 0.5²), over 8 x 7; t of 7 degrees.
    interval = interval_of_differences([90, 5, 1, 8, 2, 7, 3, 6, 4, 9])
    reach = 2.36462 * math.sqrt(66.5 / 56)
    assert (interval.estimate, interval.launches) == (5.5, 10)
    assert bounds(interval) == pytest.approx((5.5 - reach, 5.5 + reach), rel=1e-5)
    assert interval_of_logs([math.log(value) for value in (0.01, *[4.0] * 8, 900)]).estimate == pytest.approx(4)
    # With every fourth launch from there on one more at each end is left out: 3 of 18, and not 4.
    assert interval_of_differences([*[-100.0] * 3, *range(12), *[1000.0] * 3]).estimate == 5.5
    assert interval_of_differences([*[-100.0] * 4, *range(10), *[1000.0] * 4]).estimate > 50


def widths_by_launches(interval: Callable[[list[float]], tuple[float, float]], most: int, runs: int) -> list[float]:
    """The mean width for 4 Gaussian launches, for one more, ...; each has the launches of the one before."""
    random_ = random.Random(3)
    totals = [0.0] * (most - 3)
    for _ in range(runs):
        values = [random_.gauss(0, 1) for _ in range(most)]
        for index in range(most - 3):
            low, high = interval(values[: index + 4])
            totals[index] += (high - low) / runs
    return totals


def order_statistics_from_eight_on(values: list[float]) -> tuple[float, float]:
    """What was taken before: the largest k whose tails are 5 % together."""
    n = len(values)
    if n < 8:
        return bounds(interval_of_differences(values))
    k = max(k for k in range(1, n // 2) if 2 * sum(math.comb(n, i) for i in range(k)) / 2**n <= 0.05)
    return sorted(values)[k - 1], sorted(values)[-k]


def test_more_launches_are_never_expected_to_know_less(repeats: Choice) -> None:
    runs = repeats(800, 6000)
    # What a mean of so many widths scatters by, from one number of launches to the next: 0.25 of one, over their root.
    scatter = 3 * 0.25 / math.sqrt(runs)
    widths = widths_by_launches(lambda values: bounds(interval_of_differences(values)), 34, runs)
    assert all(more <= less + scatter for less, more in itertools.pairwise(widths))
    assert widths[8 - 4] < widths[7 - 4] - 0.1
    before = widths_by_launches(order_statistics_from_eight_on, 12, repeats(300, 1000))
    assert before[8 - 4] > 1.5 * before[7 - 4]
    assert before[12 - 4] > 1.2 * widths[12 - 4]


@pytest.mark.parametrize("model", [model for model in noise.MODELS if model != "drift"])
def test_a_launch_more_knows_no_less_on_any_machine(model: str, repeats: Choice) -> None:
    """Of eight than of seven; of ten than of nine, but where processes are fast or slow by the toss of a coin."""
    made = noise.races(model, repeats(300, 2000), 10, 6)
    for values in (made.twin, made.base):
        seven, eight, nine, ten = (
            sum(high - low for low, high in (bounds(interval_of_differences(row)) for row in values[:, :n].tolist()))
            for n in (7, 8, 9, 10)
        )
        assert eight < seven
        assert ten < nine * (1.16 if model == "bimodal" else 1.02)


# Launches of few interpreters


def launches_of_sets(
    sets: int, n: int, layout: float, own: float, runs: int
) -> Iterator[tuple[list[float], list[int]]]:
    """Values around 0 with a part that all launches of a set share, sets in turn, and which set each is of."""
    random_ = random.Random(f"{sets} {n} {layout} {own}")
    numbers = [number % sets for number in range(n)]
    for _ in range(runs):
        shared = [random_.gauss(0, layout) for _ in range(sets)]
        yield [shared[number] + random_.gauss(0, own) for number in numbers], numbers


@pytest.mark.parametrize("layout", [0.003, 0.005, 0.01])
@pytest.mark.parametrize("sets", [1, 2, 3, 4, 6, 12])
def test_intervals_over_sets_cover_whatever_their_layout_does(sets: int, layout: float, repeats: Choice) -> None:
    runs = repeats(FEW, RUNS)
    for own in (0.007, 0.012):
        for n in (count for count in (6, 12, 20) if count >= sets):
            made = launches_of_sets(sets, n, layout, own, runs)
            found = [interval_of_differences(values, sets=numbers).contains(0.0) for values, numbers in made]
            assert sum(found) / runs >= at_least(0.93, runs), f"{n} launches, {own}"


@pytest.mark.parametrize(
    ("sets", "layout", "n", "most"),
    [(2, 0.005, 12, 0.83), (2, 0.01, 20, 0.58), (4, 0.01, 20, 0.75), (1, 0.005, 6, 0.8)],
)
def test_intervals_over_launches_would_not_cover(
    sets: int, layout: float, n: int, most: float, repeats: Choice
) -> None:
    """The check above can fail: as if each launch had interpreters of its own, and the worse the more there are."""
    runs = repeats(FEW, RUNS)
    made = launches_of_sets(sets, n, layout, 0.007, runs)
    covered = sum(interval_of_differences(values).contains(0.0) for values, _ in made)
    assert covered / runs <= 1 - at_least(1 - most, runs)


def test_sets_by_hand() -> None:
    values = [0.0, 2.0, 10.0, 12.0, 20.0, 22.0, 30.0, 32.0]
    four = interval_of_differences(values, sets=[0, 0, 1, 1, 2, 2, 3, 3])
    assert four == replace(interval_of_differences([1.0, 11.0, 21.0, 31.0]), launches=8)
    # Of two sets: squares 2 + 2 within, 2 degrees, so an sd of 1.414, over the root of 4, times 4.30265.
    two = interval_of_differences(values[:4], sets=[7, 7, 5, 5])
    assert (two.estimate, two.launches) == (6, 4)
    reach = math.hypot(4.30265 * math.sqrt(2) / 2, 1.95996 * LAYOUT_SD / math.sqrt(2))
    assert bounds(two) == pytest.approx((6 - reach, 6 + reach), rel=1e-5)
    # A set of one launch among others weighs as much as they do; and however many launches, two sets are two sets.
    assert interval_of_differences([1.0, 2.0, 3.0, 8.0], sets=[0, 0, 0, 1]).estimate == 5
    many = interval_of_differences([0.0] * 500, sets=[number % 2 for number in range(500)])
    assert bounds(many) == pytest.approx((-0.01386, 0.01386), abs=1e-5)


def test_a_set_for_each_launch_is_as_none() -> None:
    values = [random.Random(4).gauss(0, 1) for _ in range(12)]
    assert interval_of_differences(values, sets=range(12)) == interval_of_differences(values)
    assert interval_of_logs(values, sets=range(12)) == interval_of_logs(values)
    assert interval_of_logs(values, sets=[0, 1] * 6) != interval_of_logs(values)
    assert interval_of_differences([1.0], sets=[3]) == Interval(1.0, None, None, 1)
    with pytest.raises(ValueError, match="sets: one for each value; got 2 for 3 values"):
        interval_of_differences([1.0, 2.0, 3.0], sets=[0, 1])


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
    # Of uniform values without their outer quarters.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 7500 / math.sqrt(6 * 7500), rel=0.05)
