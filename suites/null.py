"""What a loop itself costs: every loop over the least step there is, in microseconds a step. No torch at its top.

One parameter, one product, one update by SGD: what a step takes here is what the loop does around it.
"""

from __future__ import annotations

from bench import Point, Suite, Workload


def build(point: Point) -> Workload:
    """The least step of this point."""
    from .least_step import least_step

    return least_step()


suite = Suite(
    name="null",
    title="what plain, fabric, trainer-barebones and trainer cost by themselves, over an empty step",
    axes={"loop": ("plain", "fabric", "trainer-barebones", "trainer")},
    compare="loop",
    baseline="plain",
    equal="weights",
    build=build,
)
