"""A suite whose arms fail, each in a way of its own: the axis `fault` says how."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

FAULTS = (
    "none",
    "raise",
    "exit",
    "kill",
    "hang",
    "allocate",
    "build",
    "unsupported",
    "other-data",
    "frozen",
    "ends",
    "thread",
    "other-weights",
    "short-batch",
)


def build(point: Point) -> Workload:
    from .faulty import faulty_workload

    return faulty_workload(str(point["fault"]), int(point["at"]))


suite = Suite(
    name="faults",
    title="arms that fail",
    axes={"fault": ("none", "raise"), "at": (40,)},
    compare="fault",
    baseline="none",
    choices={"fault": FAULTS},
    build=build,
)
