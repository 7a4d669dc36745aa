"""Sparse gradients of a table of words, dense ones of the rest: an optimizer for each, in manual optimization."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WORDS, BATCH = 500, 16


def loaders() -> DataLoader:
    words = torch.randint(WORDS, (20 * BATCH, 6))
    return DataLoader(TensorDataset(words, (words < WORDS // 2).float().mean(1)), batch_size=BATCH, shuffle=True)


class SparseGradients(pl.LightningModule):
    """It learns how many of the words are of the first half."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.words, self.head = nn.EmbeddingBag(WORDS, 12, mode="mean", sparse=True), nn.Linear(12, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        words, share = batch
        loss = (self.head(self.words(words)).squeeze(1) - share).square().mean()
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        return loss

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.SparseAdam(self.words.parameters(), lr=1e-2),
            torch.optim.SGD(self.head.parameters(), lr=0.1),
        ]
