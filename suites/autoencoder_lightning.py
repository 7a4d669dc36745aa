"""The autoencoder as a LightningModule and its data as a LightningDataModule. Imports lightning; plain arms do not."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .digits import SPLITS, Digits, Split, load_digits, make_loader
from .mnist_files import data_folder, default_data_dir, fetch_mnist
from .modules import LEARNING_RATE, AutoEncoder, make_optimizer, reconstruction_loss


class LitAutoEncoder(LightningModule):
    """The autoencoder with its own hooks: what is specific to this model, and nothing that measures.

    Args:
        encoder: images, (N, 1, 28, 28), to latent vectors.
        decoder: latent vectors to images.
        learning_rate: of Adam.
        log: log the losses. Off by default: a log on one side only is the oldest mistake in comparing loops.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, learning_rate: float = LEARNING_RATE, log: bool = False
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["encoder", "decoder"])
        self.model = AutoEncoder(encoder, decoder)
        self.learning_rate = learning_rate
        self.logs_losses = log

    def forward(self, images: Tensor) -> Tensor:
        reconstruction: Tensor = self.model(images)
        return reconstruction

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = reconstruction_loss(self.model, batch)
        if self.logs_losses:
            self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = reconstruction_loss(self.model, batch)
        if self.logs_losses:
            self.log("val_loss", loss)
        return loss

    def test_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = reconstruction_loss(self.model, batch)
        if self.logs_losses:
            self.log("test_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimizer(self.parameters(), self.learning_rate)


class MNISTDataModule(LightningDataModule):
    """Digits in three splits, from the same functions as the batches of every other loop.

    Args:
        data_dir: where MNIST lies, by default `BENCH_DATA_DIR` or the user's cache folder.
        source: `synthetic` or `mnist`.
        batch_size: samples in a batch.
        samples: training samples; validation and test have an eighth each.
        seed: of the synthetic digits and of the shuffling.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        source: str = "synthetic",
        batch_size: int = 64,
        samples: int = 8192,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.folder = data_folder(data_dir) if data_dir else default_data_dir()
        self.source, self.batch_size, self.samples, self.seed = source, batch_size, samples, seed
        self.digits: dict[Split, Digits] = {}

    def prepare_data(self) -> None:
        """Download MNIST where it is not there yet; on one process of each machine only."""
        if self.source == "mnist":
            fetch_mnist(self.folder)

    def setup(self, stage: str) -> None:
        """Load the splits of a stage (`fit`, `validate`, `test`, `predict`) that are not in memory yet."""
        for split in SPLITS:
            if split in _NEEDS[stage] and split not in self.digits:
                self.digits[split] = load_digits(self.source, split, self.samples, self.seed, self.folder)

    def teardown(self, stage: str) -> None:
        """Let go of the splits of a stage."""
        for split in _NEEDS[stage]:
            self.digits.pop(split, None)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("test")

    def _loader(self, split: Split) -> DataLoader[tuple[Tensor, Tensor]]:
        return make_loader(self.digits[split], self.batch_size, self.seed, train=split == "train")


_NEEDS: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("test",),
}
