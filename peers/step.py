"""The step that every tool measures: that of `bench run overhead -k "loop=plain and batch_size=64"`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from bench import AxisValue, Workload
from peers.tool import BATCH
from suites.autoencoder import autoencoder_workload
from suites.overhead import suite

# The suite's own values, so that the tools measure what `bench` does whatever becomes of its defaults.
POINT: dict[str, AxisValue] = {axis: values[0] for axis, values in suite.axes.items()} | {"batch_size": BATCH}


def make_workload(seed: int = 0) -> Workload:
    """Model and batches, on one thread; weights and order of batches from the seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return autoencoder_workload(POINT)


def make_step(workload: Workload) -> Callable[[], None]:
    """One iteration of `bench.axes.loops.plain` as a function: fetch a batch, forward, loss, backward, update."""
    model = workload.model
    optimizer = workload.optimizer(model.parameters())
    model.train()
    batches = forever(workload)

    def step() -> None:
        batch = next(batches)
        loss = workload.loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def forever(workload: Workload) -> Iterator[Any]:
    """The loader's batches, epoch after epoch, as `bench.arm.stream` hands them out."""
    while True:
        yield from workload.batches
