"""Gradients summed up over four batches by the module itself, with what is left of them at the end of an epoch."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH, EVERY = 16, 16, 4


def loaders() -> DataLoader:
    return DataLoader(torch.randn(22 * BATCH, WIDTH), batch_size=BATCH, shuffle=True)


class Accumulating(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Linear(8, WIDTH))
        self.updates: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        optimizer = self.optimizers()
        self.manual_backward((self.net(batch) - batch).square().mean() / EVERY)
        if batch_idx % EVERY == EVERY - 1 or self.trainer.is_last_batch:
            optimizer.step()
            optimizer.zero_grad()
        self.updates.append(self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)
