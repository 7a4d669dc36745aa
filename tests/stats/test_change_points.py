"""Change points and the newest point's alarm, against a known truth and against an exact search. Seeded."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.signal import lfilter
from tiers import Choice

from bench.stats import change_points

NOISE = 0.005
needs_ruptures = pytest.mark.skipif(
    importlib.util.find_spec("ruptures") is None, reason="ruptures is not installed (the extra `history`)"
)


def noise(seed: int, n: int, sd: float = NOISE) -> change_points.Array:
    return np.random.default_rng(seed).normal(0, sd, n)


def found(values: Sequence[float] | change_points.Array) -> list[change_points.Break]:
    (own,) = change_points.breaks([list(values)])
    return own


def brute(values: change_points.Array, penalty: float) -> float:
    """The least cost of any split, by trying every one."""
    n, best = len(values), math.inf
    for pieces in range(1, n // change_points.LEAST_PIECE + 1):
        for cuts in itertools.combinations(range(1, n), pieces - 1):
            edges = [0, *cuts, n]
            if min(b - a for a, b in itertools.pairwise(edges)) >= change_points.LEAST_PIECE:
                best = min(best, cost(values, cuts, penalty))
    return best


def cost(values: change_points.Array, cuts: Sequence[int], penalty: float) -> float:
    edges = [0, *cuts, len(values)]
    return sum(
        float(((values[a:b] - values[a:b].mean()) ** 2).sum()) for a, b in itertools.pairwise(edges)
    ) + penalty * len(cuts)


def test_the_dynamic_programme_is_exact() -> None:
    for seed in range(30):
        values = noise(seed, 14, 1.0) + 2.0 * (np.arange(14) > seed % 11)
        for penalty in (0.5, 2.0, 8.0):
            assert cost(values, change_points.exact(values, penalty), penalty) == pytest.approx(brute(values, penalty))


@needs_ruptures
def test_ruptures_finds_what_the_dynamic_programme_finds() -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        steps = np.repeat(random.normal(0, 0.03, 5), random.integers(5, 40, 5))
        values = steps + random.normal(0, NOISE, len(steps)) - 7.0
        penalty = change_points.PENALTY * NOISE**2 * math.log(len(values))
        assert change_points._by_ruptures(values, penalty) == change_points.exact(values, penalty)


def test_the_spread_is_that_of_single_points_whatever_the_steps() -> None:
    values = noise(1, 2000) + 0.1 * (np.arange(2000) // 100)
    assert change_points.sigma(np.diff(values)) == pytest.approx(NOISE, rel=0.06)
    assert change_points.sigma(np.zeros(20)) == change_points.LEAST_SIGMA


@pytest.mark.parametrize(("step", "recall"), [(0.025, 0.8), (0.05, 1.0), (0.10, 1.0), (-0.05, 1.0)])
def test_steps_are_found_where_they_are(step: float, recall: float, repeats: Choice) -> None:
    exact, runs = 0, repeats(5, 50)
    for seed in range(runs):
        n, at = 60, 12 + seed % 36
        breaks = found(noise(seed, n) + math.log1p(step) * (np.arange(n) >= at))
        assert len(breaks) <= 1  # precision: nothing else is told
        if breaks:
            assert abs(breaks[0].index - at) <= (0 if abs(step) >= 0.05 else 2)
            assert math.expm1(breaks[0].shift) == pytest.approx(step, abs=4 * NOISE)
            exact += breaks[0].index == at
    assert exact >= recall * runs


def test_a_step_of_the_harmless_size_is_told_or_not_but_never_elsewhere(repeats: Choice) -> None:
    runs = repeats(10, 50)
    told = [found(noise(seed, 60) + math.log1p(0.02) * (np.arange(60) >= 30)) for seed in range(runs)]
    assert runs / 5 <= sum(map(bool, told)) <= runs * 4 / 5  # half of the estimates lie below 2 %
    assert {item.index for breaks in told for item in breaks} <= set(range(27, 34))
    below = [found(noise(seed, 60) + math.log1p(0.01) * (np.arange(60) >= 30)) for seed in range(runs)]
    assert not any(below)


@pytest.mark.parametrize(("name", "most"), [("gaussian", 2), ("spikes", 2), ("heavy", 4)])
def test_series_without_a_change_have_none(name: str, most: int, repeats: Choice) -> None:
    """200 series of 200 points of 1 % noise: with spikes in 5 % of them; with the tails of t with 3 degrees."""
    broken, runs = 0, repeats(20, 200)
    for seed in range(runs):
        random = np.random.default_rng(seed)
        values = random.standard_t(3, 200) * 0.01 if name == "heavy" else random.normal(0, 0.01, 200)
        spikes = (random.random(200) < 0.05) * random.exponential(0.05, 200) if name == "spikes" else 0.0
        broken += bool(found(values + spikes))
    assert broken <= max(1, most * runs // 200)


def wandering(seed: int, n: int, shared: float, sd: float = 0.01) -> change_points.Array:
    """Points that each share a part with the one before: AR(1), a random walk where they share all of it."""
    fresh = np.random.default_rng([n, seed]).normal(0, sd, n if shared == 1 else n + 100)
    return np.asarray(lfilter([1.0], [1.0, -shared], fresh))[-n:]


def two_faced(seed: int, n: int) -> change_points.Array:
    """Noise of 0.5 % on a machine that is fast or 4 % slower by the toss of a coin."""
    random = np.random.default_rng([n, seed])
    return random.normal(0, 0.005, n) + 0.04 * (random.random(n) < 0.5)


@pytest.mark.parametrize("n", [21, 40, 100, 200])
@pytest.mark.parametrize("shared", [0.5, 0.8])
def test_points_that_have_something_in_common_are_no_change(shared: float, n: int, repeats: Choice) -> None:
    """2 % of the series or less; a random walk and a two-faced machine as docs/history.md says."""
    runs = repeats(15, 400)
    for sd in (0.01, 0.02):
        broken = sum(bool(found(wandering(seed, n, shared, sd))) for seed in range(runs))
        assert broken <= runs * 0.02 + 3 * math.sqrt(runs * 0.02 * 0.98) * (runs < 100)


@pytest.mark.parametrize("n", [21, 40, 100, 200])
def test_a_random_walk_and_a_two_faced_machine_seldom_have_a_change(n: int, repeats: Choice) -> None:
    runs = repeats(15, 300)
    walks = sum(bool(found(wandering(seed, n, 1.0, 0.005))) for seed in range(runs))
    faces = sum(bool(found(two_faced(seed, n))) for seed in range(runs))
    assert walks <= runs * 0.03 + 2
    assert faces <= runs * 0.01 + 1


def test_noise_that_is_taken_for_white_has_breaks(repeats: Choice) -> None:
    """The checks above can fail: with a penalty that knows nothing of what points share, permuted one by one."""
    runs = repeats(10, 40)
    broken = 0
    for seed in range(runs):
        values = wandering(seed, 100, 0.8, 0.02)
        white = change_points.Noise(change_points.sigma(np.diff(values)))
        calm = change_points.without_outliers(values, white.sd)
        broken += bool(change_points._kept(values, calm, change_points._split(values, white), white))
    assert broken > 0.6 * runs


def test_what_points_share_is_found_whatever_the_steps() -> None:
    for shared in (0.0, 0.5, 0.8):
        values = wandering(4, 3000, shared)
        levels = np.split(values + np.repeat([0.0, 0.3, 0.1], 1000), [1000, 2000])
        noise_ = change_points.noise_of(levels)
        margin = change_points.SHARED_MARGIN / math.sqrt(2997)
        assert noise_.shared - margin == pytest.approx(shared, abs=0.06)
        # What is assumed to be shared is taken off the differences, and has a margin.
        assert noise_.sd == pytest.approx(0.01 / math.sqrt((1 + shared) * (1 - noise_.shared)), rel=0.1)
        assert noise_.block == pytest.approx((1 + shared) / (1 - shared), abs=2.5)
    white = change_points.noise_of([np.zeros(20), np.ones(20)])
    assert (white.sd, white.shared, white.block) == (change_points.LEAST_SIGMA, 0.0, 1)


@pytest.mark.parametrize(("n", "least"), [(24, 0.6), (40, 0.9), (60, 0.95)])
def test_real_steps_are_found_in_series_that_are_nearly_white(n: int, least: float, repeats: Choice) -> None:
    """Of ratios: noise of 0.5 %, of which a tenth is shared; steps of 5 and 10 %, and some of those of 2 %."""
    runs = repeats(10, 60)
    for step, share in ((0.02, 0.15), (0.05, least), (0.10, least)):
        rises = math.log1p(step) * (np.arange(n) >= n // 2)
        hits = [found(wandering(seed, n, 0.1, 0.005) + rises) for seed in range(runs)]
        right = sum(any(abs(item.index - n // 2) <= 2 for item in breaks) for breaks in hits)
        assert right >= share * runs - 2 * math.sqrt(runs * share * (1 - share)) * (runs < 60)


def test_blocks_are_permuted_whole() -> None:
    values = wandering(1, 60, 0.0)
    # Pairs of equal points are 30 that know something, not 60.
    pairs = np.repeat(values[:30], 2)
    left, right = pairs[:20] + 0.012, pairs[20:]
    alone, together = change_points.permutation_p(left, right), change_points.permutation_p(left, right, 2)
    assert together > 3 * alone
    one, other = values[:10] + 0.015, values[10:30]
    assert together == pytest.approx(change_points.permutation_p(left[::2], right[::2]), rel=0.3, abs=1e-3)
    assert change_points.permutation_p(one, other, 30) == 1.0  # a single block has a single order


def test_a_p_below_one_in_ten_thousand_is_told_from_a_smaller_one() -> None:
    values = noise(2, 60)
    near, far = (change_points.permutation_p(values[:30] + step, values[30:]) for step in (0.0065, 0.01))
    assert 0 < far < near / 10 < 1e-4


def test_of_many_series_fewer_keep_their_breaks() -> None:
    """Benjamini and Hochberg's own example has 15 p-values, of which 4 are found at 5 %."""
    example = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    assert change_points.kept_series([*example, 0.7590, 1.0]) == [True] * 4 + [False] * 11
    assert change_points.kept_series([]) == []
    assert change_points.kept_series([1.0, 1.0]) == [False, False]
    assert change_points.kept_series([0.0009]) == [True]
    assert change_points.kept_series([*[1.0] * 99, 0.0009]) == [False] * 100
    assert change_points.kept_series([*[1.0] * 98, 0.0009, 0.0009]) == [*[False] * 98, True, True]


def test_noise_that_is_hardly_penalised_has_breaks(repeats: Choice) -> None:
    """The check above can fail: with ruptures' usual penalty, or none of the other conditions, it does."""
    broken, runs = 0, repeats(10, 50)
    for seed in range(runs):
        values = np.random.default_rng(seed).normal(0, 0.01, 200)
        broken += bool(change_points.exact(values, 0.5 * 0.01**2 * math.log(200)))
    assert broken > runs / 2


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_burst_of_five_commits_at_most_is_no_change(length: int, repeats: Choice) -> None:
    for seed in range(repeats(4, 20)):
        assert found(noise(seed, 60) + 0.1 * ((np.arange(60) >= 30) & (np.arange(60) < 30 + length))) == []


def test_a_longer_burst_is_a_change_and_one_back_and_a_short_stop_between_levels_is_none(repeats: Choice) -> None:
    for seed in range(repeats(4, 20)):
        breaks = found(noise(seed, 60) + 0.1 * ((np.arange(60) >= 30) & (np.arange(60) < 37)))
        assert [item.index for item in breaks] == [30, 37]
        assert breaks[0].shift > 0 > breaks[1].shift
    # Of the 5 points between two steps certainty may be wanting, but nothing else is told.
    runs = repeats(8, 40)
    stairs = [
        [item.index for item in found(noise(seed, 60) + 0.1 * (np.arange(60) >= 30) + 0.1 * (np.arange(60) >= 35))]
        for seed in range(runs)
    ]
    assert sum(one == [30, 35] for one in stairs) >= 0.8 * runs
    assert all(set(one) <= {30, 35} and one for one in stairs)


def test_a_ramp_is_told_and_only_where_it_rises(repeats: Choice) -> None:
    ramp = 0.1 * np.clip((np.arange(90) - 30) / 30, 0, 1)
    for seed in range(repeats(4, 20)):
        breaks = found(noise(seed, 90) + ramp)
        assert breaks
        assert all(28 <= item.index <= 62 and item.shift > 0 for item in breaks)


def test_a_step_of_the_last_points_waits_until_it_can_be_certain() -> None:
    values = noise(3, 40)
    assert found(values + 0.1 * (np.arange(40) >= 38)) == []
    assert [item.index for item in found(values + 0.1 * (np.arange(40) >= 37))] == [37]
    # Of few points no p is small enough, however far apart they are: 1 of C(8, 4) ways is 0.014.
    assert change_points.permutation_p(np.zeros(4), np.ones(4)) == pytest.approx(2 / 70)
    assert change_points.permutation_p(np.zeros(3), np.ones(30)) == pytest.approx(1 / math.comb(33, 3))


def test_the_permutation_test_keeps_its_level() -> None:
    random = np.random.default_rng(7)
    low = sum(change_points.permutation_p(random.normal(size=5), random.normal(size=6)) <= 0.05 for _ in range(1000))
    assert low <= 50 + 3 * math.sqrt(1000 * 0.05 * 0.95)
    drawn = change_points.permutation_p(random.normal(size=40), random.normal(size=40) + 5)
    assert drawn < 1e-6


@pytest.mark.parametrize("n", [22, 31, 80])
def test_the_newest_point_seldom_alarms_for_nothing(n: int, repeats: Choice) -> None:
    runs = repeats(300, 1500)
    fired = sum(change_points.newest([noise(seed, n, 0.02).tolist()]).fired for seed in range(runs))
    assert fired <= 0.01 * runs


def test_the_newest_point_alarms_for_a_step_and_says_what_it_lacks() -> None:
    values = noise(1, 40).tolist()
    stepped = change_points.newest([[*values, values[-1] + 0.05]])
    assert stepped.fired
    assert stepped.difference == pytest.approx(0.05)
    assert not change_points.newest([[*values, values[-1] + 0.015]]).fired  # harmless, however quiet the series
    assert change_points.newest([[*values[:20], 9.0]]) == change_points.Newest(
        pytest.approx(9.0 - values[19]), None, False
    )
    # The first point after a boundary has nothing to be compared with.
    assert change_points.newest([values, [1.0]]).difference is None
