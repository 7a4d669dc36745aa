"""When torch.compile pays for itself, in every loop: time to the first step, cold and warm, and the steady step."""

from __future__ import annotations

from bench import Point, Suite, Workload


def build(point: Point) -> Workload:
    from .autoencoder import autoencoder_workload

    return autoencoder_workload(point)


suite = Suite(
    name="compile",
    title="when torch.compile has paid for itself, in every loop",
    axes={
        "compile": ("off", "default"),
        "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
        "batch_size": (256,),
        "width": (64,),
        "latent": (3,),
        "data": ("synthetic",),
        "variant": ("mlp",),
        "samples": (8192,),
        "num_workers": (0,),
        "persistent_workers": (False,),
        "pin_memory": (False,),
    },
    compare="compile",
    baseline="off",
    choices={"data": ("synthetic", "mnist"), "variant": ("mlp", "conv")},
    build=build,
)
