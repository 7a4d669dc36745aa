"""The gate's own test: the same short step, and the same with a known slowdown. `bench selftest --power` runs it.

A number is the percent that each step takes longer; `every-20th` doubles each 20th step: the mean step takes 5 %
longer, and the typical one no longer.
"""

from __future__ import annotations

from dataclasses import replace

from bench import Point, Suite, Workload

from .autoencoder_axes import autoencoder_axes, build_autoencoder

SAME = ("none", "again")
EVERY_20TH = "every-20th"


def build(point: Point) -> Workload:
    from bench.arm.slow_loader import Burn

    workload = build_autoencoder(point)
    asked = str(point["slowdown"])
    if asked in SAME:
        burnt, every = 0.0, 1
    elif asked == EVERY_20TH:
        burnt, every = 1.0, 20
    else:
        burnt, every = float(asked) / 100, 1
    # Both sides go through the same loader, so that they differ by what is burnt and by nothing else. It is no
    # DataLoader, which only Fabric insists on; the suite is one of plain loops.
    batches = Burn(workload.batches, burnt, every)
    return replace(workload, batches=batches)


suite = Suite(
    name="power",
    title="does the gate see a slowdown of so many percent, and none in the same code `again`",
    axes=autoencoder_axes(
        {
            # Text, so that the baseline can be there twice; any other number goes too.
            "slowdown": ("none", "again", "1", "2", "3", "5", "10", EVERY_20TH),
            "batch_size": (64,),
            "data": ("synthetic",),
            "variant": ("mlp",),
        },
        without=("num_workers", "persistent_workers", "pin_memory"),
    ),
    compare="slowdown",
    baseline="none",
    build=build,
)
