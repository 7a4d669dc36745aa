"""What the scripts of this folder share, so that each has only what is wrong with it: data, a model, a training."""

from __future__ import annotations

import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

BATCHES = 40  # of an epoch


def loader(batches: int = BATCHES, **options: object) -> DataLoader:
    """Points and what is to be learnt of them, always the same."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(batches * 8, 64, generator=generator)
    return DataLoader(TensorDataset(points, points.sum(1, keepdim=True)), batch_size=8, **options)


class Training:
    """A model and its optimizer."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.steps = 0

    def step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        points, wanted = batch
        self.optimizer.zero_grad()
        loss = mse_loss(self.model(points), wanted)
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        return loss

    def train(self, batches: DataLoader, epochs: int = 100_000) -> None:
        for _ in range(epochs):
            for batch in batches:
                self.step(batch)
