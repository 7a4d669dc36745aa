"""What each training loop costs a step, over plain PyTorch, at several lengths of step. The default suite."""

from __future__ import annotations

from bench import Point, Suite, Workload


def build(point: Point) -> Workload:
    from .autoencoder import autoencoder_workload

    return autoencoder_workload(point)


suite = Suite(
    name="overhead",
    title="what fabric, trainer-barebones and trainer cost a step over plain PyTorch",
    axes={
        "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
        "batch_size": (64, 512, 1536),
        "data": ("synthetic",),
        "variant": ("mlp",),
        "width": (64,),
        "latent": (3,),
        "samples": (8192,),
        "num_workers": (0,),
        "persistent_workers": (False,),
        "pin_memory": (False,),
    },
    compare="loop",
    baseline="plain",
    choices={"data": ("synthetic", "mnist"), "variant": ("mlp", "conv")},
    length_axis="batch_size",
    build=build,
)
