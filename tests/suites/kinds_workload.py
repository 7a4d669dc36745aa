"""What trains on a kind of batch: one linear layer, in any loop."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from bench.axes.loops.workload import Workload

from .batch_kinds import KINDS, ROWS, WIDTH, loader


class Anew:
    """An iterable that is nothing else."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class Once(Anew):
    """An iterator of one pass, which nothing but a second pass can tell."""

    def __init__(self, batches: Any) -> None:
        super().__init__(batches)
        self.left = iter(batches)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.left)


class Stream(IterableDataset[Any]):
    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def batches_of(kind: str, batches: str, rows: int = 64) -> Any:
    """Batches of that kind, in a loader of that one."""
    whole = loader(kind, rows=rows)
    if batches == "combined":
        from lightning.pytorch.utilities import CombinedLoader

        return CombinedLoader({"one": whole, "two": loader(kind, rows=rows)}, "min_size")
    if batches == "list":
        return list(whole)
    if batches == "generator":
        return (batch for batch in whole)
    if batches == "stream":
        return DataLoader(Stream(whole), batch_size=None, collate_fn=lambda batch: batch)
    return {"loader": lambda: whole, "iterable": lambda: Anew(whole), "once": lambda: Once(whole)}[batches]()


def loss_of(kind: str, batches: str, model: nn.Module, batch: Any) -> torch.Tensor:
    x = KINDS[kind].read(batch["one"] if batches == "combined" else batch)
    if isinstance(batch, dict | UserDict):
        batch.pop("x", None)  # as losses take labels out of a batch
    return (model(x) - 0.5).square().mean()


def module_of(model: nn.Module, loss: Any) -> Any:
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            found: torch.Tensor = loss(self.model, batch)
            return found

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.model.parameters(), 0.1)

    return Module()


def odd(batch: Any) -> Any:
    return 3.5


def failing(batch: Any) -> int:
    return len(batch["there is none"])


def kinds_workload(kind: str, batches: str = "loader", samples: str = "none") -> Workload:
    if samples == "fault":
        plant_a_fault()
    model = nn.Linear(WIDTH, WIDTH)
    loss = partial(loss_of, kind, batches)
    declared: dict[str, Any] = {
        "right": ROWS,
        "short": ROWS,
        "whole-set": 64,
        "function": lambda batch: 2 * len(batch),
        "function-fails": failing,
        "function-odd": odd,
    }
    return Workload(
        model=model,
        loss=loss,
        optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1),
        batches=batches_of(kind, batches, rows=9 if samples == "short" else 64),
        samples=declared.get(samples),
        lightning=lambda: module_of(model, loss),
    )


def plant_a_fault() -> None:
    """A mistake in the program's own code: what reads batches is wrong from now on, in this process."""
    from bench.arm.batch_digest import BatchDigest

    def faulty(self: Any, value: Any, above: Any, *, inside: bool) -> None:
        raise KeyError("a mistake")

    BatchDigest._add = faulty
