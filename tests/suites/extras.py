"""A suite whose loss does something more than it must: the axis `extra` says what. Operators can be counted."""

from __future__ import annotations

from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    steps = 0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        (images,) = batch
        value = nn.functional.mse_loss(model(images), images)
        if point["extra"] == "item":
            value.item()
        if point["extra"] == "sometimes" and steps % 4 == 0:
            images.cos()
        return value

    return Workload(
        model=nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)),
        loss=loss,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, foreach=False),
        batches=DataLoader(TensorDataset(torch.randn(4096, 8)), batch_size=16, drop_last=True),
        samples=16,
        lightning=lambda: None,  # plain loops only
    )


suite = Suite(
    name="extras",
    title="steps that do a little more",
    axes={"extra": ("none", "item", "sometimes")},
    compare="extra",
    baseline="none",
    choices={"extra": ("none", "item", "sometimes")},
    build=build,
)
