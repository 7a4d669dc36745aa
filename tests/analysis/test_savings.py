"""What trials save: signs, several claims at once, and a twin that shows that something is wrong."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.savings import confidence_of, saving_of, twin_bias
from bench.stats.intervals import interval_of_differences


def test_a_tenth_less_time_saves_a_tenth() -> None:
    saving = saving_of([math.log(0.9), math.log(0.9), math.log(0.9)], [0.002] * 3, 0.95, epoch=50)
    assert saving.share.estimate == pytest.approx(0.1)
    assert saving.seconds.estimate == pytest.approx(0.01)  # of an epoch of 50 steps of 2 ms
    assert (saving.per, saving.share.launches) == ("epoch", 3)
    assert saving.is_known
    assert not saving.costs


def test_more_time_costs_and_ends_are_the_right_way_round() -> None:
    logs = [math.log(1.2), math.log(1.21), math.log(1.19)]
    saving = saving_of(logs, [0.002, 0.004, 0.003], 0.95)
    assert saving.costs
    assert not saving.is_known
    assert saving.share.low is not None
    assert saving.share.high is not None
    assert saving.share.low < saving.share.estimate < saving.share.high < 0
    assert saving.seconds.estimate == pytest.approx(saving.share.estimate * 0.003)
    assert saving.per == "step"


def test_what_may_be_nothing_or_is_too_little_is_not_known() -> None:
    assert not saving_of([-0.3, 0.1, -0.2], [1.0] * 3, 0.95).is_known
    assert not saving_of([-0.005, -0.0051, -0.0049], [1.0] * 3, 0.95).is_known  # half a percent, for sure
    assert not saving_of([-0.3], [1.0], 0.95).is_known  # of one launch nobody knows


def test_no_claim_is_smaller_than_what_the_twin_shows() -> None:
    logs = [-0.02, -0.021, -0.019]
    assert saving_of(logs, [1.0] * 3, 0.95).is_known
    assert not saving_of(logs, [1.0] * 3, 0.95, bias=0.03).is_known
    assert twin_bias([0.03, 0.031, 0.029]) == pytest.approx(math.expm1(0.03))
    assert twin_bias([-0.03, -0.031, -0.029]) == pytest.approx(-math.expm1(-0.03))
    assert twin_bias([0.03, -0.031, 0.001]) == 0.0
    assert twin_bias([0.5]) == 0.0


def test_of_many_claims_each_is_surer() -> None:
    assert confidence_of(1) == confidence_of(0) == pytest.approx(0.95)
    assert confidence_of(10) == pytest.approx(0.995)
    logs = [-0.05, -0.03, -0.04, -0.045]
    one, ten = (saving_of(logs, [1.0] * 4, confidence_of(claims)).share for claims in (1, 10))
    assert one.low is not None
    assert ten.low is not None
    assert ten.low < one.low


def test_ten_remedies_that_do_nothing_are_advised_in_few_diagnoses(repeats) -> None:  # type: ignore[no-untyped-def]  # a fixture of tiers
    """Each interval at 95 % would advise something in a fifth of all diagnoses: half of what chance puts outside."""
    generator, diagnoses, claims = random.Random(5), repeats(60, 1000), 10
    wrong = {0.95: 0, confidence_of(claims): 0}
    for _ in range(diagnoses):
        launches = [[generator.gauss(0, 0.03) for _ in range(5)] for _ in range(claims)]
        for confidence in wrong:
            wrong[confidence] += any(saving_of(own, [1.0] * 5, confidence).is_known for own in launches)
    shares = [count / diagnoses for count in wrong.values()]
    assert shares[0] > 0.08
    assert shares[1] <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / diagnoses)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9), st.floats(1e-6, 10), st.integers(0, 1000))
def test_a_saving_is_the_ratio_turned_round(logs: list[float], step: float, epoch: int) -> None:
    saving = saving_of(logs, [step] * len(logs), 0.95, epoch)
    found = interval_of_differences(logs)
    assert saving.share.estimate == pytest.approx(1 - math.exp(statistics.fmean(logs)))
    assert saving.share.low is not None
    assert saving.share.high is not None
    assert saving.share.low <= saving.share.high <= 1
    assert saving.is_known <= (found.high is not None and found.high < 0)
