"""Remedies and bounds by what was observed: each applies where it can help, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.remedies import Trial, innermost_line, traps_of, trials_of
from bench.results.observed import (
    Observed,
    ObservedLoader,
    ObservedOptimizer,
    ObservedTrainer,
    lines_of_site,
    observed_of,
)

LOADER = ObservedLoader("train.py:10 < train.py:30", {"batch_size": 32, "num_workers": 0, "pin_memory": False}, "D",
                        "RandomSampler", 40)  # fmt: skip
PLAIN = Observed(
    steps=400, epochs=10, updates=400, step_seconds=1e-3, between_seconds=1e-3, seconds={"waiting": 1e-5},
    loader=LOADER, optimizers=(ObservedOptimizer("AdamW", "train.py:12", True, None, 4),), loaders=1, loss="0.5",
)  # fmt: skip


def seen(loader: Mapping[str, Any] | None = None, **other: Any) -> Observed:
    own = replace(LOADER, arguments={**LOADER.arguments, **(loader or {})})
    return replace(PLAIN, **{"loader": own, **other})


def remedies(found: Observed, cores: int = 2) -> list[str]:
    return [trial.name for trial in trials_of(found, cores) if not trial.bound]


def the(found: Observed, name: str, cores: int = 2) -> list[Trial]:
    return [trial for trial in trials_of(found, cores) if trial.name == name]


def test_for_a_training_without_a_fault_there_is_no_remedy_and_no_trap() -> None:
    assert remedies(PLAIN) == []
    assert traps_of(PLAIN, 2) == ()
    assert [trial.name for trial in trials_of(PLAIN, 2)] == ["loader", "optimizer", "batch"]


def test_workers_that_do_not_persist_may() -> None:
    found = seen({"num_workers": 1, "persistent_workers": False}, worker_starts=10)
    (trial,) = the(found, "persistent-workers")
    assert trial.changes == {"at": LOADER.at, "loader": {"persistent_workers": True}}
    assert (trial.edits[0].line, trial.edits[0].call, trial.between) == ("train.py:10", "DataLoader", True)
    assert [trap.name for trap in traps_of(found, 2)] == ["workers-restarted"]
    assert the(seen({"num_workers": 1, "persistent_workers": True}, worker_starts=1), "persistent-workers") == []


@pytest.mark.parametrize(
    ("workers", "waiting", "cores", "tried"),
    [
        (8, 0.0, 2, [0, 2]),
        (2, 0.0, 4, [0, 1]),
        (1, 0.0, 2, [0]),
        (0, 0.5, 2, [1]),
        (0, 0.5, 8, [1, 4]),
        (0, 0.5, 1, []),
        (0, 0.1, 8, []),
    ],
)
def test_other_numbers_of_workers_are_tried(workers: int, waiting: float, cores: int, tried: list[int]) -> None:
    found = seen({"num_workers": workers, "persistent_workers": workers > 0}, seconds={"waiting": waiting * 1e-3})
    trials = the(found, "num-workers", cores)
    assert [trial.changes["loader"]["num_workers"] for trial in trials] == tried
    for trial in trials:
        own = trial.changes["loader"]
        assert own.get("persistent_workers", False) is (own["num_workers"] > 0)
        assert ("persistent_workers" in trial.edits[0].without) is (own["num_workers"] == 0)
    assert ("too-many-workers" in {trap.name for trap in traps_of(found, cores)}) is (workers > cores)


def test_memory_is_pinned_for_an_accelerator_only() -> None:
    assert remedies(seen(accelerator=True)) == ["pin-memory"]
    found = seen({"pin_memory": True})
    (trap,) = traps_of(found, 2)
    assert (trap.name, trap.remedies, trap.edits[0].without) == ("pins-without-device", (), ("pin_memory",))
    assert remedies(found) == []
    assert traps_of(seen({"pin_memory": True}, accelerator=True), 2) == ()


def test_what_is_made_in_each_epoch_is_made_once() -> None:
    made = {f"{name} at {LOADER.at}": 10 for name in ("DataLoader", "RandomSampler")}
    (trial,) = the(seen(made=made), "made-once")
    assert (trial.changes, trial.edits) == ({"reuse_loaders": True}, ())
    (kept,) = the(seen({"num_workers": 1, "persistent_workers": False}, made=made), "made-once")
    assert kept.changes["loader"] == {"persistent_workers": True}
    assert [trap.name for trap in traps_of(seen(made=made), 2)] == ["rebuilt-each-epoch"]
    trainer = ObservedTrainer("train.py:40", {"reload_dataloaders_every_n_epochs": 1})
    (own,) = the(seen(made=made, trainer=trainer), "reload")
    assert own.changes == {"trainer": {"reload_dataloaders_every_n_epochs": 0}}
    assert own.edits[0].line == "train.py:40"


def test_what_is_made_twice_in_ten_epochs_or_by_another_file_is_none_of_it() -> None:
    by = {f"DataLoader at {LOADER.at} by train.get_eval_loader": 10}
    for made in (
        {f"DataLoader at {LOADER.at}": 2},
        {"DataLoader at other.py:3": 10},
        {f"Dataset at {LOADER.at}": 10},
        by,
    ):
        assert the(seen(made=made), "made-once") == []


@pytest.mark.parametrize("kind", ["log", "bar", "print"])
def test_calls_of_each_step_are_made_seldom(kind: str) -> None:
    found = seen(seconds={kind: 1e-4}, calls={kind: 1.0}, lines={kind: {"train.py:20": 400}})
    (trial,) = the(found, "log-seldom")
    assert trial.changes == {"every": {kind: 50}}
    assert "train.py:20" in trial.why
    assert the(found, "logging")[0].changes == {"skip": [kind]}
    for less in ({"seconds": {kind: 1e-6}}, {"calls": {kind: 0.02}}):
        assert the(replace(found, **less), "log-seldom") == []


def test_all_kinds_of_logging_are_one_remedy() -> None:
    found = seen(seconds={"log": 4e-6, "bar": 4e-6}, calls={"log": 1.0, "bar": 1.0, "print": 0.01})
    (trial,) = the(found, "log-seldom")
    assert trial.changes == {"every": {"log": 50, "bar": 50}}
    assert trial.title == "log and draw the bar every 50th step"


def test_trainers_own_logger_is_asked_seldom_by_its_argument() -> None:
    trainer = ObservedTrainer("", {"log_every_n_steps": 1})
    (trial,) = the(seen(seconds={"logger": 1e-4}, calls={"logger": 1.0}, trainer=trainer), "log-seldom")
    assert trial.changes == {"every": {}, "trainer": {"log_every_n_steps": 50}}
    assert trial.edits[0].line == ""


def test_checkpoints_are_saved_once_an_epoch() -> None:
    found = seen(calls={"checkpoint": 1.0}, seconds={"checkpoint": 1e-3}, lines={"checkpoint": {"train.py:20": 400}})
    (trial,) = the(found, "checkpoint-seldom")
    assert trial.changes == {"every": {"checkpoint": 40}}
    assert "a crash loses" in trial.otherwise
    assert [trap.name for trap in traps_of(found, 2)] == ["saves-each-step"]
    unsized = replace(found, loader=replace(LOADER, batches=0))
    assert the(unsized, "checkpoint-seldom")[0].changes == {"every": {"checkpoint": 1000}}
    assert the(replace(found, calls={"checkpoint": 1 / 40}), "checkpoint-seldom") == []


def test_values_taken_to_the_host_are_a_trap_and_a_bound_and_no_remedy() -> None:
    found = seen(calls={"item": 2.0}, lines={"item": {"train.py:20": 800}})
    assert [trap.name for trap in traps_of(found, 2)] == ["logs-each-step"]
    assert the(found, "syncs")[0].bound
    assert remedies(found) == []


def test_optimizers_are_fused_where_all_can_be() -> None:
    own = ObservedOptimizer("AdamW", "train.py:12", None, None, 4)
    (trial,) = the(seen(optimizers=(own,)), "fused")
    assert (trial.edits[0].call, trial.edits[0].arguments) == ("AdamW", {"fused": "True"})
    assert trial.otherwise
    other = replace(own, name="RMSprop")
    assert the(seen(optimizers=(own, other)), "fused") == []
    assert the(seen(optimizers=(other,)), "fused") == []


kinds = st.sampled_from(("log", "logger", "bar", "print", "checkpoint", "item", "waiting", "backward"))
amounts = st.dictionaries(kinds, st.floats(0, 10))


@given(
    calls=amounts,
    seconds=st.dictionaries(kinds, st.floats(0, 1)),
    workers=st.integers(0, 64),
    cores=st.integers(1, 64),
    batches=st.integers(0, 1000),
    epochs=st.integers(0, 5),
    step=st.floats(0, 1),
)
def test_whatever_is_observed_trials_are_plain_json_and_told_apart(
    calls: dict[str, float], seconds: dict[str, float], workers: int, cores: int, batches: int, epochs: int, step: float
) -> None:
    import json

    own = replace(LOADER, arguments={**LOADER.arguments, "num_workers": workers}, batches=batches)
    found = replace(PLAIN, calls=calls, seconds=seconds, loader=own, epochs=epochs, step_seconds=step)
    trials = trials_of(found, cores)
    for trial in trials:
        assert json.loads(json.dumps(trial.changes)) == trial.changes
    assert len({trial.title for trial in trials}) == len(trials)
    for trap in traps_of(found, cores):
        assert trap.told


def test_an_observation_crosses_as_json_and_comes_back() -> None:
    from dataclasses import asdict

    sent = {f"observed_{name}": value for name, value in asdict(PLAIN).items()}
    assert observed_of({**sent, "threads": 1}, "an arm") == PLAIN


def test_the_line_of_a_call_is_the_innermost_of_its_place() -> None:
    assert lines_of_site("data.py:7 < train.py:42 by fit.get") == ["data.py:7", "train.py:42"]
    assert innermost_line("train.py:42 by fit.get") == innermost_line("train.py:42") == "train.py:42"
    assert innermost_line("") == ""
