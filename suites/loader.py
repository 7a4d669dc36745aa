"""Which loader setting stops starving the loop: whole epochs as turns, so that the gap between epochs is a part."""

from __future__ import annotations

from bench import Point, Suite, Workload

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

# One axis for settings that only make sense together: workers that persist need workers.
LOADERS = {
    "in-process": (0, False),
    "1-worker": (1, False),
    "1-persistent-worker": (1, True),
    "2-workers": (2, False),
    "2-persistent-workers": (2, True),
    "4-workers": (4, False),
    "4-persistent-workers": (4, True),
}


def workers(point: Point) -> int:
    return LOADERS[str(point["loader"])][0]


def settings(point: Point) -> dict[str, bool]:
    return {"persistent_workers": LOADERS[str(point["loader"])][1]}


def build(point: Point) -> Workload:
    count, persistent = LOADERS[str(point["loader"])]
    return build_autoencoder({**point, "num_workers": count, "persistent_workers": persistent})


suite = Suite(
    name="loader",
    title="which loader setting stops starving the loop, over whole epochs",
    axes=autoencoder_axes(
        {
            "loader": ("in-process", "1-worker", "2-persistent-workers"),
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "batch_size": (128,),
            "width": (128,),
            "latent": (3,),
            "data": ("synthetic",),
            # Each sample fetched and collated by itself, as torchvision's datasets are: whole batches starve nobody.
            "access": ("sample",),
            "variant": ("mlp",),
            "samples": (4096,),
        },
        without=("num_workers", "persistent_workers"),
    ),
    compare="loader",
    baseline="in-process",
    choices={
        "loader": tuple(LOADERS),
        **CHOICES,
        "access": ("sample", "batch"),
    },
    epochs=True,
    workers=workers,
    settings=settings,
    build=build,
)
