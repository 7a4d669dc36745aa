"""What a step and an epoch cost, apart: planted costs come back, and estimators that mix them up are seen to fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladders import LENGTH, QUIET, STEP, Noise, TrueRung, climb

from bench.results.turns import Turns
from bench.stats.epoch_prices import EpochPrice, beginning_of, epoch_prices, has_epochs, steps_within
from bench.stats.intervals import interval_of_differences

Pairs = Sequence[tuple[Turns, Turns]]
LAUNCHES = 6

# What an arm may do that the one below it does not: each is seen in one of the two figures and not in the other.
CASES: dict[str, tuple[TrueRung, TrueRung]] = {
    "the same": (TrueRung(), TrueRung()),
    "longer steps": (TrueRung(step=STEP + 40e-6), TrueRung()),
    "an end": (TrueRung(epoch=5e-3), TrueRung()),
    "a beginning": (TrueRung(epoch=5e-3, begin=4e-3), TrueRung()),
    "both": (TrueRung(step=STEP + 150e-6, epoch=8e-3, begin=2e-3), TrueRung(epoch=3e-3)),
    "a log of every 50th step": (TrueRung(every=50, event=2e-3), TrueRung()),
    "a checkpoint every 25 steps": (TrueRung(every=25, event=5e-3, epoch=5e-3), TrueRung(epoch=5e-3)),
    "every second epoch": (TrueRung(seldom=2, rare=6e-3), TrueRung()),
}


def raced(arm: TrueRung, below: TrueRung, noise: Noise, seed: int = 0, launches: int = LAUNCHES) -> Pairs:
    """Launches of the two, with a third arm beside them."""
    rng = np.random.default_rng(seed)
    found = [climb(rng, [arm, below, TrueRung()], noise) for _ in range(launches)]
    return [(one, other) for one, other, _ in found]


def priced(pairs: Pairs) -> list[EpochPrice]:
    return epoch_prices(pairs, beginning_of([turns for pair in pairs for turns in pair]))


def of_whole_turns(pairs: Pairs) -> list[EpochPrice]:
    """The estimator that is wrong: a step is the whole turn over its number of steps, and an epoch its edges."""
    found = []
    for one, other in pairs:
        steps = [float(np.mean(turns.entire)) / LENGTH for turns in (one, other)]
        ends = [float(np.mean(np.asarray(turns.gap) + np.asarray(turns.end))) for turns in (one, other)]
        found.append(EpochPrice(steps[0] - steps[1], ends[0] - ends[1], steps[0], ends[0], LENGTH))
    return found


def of_medians(pairs: Pairs) -> list[EpochPrice]:
    """Another: the median step, which does not know what comes every 25th step."""
    found = []
    for one, other in pairs:
        steps = [float(np.median([turn[10:-1] for turn in turns.seconds])) for turns in (one, other)]
        ends = [float(np.median(turns.entire)) - LENGTH * step for turns, step in zip((one, other), steps, strict=True)]
        found.append(EpochPrice(steps[0] - steps[1], ends[0] - ends[1], steps[0], ends[0], LENGTH))
    return found


def misses(estimator: Callable[[Pairs], list[EpochPrice]], noise: Noise) -> set[str]:
    """The cases in which it misses what was planted by more than a 20th, 4 µs a step or 0.1 ms an epoch."""
    found = set()
    for name, (arm, below) in CASES.items():
        prices = estimator(raced(arm, below, noise))
        step, epoch = (float(np.mean([getattr(one, part) for one in prices])) for part in ("step", "epoch"))
        true = arm.mean - below.mean, arm.whole - below.whole
        if abs(step - true[0]) > max(4e-6, 0.05 * true[0]) or abs(epoch - true[1]) > max(0.1e-3, 0.05 * true[1]):
            found.add(name)
    return found


def test_planted_costs_come_back_without_noise() -> None:
    assert misses(priced, QUIET) == set()


def test_estimators_that_mix_step_and_epoch_up_do_not_pass() -> None:
    """So that the check above can fail, and does where it must."""
    wrong = misses(of_whole_turns, QUIET)
    assert {"an end", "a beginning", "both", "every second epoch"} <= wrong
    assert {"the same", "longer steps"} & wrong == set()
    assert "a checkpoint every 25 steps" in misses(of_medians, QUIET)


@pytest.mark.parametrize("name", CASES)
def test_intervals_of_noisy_launches_hold_the_truth(name: str) -> None:
    """Of 12 runs of six launches, 95 % intervals miss 0.6 of each in the mean; more than 3 are one in 300."""
    arm, below = CASES[name]
    true = {"step": arm.mean - below.mean, "epoch": arm.whole - below.whole}
    held = dict.fromkeys(true, 0)
    wide = []
    for seed in range(12):
        prices = priced(raced(arm, below, replace(Noise(), pause=1.0), seed))
        for part, value in true.items():
            interval = interval_of_differences([getattr(one, part) for one in prices])
            held[part] += interval.contains(value)
            assert interval.high is not None
            if part == "step":
                wide.append(interval.high - interval.estimate)
    assert min(held.values()) >= 9, held
    assert np.median(wide) < 25e-6, "known to what is asked of a rung, on a machine as noisy as this one is made"


def test_a_pauses_cost_is_the_epochs_and_cancels_where_steps_are_as_long() -> None:
    """As docs/limitations.md says: it grows with the step, and so it is in the epoch of an arm with longer ones."""
    quiet = replace(QUIET, pause=1.1)
    (same,) = priced(raced(TrueRung(epoch=5e-3), TrueRung(), quiet, launches=1))
    assert same.step == pytest.approx(0.0, abs=1e-7)
    assert same.epoch == pytest.approx(5e-3, rel=1e-3)
    (longer,) = priced(raced(TrueRung(step=1.3 * STEP), TrueRung(), quiet, launches=1))
    assert longer.step == pytest.approx(0.3 * STEP, rel=0.01)
    assert 0.1 * 0.3 * STEP < longer.epoch < 1.0 * 0.3 * STEP


def test_seldom_epochs_count_where_one_arm_alone_has_them_and_stalls_do_not() -> None:
    rare = raced(TrueRung(seldom=5, rare=20e-3), TrueRung(), QUIET, launches=10)
    assert np.mean([one.epoch for one in priced(rare)]) == pytest.approx(4e-3, rel=0.35)  # by luck of which epochs
    stalled = raced(TrueRung(), TrueRung(), replace(QUIET, edges=0.1e-3, stalls=0.002), launches=20)
    assert abs(np.mean([one.epoch for one in priced(stalled)])) < 0.15e-3
    assert abs(np.mean([one.epoch for one in of_whole_turns(stalled)])) > abs(
        np.mean([one.epoch for one in priced(stalled)])
    )


@settings(max_examples=20, deadline=None)
@given(
    step=st.floats(0.2e-3, 30e-3),
    more=st.floats(0.0, 0.5),
    epoch=st.floats(0.0, 50e-3),
    length=st.integers(6, 64),
    share=st.floats(0.0, 1.0),
)
def test_steps_and_epoch_are_the_whole_turn(step: float, more: float, epoch: float, length: int, share: float) -> None:
    arm = TrueRung(step=step * (1 + more), epoch=epoch, begin=share * epoch)
    pairs = raced(arm, TrueRung(step=step), replace(QUIET, length=length), launches=2)
    for price, (one, other) in zip(priced(pairs), pairs, strict=True):
        whole = float(np.mean(one.entire)) - float(np.mean(other.entire))
        assert price.length == length
        assert price.whole == price.length * price.step + price.epoch
        assert math.isclose(price.whole, whole, rel_tol=1e-6, abs_tol=1e-9)
        assert math.isclose(price.step, step * more, rel_tol=1e-6, abs_tol=1e-9)
        assert price.length * price.own_step + price.own_epoch == pytest.approx(float(np.mean(one.entire)))


def test_two_arms_in_turn_are_each_others_opposite() -> None:
    pairs = raced(*CASES["both"], Noise())
    beginning = beginning_of([turns for pair in pairs for turns in pair])
    there = epoch_prices(pairs, beginning)
    back = epoch_prices([(other, one) for one, other in pairs], beginning)
    for one, other in zip(there, back, strict=True):
        assert one.step == pytest.approx(-other.step)
        assert one.epoch == pytest.approx(-other.epoch)


def test_the_beginning_is_fifteen_milliseconds_and_never_most_of_an_epoch() -> None:
    def beginning(step: float, length: int) -> int:
        return beginning_of(climb(np.random.default_rng(0), [TrueRung(step=step)], replace(QUIET, length=length)))

    assert beginning(1.5e-3, 48) == 10
    assert beginning(40e-3, 48) == 1
    assert beginning(1e-5, 48) == 16
    assert beginning(1e-5, 6) == 2


def test_what_has_no_epochs_of_its_own_has_no_prices() -> None:
    (turns,) = climb(np.random.default_rng(0), [TrueRung()], QUIET)
    assert has_epochs(turns)
    assert not has_epochs(None)
    assert not has_epochs(replace(turns, real=False))
    assert not has_epochs(steps_within(turns, 10))
    short = replace(turns, seconds=tuple(turn[:5] for turn in turns.seconds))
    assert not has_epochs(short)
    with pytest.raises(ValueError, match="rounds that both"):
        epoch_prices([(turns, replace(turns, round=tuple(number + 100 for number in turns.round)))], 10)
