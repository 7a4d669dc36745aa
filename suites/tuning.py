"""What Lightning's Tuner costs and finds, against a plain grid: who reaches a loss first, the search included.

Every arm is a Trainer. `trainer` takes the settings as they are; `lr-find` and `batch-size-finder` ask the Tuner first,
`lr-grid` and `batch-size-grid` try the values of a short list. What a search takes stands before the first step
(`setup_time`), and is a part of the way to the target; what it found stands under the figures.
"""

from __future__ import annotations

from dataclasses import replace

from bench import Goal, Loop, Point, Suite, Workload

from . import tuning_loops
from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

TRAINER = ("torch", "lightning")


def build(point: Point) -> Workload:
    """The autoencoder; how many samples a batch has, a search may change."""
    return replace(build_autoencoder(point), samples=None)


suite = Suite(
    name="tuning",
    title="what Tuner.lr_find and scale_batch_size cost and find, against a plain grid",
    axes=autoencoder_axes(
        {
            "loop": ("trainer", "lr-find", "lr-grid", "batch-size-finder", "batch-size-grid"),
            "batch_size": (64,),
            "epochs": (15,),
            "target": (0.019,),
            "samples": (4096,),
        }
    ),
    compare="loop",
    baseline="trainer",
    choices=CHOICES,
    epochs="real",
    equal="none",  # other rates and other batches are what is compared
    goal=Goal(target=0.019, epochs=15, seeds=5, margin=0.02),
    loops={
        "lr-find": Loop(tuning_loops.lr_find, TRAINER, trainer="full"),
        "lr-grid": Loop(tuning_loops.lr_grid, TRAINER, trainer="full"),
        "batch-size-finder": Loop(tuning_loops.batch_size_finder, TRAINER, trainer="full"),
        "batch-size-grid": Loop(tuning_loops.batch_size_grid, TRAINER, trainer="full"),
    },
    build=build,
)
