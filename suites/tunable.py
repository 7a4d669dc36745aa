"""What `bench tune` searches where no suite is named: the autoencoder by its batch, precision, threads and data access.

The first value of each axis is the default configuration, which every other one is raced against. Samples are fetched
and collated one by one there, as torchvision's datasets are; workers pay for that, and so does fetching whole batches.
"""

from __future__ import annotations

from bench import Goal, Point, Suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder


def refuses(point: Point) -> str | None:
    if point["persistent_workers"] and not point["num_workers"]:
        return "persistent_workers=true needs num_workers above 0"
    return None


suite = Suite(
    name="tunable",
    title="the autoencoder that `bench tune` searches: batch size, loop, precision, threads, data access",
    axes=autoencoder_axes(
        {
            "loop": ("trainer", "trainer-barebones"),
            "batch_size": (32, 64, 128, 256),
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
    build=build_autoencoder,
)
