"""A suite whose steps do a known number of things more than they must: the axis `extra` says what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

EXTRAS = ("none", "calls", "allocations", "garbage", "system", "item", "copy", "seldom", "chance")
KERNEL_CALLS = 2


def leaf() -> int:
    return 1


def numbers() -> Iterator[int]:
    yield leaf()
    yield leaf()


def seven_calls() -> None:
    """One of its own, three into a generator and its end, two of them with a call, and one more."""
    for _ in numbers():
        pass
    leaf()


def a_cycle() -> None:
    found: list[Any] = []
    found.append(found)


def build(point: Point) -> Workload:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    extra = point["extra"]
    taken = 0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal taken
        taken += 1
        (images,) = batch
        value = nn.functional.mse_loss(model(images), images)
        if extra == "calls":
            seven_calls()
        elif extra == "allocations":
            _ = bytes(64), bytes(64), bytes(64)
        elif extra == "garbage":
            a_cycle()
        elif extra == "system":
            for _ in range(KERNEL_CALLS):
                os.getppid()
        elif extra == "item":
            value.item()
        elif extra == "copy":
            images.clone()
        elif extra == "seldom" and taken % 50 == 0:
            leaf()
        elif extra == "chance" and taken <= hash("") % 2 + hash("a") % 97 + 50:
            leaf()  # as often as the hash seed says, as what hangs on the order of a set
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
    name="busier",
    title="steps that do a known number of things more",
    axes={"extra": EXTRAS},
    compare="extra",
    baseline="none",
    choices={"extra": EXTRAS},
    build=build,
)
