"""LBFGS, which asks for the loss several times a step."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH = 8, 32


def loaders() -> DataLoader:
    return DataLoader(torch.randn(20 * BATCH, WIDTH), batch_size=BATCH)


class SecondOrder(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh(), nn.Linear(4, WIDTH))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.net(batch) - batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(self.parameters(), lr=0.01, max_iter=3, tolerance_change=0, tolerance_grad=0)
