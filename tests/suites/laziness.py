"""A suite whose loss is trouble on a lazy device: an operator that XLA lacks, or shapes that never come to rest."""

from __future__ import annotations

from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    import torch

    model = torch.nn.Linear(4, 4)
    data = torch.utils.data.TensorDataset(torch.randn(64, 4, generator=torch.Generator().manual_seed(1)))
    trouble, seen = point["trouble"], [0]

    def loss(model: Any, batch: Any) -> torch.Tensor:
        (rows,) = batch
        seen[0] += 1
        if trouble == "shapes":  # each step is longer than the one before
            rows = torch.cat([rows, rows.new_ones(seen[0], 4)])
        found = (model(rows) - rows).square().mean()
        if trouble == "fallback":
            found = found + 0 * torch.histc(rows.detach(), 4).sum()
        return found

    return Workload(
        model=model,
        loss=loss,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        batches=torch.utils.data.DataLoader(data, batch_size=8),
        samples=8,
        lightning=lambda: None,  # for plain loops only
    )


suite = Suite(
    name="laziness",
    title="what a lazy device does not take well",
    axes={"trouble": ("none", "fallback", "shapes"), "loop": ("plain",), "accelerator": ("tpu",)},
    compare="trouble",
    baseline="none",
    build=build,
)
