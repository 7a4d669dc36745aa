"""Which precision is fastest and keeps the loss, in every loop."""

from __future__ import annotations

from bench import Suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

suite = Suite(
    name="precision",
    title="which precision is fastest and keeps the loss, in every loop",
    axes=autoencoder_axes(
        {
            "precision": ("32-true", "bf16-mixed", "16-mixed", "bf16-true"),
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "batch_size": (512,),
            # Wide enough that arithmetic, which a precision can save, is most of the step.
            "width": (256,),
        }
    ),
    compare="precision",
    baseline="32-true",
    choices=CHOICES,
    build=build_autoencoder,
)
