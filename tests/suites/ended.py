"""A suite whose turns are the loops' own epochs: 20 batches of 1 ms, and validation that is there, burns, or is not.

Each worker of the training loader tells its pid in the arm's log.
"""

from __future__ import annotations

import os
from time import thread_time_ns
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.job import Job
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

BATCHES, ROWS = 20, 8
VALIDATION = 2  # batches
FETCH = 1e-3  # seconds of each training batch
BURNT = 0.2 * BATCHES * FETCH  # seconds of each validation of `burnt`: a fifth of an epoch's fetches


def burn(seconds: float) -> None:
    """Use so much of a processor: where it is shared, all that an epoch holds takes as many times as long."""
    end = thread_time_ns() + round(1e9 * seconds)
    while thread_time_ns() < end:
        pass


def tell(worker: int) -> None:
    print(f"worker {worker} is {os.getpid()}", flush=True)


def once(job: Job) -> None:
    """A loop that knows one epoch only"""
    optimizer = job.workload.optimizer(job.workload.model.parameters())
    for batch in job.stream(job.workload.batches):
        loss = job.workload.loss(job.workload.model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def nested(job: Job) -> None:
    """A loop as users write it, which asks for its stream in each epoch, and validates in none"""
    optimizer = job.workload.optimizer(job.workload.model.parameters())
    for _ in job.epochs():
        for batch in job.stream(job.workload.batches):
            loss = job.workload.loss(job.workload.model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def build(point: Point) -> Workload:
    import torch
    from torch.utils.data import DataLoader, TensorDataset, default_collate

    def after(seconds: float) -> Any:
        def collate(rows: Any) -> Any:
            burn(seconds)
            return default_collate(rows)

        return collate

    rows = torch.randn(ROWS * BATCHES, 4, generator=torch.Generator().manual_seed(1))
    model = torch.nn.Linear(4, 4)

    def loss(trained: torch.nn.Module, batch: Any) -> torch.Tensor:
        return (trained(batch[0]) - batch[0]).square().mean()

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1)

    def lightning() -> Any:
        from lightning.pytorch import LightningModule

        class Module(LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def training_step(self, batch: Any, index: int) -> torch.Tensor:
                return loss(self.model, batch)

            def validation_step(self, batch: Any, index: int) -> torch.Tensor:
                return loss(self.model, batch)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return optimizer(self.parameters())

        return Module()

    burnt = BURNT / VALIDATION if point["validation"] == "burnt" else 0.0
    validation = DataLoader(TensorDataset(rows[: VALIDATION * ROWS]), batch_size=ROWS, collate_fn=after(burnt))
    workers = int(point["num_workers"])
    return Workload(
        model=model,
        loss=loss,
        optimizer=optimizer,
        batches=DataLoader(
            TensorDataset(rows),
            batch_size=ROWS,
            collate_fn=after(FETCH),
            num_workers=workers,
            persistent_workers=bool(point["persistent_workers"]),
            worker_init_fn=tell if workers else None,
        ),
        samples=ROWS,
        lightning=lightning,
        validation=None if point["validation"] == "none" else validation,
    )


suite = Suite(
    name="ended",
    title="epochs that the loops end, with a validation of known cost",
    axes={
        "validation": ("quick", "burnt", "none"),
        "loop": ("plain",),
        "num_workers": (0,),
        "persistent_workers": (False,),
    },
    compare="validation",
    baseline="quick",
    choices={"validation": ("quick", "burnt", "none")},
    epochs="real",
    loops={"once": once, "nested": nested},
    build=build,
)
