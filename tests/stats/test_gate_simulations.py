"""The gate's error rates, what it sees and what it costs: seeded simulations on eight kinds of machine.

In full 2,000 gates each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from noise import MODELS, Races, of_few_sets, races
from scipy import stats
from tiers import Choice

from bench.stats.gate_decisions import judge_launches
from bench.stats.gate_rule import Judgement, LaunchSeries, Rule, smallest_detectable
from bench.stats.intervals import interval_of_differences
from bench.stats.signed_rank import bound_index, chance_to_pass, signed_rank_p

RULE = Rule()
FEW, GATES = 50, 2000
SCREEN = RULE.screen[-1]
LAUNCHES = SCREEN + RULE.looks[-1]
SHARE = RULE.alphas[-1] / 2  # of either step of one cell
# Machines whose launches scatter as this one's do, by 1.2 to 1.5 %: there a slowdown of the target is seen.
QUIET = ("gaussian", "ar1", "drift", "position")


def deviations(rate: float, runs: int) -> float:
    """Three binomial standard deviations."""
    return 3 * math.sqrt(rate * (1 - rate) / runs)


def at_most(rate: float, runs: int) -> float:
    return rate + deviations(rate, runs)


def at_least(rate: float, runs: int, full: int = GATES) -> float:
    """The rate itself in full; of fewer runs, less by what these scatter more."""
    return rate - deviations(rate, runs) + deviations(rate, full)


def series(name: str, typical: Sequence[float], means: Sequence[float] = (), *, twin: bool = False) -> LaunchSeries:
    stages = [tuple(values[part]) for values in (typical, means) for part in (slice(SCREEN), slice(SCREEN, None))]
    return LaunchSeries(name, "g", twin, *stages)


def judged(made: Races, *, means: bool = True) -> list[Judgement]:
    """A gate of each row: a twin and a head, with the mean step or without."""
    found = []
    for twin, head, twin_mean, head_mean in zip(
        *(values.tolist() for values in (made.twin, made.head, made.twin_mean, made.head_mean)), strict=True
    ):
        own = [
            series("twin", twin, twin_mean if means else (), twin=True),
            series("head", head, head_mean if means else ()),
        ]
        found.append(judge_launches(own, RULE))
    return found


def share(judgements: Sequence[Judgement], *verdicts: str) -> float:
    """Of gates in which the head has one of these verdicts."""
    return float(np.mean([one.decisions[1].verdict in verdicts for one in judgements]))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("slowdown", [0.0, RULE.margin], ids=["same", "harmless"])
def test_false_alarms_are_at_most_the_nominal_rate(model: str, slowdown: float, repeats: Choice) -> None:
    gates = repeats(FEW, GATES)
    judgements = judged(races(model, gates, LAUNCHES, 2, slowdown))
    assert share(judgements, "regression", "invalid") <= at_most(RULE.alpha, gates)


@pytest.mark.parametrize("model", MODELS)
def test_with_all_looks_taken_false_alarms_are_at_most_the_nominal_rate(model: str, repeats: Choice) -> None:
    # At the edge of what is harmless in both steps, without the screen and without passes that end a gate early.
    gates = repeats(FEW, GATES)
    made = races(model, gates, RULE.looks[-1], 3, RULE.margin)
    alarms = [
        any(
            signed_rank_p(values[:n], RULE.harmless) <= alpha / 2
            for values in both
            for n, alpha in zip(RULE.looks, RULE.alphas, strict=True)
        )
        for both in zip(made.head.tolist(), made.head_mean.tolist(), strict=True)
    ]
    assert np.mean(alarms) <= at_most(RULE.alpha, gates)


def test_with_several_cells_the_rate_is_that_of_the_family(repeats: Choice) -> None:
    # Four cells at the edge in both steps, all flagged whatever the screen said.
    gates = repeats(25, 500)
    made = [races("gaussian", gates, RULE.looks[-1], seed, RULE.margin) for seed in range(4)]
    alarms = 0
    for gate in range(gates):
        cells = [
            LaunchSeries(f"c{n}", "g", False, (1.0,) * 2, tuple(one.head[gate]), (1.0,) * 2, tuple(one.head_mean[gate]))
            for n, one in enumerate(made)
        ]
        alarms += any(decision.verdict == "regression" for decision in judge_launches(cells, RULE).decisions)
    assert alarms / gates <= at_most(RULE.alpha, gates)


@pytest.mark.parametrize("model", MODELS)
def test_a_slowdown_of_the_target_passes_in_a_twentieth_at_most_over_all_looks(model: str, repeats: Choice) -> None:
    """In the mean step alone, where half of the noise cannot help; looks that each keep 95 % would pass too many."""
    gates = repeats(FEW, GATES)
    judgements = judged(races(model, gates, LAUNCHES, 7, intermittent=RULE.target))
    assert share(judgements, "pass") <= at_most(0.05, gates)
    each = tuple(bound_index(n) - 1 for n in RULE.looks)
    assert chance_to_pass(RULE.screen, RULE.screen_above) + chance_to_pass(RULE.looks, each) > 0.1


# The mean step.


@pytest.mark.parametrize("model", QUIET)
def test_a_side_whose_every_20th_step_is_doubled_is_a_regression_in_9_of_10(model: str, repeats: Choice) -> None:
    gates = repeats(FEW, GATES)
    judgements = judged(races(model, gates, LAUNCHES, 8, intermittent=0.05))
    assert share(judgements, "regression") >= at_least(0.9, gates)
    shown = [one.decisions[1] for one in judgements if one.decisions[1].verdict == "regression"]
    assert {decision.by for decision in shown} == {"mean"}


@pytest.mark.parametrize("model", QUIET)
def test_the_typical_step_alone_lets_such_a_side_pass(model: str, repeats: Choice) -> None:
    """What gates did before: the simulation above can fail, and of this rule it does."""
    gates = repeats(FEW, GATES)
    judgements = judged(races(model, gates, LAUNCHES, 8, intermittent=0.05), means=False)
    assert share(judgements, "pass") >= at_least(0.97, gates)


def test_spikes_on_both_sides_alarm_in_a_hundredth_at_most(repeats: Choice) -> None:
    gates = repeats(FEW, GATES)
    judgements = judged(races("spikes", gates, LAUNCHES, 9))
    assert share(judgements, "regression", "invalid") <= at_most(0.01, gates)


# What a gate costs.


def scattering(gates: int, slowdown: float, seed: int) -> list[LaunchSeries]:
    """Cells whose launches scatter as this machine's do: by 1.2 % from process to process, by 1.0 / sqrt(0.5) % of the
    turns, which are 0.75 s of three arms; the turns' noise in the two steps is common by half."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0.0, 0.010 / math.sqrt(0.5), (3, gates, LAUNCHES))
    process = rng.normal(0.0, 0.012, (gates, LAUNCHES))
    typical = math.log1p(slowdown) + process + (turns[0] + turns[1]) / math.sqrt(2)
    means = math.log1p(slowdown) + process + (turns[0] + turns[2]) / math.sqrt(2)
    return [series("head", own, mean) for own, mean in zip(typical.tolist(), means.tolist(), strict=True)]


def launches_taken(one: LaunchSeries) -> int:
    """Until the gate of this cell ends."""
    end = judge_launches([one], RULE).decisions[0]
    if end.stage == "screen":
        return end.n
    return judge_launches([replace(one, confirm=(), confirm_means=())], RULE).decisions[0].n + end.n


@pytest.mark.parametrize(("slowdown", "most"), [(0.0, 5), (0.05, 13)])
def test_a_gate_ends_as_soon_as_it_is_settled(slowdown: float, most: int, repeats: Choice) -> None:
    """At 1.25 s a launch, set-up included, that is 6 and 16 s. The rule before took 6 and 16 launches."""
    taken = [launches_taken(one) for one in scattering(repeats(FEW, GATES), slowdown, 12)]
    assert np.median(taken) <= most


@pytest.mark.parametrize("model", ["correlated", "bimodal"])
def test_a_test_that_pools_rounds_alarms_far_too_often(model: str, repeats: Choice) -> None:
    """The simulations can tell a wrong test from a right one: this one is wrong, and they say so."""
    gates = repeats(FEW, GATES)
    made = races(model, gates, 6, 2)
    pooled = made.rounds.reshape(gates, -1)
    alarms = stats.ttest_1samp(pooled, 0.0, axis=1, alternative="greater").pvalue <= RULE.alpha
    assert alarms.mean() > 10 * at_most(RULE.alpha, GATES)


COUNTS = (4, 5, 6, 7, 8, 10, 12, 16, 20)


@pytest.mark.parametrize("model", MODELS)
def test_intervals_of_ratios_cover(model: str, repeats: Choice) -> None:
    gates = repeats(FEW, GATES)
    made = races(model, gates, COUNTS[-1], 4)
    for n in COUNTS:
        covered = [interval_of_differences(values).contains(0.0) for values in made.twin[:, :n].tolist()]
        assert np.mean(covered) >= at_least(0.93, gates), f"{n} launches"


@pytest.mark.parametrize("model", [model for model in MODELS if model != "drift"])
def test_intervals_of_step_times_cover_the_median_launch(model: str, repeats: Choice) -> None:
    """Of a machine that drifts a step has no one time, and no interval covers it. Ratios have no such trouble."""
    gates = repeats(FEW, GATES)
    # Of many: between the faces of a two-faced machine the median of few is anywhere.
    truth = float(np.median(races(model, GATES, COUNTS[-1], 5).base))
    made = races(model, gates, COUNTS[-1], 4)
    # Of processes that are fast or slow by the toss of a coin, all of 4 launches draw the same side in one run of 8,
    # all of 5 in one of 16: what no interval of these values can know (88 % and 93.5 %). docs/limitations.md says so.
    for n in COUNTS[2:] if model == "bimodal" else COUNTS:
        covered = [interval_of_differences(values).contains(truth) for values in made.base[:, :n].tolist()]
        assert np.mean(covered) >= at_least(0.93, gates), f"{n} launches"


@pytest.mark.parametrize("sd", [0.005, 0.01, 0.02, 0.03, 0.05])
def test_power_rises_and_keeps_what_the_gate_prints(sd: float, repeats: Choice) -> None:
    runs = repeats(30, 600)
    generator = np.random.default_rng(int(1e4 * sd))
    noise = generator.normal(0.0, sd, (2, runs, LAUNCHES))

    def power(slowdown: float) -> float:
        """Of a slowdown of the mean step, whose noise is independent of the typical step's."""
        caught = [
            judge_launches([series("head", typical, math.log1p(slowdown) + means)], RULE).decisions[0].verdict
            for typical, means in zip(*noise, strict=True)
        ]
        return caught.count("regression") / runs

    steps = [power(slowdown / 100) for slowdown in range(2, 11)]
    assert all(later >= earlier for earlier, later in pairwise(steps)), "the same noise each time"
    assert steps[0] <= at_most(RULE.alpha, runs)
    printed = smallest_detectable(sd, RULE.looks[-1], SHARE, RULE)
    assert power(printed) >= at_least(0.9, runs, 600)


@pytest.mark.parametrize("model", MODELS)
def test_the_printed_slowdown_is_seen_on_every_machine(model: str, repeats: Choice) -> None:
    gates = repeats(FEW, 400)
    quiet = races(model, gates, LAUNCHES, 6)
    for typical, means in ((True, False), (False, True)):
        sd = float((quiet.head if typical else quiet.head_mean).std())
        printed = math.log1p(smallest_detectable(sd, RULE.looks[-1], SHARE, RULE))
        own = replace(quiet, head=quiet.head + typical * printed, head_mean=quiet.head_mean + means * printed)
        # 0.9 less two binomial standard errors.
        assert share(judged(own), "regression") >= 0.9 - 2 * math.sqrt(0.9 * 0.1 / gates)


# Sets of interpreters.


@pytest.mark.parametrize("sd", [0.003, 0.006, 0.01])
@pytest.mark.parametrize("sets", [1, 2, 3])
def test_layouts_of_few_sets_raise_no_false_alarms(sets: int, sd: float, repeats: Choice) -> None:
    """At the margin, with what the sets of interpreters add; unheeded, layouts of 1 % alarm in 14 and 5 % of gates."""
    gates = repeats(FEW, 1000)
    made = races("gaussian", gates, LAUNCHES, 10, RULE.margin)
    alarms = dict.fromkeys(("allowed", "ignored"), 0)
    typical, chosen = of_few_sets(made.head, sets, sd, 11)
    means, _ = of_few_sets(made.head_mean, sets, sd, 11)
    first = LaunchSeries("head", "g", False, (1.0,) * 2, (), (1.0,) * 2)
    for own, mean in zip(typical.tolist(), means.tolist(), strict=True):
        one = replace(first, confirm=tuple(own), confirm_means=tuple(mean))
        known = replace(one, confirm_sets=tuple(chosen.tolist()))
        for name, values in (("allowed", known), ("ignored", one)):
            alarms[name] += judge_launches([values], RULE).decisions[0].verdict == "regression"
    assert alarms["allowed"] / gates <= at_most(RULE.alpha, gates)
    if sd == 0.01 and sets < 3 and gates > FEW:
        assert alarms["ignored"] / gates > 3 * RULE.alpha, "what it replaces fails here"
