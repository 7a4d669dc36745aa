"""Times to a target with known truths: coverage with and without censored trainings, and what dropping them does."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from convergences import EPOCHS, Machine, TrueCell, trained, true_ratio
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tiers import Choice

from bench.stats.time_to_target import MedianWait, PairedRatio, Wait, median_ends, median_wait, paired_ratio, share_left

waits = st.builds(Wait, st.integers(1, 12).map(float), st.booleans())


def reached(*amounts: float) -> list[Wait]:
    return [Wait(amount, reached=True) for amount in amounts]


def test_levels_are_those_that_order_statistics_have() -> None:
    assert [median_ends(count) for count in range(1, 6)] == [(0, 0.0), (1, 0.5), (1, 0.75), (1, 0.875), (1, 0.9375)]
    assert median_ends(6) == (1, 1 - 2 / 64)
    for count in range(6, 60):
        place, level = median_ends(count)
        low, high = stats.binom.interval(0.95, count, 0.5)
        assert level == pytest.approx(1 - 2 * stats.binom.cdf(place - 1, count, 0.5))
        assert level >= 0.95 > 1 - 2 * stats.binom.cdf(place, count, 0.5)
        assert place == low or (place, high) == (low + 1, count - place)


def test_the_median_of_trainings_that_all_got_there() -> None:
    found = median_wait(reached(5.0, 1.0, 4.0, 2.0, 3.0))
    assert found == MedianWait(3.0, 1.0, 5.0, 0.9375, 5, 5)
    assert median_wait(reached(1.0)) == MedianWait(1.0, None, None, 0.0, 1, 1)
    assert median_wait(reached(1.0, 2.0)).estimate == 1.5


def test_a_training_that_missed_is_at_least_as_long_as_it_was() -> None:
    some = median_wait([*reached(1.0, 2.0, 3.0), Wait(9.0, reached=False), Wait(9.0, reached=False)])
    assert some == MedianWait(3.0, 1.0, None, 0.9375, 5, 3)
    most = median_wait([*reached(1.0, 2.0), *[Wait(9.0, reached=False)] * 3])
    assert most == MedianWait(None, 1.0, None, 0.9375, 5, 2)
    none = median_wait([Wait(9.0, reached=False)] * 5)
    assert none == MedianWait(None, 9.0, None, 0.9375, 5, 0)
    assert median_wait([*reached(1.0), Wait(2.0, reached=False)]).estimate is None


def test_pairs_of_which_one_missed_keep_their_side() -> None:
    base = reached(10.0, 10.0, 10.0, 10.0, 10.0)
    mine = [*reached(20.0, 22.0, 18.0), Wait(30.0, reached=False), Wait(10.0, reached=False)]
    found = paired_ratio(mine, base)
    assert (found.longer, found.shorter, found.even, found.seeds) == (5, 0, 0, 5)
    assert found.estimate is None  # the one that was stopped early may have been the shortest or the longest
    assert (found.at_least, found.at_most) == (pytest.approx(2.0), pytest.approx(2.2))
    assert (found.low, found.high, found.level) == (1.0, None, 0.9375)
    other = paired_ratio(base, mine)
    assert (other.longer, other.shorter) == (0, 5)
    assert (other.low, other.high) == (None, 1.0)
    both = paired_ratio([Wait(9.0, reached=False)] * 5, [Wait(9.0, reached=False)] * 5)
    assert both == PairedRatio(None, None, None, None, None, 0.9375, 5, 0, 0, 0)
    same = paired_ratio(base, base)
    assert (same.estimate, same.low, same.high, same.even) == (1.0, 1.0, 1.0, 5)


@pytest.mark.parametrize("wrong", [[], [Wait(0.0, reached=True)], [Wait(math.inf, reached=True)]])
def test_what_is_no_time_is_refused(wrong: list[Wait]) -> None:
    with pytest.raises(ValueError, match="waits"):
        median_wait(wrong)
    with pytest.raises(ValueError, match="waits"):
        paired_ratio(wrong, reached(1.0))
    with pytest.raises(ValueError, match="in pairs"):
        paired_ratio(reached(1.0, 2.0), reached(1.0))


@given(st.lists(waits, min_size=1, max_size=12))
def test_shares_are_those_of_scipys_kaplan_meier(own: list[Wait]) -> None:
    data = stats.CensoredData.right_censored([wait.amount for wait in own], [not wait.reached for wait in own])
    theirs = stats.ecdf(data).sf
    curve = share_left(own)
    for amount, left in curve:
        assert float(left) == pytest.approx(float(theirs.evaluate(amount)))
    assert all(Fraction(0) <= left < 1 for _, left in curve)


@given(st.lists(waits, min_size=1, max_size=12))
def test_the_median_lies_between_the_worst_cases(own: list[Wait]) -> None:
    found = median_wait(own)
    least = statistics.median(wait.amount for wait in own)
    most = statistics.median(wait.amount if wait.reached else math.inf for wait in own)
    if found.estimate is not None:
        assert least <= found.estimate <= most
    if found.low is not None:
        assert found.low <= least
        assert found.high is None or found.high >= (found.estimate or least)


@given(st.lists(st.tuples(waits, waits), min_size=1, max_size=12), st.data())
def test_what_censored_trainings_would_have_taken_never_leaves_the_bounds(
    pairs: list[tuple[Wait, Wait]], data: st.DataObject
) -> None:
    """Whatever is drawn for what is unknown: ratio and interval of the completed pairs lie within the bounds."""
    mine, base = ([pair[side] for pair in pairs] for side in (0, 1))
    found = paired_ratio(mine, base)

    def completed(wait: Wait) -> Wait:
        more = 0.0 if wait.reached else data.draw(st.floats(0.001, 50.0))
        return Wait(wait.amount + more, reached=True)

    whole = paired_ratio([completed(wait) for wait in mine], [completed(wait) for wait in base])
    assert whole.estimate is not None
    assert (found.at_least or 0.0) <= whole.estimate * (1 + 1e-12)
    assert whole.estimate <= (found.at_most or math.inf) * (1 + 1e-12)
    if whole.low is not None and whole.high is not None:
        assert (found.low or 0.0) <= whole.low * (1 + 1e-12)
        assert whole.high <= (found.high or math.inf) * (1 + 1e-12)
    assert (found.longer <= whole.longer, found.shorter <= whole.shorter) == (True, True)


Estimator = Callable[[Sequence[Wait], Sequence[Wait]], PairedRatio | None]


def dropping(mine: Sequence[Wait], base: Sequence[Wait]) -> PairedRatio | None:
    """What must not be done: pairs of which one missed the target are left out."""
    kept = [(one, other) for one, other in zip(mine, base, strict=True) if one.reached and other.reached]
    return paired_ratio([one for one, _ in kept], [other for _, other in kept]) if kept else None


def coverage(
    estimator: Estimator, cell: TrueCell, base: TrueCell, seeds: int, runs: int, epochs: int = EPOCHS
) -> tuple[float, float]:
    """How often the interval holds the true ratio, and the share of trainings of the cell that missed."""
    truth, rng = true_ratio(cell, base), np.random.default_rng([seeds, epochs])
    held = missed = counted = 0
    for _ in range(runs):
        launches = [trained(rng, [cell, base], epochs, Machine()) for _ in range(seeds)]
        mine, other = ([launch[side].wait() for launch in launches] for side in (0, 1))
        missed += sum(not wait.reached for wait in mine)
        found = estimator(mine, other)
        if found is None or not found.level:
            continue  # says nothing, rightly or wrongly
        counted += 1
        held += (found.low is None or found.low <= truth * (1 + 1e-9)) and (
            found.high is None or truth <= found.high * (1 + 1e-9)
        )
    return held / max(counted, 1), missed / (runs * seeds)


SLOW = TrueCell(epoch=1.9, setup=0.95)  # 1.9 times the time, and the same losses
# The same time an epoch, and more epochs, by chance: from two seeds in five more than 20.
LATE = TrueCell(rate=0.14, rate_sd=0.3)


def test_the_ratio_of_times_is_the_one_that_was_planted() -> None:
    assert true_ratio(SLOW, TrueCell()) == pytest.approx(1.9, rel=0.003)
    rng = np.random.default_rng(1)
    launches = [trained(rng, [SLOW, TrueCell()]) for _ in range(9)]
    found = paired_ratio(*([launch[side].wait() for launch in launches] for side in (0, 1)))
    assert found.estimate == pytest.approx(1.9, rel=0.02)
    assert (found.longer, found.seeds) == (9, 9)


@pytest.mark.parametrize("seeds", [5, 6, 9, 15])
@pytest.mark.parametrize("cell", [SLOW, LATE], ids=["slow", "late"])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(cell: TrueCell, seeds: int, repeats: Choice) -> None:
    runs = repeats(60, 1500)
    held, missed = coverage(paired_ratio, cell, TrueCell(), seeds, runs)
    stated = median_ends(seeds)[1]
    assert stated >= 0.93
    assert held >= stated - 3 * math.sqrt(stated * (1 - stated) / runs)
    assert (missed > 0.1) == (cell is LATE)


@pytest.mark.parametrize("seeds", [15, 25])
def test_an_estimator_that_drops_trainings_that_missed_is_found_out(seeds: int, repeats: Choice) -> None:
    """Trap 33. Those that got there are the quick ones: what is left of a cell looks quicker than it is."""
    runs = repeats(60, 500)
    honest, missed = coverage(paired_ratio, LATE, TrueCell(), seeds, runs)
    lucky, _ = coverage(dropping, LATE, TrueCell(), seeds, runs)
    assert missed > 0.2
    assert honest >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / runs)
    assert lucky < 0.85


def test_medians_are_held_as_often_as_is_said(repeats: Choice) -> None:
    """Seconds of one cell until the target, over seeds, of which two in five are stopped before."""
    runs, rng = repeats(100, 2000), np.random.default_rng(5)
    truth = float(np.median([trained(rng, [LATE], 200)[0].wait().amount for _ in range(4000)]))
    for seeds in (5, 8):
        held = 0
        for _ in range(runs):
            found = median_wait([trained(rng, [LATE])[0].wait() for _ in range(seeds)])
            assert found.low is not None
            held += found.low <= truth and (found.high is None or truth <= found.high)
        level = median_ends(seeds)[1]
        assert held / runs >= level - 3 * math.sqrt(level * (1 - level) / runs)
