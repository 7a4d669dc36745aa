"""A suite whose arms do something bad: the axis `fault` says what. All but `none` are refused by nobody."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    from .misdeeds import faulty

    return faulty(str(point["fault"]))


def workers(point: Point) -> int:
    return 1 if str(point["fault"]).startswith("worker-") else 0


suite = Suite(
    name="faulty",
    title="arms that do something bad",
    axes={"fault": ("none", "raise"), "devices": (1,)},
    compare="fault",
    baseline="none",
    build=build,
    workers=workers,
)
