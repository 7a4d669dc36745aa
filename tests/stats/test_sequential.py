"""Questions asked again and again: known answers, and how often they are answered wrongly. Seeded simulations."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
from noise import MODELS, Array, of_few_sets, races
from scipy import stats
from tiers import Choice

from bench.stats.layouts import layout_shift
from bench.stats.sequential import ERROR_RATE, FIRST_LEVEL, look_numbers, side_of_zero

LAUNCHES = 60
FEW, RUNS = 60, 1500


def deviations(runs: int) -> float:
    """Three binomial standard deviations of the error rate."""
    return 3 * math.sqrt(ERROR_RATE * (1 - ERROR_RATE) / runs)


def test_looks_are_close_at_first_and_rarer_later() -> None:
    assert list(islice(look_numbers(), 14)) == [4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42]


def test_a_look_is_a_pair_of_one_sided_t_tests() -> None:
    values = [0.01, 0.03, 0.02, 0.05]
    reach = stats.t.isf(FIRST_LEVEL, 3) * np.std(values, ddof=1) / 2
    found = side_of_zero(values)
    assert (found.side, found.launches) == ("", 4)
    assert found.low == pytest.approx(np.mean(values) - reach)
    assert found.high == pytest.approx(np.mean(values) + reach)
    third = side_of_zero([*values, 0.03, 0.03, 9.0])
    reach = stats.t.isf(FIRST_LEVEL / math.sqrt(2), 4) * np.std([*values, 0.03], ddof=1) / math.sqrt(5)
    assert (third.side, third.launches) == ("above", 5), "the first look that can tell is the last one"
    assert third.low == pytest.approx(np.mean([*values, 0.03]) - reach)
    assert side_of_zero([-value for value in values] + [-0.03]).side == "below"


def test_below_the_first_look_nothing_is_known() -> None:
    found = side_of_zero([5.0, 5.0, 5.0])
    assert (found.side, found.low, found.high, found.launches) == ("", None, None, 3)


def test_questions_share_the_level_and_layouts_are_added() -> None:
    values = [0.01, 0.03, 0.02, 0.05]
    alone, three = side_of_zero(values), side_of_zero(values, tests=3)
    shifted = side_of_zero(values, shift=lambda n, level: 0.01 * n + level)
    assert alone.low is not None
    assert three.low is not None
    assert shifted.low is not None
    error = np.std(values, ddof=1) / 2
    assert alone.low - three.low == pytest.approx(error * (stats.t.isf(0.004, 3) - stats.t.isf(0.012, 3)))
    assert alone.low - shifted.low == pytest.approx(0.04 + FIRST_LEVEL)


# Simulations.


def wrong(
    values: Array, side: str, tests: int = 1, shift: Callable[[int, float], float] = lambda n, level: 0.0
) -> float:
    """Share of runs that end on this side."""
    return float(np.mean([side_of_zero(own, tests, shift).side == side for own in values.tolist()]))


@pytest.mark.parametrize("model", MODELS)
def test_no_side_is_wrongly_told_in_more_than_a_twentieth(model: str, repeats: Choice) -> None:
    """Where the truth is the bound itself, which is the worst that can be asked."""
    runs = repeats(FEW, RUNS)
    made = races(model, runs, LAUNCHES, 21)
    for values in (made.head, made.head_mean):
        for side in ("above", "below"):
            assert wrong(values, side) <= ERROR_RATE + deviations(runs)


def test_launches_judged_each_at_the_whole_rate_are_wrong_far_more_often(repeats: Choice) -> None:
    """The simulation can fail: this rule looks after each launch at 5 %, and is wrong in every fourth run."""
    runs = repeats(FEW, RUNS)
    values = races("gaussian", runs, LAUNCHES, 22).head_mean
    counts = np.arange(1, LAUNCHES + 1)
    sums, squares = values.cumsum(axis=1), (values**2).cumsum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt((squares - sums**2 / counts) / (counts - 1) / counts)
        told = sums / counts / error >= stats.t.isf(0.05, counts - 1)
    assert told[:, 3:].any(axis=1).mean() > ERROR_RATE + deviations(RUNS)


def test_of_several_questions_none_is_wrongly_answered_in_more_than_a_twentieth(repeats: Choice) -> None:
    runs = repeats(FEW, RUNS)
    made = [races("gaussian", runs, LAUNCHES, 23 + number).head_mean for number in range(4)]
    any_wrong = [
        any(side_of_zero(values[run].tolist(), tests=4).side == "above" for values in made) for run in range(runs)
    ]
    assert np.mean(any_wrong) <= ERROR_RATE + deviations(runs)


@pytest.mark.parametrize("sets", [1, 2, 3])
def test_layouts_of_few_sets_of_interpreters_answer_nothing(sets: int, repeats: Choice) -> None:
    runs = repeats(FEW, RUNS)
    values, chosen = of_few_sets(races("gaussian", runs, LAUNCHES, 31).head_mean, sets, 0.006, 32)
    known = chosen.tolist()
    shifts = {
        (n, level): layout_shift(known[:n], level)
        for number, n in enumerate(islice(look_numbers(), 16), start=1)
        for level in [FIRST_LEVEL / math.sqrt(number)]
    }
    assert wrong(values, "above", shift=lambda n, level: shifts[n, level]) <= ERROR_RATE + deviations(runs)
    if runs == RUNS and sets == 1:
        assert wrong(values, "above") > 2 * ERROR_RATE, "unheeded, they are taken for answers"


@pytest.mark.parametrize(("effect", "most"), [(1.0, 10), (2.0, 5), (3.0, 4)])
def test_a_clear_answer_takes_few_launches(effect: float, most: int, repeats: Choice) -> None:
    """By how many standard deviations of a launch the truth is away from the bound."""
    noise = np.random.default_rng(41).normal(0.0, 1.0, (repeats(FEW, RUNS), LAUNCHES))
    found = [side_of_zero(own) for own in (noise + effect).tolist()]
    assert np.median([one.launches for one in found]) <= most
    assert {one.side for one in found} == {"above"}
