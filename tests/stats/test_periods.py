"""The search for what comes back every so many steps looks at all periods at once, and finds what one by one would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies
from scipy.stats import binom

from bench.stats.periods import CHANCE, LONGEST_PERIOD, USUAL_PERIOD, strongest_period


def one_by_one(number: np.ndarray, slow: np.ndarray) -> tuple[int, tuple[int, ...]] | None:
    """As the rule reads: for each period and phase the chance of so many slow steps among those that it has."""
    longest, best = min(LONGEST_PERIOD, len(number) // 3), (1.0, 0, ())
    for every in range(2, longest + 1):
        tests = every if every == USUAL_PERIOD else sum(range(2, longest + 1))
        chances = {}
        for phase in range(every):
            own = slow[number % every == phase]
            chances[phase] = float(binom.sf(own.sum() - 1, len(own), slow.mean())) if own.sum() else 1.0
        least = min(chances.values())
        if least / (CHANCE / 2 / tests) < best[0] * (1 - 1e-9):
            phases = tuple(one for one, p in chances.items() if p <= max(least * (1 + 1e-9), CHANCE / 2 / tests))
            best = (least / (CHANCE / 2 / tests), every, phases)
    return (best[1], best[2]) if best[1] else None


@given(
    seed=strategies.integers(0, 2**32 - 1),
    steps=strategies.integers(0, 240),
    launches=strategies.integers(1, 4),
    every=strategies.integers(2, 90),
    planted=strategies.sampled_from([0.0, 0.5, 1.0]),
)
def test_all_periods_at_once_are_what_one_by_one_finds(
    seed: int, steps: int, launches: int, every: int, planted: float
) -> None:
    drawn = np.random.default_rng(seed)
    number = np.concatenate([np.arange(steps) + int(drawn.integers(0, 30)) for _ in range(launches)])
    slow = (drawn.random(len(number)) < 0.08).astype(float)
    slow[(number % every == every // 2) & (drawn.random(len(number)) < planted)] = 1.0
    assert strongest_period(number, slow) == one_by_one(number, slow)


@pytest.mark.parametrize("every", [2, 20, 50, 97])
def test_a_planted_period_is_the_one_that_is_found(every: int) -> None:
    number = np.tile(np.arange(600), 2)
    slow = np.zeros(len(number))
    slow[np.random.default_rng(0).permutation(len(number))[:30]] = 1.0
    slow[number % every == 1] = 1.0
    found = strongest_period(number, slow)
    assert found is not None
    assert (found[0], 1 in found[1]) == (every, True)
