"""The seed workload: an autoencoder on MNIST's digits; one set of modules and one loss for every loop.

An encoder to a latent vector, a decoder back, mean squared error between input and reconstruction, labels ignored.
Neither lightning nor torchvision is imported here: a plain arm's process never imports lightning.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from bench import Point, Workload

from .digits import Split, load_digits, make_loader
from .modules import (
    AutoEncoder,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    Encoder,
    make_modules,
    make_optimizer,
    reconstruction_loss,
)

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
    shape: dict[str, Any] = {
        "variant": str(point["variant"]),
        "width": int(point["width"]),
        "latent": int(point["latent"]),
    }
    encoder, decoder = make_modules(**shape)
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
        lightning=partial(_lightning, encoder, decoder, shape),
        validation=loader("validation"),
    )


def _lightning(encoder: nn.Module, decoder: nn.Module, shape: Mapping[str, Any]) -> LightningModule:
    from .autoencoder_lightning import LitAutoEncoder

    return LitAutoEncoder.around(encoder, decoder, **shape)


def __getattr__(name: str) -> Any:
    """The two Lightning classes, imported when first asked for (PEP 562); see docs/decisions."""
    if name in ("LitAutoEncoder", "MNISTDataModule"):
        from . import autoencoder_lightning

        return getattr(autoencoder_lightning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
