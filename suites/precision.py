"""Which precision is fastest and keeps the loss, in every loop."""

from __future__ import annotations

from bench import Point, Suite, Workload


def build(point: Point) -> Workload:
    from .autoencoder import autoencoder_workload

    return autoencoder_workload(point)


suite = Suite(
    name="precision",
    title="which precision is fastest and keeps the loss, in every loop",
    axes={
        "precision": ("32-true", "bf16-mixed", "16-mixed", "bf16-true"),
        "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
        "batch_size": (512,),
        # Wide enough that arithmetic, which a precision can save, is most of the step.
        "width": (256,),
        "latent": (3,),
        "data": ("synthetic",),
        "variant": ("mlp",),
        "samples": (8192,),
        "num_workers": (0,),
        "persistent_workers": (False,),
        "pin_memory": (False,),
    },
    compare="precision",
    baseline="32-true",
    choices={"data": ("synthetic", "mnist"), "variant": ("mlp", "conv")},
    build=build,
)
