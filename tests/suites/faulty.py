"""A small workload that does something bad in its loss, at step `at`. Nothing is simulated: it really happens."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bench.axes.loops.workload import Workload
from bench.errors import Unsupported


def faulty_workload(fault: str, at: int) -> Workload:
    if fault == "build":
        raise ValueError("this workload cannot be built")
    if fault == "unsupported":
        raise Unsupported("this workload cannot run on a Sunday")
    if fault == "thread":
        threading.Thread(target=busy, daemon=True).start()
    # Of several ranks only rank 1 is faulty.
    rank = os.environ.get("RANK")
    if fault not in ("other-data", "short-batch") and rank not in (None, "1"):
        fault = "none"
    if fault == "other-weights":
        torch.manual_seed(1)
    seed = 1 if fault == "other-data" else 0
    data = torch.randn(250 if fault == "short-batch" else 256, 8, generator=torch.Generator().manual_seed(seed))
    loader: DataLoader[Any] = DataLoader(
        TensorDataset(data),
        batch_size=16,
        shuffle=True,
        drop_last=fault != "short-batch",
        generator=torch.Generator().manual_seed(int(rank or 0)),  # of several ranks each has an order of its own
    )
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    state = {"step": 0, "hoard": []}
    return Workload(
        model=model,
        loss=partial(loss, fault, at, state),
        optimizer=partial(optimizer, fault),
        batches=loader,
        samples=16,
        lightning=lambda: None,  # plain loops only
    )


def busy() -> None:
    """What a loader worker, a refresh thread or a watchdog does: it goes on whether the loop is held or not."""
    while True:
        sum(range(1000))


def optimizer(fault: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    made = torch.optim.SGD(parameters, lr=0.01)
    if fault == "frozen":
        made.step = lambda closure=None: None
    return made


def loss(fault: str, at: int, state: dict[str, Any], model: nn.Module, batch: Any) -> torch.Tensor:
    state["step"] += 1
    if state["step"] == at:
        if fault == "raise":
            raise RuntimeError("the loss is in no mood")
        if fault == "exit":
            os._exit(7)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(3600)
        if fault == "ends":
            raise StopIteration
    if fault == "allocate" and state["step"] >= at:
        state["hoard"].append(torch.ones(16 * 2**20))  # 64 MiB a step, touched
    (images,) = batch
    return nn.functional.mse_loss(model(images), images)
