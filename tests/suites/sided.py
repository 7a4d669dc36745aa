"""A suite whose loss calls code of the side that it runs in: `sidecode.extra(batch)`."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    import sidecode  # on the path of each side
    from torch import nn

    from .faulty import faulty_workload

    workload = faulty_workload("none", 0)
    plain = workload.loss

    def loss(model: nn.Module, batch: object) -> object:
        sidecode.extra(batch)
        return plain(model, batch)

    return Workload(
        model=workload.model,
        loss=loss,
        optimizer=workload.optimizer,
        batches=workload.batches,
        samples=workload.samples,
        lightning=workload.lightning,
    )


suite = Suite(
    name="sided",
    title="code of the side",
    axes={"loop": ("plain",)},
    compare="loop",
    baseline="plain",
    build=build,
)
