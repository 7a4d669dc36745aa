"""Layers that are made late, in `configure_model`, as large models are; `setup` has found out how wide they must be."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH = 16, 16


def loaders() -> DataLoader:
    return DataLoader(torch.randn(20 * BATCH, WIDTH), batch_size=BATCH)


class Configured(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.width = 0
        self.net: nn.Module | None = None

    def setup(self, stage: str) -> None:
        assert stage == "fit"
        self.width = WIDTH

    def configure_model(self) -> None:
        if self.net is None:  # Lightning may ask again
            self.net = nn.Sequential(nn.Linear(self.width, 8), nn.SiLU(), nn.Linear(8, self.width))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.net(batch) - batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.net.parameters(), lr=1e-3, foreach=True)
