"""Trainings for a goal, through the whole pipeline: every loop to its end, judged after each epoch by one referee."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Bench

from bench.commands import run as commands
from bench.commands.selection import Selection, plan_selection
from bench.engine.goal_race import GoalRace
from bench.engine.options import Options, Quiet
from bench.errors import SpecError
from bench.plan.goal import Goal
from bench.plan.plan import plan_document, plan_of_document
from bench.plan.suite import Suite
from bench.results.record import Record

SMALL = ("samples=512", "batch_size=32", "width=16", "epochs=3")
STEPS = 16  # of an epoch
ANY_TIME = Options(budget=600, fork_servers=1)
LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture(scope="module")
def trained(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, ...]:
    bench = Bench(fleet, tmp_path_factory.mktemp("goal") / "results")
    options = Options(budget=600, fork_servers=1, launches=2)
    return bench.run("convergence", *SMALL, options=options)


def test_each_epoch_is_a_turn_from_the_very_first(trained: tuple[Record, ...]) -> None:
    assert {record.outcome for record in trained} == {"ok"}, [record.reason for record in trained]
    assert {str(record.point["loop"]) for record in trained} == set(LOOPS)
    for record in trained:
        turns = record.turns
        assert turns is not None
        assert (turns.whole, turns.real, turns.round) == (True, True, (0, 1, 2))
        assert [len(seconds) for seconds in turns.seconds] == [STEPS] * 3
        assert turns.began == (0, STEPS, 2 * STEPS)
        assert record.warmup == turns.seconds[0]  # nothing was trained before
        assert record.ledger["samples"] >= 3 * 512
        assert 0 < record.extra["setup_time"] < record.extra["time_to_first_step"]


def test_all_loops_are_judged_alike_and_end_with_the_same_weights(trained: tuple[Record, ...]) -> None:
    """The referee's loss is of the weights alone: where these are equal bit for bit, so is it, in every loop."""
    by_seed: dict[int, set[tuple[float, ...]]] = {}
    for record in trained:
        by_seed.setdefault(record.launch, set()).add(tuple(record.ledger["validation_losses"]))
    assert sorted(by_seed) == [0, 1]
    assert [len(curves) for curves in by_seed.values()] == [1, 1]
    (first,), (second,) = by_seed.values()
    assert first != second  # seeds are launches
    assert all(len(curve) == 3 and curve[2] < curve[0] for curve in (first, second))
    told = [str(record.ledger["equal"]) for record in trained if record.point["loop"] != "plain"]
    assert all("final weights, bit for bit" in text for text in told)


def test_a_goal_stops_at_its_seeds(bench: Bench) -> None:
    records = bench.run("convergence", *SMALL, "loop=plain", options=ANY_TIME)
    assert {record.launch for record in records} == set(range(5))
    assert [stop["reason"] for stop in bench.stops.values()] == ["launches"]


@pytest.mark.long
def test_arms_may_have_epochs_of_other_lengths(tmp_path: Path, fleet: Any) -> None:
    selection = Selection(
        ("convergence",), (*SMALL[:1], "epochs=2", "loop=plain", "batch_size=32,64"), compare="batch_size"
    )
    run = commands.run(selection, {"launches": 1, "budget": 600}, tmp_path, Quiet(), command=[])
    assert {record.outcome for record in run.records} == {"ok"}, [record.reason for record in run.records]
    lengths = {record.point["batch_size"]: record.turns.lengths for record in run.records if record.turns}
    assert lengths == {32: (16, 16), 64: (8, 8)}
    assert run.info["plan"]["suites"]["convergence"]["compare"] == "batch_size"
    # And it can be gone on with: with more seeds, along the same axis.
    more = commands.resume(str(run.folder), {"launches": 2}, [], tmp_path, Quiet())
    assert {record.launch for record in more.records} == {0, 1}


MORTAL = """
from bench import Goal, Suite, Workload


def build(point):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    left = [10_000 if point["dies"] == "never" else 20]  # losses that it gives: 8 an epoch, and 2 of its validation

    def loss(model, batch):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("it dies in its third epoch")
        return (model(batch[0]) - 1).square().mean()

    def loader(samples):
        return DataLoader(TensorDataset(torch.randn(samples, 4)), batch_size=16)

    optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.01)
    return Workload(torch.nn.Linear(4, 1), loss, optimizer, loader(128), validation=loader(16))


suite = Suite(
    name="mortal", title="one dies", axes={"dies": ("never", "early"), "loop": ("plain",)}, compare="dies",
    baseline="never", build=build, epochs="real", goal=Goal(0.5, 4, seeds=2),
)
"""


def test_a_cell_that_dies_leaves_the_others_their_trainings(tmp_path: Path) -> None:
    """It is not tried again, its reason is told, and the others train to their ends from every seed."""
    (tmp_path / "mortal.py").write_text(MORTAL)
    selection = Selection((str(tmp_path / "mortal.py"),))
    run = commands.run(selection, {"budget": 600}, tmp_path / "results", Quiet(), command=[])
    dead = [record for record in run.records if record.point["dies"] == "early"]
    others = [record for record in run.records if record.point["dies"] == "never"]
    assert [(record.launch, record.outcome) for record in dead] == [(0, "crashed")]
    assert "it dies in its third epoch" in dead[0].reason
    assert {(record.launch, record.twin, record.outcome) for record in others} == {
        (launch, twin, "ok") for launch in (0, 1) for twin in (False, True)
    }
    assert all(len(record.ledger["validation_losses"]) == 4 for record in others)


class Interrupting(Quiet):
    """Ctrl-C, as it were, after the first epoch."""

    def __init__(self, fleet: Any) -> None:
        self._fleet = fleet

    def update(self, spent: float, budget: float, text: str) -> None:
        self._fleet.interrupts = 1


def test_half_a_training_is_no_replicate(bench: Bench) -> None:
    records = bench.run("convergence", *SMALL, "loop=plain", options=ANY_TIME, progress=Interrupting(bench.fleet))
    assert records == ()
    assert [stop["reason"] for stop in bench.stops.values()] == ["interrupted"]


def test_a_budget_that_is_too_small_cuts_the_first_training_for_all_alike(bench: Bench) -> None:
    records = bench.run("convergence", *SMALL, "loop=plain", options=Options(budget=0.01, fork_servers=1))
    assert {record.launch for record in records} == {0}
    assert {len(record.ledger["validation_losses"]) for record in records} == {1}


def made(**more: Any) -> Suite:
    given: dict[str, Any] = {
        "axes": {"loop": ("plain", "trainer"), "batch_size": (32, 64)},
        "epochs": "real",
        "goal": Goal(0.1, 3),
    }
    given = {**given, **more}
    return Suite("mine", "mine", compare="loop", baseline="plain", build=lambda point: None, **given)  # type: ignore[arg-type,return-value]  # never built


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"goal": 0.1}, "goal: 0.1 is not possible; allowed: bench.Goal, or None"),
        ({"epochs": True}, "goal: with epochs=True; who trains for a goal trains real epochs"),
        ({"epochs": False}, "goal: with epochs=False"),
        ({"goal": Goal(math.nan, 3)}, "goal: target nan; allowed: a finite number"),
        ({"goal": Goal(0.1, 0)}, "goal: epochs 0; allowed: a whole number from 1 to 10000"),
        ({"goal": Goal(0.1, 3, seeds=0)}, "goal: seeds 0; allowed"),
        ({"goal": Goal(0.1, 3, margin=0.0)}, "goal: margin 0.0; allowed: a number above 0 and below 1"),
        ({"axes": {"loop": ("plain",), "epochs": ("many",)}}, "axis 'epochs': ['many'] is of the suite's goal"),
        ({"axes": {"loop": ("plain",), "target": (True,)}}, "axis 'target': [True] is of the suite's goal"),
    ],
)
def test_a_goal_that_is_none_is_told(more: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as error:
        made(**more)
    assert any(told in mistake for mistake in error.value.mistakes), error.value.mistakes


def test_axes_say_the_goal_of_a_point() -> None:
    point: Mapping[str, Any] = {"epochs": 7, "target": 2}
    assert Goal(0.1, 3).at(point) == Goal(2.0, 7)
    assert Goal(0.1, 3).at({}) == Goal(0.1, 3)


def test_another_axis_is_compared_and_its_first_value_is_the_baseline() -> None:
    selection = Selection(("convergence",), ("loop=trainer,plain", "precision=bf16-mixed,32-true"), compare="precision")
    plan, _ = plan_selection(selection)
    assert [group.cells[0].point["precision"] for group in plan.groups] == ["bf16-mixed"] * 2
    assert {group.cells[0].point["loop"] for group in plan.groups} == {"trainer", "plain"}
    again = plan_of_document(plan_document(plan), dict(plan_selection(Selection(("convergence",)))[0].suites))
    assert again.groups == plan.groups


def test_the_race_of_a_goal_ends_with_the_longest_training() -> None:
    race = GoalRace(None, {}, (), 1.0, 1.0, epochs="real", goal={"a": 2, "b": 5})  # type: ignore[arg-type]  # no arms
    race.rounds = 4
    assert not race.enough(0.0)
    race.rounds = 5
    assert race.enough(0.0)


def test_a_run_of_a_goal_has_a_budget_of_its_own() -> None:
    assert commands.chosen_options({}, defaults=commands.FOR_A_GOAL).budget == 600
    assert commands.chosen_options({"budget": 20.0}, defaults=commands.FOR_A_GOAL).budget == 20
