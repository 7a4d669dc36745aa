"""A module that reads what it has logged from its Trainer, which nobody else can give it."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH = 8, 16


def loaders() -> DataLoader:
    return DataLoader(torch.randn(20 * BATCH, WIDTH), batch_size=BATCH)


class AsksItsTrainer(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(WIDTH, WIDTH)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        known = self.trainer.callback_metrics.get("loss", torch.zeros(()))
        loss = (self.net(batch) - batch).square().mean()
        self.log("loss", loss)
        return loss + 0 * known

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)
