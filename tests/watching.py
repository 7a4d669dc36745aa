"""A model, data and loops of their own for the tests of the public callbacks; nothing of the autoencoder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from bench.callbacks import Drive, Phases, Throughput

MIB = 2**20
Batch = tuple[torch.Tensor, torch.Tensor]


def share(phases: Phases, name: str) -> float:
    """A phase's share of the least disturbed step: a busy machine lengthens some steps, in any phase.

    The last step is left out: where the loader has no length, its batch came with the one before.
    """
    quickest = min(phases.steps[:-1], key=lambda step: step.seconds)
    return float(getattr(quickest, name)) / quickest.seconds


class Attention(LightningModule):
    """A small transformer block with a head: sequences of 8 tokens of width 32, a regression target for each."""

    def __init__(self, forward_sleep: float = 0.0, allocate: int = 0, keep: bool = False) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(32, 2, dim_feedforward=64, batch_first=True)
        self.head = nn.Linear(32, 1)
        self.forward_sleep = forward_sleep
        self.allocate = allocate
        self.keep = keep
        self.kept: torch.Tensor | None = None

    def loss(self, batch: Batch) -> torch.Tensor:
        time.sleep(self.forward_sleep)
        if self.allocate:
            block = torch.ones(self.allocate, dtype=torch.uint8)
            if self.keep:
                self.kept, self.allocate = block, 0
            del block  # if not kept, only a peak shows it
        inputs, targets = batch
        return nn.functional.mse_loss(self.head(self.block(inputs)).mean(1), targets)

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Batch, index: int) -> None:
        time.sleep(0.05)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Sequences(Dataset[Batch]):
    """Random sequences; each takes `sleep` seconds to get."""

    def __init__(self, samples: int, sleep: float = 0.0) -> None:
        self.samples = samples
        self.sleep = sleep

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Batch:
        time.sleep(self.sleep)
        return torch.full((8, 32), index / self.samples), torch.ones(1)


class Endless(IterableDataset[Batch]):
    """The same without a length, so that Trainer fetches one batch ahead."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Batch]:
        return (Sequences(self.samples)[index] for index in range(self.samples))


def loader(batches: int, *, sleep: float = 0.0, size: int = 4, **options: Any) -> DataLoader[Batch]:
    return DataLoader(Sequences(batches * size, sleep), batch_size=size, **options)


def fit(model: LightningModule, data: DataLoader[Batch], *callbacks: Callback, **options: Any) -> Trainer:
    """`Trainer(callbacks=[...])` as a user writes it, on the CPU."""
    settings: dict[str, Any] = {"max_epochs": 1, "accelerator": "cpu", **options}
    if not settings.get("barebones"):
        settings = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **settings,
        }
    validation = settings.pop("validation", None)
    trainer = Trainer(callbacks=list(callbacks), **settings)
    trainer.fit(model, data, validation)
    return trainer


def hand_written(
    callbacks: list[Callback],
    batches: int = 12,
    *,
    sleep: float = 0.0,
    forward_sleep: float = 0.0,
    zero_first: bool = False,
    fabric: Fabric | None = None,
) -> None:
    """A loop with the hooks in it, plain or with Fabric."""
    module = Attention(forward_sleep)
    model: Any = module
    optimizer: Any = torch.optim.AdamW(module.parameters())
    if fabric is not None:
        model, optimizer = fabric.setup(module, optimizer)
        model.mark_forward_method("loss")
    with Drive(callbacks, model, [optimizer]) as drive:
        for index, batch in enumerate(drive.batches(loader(batches, sleep=sleep))):
            with drive.transfer():
                batch = tuple(part.to("cpu") for part in batch)
            if zero_first:
                drive.on_before_zero_grad(optimizer)
                optimizer.zero_grad()
            drive.on_train_batch_start(batch, index)
            loss = model.loss(batch)
            if not zero_first:
                drive.on_before_zero_grad(optimizer)
                optimizer.zero_grad()
            drive.on_before_backward(loss)
            if fabric is None:
                loss.backward()
            else:
                fabric.backward(loss)
            drive.on_after_backward()
            drive.on_before_optimizer_step(optimizer)
            optimizer.step()
            drive.on_train_batch_end(loss, batch, index)


def with_fabric(callbacks: list[Callback], **options: Any) -> None:
    hand_written(callbacks, fabric=Fabric(accelerator="cpu", devices=1), **options)


class Stopwatch(Callback):
    """Seconds from one fetch of the loader to the next, by a clock of its own, of all batches but the first."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.ends.append(time.perf_counter())

    def per_step(self, skip: int = 1) -> float:
        return (self.ends[-1] - self.ends[skip - 1]) / (len(self.ends) - skip)


class Broken(Throughput):
    def on_train_batch_end(self, *args: Any) -> None:
        raise ZeroDivisionError("in the hook")
