"""A classifier that keeps torchmetrics: updated in each step, logged as objects, computed at the end of an epoch."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

FEATURES, CLASSES, BATCH = 20, 4, 16


def loaders() -> tuple[DataLoader, DataLoader]:
    def points(count: int) -> TensorDataset:
        rows = torch.randn(count, FEATURES)
        return TensorDataset(rows, rows[:, :CLASSES].argmax(1))

    return DataLoader(points(20 * BATCH), BATCH, shuffle=True), DataLoader(points(4 * BATCH), BATCH)


class WithTorchmetrics(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(FEATURES, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, CLASSES))
        self.accuracy = MulticlassAccuracy(CLASSES)
        self.scores = MetricCollection([MulticlassAccuracy(CLASSES), MulticlassF1Score(CLASSES)], prefix="val_")

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        rows, labels = batch
        output = self.net(rows)
        self.accuracy(output, labels)
        self.log("accuracy", self.accuracy, on_step=True, on_epoch=True)
        return cross_entropy(output, labels)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        rows, labels = batch
        self.scores.update(self.net(rows), labels)

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.scores.compute())
        self.scores.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)
