"""Its loader never comes to its first batch."""

import time

import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader, TensorDataset

EXPECTED = "it took no batch, or waited for one step, within"


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(16, 1)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)

    def train_dataloader(self) -> DataLoader:
        time.sleep(100_000)
        return DataLoader(TensorDataset(torch.randn(320, 16)), batch_size=8)
