"""Clean: a module over a stream of batches that has no length until it ends."""

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from torch.utils.data import DataLoader, IterableDataset


class Stream(IterableDataset[torch.Tensor]):
    """Fifty batches, made once."""

    def __init__(self) -> None:
        self.batches = torch.randn(50, 32, 256).unbind()

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.batches)


class Regression(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.model(batch), batch[:, :10])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01, fused=True)

    def configure_callbacks(self) -> list[pl.Callback]:
        return [TQDMProgressBar(refresh_rate=1000)]


def loaders() -> DataLoader[torch.Tensor]:
    return DataLoader(Stream(), batch_size=None)
