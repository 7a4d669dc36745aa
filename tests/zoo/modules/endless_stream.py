"""Data that come as a stream without a length, as from a log or a queue."""

from __future__ import annotations

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

WIDTH, ROWS, BATCH = 24, 21 * 16, 16


class Log(IterableDataset):
    """Rows, each of which hangs on the one before."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(5)
        row = torch.zeros(WIDTH)
        for _ in range(ROWS):
            row = 0.9 * row + torch.randn(WIDTH, generator=generator)
            yield row


def loaders() -> DataLoader:
    return DataLoader(Log(), batch_size=BATCH)


class EndlessStream(pl.LightningModule):
    """It learns to tell a row from the half of it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH // 2, 48), nn.Tanh(), nn.Linear(48, WIDTH // 2))

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        known, asked = batch.chunk(2, dim=1)
        return (self.net(known) - asked).abs().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, nesterov=True)
