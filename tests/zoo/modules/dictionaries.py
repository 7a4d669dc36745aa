"""Dictionaries everywhere: batches are some, the training step gives one, and hooks of the module work on both."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader

WIDTH, BATCH = 16, 16


def loaders() -> DataLoader:
    samples = [
        {"rows": torch.randn(WIDTH), "meta": {"weight": float(index % 3 + 1), "name": f"sample {index}"}}
        for index in range(20 * BATCH)
    ]
    return DataLoader(samples, batch_size=BATCH, shuffle=True)


class Dictionaries(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 8), nn.GELU(), nn.Linear(8, WIDTH))
        self.register_buffer("largest", torch.zeros(()))

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        rows = batch["rows"]
        return {**batch, "rows": (rows - rows.mean()) / rows.std()}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        made = self.net(batch["rows"])
        weights = batch["meta"]["weight"].to(made.dtype)
        each = mse_loss(made, batch["rows"], reduction="none").mean(1)
        return {"loss": (weights * each).mean(), "worst": each.max().detach()}

    def on_train_batch_end(self, outputs: dict[str, Any], batch: dict[str, Any], batch_idx: int) -> None:
        self.largest = torch.maximum(self.largest, outputs["worst"] + 0 * outputs["loss"])

    def configure_optimizers(self) -> dict[str, Any]:
        return {"optimizer": torch.optim.Adam(self.parameters(), lr=1e-3)}
