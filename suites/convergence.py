"""Who reaches a validation loss first: whole trainings, of several seeds, in each loop.

Every arm trains as many epochs, whether it gets there or not, so that other targets can be asked afterwards
(`bench show --target`). `--compare precision`, `batch_size` or `compile` asks the same of these.
"""

from __future__ import annotations

from bench import Goal, Suite

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder

suite = Suite(
    name="convergence",
    title="time, epochs and samples to a validation loss, in each loop, over several seeds",
    axes=autoencoder_axes(
        {
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "precision": ("32-true",),
            "compile": ("off",),
            "batch_size": (64,),
            "epochs": (15,),
            "target": (0.019,),
            "samples": (4096,),
        }
    ),
    compare="loop",
    baseline="plain",
    choices=CHOICES,
    epochs="real",
    goal=Goal(target=0.019, epochs=15, seeds=5, margin=0.02),
    build=build_autoencoder,
)
