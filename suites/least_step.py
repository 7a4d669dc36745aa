"""The least step that is a training step still: one parameter, one product, one update."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from bench import Workload

BATCHES = 487  # a prime: a new pass over them takes as long as a step, and is to fall on no 50th, where logs are
RATE = 1e-3


class OneParameter(nn.Module):
    """Multiplies by its only weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.weight * batch


def product(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The output itself, one number: its gradient is the batch, so each batch moves the weight by another amount."""
    output: torch.Tensor = model(batch)
    return output


def least_step() -> Workload:
    """The workload, from the seed that `torch.manual_seed` was given last; its batches are there already."""
    generator = torch.Generator().manual_seed(torch.initial_seed())
    batches = list(torch.randn(BATCHES, 1, generator=generator))
    return Workload(
        model=OneParameter(),
        loss=product,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=RATE),
        # As they lie there, one by one. A DataLoader all the same: Fabric takes nothing else.
        batches=DataLoader(cast("Dataset[torch.Tensor]", batches), batch_size=None),
        samples=1,
    )
