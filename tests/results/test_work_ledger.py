"""What may differ between two ledgers, by the kind of equality that a suite asks for."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results.work_ledger import EQUALITIES, LedgerComparison, own_faults, work_differences

LEDGER: dict[str, Any] = {
    "steps": 100,
    "samples": 1000,
    "samples_digest": "ab",
    "audited": 8,
    "forward": 8,
    "backward": 8,
    "optimizer_updates": 100,
    "audited_updates": 8,
    "audited_changes": 8,
    "optimizers": ["SGD"],
    "learning_rates": [0.1, 0.1],
    "losses": [1.0, 0.99, 0.9, 0.89],
    "nonzero_gradients": 1.0,
    "initial_weights": "x",
    "final_weights": "y",
}
NO_BITS = "kernels of cuda may add in another order each time"


def differences(changes: dict[str, Any], **how: Any) -> str:
    return "; ".join(work_differences({**LEDGER, **changes}, LEDGER, LedgerComparison(**how))[0])


# What each kind looks at: the changes that it must tell, and those that it must not.
CHANGES: dict[str, dict[str, Any]] = {
    "samples": {"samples": 999},
    "batches": {"samples_digest": "cd"},
    "forward": {"forward": 16},
    "backward": {"backward": 16},
    "updates": {"optimizer_updates": 25},
    "initial_weights": {"initial_weights": "z"},
    "weights": {"final_weights": "z"},
    "loss": {"losses": [1.0, 0.8, 0.9, 0.89]},
}


@pytest.mark.parametrize("kind", EQUALITIES)
@pytest.mark.parametrize("name", CHANGES)
def test_each_kind_of_equality_tells_what_it_compares_and_nothing_else(kind: str, name: str) -> None:
    told = differences(CHANGES[name], equal=kind)
    assert bool(told) == (name in EQUALITIES[kind]), told
    assert work_differences(LEDGER, LEDGER, LedgerComparison(equal=kind))[0] == []


def test_steps_are_always_as_many() -> None:
    for kind in EQUALITIES:
        assert "steps: 99 against the baseline's 100" in differences({"steps": 99}, equal=kind)


def test_weights_are_compared_by_bits_only_where_they_can_be() -> None:
    other = {"final_weights": "z", "losses": [1.0, 0.99 + 1e-6, 0.9, 0.89]}
    assert "final_weights" in differences(other)
    assert differences(other, no_bits=NO_BITS) == ""
    assert "loss of audited step 1" in differences({"losses": [1.0, 0.8, 0.9, 0.89]}, no_bits=NO_BITS)


def test_other_arithmetic_is_recognized_by_its_losses_and_told_what_to_do() -> None:
    assert "equal='loss'" in differences({"final_weights": "z", "losses": [1.0, 0.99 + 1e-6, 0.9, 0.89]})
    assert "equal='loss'" not in differences({"final_weights": "z", "losses": [1.0, 0.7, 0.9, 0.89]})


def test_a_kind_that_cannot_be_judged_is_refused_with_what_can() -> None:
    told = differences({}, equal="weights", no_bits=NO_BITS)
    assert told == f"equal='weights' cannot be judged here: {NO_BITS}; allowed here: loss, samples, counts, none"
    assert "no loss was handed to backward; allowed here: samples, counts" in differences({"losses": []}, equal="loss")


def test_batches_that_are_fetched_ahead_are_told_by_what_was_learnt() -> None:
    """The batch at a turn's edge is then another one; weights and losses tell whether the training was the same."""
    shifted = {"samples_digest": "cd"}
    assert differences(shifted, ahead=True) == ""
    assert differences(shifted, ahead=True, no_bits=NO_BITS) == ""
    assert "samples_digest" in differences(shifted, ahead=True, equal="samples")
    assert "samples_digest" in differences(shifted)
    for more in ({"final_weights": "z"}, {"samples": 99}, {"optimizer_updates": 99}, {"learning_rates": [0.2, 0.2]}):
        assert "samples_digest" in differences({**shifted, **more}, ahead=True)


def test_what_was_equal_is_told() -> None:
    def equal(**how: Any) -> str:
        return work_differences(LEDGER, LEDGER, LedgerComparison(**how))[1]

    assert equal() == "the same batches, passes, updates and final weights, bit for bit"
    assert equal(no_bits=NO_BITS, tolerance=0.03) == "the same batches and updates; losses within 3 %"
    assert equal(equal="samples").startswith("the same batches; ")
    assert equal(equal="counts").startswith("as many passes and updates; ")
    unread = {**LEDGER, "samples_digest": ""}
    assert work_differences(unread, LEDGER, LedgerComparison(equal="samples"))[1].startswith("as many samples; ")
    assert work_differences({**LEDGER, "steps": 1}, LEDGER, LedgerComparison())[1] == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"learning_rates": [0.1, 0.08], "final_weights": "z"},
            "learning rate: 0.1 to 0.08 against the baseline's 0.1 throughout: a schedule on one side",
        ),
        ({"learning_rates": [0.2, 0.2], "final_weights": "z"}, "0.2 throughout against the baseline's 0.1 throughout"),
        ({"optimizers": ["Adam"], "final_weights": "z"}, "optimizer: Adam against the baseline's SGD"),
        (
            {"optimizer_updates": 25},
            "gradient accumulation: an update every 4 steps against the baseline's every 1",
        ),
    ],
)
def test_reasons_name_the_cause_first(changes: dict[str, Any], words: str) -> None:
    found = work_differences({**LEDGER, **changes}, LEDGER, LedgerComparison())[0]
    assert words in found[0]
    # Whoever updates a quarter as often is watched so too: its rate is no other.
    rarely = {**LEDGER, "optimizer_updates": 25, "learning_rates": [0.1]}
    assert "learning rate" not in "; ".join(work_differences(rarely, LEDGER, LedgerComparison())[0])
    # A cause alone is no difference of work: what it may not change is compared, and it is told with it.
    assert differences({"optimizers": ["SGD foreach"]}) == ""


def test_counts_are_compared_with_the_baseline_and_not_with_the_steps() -> None:
    gan = {**LEDGER, "forward": 16, "backward": 16, "optimizer_updates": 200}
    assert own_faults(gan) == []
    assert work_differences(gan, gan, LedgerComparison())[0] == []
    told = "; ".join(work_differences(gan, LEDGER, LedgerComparison())[0])
    assert "16 backward passes in 8 audited steps against the baseline's 8 in 8" in told
    assert "200 optimizer updates in 100 steps against the baseline's 100" in told
    # A compiled model's passes are counted by its losses: not with those of its first module.
    assert differences({"forward": 16}, same_passes=False) == ""


def test_across_precisions_the_loss_curve_decides() -> None:
    other = {"initial_weights": "z", "final_weights": "w", "losses": [1.0, 1.01, 0.91, 0.9], "optimizer_updates": 98}
    how = {"no_bits": "precision differs", "tolerance": 0.03}
    assert differences(other, **how, same_precision=False) == ""
    assert "loss of audited step 1" in differences(
        {**other, "losses": [1.0, 1.1, 0.9, 0.9]}, **how, same_precision=False
    )
    assert "initial_weights" in differences(other, **how)


def test_no_more_is_said_to_be_equal_than_was_compared() -> None:
    """On other numbers of devices samples differ, and of a loss that nobody handed to backward nothing is known."""
    devices = LedgerComparison(no_bits="devices differs", planned=(20, 10))
    two = {**LEDGER, "samples": 2000, "samples_digest": "b"}
    told = work_differences(two, LEDGER, devices)[1]
    assert told == "20 samples a step against 10; as many backward passes and updates"
    silent = {**LEDGER, "losses": []}
    told = work_differences(silent, silent, LedgerComparison(no_bits=NO_BITS))[1]
    assert told == "the same batches; as many backward passes and updates"


def test_updates_that_a_scaler_skips_are_not_counted_unless_they_are_many() -> None:
    how = {"no_bits": "precision differs", "same_precision": False}
    assert differences({"optimizer_updates": 91}, **how) == ""
    assert "50 optimizer updates in 100 steps" in differences({"optimizer_updates": 50}, **how)
    assert "97 optimizer updates" in differences({"optimizer_updates": 97}, no_bits=NO_BITS)


def test_over_device_counts_global_samples_decide() -> None:
    how = {"no_bits": "devices differs", "planned": (20, 10)}
    two = {"samples": 2000, "samples_digest": "b", "final_weights": "z", "losses": [2.0, 1.0, 2.0, 1.0]}
    assert differences(two, **how) == ""
    assert "samples: 1000 in steps of 20" in differences({**two, "samples": 1000}, **how)
    assert "initial_weights" in differences({**two, "initial_weights": "v"}, **how)


@given(st.floats(-10, 10), st.floats(1e-6, 1e-2), st.floats(0, 1))
def test_losses_are_compared_by_the_size_of_the_curve(level: float, tolerance: float, share: float) -> None:
    """Within the tolerance of the curve's size nothing is told, also where it crosses zero; far beyond it is."""
    theirs = [level + 1, level, level - 1, level + 1, level, level - 1]
    size = sorted(map(abs, theirs))[2]
    near = [loss + share * 0.99 * tolerance * size for loss in theirs]
    far = [loss + 3 * tolerance * max(map(abs, theirs)) + 1e-9 for loss in theirs]
    how: dict[str, Any] = {"equal": "loss", "tolerance": tolerance}
    ours = {**LEDGER, "losses": theirs}
    assert work_differences({**LEDGER, "losses": near}, ours, LedgerComparison(**how))[0] == []
    assert work_differences({**LEDGER, "losses": far}, ours, LedgerComparison(**how))[0] != []
    assert not math.isnan(size)


@pytest.mark.parametrize(("late", "apart"), [(0.002, False), (0.04, False), (0.5, True)])
def test_later_losses_may_lie_apart_as_far_as_rounding_grows_and_not_as_lost_updates_do(
    late: float, apart: bool
) -> None:
    """`late`: the share of the way that training has come by which the arm lags behind."""
    theirs = [1.0, 0.99, 0.5, 0.49]
    mine = [*theirs[:2], *(loss + late * 0.5 for loss in theirs[2:])]
    told = work_differences({**LEDGER, "losses": mine}, {**LEDGER, "losses": theirs}, LedgerComparison(equal="loss"))[0]
    assert bool(told) == apart


def test_a_ledger_of_earlier_versions_has_no_fault_for_what_it_lacks() -> None:
    old = {
        name: value
        for name, value in LEDGER.items()
        if name not in ("audited_updates", "audited_changes", "optimizers")
    }
    assert own_faults(old) == []
    assert work_differences(old, old, LedgerComparison())[0] == []


def test_other_validation_is_other_work_unless_only_samples_or_counts_are_compared() -> None:
    for equal in ("", *EQUALITIES):
        mine, theirs = ({**LEDGER, "validation_batches": count} for count in (0, 4))
        told = work_differences(mine, theirs, LedgerComparison(equal=equal))[0]
        assert bool(told) == (equal not in ("samples", "counts", "none"))
        assert told in ([], ["validation batches: 0 against the baseline's 4: it never validates"])


def test_equal_validation_is_told_where_there_was_any() -> None:
    ledger = {**LEDGER, "validation_batches": 4}
    assert work_differences(ledger, ledger, LedgerComparison())[1].endswith("; as many validation batches")
    assert "validation" not in work_differences(LEDGER, LEDGER, LedgerComparison())[1]
    # Other numbers of devices have other shares.
    none = {**LEDGER, "validation_batches": 0}
    assert work_differences(none, ledger, LedgerComparison(planned=(1, 1), no_bits="devices"))[0] == []
