"""The gate's rule: known answers, what each stage says, invariances. Simulations: test_gate_simulations.py."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from bench.errors import SpecError
from bench.stats.gate_decisions import judge_launches
from bench.stats.gate_rule import LaunchSeries, Rule, Verdict, overall, smallest_detectable
from bench.stats.signed_rank import signed_rank_p

RULE = Rule()
SCREEN = RULE.screen[-1]
LAUNCHES = SCREEN + RULE.looks[-1]


def series(name: str, values: list[float], *, twin: bool = False, group: str = "g") -> LaunchSeries:
    return LaunchSeries(name, group, twin, tuple(values[:SCREEN]), tuple(values[SCREEN:]))


FLAGGED = (1.0,) * 2  # a screen that passes nothing


def confirming(name: str, values: Sequence[float], *, twin: bool = False) -> LaunchSeries:
    """A cell that the screen has flagged, with launches of the second stage."""
    return LaunchSeries(name, "g", twin, FLAGGED, tuple(values))


def verdict(values: list[float]) -> Verdict:
    return judge_launches([series("head", values)], RULE).decisions[0].verdict


# Known answers.


def test_smallest_detectable_is_that_of_the_noncentral_t() -> None:
    found = smallest_detectable(0.05, 24, 0.004, RULE)
    n = 24 * 3 / math.pi
    shift = (math.log1p(found) - RULE.harmless) / 0.05 * math.sqrt(n)
    assert stats.nct.sf(stats.t.isf(0.004, 23), 23, shift) == pytest.approx(0.95, abs=1e-6)
    assert smallest_detectable(0.001, 24, 0.004, RULE) == RULE.target, "what is below the target may pass"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "improvement"], "improvement"),
        (["pass", "inconclusive", "improvement"], "inconclusive"),
        (["inconclusive", "regression", "pass"], "regression"),
        (["regression", "invalid", "pass"], "invalid"),
        ([], "invalid"),
    ],
)
def test_which_verdict_wins(verdicts: list[Verdict], expected: Verdict) -> None:
    assert overall(verdicts) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"margin": 0.05}, "margin below target"),
        ({"margin": -0.01}, "margin below target"),
        ({"target": 1.5}, "below 1"),
        ({"layout": 0.05}, "layout 0.05; allowed: 0 or more"),
        ({"screen": (4, 9)}, "pass a slowdown of the target in 7.8%; allowed: 5%"),
        ({"screen_above": (0, 2)}, "allowed: 5% at most"),
        ({"above": (0, 1, 3, 6)}, "allowed: 5% at most"),
        ({"screen": (9, 5)}, "rising"),
        ({"screen": (), "screen_above": ()}, "one or more"),
        ({"screen_above": (0,)}, "for each"),
        ({"above": (9, 1, 2, 5)}, "for each a number from 0 on and below it"),
        ({"looks": (16, 9, 12, 24)}, "rising"),
        ({"looks": (9, 12, 16)}, "one above 0 and below 0.5"),
        ({"alphas": (0.0, 0.003, 0.004, 0.002)}, "one above 0 and below 0.5"),
        ({"looks": (8, 12, 16, 24)}, "cannot reach 0.004 / 2"),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_kept_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        replace(RULE, **change)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_ratio_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        series("head", [0.0, value])


@pytest.mark.parametrize(
    "more",
    [{"screen_means": (0.0,)}, {"confirm_means": (0.0,)}, {"screen_sets": (0, 1)}, {"confirm_sets": (0,)}],
    ids=str,
)
def test_means_and_sets_are_as_many_as_launches_or_none(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"allowed: as many, or none"):
        LaunchSeries("head", "g", False, (0.0,) * 5, (0.0,) * 9, **more)


# The stages.


def test_the_screen_never_fails_anything() -> None:
    judged = judge_launches([series("head", [0.5] * SCREEN)], RULE)
    assert judged.decisions[0].verdict == "inconclusive"
    assert judged.decisions[0].detectable is None, "no look was reached that could have seen anything"
    assert (judged.stage, judged.launches, judged.wanted) == ("confirm", 9, ("head",))


@pytest.mark.parametrize(
    ("values", "launches"),
    [([], 2), ([0.0], 3), ([0.5], 2), ([0.0] * 4, 5), ([0.0] * 4 + [0.5], 6), ([0.0] * 4 + [0.5, 0.0], 7)],
)
def test_the_screen_asks_for_what_may_settle_it(values: list[float], launches: int) -> None:
    """The next look, or fewer launches where another value above the bound would flag the cell."""
    judged = judge_launches([series("head", values)], RULE)
    assert (judged.stage, judged.launches, judged.wanted) == ("screen", launches, ("head",))
    assert judged.decisions[0].verdict == "inconclusive"


@pytest.mark.parametrize(
    ("values", "verdict", "n"),
    [
        ([0.0] * 5, "pass", 5),
        ([0.0] * 4 + [0.034], "pass", 5),
        ([0.0] * 4 + [0.036] + [0.0] * 4, "pass", 9),
        ([0.036, 0.0, 0.0, 0.036], "inconclusive", 4),
        ([0.036, 0.036], "inconclusive", 2),
        ([0.036] + [0.0] * 7 + [0.036], "inconclusive", 9),
    ],
)
def test_the_screen_ends_as_soon_as_it_is_settled(values: list[float], verdict: str, n: int) -> None:
    judged = judge_launches([series("head", values)], RULE)
    (decision,) = judged.decisions
    assert (decision.verdict, decision.stage, decision.n) == (verdict, "screen", n)
    assert judged.stage == "confirm"
    assert judged.wanted == (() if verdict == "pass" else ("head",))


def test_a_pass_says_what_it_is_at_most_over_all_looks() -> None:
    """Of five launches the largest; of nine, of which one may lie above, the second largest."""
    five = judge_launches([series("head", [0.0, 0.01, 0.02, 0.03, 0.005])], RULE).decisions[0]
    nine = judge_launches([series("head", [0.0, 0.01, 0.02, 0.03, 0.5, 0.005, 0.0, 0.0, 0.0])], RULE).decisions[0]
    assert five.upper == nine.upper == pytest.approx(math.exp(0.03))
    assert five.reason == nine.reason == "at most +3 %, below the target of 5 %"


def test_only_fresh_launches_judge() -> None:
    slow_then_quiet = [0.2] * SCREEN + [0.001 * (-1) ** number for number in range(9)]
    decision = judge_launches([series("head", slow_then_quiet)], RULE).decisions[0]
    assert (decision.verdict, decision.stage, decision.n) == ("pass", "confirm", 9)


def test_a_slowdown_is_a_regression_and_its_mirror_an_improvement() -> None:
    values = [0.1 + 0.001 * number for number in range(SCREEN + 9)]
    decision = judge_launches([series("head", values)], RULE).decisions[0]
    assert (decision.verdict, decision.n, decision.p, decision.alpha) == ("regression", 9, 2**-9, 0.004)
    assert verdict([-value for value in values]) == "improvement"


def test_noise_without_end_is_inconclusive() -> None:
    values = [0.3 * (-1) ** number + 0.001 * number for number in range(LAUNCHES)]
    judged = judge_launches([series("head", values)], RULE)
    assert judged.decisions[0].verdict == "inconclusive"
    assert judged.wanted == ()


def test_a_twin_that_is_slower_or_faster_makes_the_gate_invalid() -> None:
    head = series("head", [0.1 + 0.001 * number for number in range(LAUNCHES)])
    for sign in (1, -1):
        twin = series("twin", [sign * (0.05 + 0.001 * number) for number in range(LAUNCHES)], twin=True)
        judged = judge_launches([twin, head], RULE)
        assert [decision.verdict for decision in judged.decisions] == ["invalid", "invalid"]
        assert judged.alarms
        assert judged.wanted == ()


def test_a_loud_twin_is_confirmed_even_where_all_cells_pass() -> None:
    head = series("head", [0.0] * SCREEN)
    judged = judge_launches([series("twin", [0.08] * SCREEN, twin=True), head], RULE)
    assert judged.wanted == ("twin",)
    quiet = series("twin", [0.08] * SCREEN + [0.001 * number for number in range(9)], twin=True)
    assert [one.verdict for one in judge_launches([quiet, head], RULE).decisions] == ["pass", "pass"]


def test_a_twin_asks_for_no_screen_of_its_own_once_its_cells_go_on() -> None:
    """It is watched in the second stage, where they are judged; its cells were flagged after two launches."""
    head, twin = series("head", [0.2, 0.2]), series("twin", [0.0, 0.0], twin=True)
    judged = judge_launches([twin, head], RULE)
    assert (judged.stage, judged.launches, judged.wanted) == ("confirm", 9, ("twin", "head"))


def test_flagged_cells_share_the_alpha() -> None:
    # At nine launches the least p is 2**-9, which is below .004 but not below .004 / 4.
    slow = [0.1 + 0.001 * number for number in range(SCREEN + 12)]
    four = [series(f"cell{number}", slow[: SCREEN + 9]) for number in range(4)]
    judged = judge_launches(four, RULE)
    assert {decision.verdict for decision in judged.decisions} == {"inconclusive"}
    assert judged.launches == 12
    judged = judge_launches([series(f"cell{number}", slow) for number in range(4)], RULE)
    assert {(one.verdict, one.alpha) for one in judged.decisions if one.cell == "cell0"} == {("regression", 0.002 / 4)}


# The two steps of a launch.


def both(name: str, typical: list[float], means: list[float], *, twin: bool = False) -> LaunchSeries:
    """A flagged cell with launches of the second stage."""
    return LaunchSeries(name, "g", twin, FLAGGED, tuple(typical), FLAGGED, tuple(means))


SAME = [0.001 * (-1) ** number for number in range(9)]
SLOW = [0.1 + 0.001 * number for number in range(9)]


def test_a_mean_that_is_slower_is_a_regression_though_the_typical_step_is_not() -> None:
    decision = judge_launches([both("head", SAME, SLOW)], RULE).decisions[0]
    assert (decision.verdict, decision.by, decision.p, decision.alpha) == ("regression", "mean", 2**-9, 0.002)
    assert decision.reason.startswith("the mean step, +11 %, is slower by more than the margin of 2 %")
    assert "the typical step reads +0.1 %" in decision.reason
    assert decision.ratio is not None
    assert decision.mean is not None
    assert decision.ratio.estimate == pytest.approx(math.exp(0.001 / 9))
    assert decision.mean.estimate == pytest.approx(math.exp(0.104))
    typical = judge_launches([both("head", SLOW, SAME)], RULE).decisions[0]
    assert (typical.verdict, typical.by) == ("regression", "typical")


def test_the_screen_passes_a_cell_of_which_both_steps_pass() -> None:
    for typical, means in ((SAME, SLOW), (SLOW, SAME)):
        one = LaunchSeries("head", "g", False, tuple(typical), (), tuple(means))
        assert judge_launches([one], RULE).wanted == ("head",)
    one = LaunchSeries("head", "g", False, (0.0,) * 5, (), (0.0,) * 4 + (0.036,))
    assert judge_launches([one], RULE).stage == "screen", "the typical step has passed, the mean one has not yet"
    one = LaunchSeries("head", "g", False, tuple(SAME), (), tuple(0.02 + value for value in SAME))
    (decision,) = judge_launches([one], RULE).decisions
    assert (decision.verdict, decision.n, decision.by) == ("pass", 5, "mean")
    assert decision.reason == "at most +2.1 % in the mean step, below the target of 5 %"


def test_both_steps_of_a_cell_share_the_alpha() -> None:
    """A p of .0039 is below .004, and not below its half."""
    one_below = [0.0197 if number == 0 else 0.1 + 0.001 * number for number in range(9)]
    alone = LaunchSeries("head", "g", False, FLAGGED, tuple(one_below))
    assert signed_rank_p(one_below, RULE.harmless) == 2**-8
    assert judge_launches([alone], RULE).decisions[0].verdict == "regression"
    assert judge_launches([both("head", one_below, SAME)], RULE).decisions[0].verdict == "inconclusive"
    assert judge_launches([both("head", one_below, SLOW)], RULE).decisions[0].by == "mean"


def test_an_improvement_of_one_step_is_none_where_the_other_is_worse() -> None:
    fast = [-value for value in SLOW]
    assert judge_launches([both("head", SAME, fast)], RULE).decisions[0].verdict == "improvement"
    assert judge_launches([both("head", fast, SAME)], RULE).decisions[0].by == "typical"
    # The median of these is above the margin, and they do not show it yet.
    doubtful = [0.04 if number < 6 else -0.06 for number in range(9)]
    for typical, means in ((fast, doubtful), (doubtful, fast)):
        assert judge_launches([both("head", typical, means)], RULE).decisions[0].verdict == "pass"
    assert judge_launches([both("head", fast, SLOW)], RULE).decisions[0].verdict == "regression"


def test_a_twin_whose_mean_differs_makes_the_gate_invalid() -> None:
    slow = [0.1 + 0.001 * number for number in range(12)]
    same = [0.001 * (-1) ** number for number in range(12)]
    judged = judge_launches([both("twin", same, slow, twin=True), both("head", same, same)], RULE)
    assert {decision.verdict for decision in judged.decisions} == {"invalid"}
    assert "reads +11 % in the mean step after 12 launches" in judged.alarms[0]


# Sets of interpreters.


def test_what_few_sets_of_interpreters_shift_is_allowed_for() -> None:
    """By hand: of four launches from two sets, the mean's variance is layout**2 * (1/2 - 1/4) more."""
    assert RULE.allowance((0, 1, 0, 1), 0.05) == pytest.approx(stats.norm.isf(0.05) * 0.006 * 0.5)
    assert RULE.allowance((0, 0, 0, 1), 0.05) == pytest.approx(stats.norm.isf(0.05) * 0.006 * math.sqrt(0.375))
    assert RULE.allowance(tuple(range(24)), 0.001) == RULE.allowance((), 0.001) == 0.0
    assert replace(RULE, layout=0.0).allowance((0, 0, 0), 0.05) == 0.0


def test_a_slowdown_that_two_layouts_may_make_is_no_regression() -> None:
    values = [0.025 + 0.0001 * number for number in range(9)]
    own, shared = tuple(range(9)), tuple(number % 2 for number in range(9))
    found = {}
    for sets in (own, shared):
        one = LaunchSeries("head", "g", False, FLAGGED, tuple(values), confirm_sets=sets)
        found[sets] = judge_launches([one], RULE).decisions[0]
    assert (found[own].verdict, found[shared].verdict) == ("regression", "pass")
    assert found[own].upper == pytest.approx(math.exp(0.0258))
    assert found[shared].upper == pytest.approx(math.exp(0.0258 + RULE.allowance(shared, 0.05)))
    assert found[own].detectable == 0.05
    last = tuple(number % 2 for number in range(24))
    hidden = RULE.allowance(last, 0.002) + RULE.allowance(last, 0.05)
    seen = smallest_detectable(0.05, 24, 0.002, RULE, last)
    assert math.log1p(seen) == pytest.approx(math.log1p(smallest_detectable(0.05, 24, 0.002, RULE)) + hidden, abs=1e-9)


# Invariances.


def random_series(seed: int, cells: int = 4) -> list[LaunchSeries]:
    generator = random.Random(seed)
    made = [series("twin", [generator.gauss(0, 0.01) for _ in range(LAUNCHES)], twin=True)]
    for number in range(cells):
        shift = generator.choice((-0.1, 0.0, 0.03, 0.06, 0.1))
        made.append(series(f"c{number}", [generator.gauss(shift, 0.015) for _ in range(LAUNCHES)]))
    return made


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_cells_does_not_matter(seed: int) -> None:
    made = random_series(seed)
    shuffled = random.Random(seed).sample(made, len(made))
    first = {decision.cell: decision for decision in judge_launches(made, RULE).decisions}
    assert {decision.cell: decision for decision in judge_launches(shuffled, RULE).decisions} == first


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_swapping_the_arms_turns_regressions_into_improvements(seed: int, shift: float) -> None:
    """What the screen flags on both sides; it lets small speed-ups pass unconfirmed, since they fail nothing."""
    generator = random.Random(seed)
    made = series("head", [generator.gauss(shift, 0.02) for _ in range(LAUNCHES)])
    swapped = replace(made, screen=tuple(-v for v in made.screen), confirm=tuple(-v for v in made.confirm))
    ours, theirs = (judge_launches([one], RULE).decisions[0] for one in (made, swapped))
    assert (ours.verdict, theirs.verdict) == (
        ("improvement", "regression") if shift < 0 else ("regression", "improvement")
    )
    assert (ours.p, ours.n) == (theirs.p, theirs.n)


@pytest.mark.parametrize("seed", range(40))
def test_asked_launch_by_launch_it_says_what_it_says_at_once(seed: int) -> None:
    """Where each has the launches that it wants, and no more."""
    made = random_series(seed)
    have = {one.cell: {"screen": 0, "confirm": 0} for one in made}
    asked = []
    while True:
        seen = [
            replace(
                one, screen=one.screen[: have[one.cell]["screen"]], confirm=one.confirm[: have[one.cell]["confirm"]]
            )
            for one in made
        ]
        judged = judge_launches(seen, RULE)
        if not judged.wanted:
            break
        asked.append((judged.stage, judged.launches))
        for one in made:
            if one.cell in judged.wanted or one.twin:
                have[one.cell][judged.stage] = judged.launches
    assert asked == sorted(set(asked), key=lambda item: (item[0] == "confirm", item[1])), "each asks for more"
    found, at_once = (
        [one for one in judgement.decisions if not one.twin] for judgement in (judged, judge_launches(made, RULE))
    )
    assert found == at_once
