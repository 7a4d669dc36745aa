"""What loops do at the end of their own epochs: validation, checkpoint, the next epoch, and the end for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import INSTALLED_LOOPS
from torch.utils.data import DataLoader

from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.arm.validation import ValidationCount
from bench.axes import loops
from bench.axes.loops.epoch import CHECKPOINT
from bench.axes.loops.job import Job
from bench.plan import discovery

POINT: dict[str, Any] = {
    "batch_size": 32,
    "data": "synthetic",
    "variant": "mlp",
    "width": 16,
    "latent": 3,
    "samples": 512,
}
BATCHES, VALIDATION = 16, 2  # an epoch's
CHECKPOINTS = {"plain": [CHECKPOINT], "fabric": [CHECKPOINT], "trainer": ["epoch=2-step=48.ckpt"]}
CHECKPOINTS |= {
    "by-hand": [CHECKPOINT],
    "ignite": [CHECKPOINT],
    "transformers-trainer": ["optimizer.pt", "scheduler.pt"],
}
SAVED_BY = {"plain": "torch.save", "fabric": "fabric.save", "by-hand": "torch.save", "ignite": "torch.save"}


class Edges:
    """A gate of audited steps, the rest of the first epoch and two more; looks around before each turn."""

    def __init__(self) -> None:
        self._grants = [Grant(4, audit=True), Grant(12), Grant(BATCHES), Grant(BATCHES)]
        self.began = self.ended = False
        self.validation: ValidationCount | None = None
        self.epochs_ended = 0
        self.seen: list[tuple[int, int, list[str]]] = []
        self.steps: list[int] = []

    def wait(self) -> Grant | None:
        self.began = True
        assert self.validation is not None
        self.seen.append((self.validation.taken, self.epochs_ended, checkpoints()))
        if not self._grants:
            self.ended = True
            return None
        return self._grants.pop(0)

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.steps.append(len(taken.seconds))


def checkpoints() -> list[str]:
    return sorted(path.name for kind in ("*.pt", "*.ckpt") for path in Path().rglob(kind))


def train(name: str) -> tuple[Edges, torch.nn.Module, dict[str, Any], list[bool]]:
    """One loop over three epochs, in this process: what the gate saw, the model, notes, and the mode of each step."""
    torch.manual_seed(3)
    workload = discovery.find_suite("overhead").build(POINT)
    gate = Edges()
    gate.validation = ValidationCount(workload.validation, lambda: gate.began and not gate.ended)
    stream = BatchStream(gate, real_epochs=True)
    notes: dict[str, Any] = {}
    modes: list[bool] = []

    def note(settings: Mapping[str, Any]) -> None:
        notes.update(settings)

    lightning = workload.lightning

    def heard() -> Any:
        module = lightning()
        own = module.on_train_epoch_end

        def on_train_epoch_end() -> None:
            gate.epochs_ended += 1
            own()

        module.on_train_epoch_end = on_train_epoch_end
        return module

    # Not the whole model, which the LightningModule has put together anew from the same parts.
    next(workload.model.children()).register_forward_hook(lambda module, args, output: modes.append(module.training))
    workload = replace(workload, validation=gate.validation.batches, lightning=heard)
    job = Job(workload, stream, torch.device("cpu"), "cpu", "32-true", 1, torch.float32, note, real_epochs=True,
              ending=stream.ending)  # fmt: skip
    loops.registry()[name].run(job)
    return gate, workload.model, notes, modes


@pytest.mark.filterwarnings("ignore")  # Trainer comments on its own defaults, in words that change with its versions
@pytest.mark.parametrize("name", INSTALLED_LOOPS)
def test_every_loop_ends_its_own_epochs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and checkpoint come before the first pull of the next epoch, which is where a turn ends."""
    monkeypatch.chdir(tmp_path)
    gate, model, notes, modes = train(name)
    assert gate.steps == [4, 12, BATCHES, BATCHES]
    # Nothing counts before the first step, nothing within an epoch, and nothing once the stream is over.
    assert [validated for validated, _, _ in gate.seen] == [0, 0, VALIDATION, 2 * VALIDATION, 3 * VALIDATION]
    assert gate.validation is not None
    assert gate.validation.taken == 3 * VALIDATION
    assert [len(found) for _, _, found in gate.seen] == [0, 0, *[len(CHECKPOINTS.get(name, []))] * 3]
    assert gate.seen[-1][2] == CHECKPOINTS.get(name, [])
    if name in ("trainer", "trainer-barebones"):
        assert [ended for _, ended, _ in gate.seen] == [0, 0, 1, 2, 3]
        assert notes["checkpoint"] == ("none" if name == "trainer-barebones" else "ModelCheckpoint")
    if name in SAVED_BY:
        assert notes["checkpoint"] == SAVED_BY[name]
        kept = torch.load(CHECKPOINT, weights_only=True)
        assert all(torch.equal(kept["model"][key], value) for key, value in model.state_dict().items())
        assert kept["optimizer"]
    within = modes[-(BATCHES + VALIDATION) :]
    assert within == [True] * BATCHES + [False] * VALIDATION  # the loop is back in training mode in each epoch
    assert model.training or name == "transformers-trainer"  # which is in no mode for long, and sets it in each step


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_epochs_give_all_loops_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    states = [train(name)[1].state_dict() for name in INSTALLED_LOOPS]
    assert len(states) >= 4
    assert all(torch.equal(state[key], states[0][key]) for state in states for key in states[0])


@pytest.mark.parametrize("several", [False, True])
def test_validation_is_counted_whoever_iterates_it(several: bool) -> None:
    class Own(DataLoader[Any]):
        """A class of a user's."""

    loader = Own(torch.arange(6.0), batch_size=2)
    active = [False]
    count = ValidationCount([loader, loader] if several else loader, lambda: active[0])
    loaders = count.batches if several else [count.batches]
    for one in loaders:
        assert isinstance(one, Own)
        assert (len(one), one.batch_size, type(one).__name__) == (3, 2, "Own")
        list(one)
    assert count.taken == 0
    active[0] = True
    for one in loaders:
        list(one)
        next(iter(one))
    assert count.taken == 4 * len(loaders)
    list(loader)  # itself, which may be the training loader too
    assert count.taken == 4 * len(loaders)


def test_what_lightning_makes_of_a_validation_loader_counts_too() -> None:
    from lightning.fabric.utilities.data import _update_dataloader
    from torch.utils.data import SequentialSampler

    count = ValidationCount(DataLoader(list(range(6)), batch_size=2), lambda: True)
    again = _update_dataloader(count.batches, SequentialSampler([0, 1]))
    assert again is not count.batches
    assert len(list(again)) == 1
    assert count.taken == 1


def test_validation_that_is_no_loader_keeps_its_attributes() -> None:
    class Batches:
        kind = "mine"

        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    count = ValidationCount(Batches(), lambda: True)
    assert (list(count.batches), list(count.batches), count.taken) == ([1, 2], [1, 2], 4)
    assert count.batches.kind == "mine"
    with pytest.raises(TypeError):
        len(count.batches)
    assert ValidationCount(None, lambda: True).batches is None
    assert not ValidationCount(None, lambda: True).declared
