"""What a whole epoch costs, in ms an epoch: validation, a checkpoint, metrics and the loader's workers included.

Turns are epochs of the loops themselves, each ended as its users end it: plain PyTorch and Fabric validate and save
model and optimizer, Trainer does what it does by default, and barebones validates and keeps no checkpoint.
"""

from __future__ import annotations

from bench import Suite

from .autoencoder_axes import CHOICES, autoencoder_axes
from .loader import LOADERS, build, settings, workers

suite = Suite(
    name="epochs",
    title="what a whole epoch costs in each loop, with validation and checkpoint",
    axes=autoencoder_axes(
        {
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "loader": ("in-process", "1-worker", "1-persistent-worker"),
            "batch_size": (64,),
            "samples": (1024,),  # 16 batches, and 2 of validation
            "access": ("sample",),
        },
        without=("num_workers", "persistent_workers"),
    ),
    compare="loop",
    baseline="plain",
    choices={"loader": tuple(LOADERS), **CHOICES, "access": ("sample", "batch")},
    epochs="real",
    workers=workers,
    settings=settings,
    build=build,
)
