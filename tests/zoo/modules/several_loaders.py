"""Two loaders at once, of labelled and unlabelled data, as Lightning combines them."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

WIDTH, CLASSES = 12, 3


def loaders() -> CombinedLoader:
    rows = torch.randn(20 * 8, WIDTH)
    labelled = TensorDataset(rows, rows[:, :CLASSES].argmax(1))
    return CombinedLoader(
        {
            "labelled": DataLoader(labelled, batch_size=8, shuffle=True),
            "unlabelled": DataLoader(torch.randn(12 * 24, WIDTH), batch_size=24, shuffle=True),
        },
        mode="max_size_cycle",
    )


class SeveralLoaders(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.back = nn.Linear(WIDTH, 16), nn.Linear(16, CLASSES), nn.Linear(16, WIDTH)

    def training_step(self, batch: dict[str, object], batch_idx: int) -> torch.Tensor:
        rows, labels = batch["labelled"]
        alone = batch["unlabelled"]
        told = cross_entropy(self.head(self.body(rows).relu()), labels)
        again = (self.back(self.body(alone).relu()) - alone).square().mean()
        self.log_dict({"told": told, "again": again})
        return told + 0.3 * again

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.NAdam(self.parameters(), lr=1e-3)
