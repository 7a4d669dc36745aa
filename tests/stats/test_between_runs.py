"""Intervals over few runs and few nodes hold the truth, where those over launches do not; the parts by hand."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tiers import Choice, examples

from bench.stats.between_runs import (
    RUN_SD,
    NodeRatio,
    Variance,
    mean_of_runs,
    over_nodes,
    reach_of_parts,
    spread_of_runs,
    spread_or_floor,
)
from bench.stats.intervals import interval_of_differences, welch

NOISE = ROOT.parent / "shared" / "reference" / "noise"
LAUNCHES, LAUNCH_SD = 8, 0.01
Draw = Callable[[np.random.Generator, int], "np.ndarray[tuple[int], np.dtype[np.float64]]"]


# By hand.


def test_the_reach_of_one_part_is_students_t() -> None:
    assert reach_of_parts([Variance(0.04, 5)]) == pytest.approx(stats.t.ppf(0.975, 5) * 0.2)
    assert reach_of_parts([Variance(0.04, math.inf)]) == pytest.approx(stats.norm.ppf(0.975) * 0.2)
    assert reach_of_parts([Variance(0.09, 1), Variance(0.16, 9)]) == pytest.approx(
        math.hypot(stats.t.ppf(0.975, 1) * 0.3, stats.t.ppf(0.975, 9) * 0.4)
    )
    assert reach_of_parts([]) == 0


def test_runs_of_one_node_are_a_mean_with_students_t() -> None:
    runs = [0.1, 0.3, 0.2, 0.6]
    (part,) = spread_of_runs({"": runs}, {"": runs})
    expected = stats.t.interval(0.95, 3, loc=np.mean(runs), scale=stats.sem(runs))
    mean = mean_of_runs({"": runs})
    assert (mean - reach_of_parts([part]), mean + reach_of_parts([part])) == pytest.approx(expected)
    # One of them is a single draw: its variance is that of the runs, undivided.
    (single,) = spread_of_runs({"": runs}, {"": runs[:1]})
    assert (single.value, single.degrees) == (pytest.approx(np.var(runs, ddof=1)), 3)


def test_a_run_a_node_is_a_mean_over_nodes() -> None:
    values = {"a": [0.1], "b": [0.3], "c": [0.2]}
    (part,) = spread_of_runs(values, values)
    assert (part.value, part.degrees) == (pytest.approx(np.var([0.1, 0.3, 0.2], ddof=1) / 3), 2)


def test_two_runs_on_each_of_two_nodes_by_hand() -> None:
    values = {"a": [1.0, 3.0], "b": [7.0, 9.0]}
    between, within = spread_of_runs(values, values)
    # Means 2 and 8 about 5: 2 * (9 + 9) with 1 degree; within 2 * 2 with 2. Variance of the mean: 36 / 4 alone.
    assert (between.value, between.degrees) == (pytest.approx(36 / 4), 1)
    assert (within.value, within.degrees) == (pytest.approx(0.0), 2)
    between, within = spread_of_runs(values, {"a": [1.0]})
    assert (between.value, within.value) == (pytest.approx(36 / 2), pytest.approx(2.0 * (1 - 1 / 2)))
    assert mean_of_runs({"a": [1.0, 3.0], "b": [7.0]}) == pytest.approx(4.5)


def test_one_run_tells_nothing_and_has_the_floor() -> None:
    assert spread_of_runs({"": [0.2]}, {"": [0.2]}) == ()
    noise = Variance(0.01, 3)
    assert spread_or_floor({"": [0.2]}, {"": [0.2]}, noise) == ((Variance(RUN_SD**2, math.inf), noise), False)


def test_runs_tell_from_the_third_on_unless_they_differ_by_more_than_the_floor() -> None:
    near = [0.0, 0.001, 0.002]
    assert not spread_or_floor({"": near[:2]}, {"": near[:1]}, None)[1]
    assert spread_or_floor({"": near}, {"": near[:1]}, None)[1]
    wild = [0.0, 1.5]
    assert spread_or_floor({"": wild}, {"": wild[:1]}, None)[1]
    # Three that differ by half of the floor have a t of 4.3, which would reach further than the floor does.
    some = [-RUN_SD / 2, 0.0, RUN_SD / 2]
    parts, told = spread_or_floor({"": some}, {"": some[:1]}, None)
    assert (told, reach_of_parts(parts)) == (False, pytest.approx(1.96 * RUN_SD, rel=1e-3))


def test_two_nodes_and_one_group_are_students_t_of_one_degree() -> None:
    ((mean, parts),) = over_nodes({"g": {"a": NodeRatio(0.1), "b": NodeRatio(0.3)}}).values()
    assert mean == pytest.approx(0.2)
    assert reach_of_parts(parts) == pytest.approx(stats.t.ppf(0.975, 1) * 0.1)


def test_nodes_and_groups_by_hand() -> None:
    """Balanced: two-way analysis of variance without replicates."""
    table = np.array([[0.0, 0.2, 0.1], [0.1, 0.5, 0.3]])  # groups by nodes
    groups = {f"g{row}": {f"n{at}": NodeRatio(value) for at, value in enumerate(own)} for row, own in enumerate(table)}
    centred = table - table.mean(axis=1, keepdims=True)
    effects = centred.mean(axis=0)
    of_nodes, rest = 2 * (effects**2).sum() / 2, ((centred - effects) ** 2).sum() / 2
    for row, (mean, parts) in enumerate(over_nodes(groups).values()):
        assert mean == pytest.approx(table[row].mean())
        assert [part.degrees for part in parts] == [2, 2]
        assert [part.value for part in parts] == pytest.approx([of_nodes / 2 / 3, rest / 2 / 3])


def test_a_group_on_one_node_has_what_the_others_tell() -> None:
    pair = {"a": NodeRatio(0.1), "b": NodeRatio(0.3)}
    found = over_nodes({"pair": pair, "single": {"c": NodeRatio(0.7)}})
    assert found["single"][0] == pytest.approx(0.7)
    assert reach_of_parts(found["single"][1]) == pytest.approx(math.sqrt(2) * reach_of_parts(found["pair"][1]))
    assert over_nodes({"single": {"c": NodeRatio(0.7, 0.1)}}) == {"single": (0.7, ())}


def test_nodes_that_agree_to_the_bit_have_their_launches_noise() -> None:
    mean, (nodes, launches) = over_nodes({"g": {name: NodeRatio(0.5, 0.04, 5) for name in "ab"}})["g"]
    assert (mean, nodes.value, launches) == (0.5, 0.0, Variance(0.02, 10))


def test_a_group_has_the_noise_of_its_own_launches_in_place_of_the_mean() -> None:
    """Twelve of nodes, 3 of launches on average: 2 of this group's, 4 of the other's."""
    apart = math.sqrt(6.0)
    groups = {
        name: {"a": NodeRatio(-sign * apart, noise, 5), "b": NodeRatio(sign * apart, noise, 5)}
        for name, sign, noise in (("quiet", 1, 2.0), ("noisy", -1, 4.0))
    }
    quiet, noisy = (parts for _, parts in over_nodes(groups).values())
    assert math.fsum(part.value for part in quiet) == pytest.approx((12 - 1) / 2)
    assert math.fsum(part.value for part in noisy) == pytest.approx((12 + 1) / 2)
    assert (noisy[-1].value, noisy[-1].degrees) == (pytest.approx(0.5), 10)


@given(
    shift=st.floats(-1, 1), data=st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=3), min_size=1, max_size=4)
)
@settings(max_examples=examples(50), deadline=None)
def test_a_group_that_lies_elsewhere_and_names_of_nodes_change_no_reach(shift: float, data: list[list[float]]) -> None:
    groups = {
        f"g{at}": {f"n{on}": NodeRatio(value, 0.01, 5) for on, value in enumerate(own)} for at, own in enumerate(data)
    }
    moved = {
        group: {
            f"x{10 - int(node[1:])}": NodeRatio(one.value + shift, one.noise, one.degrees) for node, one in own.items()
        }
        for group, own in reversed(groups.items())
    }
    first, second = over_nodes(groups), over_nodes(moved)
    for group in groups:
        assert second[group][0] == pytest.approx(first[group][0] + shift, abs=1e-9)
        assert reach_of_parts(second[group][1]) == pytest.approx(reach_of_parts(first[group][1]), rel=1e-6, abs=1e-7)


# Coverage. What launches alone tell is beside it: that it fails is what the rest is for.


def gaussian(sd: float) -> Draw:
    return lambda rng, count: rng.normal(0.0, sd, count)


def two_faced(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.1 * (rng.random(count) < 0.5) - 0.05 + rng.normal(0, 0.005, count)


@cache
def _column(file: str, group: str, column: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with (NOISE / file).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row[group], []).append(float(row[column]))
    return found


def tango(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A function against itself, on a shared virtual machine."""
    return rng.choice(
        np.log1p(np.array(_column("tango_same_code.csv", "tool", "change_percent")["tango"]) / 100), count
    )


def nanogpt(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Identical trainings, mostly on 8 H100: the runs of one group."""
    groups = [
        np.log(own)
        for own in _column("nanogpt_identical_runs.csv", "group", "train_seconds").values()
        if len(own) >= 12
    ]
    own = groups[rng.integers(len(groups))]
    return rng.choice(own - own.mean(), count)


def covered(draw: Draw, runs: tuple[int, int], named: int, count: int) -> tuple[float, float]:
    """How often the interval of two machines that are equal holds 0, and how often that of their launches does."""
    rng = np.random.default_rng([*runs, named])
    held = launches_held = 0
    for _ in range(count):
        parts: list[Variance] = []
        means, pooled = [], []
        for of_side in runs:
            launches = draw(rng, of_side)[:, None] + rng.normal(0, LAUNCH_SD, (of_side, LAUNCHES))
            values = launches.mean(axis=1).tolist()
            noise = Variance(LAUNCH_SD**2 / LAUNCHES / named, (LAUNCHES - 1) * named)
            parts += spread_or_floor({"": values}, {"": values[:named]}, noise)[0]
            means.append(mean_of_runs({"": values[:named]}))
            pooled.append(launches[:named].ravel().tolist())
        held += abs(means[1] - means[0]) <= reach_of_parts(parts)
        launches_held += welch(*pooled).contains(1.0)
    return held / count, launches_held / count


def least(count: int) -> float:
    """93 %, and three standard errors below it where few are tried."""
    return 0.93 - 3 * math.sqrt(0.05 / count) * (count < 1000)


@pytest.mark.parametrize(
    ("runs", "named"), [((1, 1), 1), ((2, 2), 2), ((3, 3), 1), ((3, 8), 1), ((1, 6), 1), ((6, 6), 3)]
)
@pytest.mark.parametrize("sd", [0.03, 0.1, 0.2])
def test_two_machines_cover_where_runs_differ(sd: float, runs: tuple[int, int], named: int, repeats: Choice) -> None:
    count = repeats(100, 1000)
    held, by_launches = covered(gaussian(sd), runs, named, count)
    assert held >= least(count)
    assert by_launches < 0.6, "if launches told as much, nothing of this would be needed"


@pytest.mark.parametrize("runs", [1, 2, 3, 6])
def test_two_faced_machines_are_covered(runs: int, repeats: Choice) -> None:
    count = repeats(100, 1000)
    held, by_launches = covered(two_faced, (runs, runs), min(runs, 2), count)
    assert held >= least(count)
    assert by_launches < 0.6


@pytest.mark.skipif(not NOISE.is_dir(), reason="the tables of real noise are not beside this checkout")
@pytest.mark.parametrize("noise", [tango, nanogpt])
@pytest.mark.parametrize("runs", [3, 6, 10])
def test_real_noise_is_covered(noise: Draw, runs: int, repeats: Choice) -> None:
    count = repeats(60, 1000)
    assert covered(noise, (runs, runs), 1, count)[0] >= least(count)


def nodes_covered(
    nodes: int, groups: int, sds: tuple[float, float], count: int, noisier: float = 1.0
) -> tuple[float, float]:
    """The same for paired ratios: every group on two nodes, 6 launches of 1 % on each.

    Args:
        sds: what a node adds to all groups alike, and to each by itself.
        noisier: by how much launches of every second group are.
    """
    rng = np.random.default_rng([nodes, groups, round(1e4 * sds[0]), round(1e4 * sds[1])])
    held = launches_held = 0
    for _ in range(count):
        shared = rng.normal(0, sds[0], nodes)
        own: dict[str, dict[str, NodeRatio]] = {}
        pooled: dict[str, list[float]] = {}
        for group in range(groups):
            sd = LAUNCH_SD * (noisier if group % 2 else 1)
            for node in rng.choice(nodes, 2, replace=False):
                launches = shared[node] + rng.normal(0, sds[1]) + rng.normal(0, sd, 6)
                noise = float(launches.var(ddof=1) / 6)
                own.setdefault(str(group), {})[str(node)] = NodeRatio(float(launches.mean()), noise, 5)
                pooled.setdefault(str(group), []).extend(launches.tolist())
        held += sum(abs(mean) <= reach_of_parts(parts) for mean, parts in over_nodes(own).values())
        launches_held += sum(interval_of_differences(values).contains(0.0) for values in pooled.values())
    return held / count / groups, launches_held / count / groups


@pytest.mark.parametrize("sds", [(0.02, 0.0), (0.0, 0.02), (0.01, 0.01)], ids=["shared", "by group", "both"])
@pytest.mark.parametrize(("nodes", "groups"), [(2, 1), (2, 10), (4, 10), (8, 20)])
def test_nodes_as_a_random_effect_cover_and_launches_do_not(
    nodes: int, groups: int, sds: tuple[float, float], repeats: Choice
) -> None:
    # Groups of one job share its nodes: what is counted are jobs.
    count = repeats(40, 1000)
    held, by_launches = nodes_covered(nodes, groups, sds, count)
    assert held >= least(count)
    assert by_launches < 0.75


def test_nodes_that_do_not_differ_and_groups_that_are_noisier_are_covered(repeats: Choice) -> None:
    count = repeats(40, 1000)
    assert nodes_covered(4, 10, (0.0, 0.0), count)[0] >= least(count)
    assert nodes_covered(4, 10, (0.01, 0.01), count, noisier=4.0)[0] >= least(count)
    assert nodes_covered(4, 10, (0.0, 0.003), count, noisier=4.0)[0] >= least(count)
