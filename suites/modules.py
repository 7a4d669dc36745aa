"""The autoencoder's modules, loss and optimizer: one set for every loop. No lightning, no torchvision.

An encoder to a latent vector, a decoder back, mean squared error between input and reconstruction, labels ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import BenchError, one_of

from .mnist_files import SIDE

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
