"""Its training_step never ends."""

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
        while True:
            time.sleep(1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(torch.randn(320, 16)), batch_size=8)
