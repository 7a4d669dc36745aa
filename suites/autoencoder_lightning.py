"""The autoencoder as a LightningModule and its data as a LightningDataModule. Imports lightning; plain arms do not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.errors import BenchError, quote

from .digits import SPLITS, Digits, Split, load_digits, make_loader
from .mnist_files import data_folder, default_data_dir, fetch_mnist
from .modules import LEARNING_RATE, AutoEncoder, make_modules, make_optimizer, reconstruction_loss


class LitAutoEncoder(LightningModule):
    """The autoencoder with its own hooks: what is specific to this model, and nothing that measures.

    All arguments are numbers and texts, so that they are saved with every checkpoint, and one is rebuilt from them.

    Args:
        variant: of encoder and decoder, `mlp` or `conv`.
        width: hidden units of `mlp`; `conv` has a quarter as many channels.
        latent: size of the latent vector.
        learning_rate: of Adam.
        gamma: what the learning rate is multiplied by after each epoch; 1: it stays, and there is no scheduler.
        log: log the losses. Off by default: a log on one side only is the oldest mistake in comparing loops.
    """

    def __init__(
        self,
        variant: str = "mlp",
        width: int = 64,
        latent: int = 3,
        learning_rate: float = LEARNING_RATE,
        gamma: float = 1.0,
        log: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("width", width), ("latent", latent)):
            if size < 1:
                raise BenchError(f"{name}={quote(size)} is not possible; allowed: whole numbers from 1")
        self.save_hyperparameters()
        self._take(AutoEncoder(*make_modules(variant, width, latent)), learning_rate, gamma, log)

    @classmethod
    def around(
        cls,
        encoder: nn.Module,
        decoder: nn.Module,
        learning_rate: float = LEARNING_RATE,
        gamma: float = 1.0,
        log: bool = False,
        **shape: Any,
    ) -> LitAutoEncoder:
        """The same around modules that are there already: no random number is drawn.

        Args:
            encoder: images, (N, 1, 28, 28), to latent vectors.
            decoder: latent vectors to images.
            learning_rate: of Adam.
            gamma: of the learning rate.
            log: log the losses.
            **shape: `variant`, `width` and `latent` that the modules were made with, for the checkpoint.
        """
        made = cls.__new__(cls)
        LightningModule.__init__(made)
        made.save_hyperparameters({**shape, "learning_rate": learning_rate, "gamma": gamma, "log": log})
        made._take(AutoEncoder(encoder, decoder), learning_rate, gamma, log)
        return made

    def _take(self, model: AutoEncoder, learning_rate: float, gamma: float, log: bool) -> None:
        if not 0 < gamma <= 1:
            raise BenchError(f"gamma={quote(gamma)} is not possible; allowed: above 0, to 1")
        self.model = model
        self.learning_rate, self.gamma, self.logs_losses = learning_rate, gamma, log
        self._latents: list[Tensor] = []

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
            self._log_mean("val_loss", loss, batch)
            self._latents.append(self.model.encoder(_images_of(batch)))
        return loss

    def test_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = reconstruction_loss(self.model, batch)
        if self.logs_losses:
            self._log_mean("test_loss", loss, batch)
        return loss

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """The latent vectors and the reconstructions of a batch, beside its images and, where it has any, its labels.

        Lightning's own `predict_step` would hand the whole batch, a list of images and labels, to `forward`.
        """
        images = _images_of(batch)
        latents = self.model.encoder(images)
        found = {"images": images, "latents": latents, "reconstructions": self.model.decoder(latents)}
        return {**found, "labels": batch[1]} if isinstance(batch, list | tuple) else found

    def on_validation_epoch_start(self) -> None:
        self._latents.clear()

    def on_validation_epoch_end(self) -> None:
        """Log how far latent vectors spread; where the encoder gives every digit the same one, it is 0."""
        if self._latents:
            self.log("val_latent_spread", torch.cat(self._latents).std(0, correction=0).mean(), sync_dist=True)
            self._latents.clear()

    def configure_optimizers(self) -> Any:
        """Adam, and, where `gamma` is below 1, a scheduler that Trainer steps after every epoch."""
        optimizer = make_optimizer(self.parameters(), self.learning_rate)
        if self.gamma == 1:
            return optimizer
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.gamma)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}

    def draw_pictures(self, batches: Iterable[Any], folder: Path) -> list[Path]:
        """Draw reconstructions and latent space of some batches, which are as those of training; gives the files."""
        from .autoencoder_pictures import draw_latents, draw_reconstructions

        before = self.training
        self.eval()
        with torch.no_grad():
            parts = [self.predict_step(_on(self.device, batch), 0) for batch in batches]
        self.train(before)
        whole = {name: torch.cat([part[name] for part in parts]).float().cpu() for name in parts[0]}
        labels = whole.get("labels", torch.zeros(len(whole["images"]))).long()
        return [
            draw_reconstructions(whole["images"], whole["reconstructions"], labels, folder),
            draw_latents(whole["latents"], labels, folder),
        ]

    def _log_mean(self, name: str, loss: Tensor, batch: Any) -> None:
        """The mean over all samples of an epoch: the last batch may be smaller, and weighs less."""
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=len(_images_of(batch)), sync_dist=True)


def _images_of(batch: Any) -> Tensor:
    images: Tensor = batch[0] if isinstance(batch, list | tuple) else batch
    return images


def _on(device: torch.device, batch: Any) -> Any:
    return [part.to(device) for part in batch] if isinstance(batch, list | tuple) else batch.to(device)


class MNISTDataModule(LightningDataModule):
    """Digits in three splits, from the same functions as the batches of every other loop.

    Args:
        data_dir: where MNIST lies, by default `BENCH_DATA_DIR` or the user's cache folder.
        source: `synthetic` or `mnist`.
        batch_size: samples in a batch.
        samples: training samples; validation and test have an eighth each.
        seed: of the synthetic digits and of the shuffling.
        num_workers: processes that load batches; 0: the training's own.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        source: str = "synthetic",
        batch_size: int = 64,
        samples: int = 8192,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        for name, number, least in (
            ("batch_size", batch_size, 1),
            ("samples", samples, 1),
            ("seed", seed, 0),
            ("num_workers", num_workers, 0),
        ):
            if number < least:
                raise BenchError(f"{name}={quote(number)} is not possible; allowed: whole numbers from {least}")
        self.save_hyperparameters()
        self.folder = data_folder(data_dir) if data_dir else default_data_dir()
        self.source, self.batch_size, self.samples, self.seed = source, batch_size, samples, seed
        self.num_workers = num_workers
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
        """Batches whose order depends on the seed and the epoch; a checkpoint remembers how many were given."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The test split, as `test_dataloader` gives it."""
        return self._loader("test")

    def _loader(self, split: Split) -> DataLoader[tuple[Tensor, Tensor]]:
        train = split == "train"
        return make_loader(
            self.digits[split], self.batch_size, self.seed, train=train, num_workers=self.num_workers, resumable=train
        )


_NEEDS: dict[str, tuple[Split, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("test",),
}
