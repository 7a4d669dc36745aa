"""The autoencoder on two accelerators in one launch: the CPU, and whatever `--set accelerator=` names beside it."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    from suites.autoencoder import autoencoder_workload

    return autoencoder_workload(point)


suite = Suite(
    name="devices-apart",
    title="each accelerator against the CPU, in every loop",
    axes={
        "accelerator": ("cpu", "tpu"),
        "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
        "batch_size": (64,),
        "data": ("synthetic",),
        "variant": ("mlp",),
        "width": (64,),
        "latent": (3,),
        "samples": (256,),
    },
    compare="accelerator",
    baseline="cpu",
    build=build,
)
