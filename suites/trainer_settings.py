"""Which of Trainer's defaults costs what a step, and what its usual switches cost, in a module that logs its loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench import Point, Suite, Workload

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def build(point: Point) -> Workload:
    """The autoencoder, which logs in all cells alike: a logger that is given nothing costs nothing."""
    workload = build_autoencoder(point)

    def lightning() -> LightningModule:
        from .autoencoder_lightning import LitAutoEncoder

        module = workload.lightning()
        assert isinstance(module, LitAutoEncoder)
        module.logs_losses = True
        return module

    return replace(workload, lightning=lightning)


suite = Suite(
    name="trainer-settings",
    title="which default of Trainer costs what, and what its usual switches cost",
    axes=autoencoder_axes(
        {
            "trainer": (
                *("default", "no-logger", "no-progress-bar", "no-checkpoint", "no-sanity-check"),
                *("all-off", "log-every-step", "detect-anomaly", "deterministic"),
            ),
            "loop": ("trainer",),
            "batch_size": (64,),
        }
    ),
    compare="trainer",
    baseline="default",
    choices=CHOICES,
    build=build,
)
