"""A suite whose steps change while they are taken: the axis `change` says how, and `amount` by how much a step."""

from __future__ import annotations

import time
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite


def build(point: Point) -> Workload:
    import torch

    change, amount = point["change"], int(point["amount"])
    kept: list[torch.Tensor] = []
    seen = 0

    def loss(model: Any, batch: Any) -> torch.Tensor:
        nonlocal seen
        (rows,) = batch
        seen += 1
        slower = change == "slower" or bool(point["always"])
        time.sleep(float(point["pause"]) + amount * 1e-9 * seen * slower)  # nanoseconds
        if change == "leaking":
            kept.append(torch.ones(amount, dtype=torch.uint8))  # bytes
        found: torch.Tensor = (model(rows) - rows).square().mean()
        return found

    data = torch.randn(256, 32, generator=torch.Generator().manual_seed(0))
    return Workload(
        model=torch.nn.Linear(32, 32),
        loss=loss,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01),
        batches=torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=32),
        samples=32,
        lightning=None,
    )


suite = Suite(
    name="changing",
    title="steps that change",
    axes={"change": ("none", "slower", "leaking"), "amount": (200_000,), "pause": (0.0,), "always": (False,)},
    compare="change",
    baseline="none",
    build=build,
)
