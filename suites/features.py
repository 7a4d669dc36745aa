"""What each of Trainer's features costs, µs a step and ms an epoch: a ladder from a barebones Trainer upwards.

Turns are the loop's own epochs, so that what comes once an epoch (validation, a checkpoint) has its price, too. The
rungs are those of `bench.axes.trainer_rungs`; `bench.ladder_suite` races them in a module of one's own.
"""

from __future__ import annotations

from bench import ladder_suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

suite = ladder_suite(
    name="features",
    title="what each feature of Trainer costs, a step and an epoch, over the feature below",
    # 48 batches, and 6 of validation: turns of a twentieth of a second, and no multiple of what comes every 25 or 50
    # steps.
    axes=autoencoder_axes({"batch_size": (64,), "samples": (3072,)}),
    choices=CHOICES,
    build=build_autoencoder,
)
