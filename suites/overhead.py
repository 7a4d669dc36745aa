"""What each training loop costs a step, over plain PyTorch, at several lengths of step. The default suite."""

from __future__ import annotations

from bench import Suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

suite = Suite(
    name="overhead",
    title="what fabric, trainer-barebones and trainer cost a step over plain PyTorch",
    axes=autoencoder_axes(
        {
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "batch_size": (64, 512, 1536),
            "data": ("synthetic",),
            "variant": ("mlp",),
        }
    ),
    compare="loop",
    baseline="plain",
    choices=CHOICES,
    length_axis="batch_size",
    build=build_autoencoder,
)
