"""What records of a search's races say, and what finalists may claim: on records that are made here, of known truth."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiers import Choice

from bench.analysis.tuning import (
    TWIN,
    RacedConfiguration,
    TuneLimits,
    broken_limit,
    judged_finalists,
    pareto_front,
    raced_configurations,
)
from bench.results.record import Outcome, Record
from bench.results.turns import Turns

EPOCHS = 3
DEFAULT, OTHER = "batch_size=32", "batch_size=64"


def trained(
    label: str,
    pace: float,
    *,
    samples: int = 32,
    steps: int = 10,
    losses: Sequence[float] = (0.3, 0.2, 0.1),
    twin: bool = False,
    launch: int = 0,
    outcome: Outcome = "ok",
    epochs: int = EPOCHS,
    memory: int = 100,
) -> Record:
    """A launch of whole epochs; the first takes ten times as long, which nobody may count."""
    seconds = tuple((pace * (10 if number == 0 else 1),) * steps for number in range(epochs))
    zeros = tuple(0.0 for _ in range(epochs))
    counts = tuple(0 for _ in range(epochs))
    turns = Turns(
        round=tuple(range(epochs)), position=counts, cpu=zeros, involuntary=counts, faults=counts, stolen=zeros,
        seconds=seconds, cold=0, whole=True, real=True,
    )  # fmt: skip
    return Record(
        "tunable",
        f"tunable[{label}]{'#twin' * twin}",
        "tunable",
        {"configuration": label},
        twin,
        launch,
        outcome,
        "" if outcome == "ok" else "it was so",
        ledger={"validation_losses": list(losses[:epochs])},
        turns=turns if outcome == "ok" else None,
        samples_per_step=samples,
        memory={"peak_memory_host": memory},
    )


def raced(*others: Record) -> dict[str, RacedConfiguration]:
    records = [trained(DEFAULT, 0.001), trained(DEFAULT, 0.001, twin=True), *others]
    return {one.label: one for one in raced_configurations(records, "configuration", EPOCHS)}


def test_speed_is_samples_a_second_without_the_first_epoch() -> None:
    """Twice the samples in a step that takes 1.25 times as long, and half as many steps an epoch."""
    found = raced(trained(OTHER, 0.00125, samples=64, steps=5))
    assert found[DEFAULT].rate == pytest.approx(32 / 0.001)
    assert found[OTHER].rate == pytest.approx(64 / 0.00125)
    assert found[OTHER].ratio == pytest.approx(2 / 1.25)
    assert found[TWIN].ratio == pytest.approx(1.0)


def test_the_loss_is_that_of_the_last_epoch_against_the_defaults() -> None:
    assert raced(trained(OTHER, 0.001, losses=(9.0, 9.0, 0.11)))[OTHER].lag == pytest.approx(0.1)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_none_is_above_every_other(loss: float) -> None:
    found = raced(trained(OTHER, 0.001, losses=(0.3, 0.2, loss)))[OTHER]
    assert found.lag == math.inf
    assert broken_limit(found, TuneLimits())[0] == "its validation loss is not finite"


def test_what_failed_has_its_outcome_and_what_was_cut_short_is_not_run() -> None:
    found = raced(trained(OTHER, 0.001, outcome="oom"), trained("batch_size=128", 0.001, epochs=2))
    assert (found[OTHER].outcome, found[OTHER].reason, found[OTHER].ratio) == ("oom", "it was so", None)
    assert (found["batch_size=128"].outcome, found["batch_size=128"].ratio) == ("not-run", None)


def test_a_launch_that_the_default_did_not_end_tells_nothing() -> None:
    records = [trained(DEFAULT, 0.001, epochs=2), trained(DEFAULT, 0.001, twin=True), trained(OTHER, 0.001)]
    assert {one.outcome for one in raced_configurations(records, "configuration", EPOCHS)} == {"not-run"}


def test_a_loss_may_lag_more_the_earlier_it_is() -> None:
    late = raced(trained(OTHER, 0.001, losses=(0.3, 0.2, 0.11)))[OTHER]
    assert broken_limit(late, TuneLimits(loss_margin=0.02), 0.25) == ("", 0.0)
    reason, much = broken_limit(late, TuneLimits(loss_margin=0.02), 1.0)
    assert (reason, round(much, 3)) == ("its validation loss is 10 % above the default's", 0.08)


def test_the_memory_limit_is_of_the_device_where_it_has_its_own() -> None:
    one = RacedConfiguration(OTHER, "ok", memory=500, device_memory=50)
    assert broken_limit(one, TuneLimits(memory=100)) == ("", 0.0)
    assert broken_limit(RacedConfiguration(OTHER, "ok", memory=500), TuneLimits(memory=100))[1] == 4.0


def finalist(logs: Sequence[float], lags: Sequence[float] = (), memory: int = 100) -> RacedConfiguration:
    return RacedConfiguration(OTHER, "ok", "", tuple(logs), 1.0, memory, None, (), tuple(lags))


def word_of(one: RacedConfiguration, twin: Sequence[float] = (0.01, -0.01, 0.0, 0.005), **limits: float) -> str:
    default = RacedConfiguration(DEFAULT, "ok", "", (0.0,) * len(one.logs), 1.0, 100)
    same = RacedConfiguration(TWIN, "ok", "", tuple(twin), 1.0, 100)
    (found,) = judged_finalists([default, same, one], TuneLimits(**limits))  # type: ignore[arg-type]  # memory is whole
    return found.word


FASTER = (0.70, 0.69, 0.71, 0.70)


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (finalist(FASTER, (0.0,) * 4), "better"),
        (finalist(FASTER), "better"),  # nobody looks at a script's loss, and the report says so
        (finalist(FASTER, (0.05, 0.06, 0.05, 0.06)), "loss-worse"),
        (finalist(FASTER, (-0.05, 0.08, 0.0, 0.02)), "loss-undecided"),
        (finalist(FASTER, (0.0, math.inf, 0.0, 0.0)), "loss-worse"),
        (finalist(FASTER, (0.0,) * 4, memory=200), "over-memory"),
        (finalist((0.01, -0.01, 0.0, 0.005)), "within-noise"),
        (finalist((-0.7, -0.69, -0.71, -0.7)), "slower"),
        (finalist((0.7,)), "within-noise"),
        (RacedConfiguration(OTHER, "crashed", "exit code 1"), "failed"),
    ],
)
def test_what_may_be_said_of_a_finalist(one: RacedConfiguration, word: str) -> None:
    assert word_of(one, memory=150) == word


def test_no_claim_is_smaller_than_what_the_twin_shows() -> None:
    shifted = (0.10, 0.101, 0.099, 0.10)
    assert word_of(finalist((0.08, 0.081, 0.079, 0.08)), twin=shifted) == "within-noise"
    assert word_of(finalist(FASTER), twin=shifted) == "better"


def test_of_two_finalists_that_are_no_better_at_most_one_search_in_twenty_claims_one(repeats: Choice) -> None:
    """Launches of the same code scatter by 1.5 %; both intervals hold at once, and the twin's is looked at besides."""
    generator, number = random.Random(1), repeats(40, 2000)
    claims = 0
    for _ in range(number):
        logs = [[generator.gauss(0, 0.015) for _ in range(4)] for _ in range(3)]
        default = RacedConfiguration(DEFAULT, "ok", "", (0.0,) * 4, 1.0, 100)
        others = [
            RacedConfiguration(label, "ok", "", tuple(own), 1.0, 100)
            for label, own in zip((TWIN, OTHER, "batch_size=128"), logs, strict=True)
        ]
        claims += any(one.word == "better" for one in judged_finalists([default, *others], TuneLimits()))
    assert claims <= max(3, 0.05 * number)


@given(st.dictionaries(st.text("abcdef", min_size=1), st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1))
def test_the_front_is_what_no_other_beats_in_both(points: dict[str, tuple[float, float]]) -> None:
    front = set(pareto_front(points))
    for label, (speed, memory) in points.items():
        better = [
            other
            for other, (fast, little) in points.items()
            if fast >= speed and little <= memory and (fast, little) != (speed, memory)
        ]
        assert (label in front) <= (not better)
        assert label in front or better or any(points[label] == points[other] for other in front)
