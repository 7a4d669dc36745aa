"""The plain loop on XLA, where operations are recorded and nothing runs until the graph is cut."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from bench.axes.loops.training import TrainingStep, is_tutorial, need_sides, optimizers_of, schedulers_of, train_steps
from bench.axes.precision import PRECISIONS

if TYPE_CHECKING:
    from bench.axes.loops.job import Job


def lazy(job: Job) -> None:
    """As torch_xla's documentation writes it for one device: `torch_xla.sync()` at the end of each step.

    Source: pytorch/xla, docs/source/learn/pytorch-on-xla-devices.md, "Running on a Single XLA Device".
    """
    import torch
    import torch_xla

    workload, precision = job.workload, PRECISIONS[job.precision]
    need_sides(workload)
    mixed = torch.autocast("xla", precision.autocast_dtype()) if precision.autocast else nullcontext()
    model = workload.model.to(job.device, precision.dtype())
    optimizers = optimizers_of(workload, model.parameters())
    schedulers = schedulers_of(workload, optimizers)
    job.note({"graph_cut": "torch_xla.sync(), by the loop, after optimizer.step()"})
    model.train()
    if not is_tutorial(workload, optimizers, schedulers):
        training = TrainingStep(model, workload.model, optimizers, schedulers, lambda loss: loss.backward())
        return train_steps(
            job, training, job.stream(workload.batches), move=job.to_device, context=lambda: mixed, cut=torch_xla.sync
        )
    (optimizer,) = optimizers
    for batch in job.stream(workload.batches):
        with mixed:
            loss = workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch_xla.sync()
