"""A recurrent network over sequences of unlike lengths, packed; gradients are clipped by a hook of the module's own."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader

WORDS, BATCH = 50, 8


def packed(samples: list[torch.Tensor]) -> PackedSequence:
    return pack_sequence(samples, enforce_sorted=False)


def loaders() -> DataLoader:
    texts = [torch.randint(WORDS, (int(length),)) for length in torch.randint(3, 12, (20 * BATCH,))]
    return DataLoader(texts, batch_size=BATCH, shuffle=True, collate_fn=packed)


class PackedRnn(pl.LightningModule):
    """It learns which word comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.rnn, self.head = nn.Embedding(WORDS, 16), nn.GRU(16, 24), nn.Linear(24, WORDS)

    def training_step(self, batch: PackedSequence, batch_idx: int) -> torch.Tensor:
        embedded = PackedSequence(self.words(batch.data), batch.batch_sizes)
        states, _ = self.rnn(embedded)
        loss = cross_entropy(self.head(states.data), batch.data)
        self.log("loss", loss, batch_size=len(batch.data))
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        self.clip_gradients(optimizer, gradient_clip_val=0.25, gradient_clip_algorithm="norm")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(self.parameters(), lr=1e-3)
