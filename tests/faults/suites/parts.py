"""A workload of a linear model. Imported in the arm only."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bench.axes.loops.workload import Workload

BATCH, BATCHES = 8, 16
WIDTH = 4


def loader(width: int = WIDTH) -> DataLoader[Any]:
    own = torch.Generator().manual_seed(int(os.environ.get("RANK", "0")))  # of several ranks each has its own batches
    data = torch.randn(BATCH * BATCHES, width, generator=own)
    return DataLoader(TensorDataset(data), batch_size=BATCH)


def loss(model: nn.Module, batch: Any, spins: int = 0) -> torch.Tensor:
    (values,) = batch
    for _ in range(spins):
        pass
    return (model(values) - values).square().mean()


def workload(spins: int = 0) -> Workload:
    return Workload(
        model=nn.Linear(WIDTH, WIDTH),
        loss=partial(loss, spins=spins),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01),
        batches=loader(),
        samples=BATCH,
        lightning=lambda: None,  # plain loops only
    )
