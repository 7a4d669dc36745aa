"""The smallest suite that has a ratio: one group, the plain loop, a linear model and some spins in its loss."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    from .parts import workload

    return workload(spins=int(point["spins"]))


suite = Suite(
    name="tiny",
    title="a linear model",
    axes={"spins": (1, 200)},
    compare="spins",
    baseline=1,
    build=build,
)
