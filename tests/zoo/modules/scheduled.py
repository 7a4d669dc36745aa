"""Learning rates that change: by the step, every second step, and with the epoch."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, StepLR
from torch.utils.data import DataLoader

WIDTH, BATCH = 16, 16


def loaders() -> tuple[DataLoader, DataLoader]:
    return (
        DataLoader(torch.randn(20 * BATCH, WIDTH), batch_size=BATCH, shuffle=True),
        DataLoader(torch.randn(3 * BATCH, WIDTH), batch_size=BATCH),
    )


class Scheduled(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 8), nn.Dropout(0.2), nn.Linear(8, WIDTH))
        self.rates: list[float] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.rates.append(self.lr_schedulers()[0].get_last_lr()[0])
        return (self.net(batch) - batch).square().mean()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", (self.net(batch) - batch).square().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.5)
        return [optimizer], [
            {"scheduler": CosineAnnealingLR(optimizer, 300), "interval": "step"},
            {"scheduler": ExponentialLR(optimizer, 0.995), "interval": "step", "frequency": 2},
            StepLR(optimizer, step_size=1, gamma=0.8),
        ]
