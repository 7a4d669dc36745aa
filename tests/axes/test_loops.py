"""The contract of a loop: the same batches in order, one optimizer step each, the same weights as plain."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from conftest import INSTALLED_LOOPS, USUAL_LOOPS, Bench

from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.loops.job import Job
from bench.engine.options import Options
from bench.plan import discovery, plan

POINT: dict[str, Any] = {
    "batch_size": 32,
    "data": "synthetic",
    "variant": "mlp",
    "width": 16,
    "latent": 3,
    "samples": 256,
}
STEPS = (3, 1, 5)  # three turns; 9 steps are more than an epoch of 8 batches, so the loader is iterated again


class Watch:
    """A gate that gives fixed turns and remembers what was handed out."""

    def __init__(self) -> None:
        self.grants = [Grant(steps, audit=True) for steps in STEPS]
        self.handed: list[torch.Tensor] = []
        self.taken: list[TurnTimes] = []

    def wait(self) -> Grant | None:
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.handed += [batch[0].clone() for batch in batches]
        self.taken.append(taken)


def train(name: str) -> tuple[Watch, torch.nn.Module]:
    """One loop, in this process, over a fresh workload."""
    torch.manual_seed(3)
    workload = discovery.find_suite("overhead").build(POINT)
    watch = Watch()
    notes: dict[str, Any] = {}

    def note(settings: Mapping[str, Any]) -> None:
        notes.update(settings)

    job = Job(workload, BatchStream(watch), torch.device("cpu"), "cpu", "32-true", 1, torch.float32, note)
    loops.registry()[name].run(job)
    return watch, workload.model


@pytest.fixture(scope="module")
def reference() -> tuple[list[torch.Tensor], list[torch.Tensor], list[float]]:
    """Batches, final weights and losses of a loop written out here, without anything of the engine."""
    torch.manual_seed(3)
    workload = discovery.find_suite("overhead").build(POINT)
    optimizer = torch.optim.Adam(workload.model.parameters(), lr=1e-3)
    handed, losses = [], []
    while len(handed) < sum(STEPS):
        for images, _labels in workload.batches:
            handed.append(images.clone())
            loss = ((workload.model(images) - images) ** 2).mean()
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if len(handed) == sum(STEPS):
                break
    return handed, [parameter.detach() for parameter in workload.model.parameters()], losses


@pytest.mark.filterwarnings("ignore")  # Trainer comments on its own defaults, in words that change with its versions
@pytest.mark.parametrize("name", INSTALLED_LOOPS)
def test_every_loop_does_the_work_of_a_loop_written_by_hand(
    name: str, reference: tuple[list[torch.Tensor], list[torch.Tensor], list[float]], tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)  # Trainer writes logs and checkpoints where it stands
    handed, weights, losses = reference
    watch, model = train(name)
    assert len(watch.handed) == len(handed)
    assert all(torch.equal(one, other) for one, other in zip(watch.handed, handed, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), weights, strict=True))
    assert losses[-1] < losses[0]
    assert [len(taken.seconds) for taken in watch.taken] == list(STEPS)
    assert sum(taken.samples for taken in watch.taken) == 32 * sum(STEPS)


@pytest.mark.parametrize("name", ["accelerate", "ignite", "transformers-trainer"])
def test_a_loop_whose_package_is_missing_is_told_in_the_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is otherwise listed as the others are, without an import of the package."""
    package = loops.registry()[name].preload[-1]
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == package else there("json"))
    suites = {"overhead": discovery.find_suite("overhead")}
    made = plan.make_plan(suites, ["overhead"], settings=[f"loop={name},by-hand", "batch_size=64"])
    told = {str(cell.point["loop"]): cell.unsupported for cell in made.cells}
    assert told == {"plain": "", "by-hand": "", name: f"the package {package!r} is not installed"}


def test_all_loops_race_with_equal_ledgers(bench: Bench) -> None:
    # Nothing is late within this budget, so that the launch has whole blocks of rounds, whoever else is on the machine.
    records = bench.run(
        "overhead", "batch_size=64", options=Options(budget=120, launches=1, launch=0.4, fork_servers=1)
    )
    assert {str(record.point["loop"]) for record in records} == set(USUAL_LOOPS)
    assert len(records) == len(USUAL_LOOPS) + 1
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    # In what they are equal to the baseline's stands in all ledgers but the baseline's.
    ledgers = [{**record.ledger, "equal": ""} for record in records]
    assert all(ledger == ledgers[0] for ledger in ledgers)
    assert ledgers[0]["optimizer_updates"] == ledgers[0]["steps"] > 50
    assert ledgers[0]["nonzero_gradients"] == 1.0
    for record in records:
        assert record.effective["pandas_imported"] is False
        assert record.effective["lightning_imported"] is (record.point["loop"] != "plain")
        assert {key: record.effective[key] for key in record.requested} == record.requested
        assert record.turns is not None
        assert len(record.turns.round) >= 8
        # A twin more makes five arms: whole blocks of ten orders, each arm at each place equally often.
        assert sorted(record.turns.position) == sorted(list(range(5)) * (len(record.turns.round) // 5))
    trainer = next(record for record in records if record.point["loop"] == "trainer")
    assert trainer.effective["logger"] != "none"
    assert trainer.effective["progress_bar"] != "none"
    barebones = next(record for record in records if record.point["loop"] == "trainer-barebones")
    assert barebones.effective["logger"] == barebones.effective["progress_bar"] == "none"
