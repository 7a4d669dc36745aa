"""A diagnosis: what is advised and in which order, what only bounds, and how it is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.ladder import RungPrice
from bench.analysis.savings import WORTH, Saving
from bench.borders import json_text
from bench.commands.diagnosis import Diagnosis, Tried, compatible, diagnose
from bench.commands.remedies import Edit, Trial
from bench.report.doctor import (
    advice_sentence,
    bound_sentence,
    failed_line,
    render_diagnosis,
    render_fix,
    trap_sentence,
    unadvised_sentence,
)
from bench.results.observed import Observed, ObservedLoader
from bench.stats.intervals import Interval

SEEN = Observed(
    steps=400, epochs=10, updates=400, step_seconds=2e-3, between_seconds=2e-2, worker_starts=10, loaders=1, loss="1",
    seconds={"waiting": 1e-3, "log": 1e-4}, calls={"log": 2.0},
    loader=ObservedLoader("train.py:3", {"num_workers": 1, "persistent_workers": False, "pin_memory": True}, "", "", 9),
)  # fmt: skip


def saving(share: float, spread: float = 0.01, per: Any = "epoch", seconds: float = 10.0, bias: float = 0.0) -> Saving:
    ends = share - spread, share + spread
    return Saving(Interval(share, *ends, 5), Interval(share * seconds, *(end * seconds for end in ends), 5), per, bias)


def trial(name: str, title: str = "", **other: Any) -> Trial:
    return Trial(name, title or name, "it was seen", {}, **other)


def made(*tried: tuple[Trial, Saving], seen: Observed = SEEN, untold: dict[str, str] | None = None) -> Diagnosis:
    labels = {one.title: found for one, found in tried}
    trials = [(one.title, one) for one, _ in tried]
    return diagnose("train.py", seen, 2, trials, labels, untold or {})


def test_advice_is_ranked_and_holds_no_zero() -> None:
    found = made(
        (trial("small"), saving(0.03)),
        (trial("none"), saving(0.02, 0.03)),
        (trial("large"), saving(0.3)),
        (trial("worse"), saving(-0.1)),
        (trial("tiny"), saving(0.005, 0.001)),
        (trial("bound", bound=True), saving(0.5)),
    )
    assert [one.trial.name for one in found.advice] == ["large", "small"]
    assert [one.trial.name for one in found.unadvised] == ["none", "tiny", "worse"]
    assert [one.trial.name for one in found.bounds] == ["bound"]
    assert found.claims == 5  # the bound is none of the remedies


def test_of_values_to_choose_from_the_best_is_advised() -> None:
    found = made(
        (trial("num-workers", "num_workers=1"), saving(0.1)),
        (trial("num-workers", "num_workers=0"), saving(0.2)),
        (trial("num-workers", "num_workers=2"), saving(0.0)),
    )
    assert [one.trial.title for one in found.advice] == ["num_workers=0"]
    assert [one.trial.title for one in found.also] == ["num_workers=1"]
    assert [one.trial.title for one in found.unadvised] == ["num_workers=2"]


@given(st.lists(st.tuples(st.floats(-0.5, 0.9), st.floats(0, 0.3), st.booleans(), st.floats(0, 0.1)), max_size=9))
def test_no_advice_has_an_interval_that_holds_zero(tried: list[tuple[float, float, bool, float]]) -> None:
    found = made(
        *(
            (trial(f"n{number}", bound=bound), saving(share, spread, bias=bias))
            for number, (share, spread, bound, bias) in enumerate(tried)
        )
    )
    assert all((one.saving.share.low or 0) > one.saving.bias >= 0 for one in found.advice)
    assert all(one.saving.share.estimate >= WORTH and not one.trial.bound for one in found.advice)
    shares = [one.saving.share.estimate for one in found.advice]
    assert shares == sorted(shares, reverse=True)
    every = (*found.advice, *found.also, *found.unadvised, *found.bounds)
    assert len(every) == len(tried)
    assert render_diagnosis(found)
    assert json.loads(json_text(found.to_json()))["target"] == "train.py"


def test_advice_says_what_it_saves_and_of_what() -> None:
    assert advice_sentence(Tried(trial("p", "persistent_workers=True"), saving(0.31, 0.03))) == (
        "persistent_workers=True saves 3.10 s an epoch [2.80, 3.40] (31 %)"
    )
    small = saving(0.1, 0.01, "step", 1e-3)
    assert advice_sentence(Tried(trial("l", "log every 50th step"), small)) == (
        "log every 50th step saves 100 µs a step [90, 110] (10 %)"
    )


def test_a_bound_says_what_cannot_pay_and_is_no_advice() -> None:
    loader = trial("loader", "a perfect loader", bound=True)
    assert bound_sentence(Tried(loader, saving(0.005, 0.01))) == (
        "bounded at 1.5 %: no loader work can pay here (a perfect loader: 0.5 % [-0.5, 1.5])"
    )
    assert bound_sentence(Tried(loader, saving(0.3))).endswith("saves 30 % [29, 31]: loader work can save no more")
    assert bound_sentence(Tried(loader, saving(0.0, 0.2))) == (
        "bounded at 20 %: loader work can save no more (a perfect loader: 0 % [-20, 20])"
    )
    batch = trial("batch", "batch_size=64", bound=True, otherwise="it is another training")
    assert bound_sentence(Tried(batch, saving(0.2))).endswith("less time a sample; it is another training")


def test_traps_are_facts_and_have_the_price_that_was_raced() -> None:
    workers = trial("num-workers", "num_workers=0")  # which answers it, too, and saves more
    found = made((trial("persistent-workers", "persistent_workers=True"), saving(0.2)), (workers, saving(0.4)))
    told = {one.trap.name: trap_sentence(one) for one in found.traps}
    assert "its price, by persistent_workers=True: 2.00 s an epoch" in told["workers-restarted"]
    assert told["pins-without-device"].endswith("it has no price here")
    assert told["logs-each-step"].endswith("not priced")
    noise = made((trial("persistent-workers"), saving(0.0)))
    assert "its price, by persistent-workers, is within noise" in trap_sentence(noise.traps[0])


def test_what_costs_is_said_to_cost() -> None:
    assert unadvised_sentence(Tried(trial("w", "num_workers=1"), saving(-0.1, 0.01))) == (
        "num_workers=1 costs 1.00 s an epoch [0.90, 1.10]"
    )
    assert unadvised_sentence(Tried(trial("w"), saving(0.0))).endswith(": noise")
    assert unadvised_sentence(Tried(trial("w"), saving(0.005, 0.001))).endswith(": too little to be worth it")


def test_nothing_to_advise_is_a_good_end_and_what_was_not_told_is_said() -> None:
    found = made((trial("fused"), saving(0.0)), untold={"gone": "crashed: it fell"})
    text = render_diagnosis(found)
    assert "nothing to advise: nothing that was raced is known to save 1 % or more" in text
    assert "waiting" in text
    assert found.untried == ()
    crashed = diagnose(
        "train.py", SEEN, 2, [("made once", trial("made-once", "made once"))], {}, {"made once": "crashed"}
    )
    assert "made once: crashed" in render_diagnosis(crashed)
    assert "nothing was told: give it more time" in render_diagnosis(crashed)


def test_a_training_that_could_not_be_looked_at_is_one_line() -> None:
    found = Diagnosis("train.py", failed="no optimizer stepped", log="results/x/look.log")
    assert failed_line(found) == "train.py: no optimizer stepped; its log: results/x/look.log"
    assert "no optimizer stepped" in render_diagnosis(found)


SOURCE = "from torch.utils.data import DataLoader\n\nloader = DataLoader(data, num_workers=1, pin_memory=True)\n"


def test_the_fix_is_a_patch_with_what_needs_no_price_too() -> None:
    edits = (Edit("train.py:3", "DataLoader", {"persistent_workers": "True"}),)
    found = made((trial("persistent-workers", edits=edits), saving(0.2)), (trial("made-once"), saving(0.1)))
    assert found.edited_files() == ("train.py",)
    text = render_fix(found, found.patch({"train.py": SOURCE}))
    assert "+loader = DataLoader(data, num_workers=1, persistent_workers=True)" in text
    assert "# by hand: made-once (it was seen)" in text
    assert text.startswith("# persistent-workers saves 2.00 s an epoch")


def test_of_advice_that_cannot_be_followed_together_the_better_is_in_the_fix() -> None:
    none = trial(
        "num-workers", edits=(Edit("train.py:3", "DataLoader", {"num_workers": "0"}, ("persistent_workers",)),)
    )
    kept = trial("persistent-workers", edits=(Edit("train.py:3", "DataLoader", {"persistent_workers": "True"}),))
    fused = trial("fused", edits=(Edit("train.py:9", "SGD", {"fused": "True"}),))
    found = made((none, saving(0.3)), (kept, saving(0.2)), (fused, saving(0.1)))
    assert [one.trial.name for one in compatible(found.advice)] == ["num-workers", "fused"]
    text = render_fix(found, found.patch({"train.py": SOURCE}))
    assert "+loader = DataLoader(data, num_workers=0)" in text


def test_a_trainer_without_a_script_gets_arguments() -> None:
    own = trial("logger-seldom", edits=(Edit("", "Trainer", {"log_every_n_steps": "50"}),))
    found = made((own, saving(0.3)), seen=replace(SEEN, loader=None))
    assert render_fix(found, found.patch({})) == (
        "# logger-seldom saves 3.00 s an epoch [2.90, 3.10] (30 %)\n# Trainer(..., log_every_n_steps=50)\n"
    )


@pytest.mark.parametrize("seen", [SEEN, replace(SEEN, loader=None)])
def test_without_a_change_the_fix_says_so(seen: Observed) -> None:
    found = replace(made(seen=seen), traps=())
    assert render_fix(found, found.patch({})) == "# nothing to change\n"


def test_features_are_priced_over_the_one_below_or_say_why_not() -> None:
    figure, wide = Interval(2e-4, 1e-4, 3e-4, 5), Interval(2e-4, -1e-3, 2e-3, 5)
    rungs = (
        RungPrice("race", "race", "a", "lean", "", "", reason="the lowest"),
        RungPrice("race", "race", "b", "logger", "lean", "lean", step=figure, epoch=wide, step_word="told"),
        RungPrice("race", "race", "c", "bar-tqdm", "", "logger", reason="crashed: it fell"),
    )
    text = render_diagnosis(replace(made(), features=rungs))
    assert "200 µs [100, 300]" in text
    assert "crashed: it fell" in text
    assert "the lowest" not in text
    assert "Trainer's features" not in render_diagnosis(made())
