"""When torch.compile pays for itself, in every loop: time to the first step, cold and warm, and the steady step."""

from __future__ import annotations

from bench import Suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

suite = Suite(
    name="compile",
    title="when torch.compile has paid for itself, in every loop",
    axes=autoencoder_axes(
        {
            "compile": ("off", "default"),
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "batch_size": (256,),
        }
    ),
    compare="compile",
    baseline="off",
    choices=CHOICES,
    build=build_autoencoder,
)
