"""A suite with one kind of batch after the other, and with loaders that are no DataLoader."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

LOADERS = ("loader", "list", "combined", "iterable", "stream", "generator", "once")
COUNTED = ("none", "right", "whole-set", "function", "function-fails", "function-odd", "fault", "short")


def build(point: Point) -> Workload:
    from .kinds_workload import kinds_workload

    return kinds_workload(str(point["kind"]), str(point["batches"]), str(point["samples"]))


suite = Suite(
    name="kinds",
    title="kinds of batch",
    axes={"kind": ("tensor",), "batches": ("loader",), "samples": ("none",), "loop": ("plain", "fabric")},
    compare="loop",
    baseline="plain",
    choices={"batches": LOADERS, "samples": COUNTED},
    build=build,
)
