"""What all suites of the autoencoder share: axes at their usual values, their choices, how it is built. No torch.

So a suite's file shows only what is its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bench import AxisValue, Point, Workload

Axes = Mapping[str, Sequence[AxisValue]]

CHOICES: Axes = {"data": ("synthetic", "mnist"), "variant": ("mlp", "conv")}
_USUAL: Axes = {
    "width": (64,),
    "latent": (3,),
    "data": ("synthetic",),
    "variant": ("mlp",),
    "samples": (8192,),
    "num_workers": (0,),
    "persistent_workers": (False,),
    "pin_memory": (False,),
}


def autoencoder_axes(own: Axes, *, without: Collection[str] = ()) -> dict[str, Sequence[AxisValue]]:
    """A suite's own axes, then the autoencoder's at their usual values, in the order in which ids show them.

    Args:
        without: axes of the autoencoder that the suite has not, since others stand for them.
    """
    return {**own, **{axis: values for axis, values in _USUAL.items() if axis not in own and axis not in without}}


def build_autoencoder(point: Point) -> Workload:
    """The autoencoder of this point."""
    from .autoencoder import autoencoder_workload

    return autoencoder_workload(point)
