"""What `bench tune` searches where no suite is named: the autoencoder.

Searched are batch size, learning rate, precision and data access. The first value of each axis is the default's, which
every other configuration is raced against. There samples are fetched and collated one by one, as torchvision's are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bench import Goal, Point, Suite, Workload

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def build(point: Point) -> Workload:
    """The autoencoder, with a learning rate of the point's: larger batches lose less by a larger one."""
    from .modules import make_optimizer

    workload, rate = build_autoencoder(point), float(point["learning_rate"])

    def lightning() -> LightningModule:
        from .autoencoder_lightning import LitAutoEncoder

        module = workload.lightning()
        assert isinstance(module, LitAutoEncoder)
        module.learning_rate = rate
        return module

    return replace(workload, optimizer=partial(make_optimizer, lr=rate), lightning=lightning)


def refuses(point: Point) -> str | None:
    if point["persistent_workers"] and not point["num_workers"]:
        return "persistent_workers=true needs num_workers above 0"
    return None


suite = Suite(
    name="tunable",
    title="the autoencoder that `bench tune` searches: batch size, learning rate, precision, data access",
    axes=autoencoder_axes(
        {
            "loop": ("trainer",),
            "batch_size": (32, 64, 128, 256),
            "learning_rate": (0.001, 0.002, 0.004),
            "precision": ("32-true", "bf16-mixed"),
            "access": ("sample", "batch"),
            "epochs": (8,),
            "samples": (2048,),
        }
    ),
    compare="batch_size",
    baseline=32,
    choices={**CHOICES, "access": ("sample", "batch")},
    epochs="real",
    equal="none",
    goal=Goal(target=0.04, epochs=8, seeds=5, margin=0.02),
    refuses=refuses,
    build=build,
)
