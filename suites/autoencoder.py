"""The seed workload: an autoencoder on MNIST's digits; one set of modules and one loss for every loop.

An encoder to a latent vector, a decoder back, mean squared error between input and reconstruction, labels ignored.
Neither lightning nor torchvision is imported here: a plain arm's process never imports lightning.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench import Point, Workload
from bench.errors import BenchError, one_of

from .digits import SIDE, Split, load_digits, make_loader

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from .autoencoder_lightning import LitAutoEncoder, MNISTDataModule

__all__ = [
    "AutoEncoder",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "Encoder",
    "LitAutoEncoder",
    "MNISTDataModule",
    "autoencoder_workload",
    "make_modules",
    "make_optimizer",
    "reconstruction_loss",
]

LEARNING_RATE = 1e-3
VARIANTS = ("mlp", "conv")


class Encoder(nn.Sequential):
    """784-`width`-`latent`: (N, 1, 28, 28) to (N, latent)."""

    def __init__(self, width: int = 64, latent: int = 3) -> None:
        super().__init__(nn.Flatten(), nn.Linear(SIDE * SIDE, width), nn.ReLU(), nn.Linear(width, latent))


class Decoder(nn.Sequential):
    """`latent`-`width`-784: (N, latent) to (N, 1, 28, 28)."""

    def __init__(self, width: int = 64, latent: int = 3) -> None:
        layers = nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, SIDE * SIDE), nn.Unflatten(1, (1, SIDE, SIDE))
        super().__init__(*layers)


class ConvEncoder(nn.Sequential):
    """Two strided convolutions and a linear layer: (N, 1, 28, 28) to (N, latent)."""

    def __init__(self, channels: int = 16, latent: int = 3) -> None:
        super().__init__(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * channels * 7 * 7, latent),
        )


class ConvDecoder(nn.Sequential):
    """A linear layer and two transposed convolutions: (N, latent) to (N, 1, 28, 28)."""

    def __init__(self, channels: int = 16, latent: int = 3) -> None:
        super().__init__(
            nn.Linear(latent, 2 * channels * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (2 * channels, 7, 7)),
            nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),
        )


class AutoEncoder(nn.Module):
    """An encoder to a latent vector and a decoder back: (N, 1, 28, 28) to (N, 1, 28, 28)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images: Tensor) -> Tensor:
        reconstruction: Tensor = self.decoder(self.encoder(images))
        return reconstruction


def reconstruction_loss(model: nn.Module, batch: Any) -> Tensor:
    """Mean squared error between input and reconstruction, a scalar.

    Args:
        model: an autoencoder of images, or a wrapper of one, such as Fabric's.
        batch: images, (N, 1, 28, 28), or a pair of images and labels, of which the labels are not looked at.
    """
    images: Tensor = batch[0] if isinstance(batch, list | tuple) else batch
    return nn.functional.mse_loss(model(images), images)


def make_optimizer(parameters: Iterable[nn.Parameter], lr: float = LEARNING_RATE) -> torch.optim.Optimizer:
    """Adam, for every loop."""
    return torch.optim.Adam(parameters, lr=lr)


def make_modules(variant: str = "mlp", width: int = 64, latent: int = 3) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder, initialised from torch's global generator.

    Args:
        variant: `mlp` or `conv`.
        width: hidden units of `mlp`; `conv` has a quarter as many channels, so that 64 stays a step of milliseconds.
        latent: size of the latent vector.

    Raises:
        BenchError: an unknown variant.
    """
    if variant == "mlp":
        return Encoder(width, latent), Decoder(width, latent)
    if variant == "conv":
        channels = max(1, width // 4)
        return ConvEncoder(channels, latent), ConvDecoder(channels, latent)
    raise BenchError(one_of("variant", variant, VARIANTS))


def autoencoder_workload(point: Point) -> Workload:
    """The workload of one point, from the seed that `torch.manual_seed` was given last.

    Weights are drawn before the data are, and the data have generators of their own: neither depends on the other.

    Args:
        point: `batch_size`, `data`, `variant`, `width`, `latent`, `samples`, and, where they are there, `num_workers`,
            `persistent_workers`, `pin_memory` of the loaders and `access` (`batch` or `sample`); other axes are not
            looked at.

    Raises:
        BenchError: a value that is not allowed, or data that cannot be had.
    """
    seed = torch.initial_seed()
    encoder, decoder = make_modules(str(point["variant"]), int(point["width"]), int(point["latent"]))
    batch_size, source, samples = int(point["batch_size"]), str(point["data"]), int(point["samples"])

    def loader(split: Split) -> DataLoader[Any]:
        return make_loader(
            load_digits(source, split, samples, seed),
            batch_size,
            seed,
            train=split == "train",
            num_workers=int(point.get("num_workers", 0)),
            persistent_workers=bool(point.get("persistent_workers", False)),
            pin_memory=bool(point.get("pin_memory", False)),
            by_sample=point.get("access") == "sample",
        )

    return Workload(
        model=AutoEncoder(encoder, decoder),
        loss=reconstruction_loss,
        optimizer=make_optimizer,
        batches=loader("train"),
        samples=batch_size,
        lightning=partial(_lightning, encoder, decoder),
        validation=loader("validation"),
    )


def _lightning(encoder: nn.Module, decoder: nn.Module) -> LightningModule:
    from .autoencoder_lightning import LitAutoEncoder

    return LitAutoEncoder(encoder, decoder)


def __getattr__(name: str) -> Any:
    """The two Lightning classes, imported when first asked for (PEP 562); see docs/decisions."""
    if name in ("LitAutoEncoder", "MNISTDataModule"):
        from . import autoencoder_lightning

        return getattr(autoencoder_lightning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
