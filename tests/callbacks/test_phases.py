"""Phases: they add up to the step by another clock, and each delay shows where it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.profilers import SimpleProfiler
from torch import nn
from torch.utils.data import DataLoader
from watching import (
    Attention,
    Batch,
    Broken,
    Endless,
    Stopwatch,
    fit,
    hand_written,
    loader,
    share,
    with_fabric,
)

from bench.callbacks import Drive, PeakMemory, Phases, Throughput
from bench.callbacks import phases as phases_module
from bench.errors import SpecError

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Trainer advises a lot
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.alone,  # shares of a step are judged, of which a busy core leaves the slept part too little
]


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}, {"barebones": True}], ids=str)
def test_the_phases_add_up_to_the_step_by_another_clock(options: dict[str, Any]) -> None:
    phases, watch = Phases(warmup=2), Stopwatch()
    fit(Attention(0.005), loader(30, sleep=0.0005), phases, watch, **options)
    assert len(phases.steps) == 28
    assert sum(phases.shares.values()) == pytest.approx(1.0)
    total = sum(value for name, value in phases.metrics.items() if name != "phase_step")
    assert total == pytest.approx(phases.metrics["phase_step"], rel=1e-9)
    assert total == pytest.approx(watch.per_step(skip=2), rel=0.05)
    assert all(step.rest >= 0 for step in phases.steps)
    assert min(phases.metrics.values()) >= 0
    for name in ("data", "forward", "backward", "optimizer"):
        assert phases.metrics[f"phase_{name}"] > 0


@pytest.mark.parametrize("fabric", [False, True], ids=["plain", "fabric"])
def test_the_phases_add_up_in_a_hand_written_loop(fabric: bool) -> None:
    phases, watch = Phases(warmup=2), Stopwatch()
    (with_fabric if fabric else hand_written)([phases, watch], batches=30, forward_sleep=0.005)
    total = sum(phases.metrics.values()) - phases.metrics["phase_step"]
    assert len(phases.steps) == 28
    assert total == pytest.approx(watch.per_step(skip=2), rel=0.05)
    assert min(phases.metrics.values()) > 0


def test_the_phases_add_up_with_manual_optimization() -> None:
    class Twice(Attention):
        """Two losses and two updates a step, as a GAN has them."""

        def __init__(self) -> None:
            super().__init__(0.005)
            self.automatic_optimization = False

        def training_step(self, batch: Batch, index: int) -> None:
            optimizer: Any = self.optimizers()
            for _ in range(2):
                optimizer.zero_grad()
                self.manual_backward(self.loss(batch))
                optimizer.step()

    phases, watch = Phases(warmup=2), Stopwatch()
    fit(Twice(), loader(20), phases, watch)
    total = sum(phases.metrics.values()) - phases.metrics["phase_step"]
    assert total == pytest.approx(watch.per_step(skip=2), rel=0.05)
    assert phases.metrics["phase_forward"] > 0.005
    assert phases.metrics["phase_rest"] > 0.005  # the second forward pass, as the documentation says
    assert phases.metrics["phase_optimizer"] > 0


def test_no_step_has_an_update_while_gradients_accumulate() -> None:
    phases = Phases(warmup=0)
    fit(Attention(), loader(8), phases, accumulate_grad_batches=2)
    assert [step.optimizer > 0 for step in phases.steps] == [False, True] * 4


@pytest.mark.parametrize("loop", ["trainer", "barebones", "accumulate", "plain", "plain, zero_grad first", "fabric"])
def test_a_slow_forward_shows_in_forward(loop: str) -> None:
    phases = Phases()
    if loop.startswith("plain"):
        hand_written([phases], forward_sleep=0.02, zero_first="first" in loop)
    elif loop == "fabric":
        with_fabric([phases], forward_sleep=0.02)
        assert phases.metrics["phase_optimizer"] > 0
    else:
        every = 2 if loop == "accumulate" else 1
        fit(Attention(0.02), loader(10), phases, barebones=loop == "barebones", accumulate_grad_batches=every)
    assert share(phases, "forward") > 0.6


class Slow(Attention):
    """Sleeps 20 ms where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        time.sleep(0.02 * (self.where == "transfer"))
        return super().transfer_batch_to_device(batch, device, index)

    def on_train_batch_end(self, *args: Any) -> None:
        time.sleep(0.02 * (self.where == "rest"))

    def configure_gradient_clipping(self, *args: Any, **options: Any) -> None:
        time.sleep(0.02 * (self.where == "optimizer"))

    def backward(self, loss: torch.Tensor, *args: Any, **options: Any) -> None:
        time.sleep(0.02 * (self.where == "backward"))
        loss.backward()


@pytest.mark.parametrize("where", ["transfer", "backward", "optimizer", "rest"])
@pytest.mark.parametrize("barebones", [False, True], ids=["trainer", "barebones"])
def test_each_delay_shows_where_it_is(where: str, barebones: bool) -> None:
    phases = Phases()
    fit(Slow(where), loader(8), phases, barebones=barebones)
    assert share(phases, where) > 0.6


@pytest.mark.parametrize("loop", ["trainer", "barebones", "without length", "plain"])
def test_a_slow_dataset_shows_in_data(loop: str) -> None:
    phases = Phases()
    if loop == "plain":
        hand_written([phases], batches=8, sleep=0.01)
    elif loop == "without length":
        data: DataLoader[Batch] = DataLoader(Delayed(32), batch_size=4)
        fit(Attention(), data, phases)
    else:
        fit(Attention(), loader(8, sleep=0.01), phases, barebones=loop == "barebones")
    assert share(phases, "data") > 0.6
    assert len(phases.steps) == 7


class Delayed(Endless):
    def __iter__(self) -> Iterator[Batch]:
        for sample in super().__iter__():
            time.sleep(0.01)
            yield sample


def test_validation_is_in_no_step() -> None:
    phases = Phases()
    fit(Attention(), loader(12), phases, validation=loader(4), val_check_interval=3, max_epochs=2)
    assert len(phases.steps) == 23
    assert max(step.rest for step in phases.steps) < 0.1  # each validation is 0.2 s


def test_the_users_profiler_hears_everything_and_is_given_back() -> None:
    profiler, phases = SimpleProfiler(), Phases()
    trainer = fit(Attention(), loader(6), phases, profiler=profiler)
    assert trainer.profiler is profiler
    assert len(profiler.recorded_durations["[_TrainingEpochLoop].train_dataloader_next"]) == 6
    assert len(profiler.recorded_durations["run_training_batch"]) == 6


def test_the_profiler_is_given_back_after_an_exception() -> None:
    profiler, phases = SimpleProfiler(), Phases()
    trainer = Trainer(
        callbacks=[phases, Broken()], profiler=profiler, accelerator="cpu", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Attention(), loader(4))
    assert trainer.profiler is profiler


def test_two_phases_in_one_trainer_are_refused() -> None:
    with pytest.raises(SpecError, match="another Phases"):
        fit(Attention(), loader(4), Phases(), Phases())


def test_an_update_that_a_scaler_skips_ends_with_the_batch() -> None:
    phases, model = Phases(warmup=0), nn.Linear(4, 1)
    optimizer, scaler = torch.optim.SGD(model.parameters()), torch.amp.GradScaler("cpu")
    with Drive([phases], model, [optimizer]) as drive:
        for index, batch in enumerate(drive.batches([torch.ones(2, 4), torch.full((2, 4), float("inf"))])):
            drive.on_train_batch_start(batch, index)
            loss = model(batch).sum()
            drive.on_before_backward(loss)
            scaler.scale(loss).backward()
            drive.on_after_backward()
            drive.on_before_optimizer_step(optimizer)
            scaler.step(optimizer)
            time.sleep(0.02)  # after the update, where there is one
            drive.on_train_batch_end(loss, batch, index)
            scaler.update()
            optimizer.zero_grad()
    done, skipped = phases.steps
    assert done.optimizer < 0.02 <= done.rest
    assert skipped.rest < 0.02 <= skipped.optimizer


def test_a_module_that_fetches_by_itself_has_its_fetches_in_data() -> None:
    class Fetches(Attention):
        def training_step(self, dataloader_iter: Any) -> torch.Tensor:
            batch, _, _ = next(dataloader_iter)
            return self.loss(batch)

    phases = Phases()
    fit(Fetches(0.005), loader(8, sleep=0.01), phases)
    assert len(phases.steps) == 7
    assert share(phases, "data") > 0.6
    assert phases.metrics["phase_forward"] > 0.005


class Late:
    """A mark of a device that runs behind: it is reached when 30 more have been set."""

    made = 0

    def __init__(self) -> None:
        Late.made += 1
        self.number = Late.made
        self.waited = False
        self.ns = time.perf_counter_ns()

    def reached(self) -> bool:
        return self.waited or Late.made >= self.number + 30

    def since(self, earlier: phases_module.Mark) -> float:
        assert isinstance(earlier, Late)
        assert self.reached(), "read before the device was there"
        return (self.ns - earlier.ns) / 1e9

    def wait(self) -> None:
        self.waited = True
        Late.made += 30  # the device has done all that was asked of it


def test_marks_of_a_device_are_read_only_when_it_has_passed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases_module, "mark_for", lambda device_type: Late)
    finished: list[int] = []

    class Other(Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            finished.append(len(phases.steps))

    phases = Phases(warmup=0)
    fit(Attention(), loader(12), phases, Other())
    assert finished[3] == 0  # none is read while the device is behind
    assert 0 < finished[-1] < 11  # earlier ones are read while later ones are under way
    assert len(phases.steps) == 12


def test_phases_longer_than_their_step_are_an_error() -> None:
    class Fixed:
        def __init__(self, at: float) -> None:
            self.at = at

        def reached(self) -> bool:
            return True

        def since(self, earlier: phases_module.Mark) -> float:
            assert isinstance(earlier, Fixed)
            return abs(self.at - earlier.at)

        def wait(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="the phases of a step take"):
        phases_module.times_between([("data", Fixed(0.0)), ("forward", Fixed(2.0))], Fixed(1.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_phases_and_memory_on_cuda() -> None:
    phases, memory, throughput = Phases(), PeakMemory(), Throughput(window=5)
    fit(Attention(), loader(20), phases, memory, throughput, accelerator="cuda", devices=1)
    assert sum(phases.shares.values()) == pytest.approx(1.0, abs=0.05)
    assert memory.metrics["peak_memory_device"] > 0
    assert throughput.metrics["steps_per_second"] > 0
