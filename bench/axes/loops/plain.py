"""The loop of the PyTorch tutorials, and its mixed-precision sister. Its process has not imported lightning, which
patches torch.compile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.axes.loops import register
from bench.axes.loops.epoch import end_of_epoch, every_epoch
from bench.axes.loops.plain_xla import lazy
from bench.axes.loops.training import (
    Scaling,
    TrainingStep,
    is_tutorial,
    need_sides,
    optimizers_of,
    schedulers_of,
    train_steps,
)
from bench.axes.precision import PRECISIONS

if TYPE_CHECKING:
    import torch

    from bench.axes.loops.job import Job


@register("plain", preload=("torch",))
def plain(job: Job) -> None:
    """Plain PyTorch: forward, loss, zero_grad, backward, step"""
    if job.device.type == "xla":
        return lazy(job)
    if PRECISIONS[job.precision].autocast:
        return mixed_precision(job)
    workload = job.workload
    need_sides(workload)
    model = wrapped_model(workload.model.to(job.device, PRECISIONS[job.precision].dtype()), job)
    optimizers = optimizers_of(workload, model.parameters())
    schedulers = schedulers_of(workload, optimizers)
    model.train()
    end = end_of_epoch(job, model, optimizers)
    if not is_tutorial(workload, optimizers, schedulers):
        training = TrainingStep(model, workload.model, optimizers, schedulers, lambda loss: loss.backward())
        return train_steps(job, training, every_epoch(job, workload.batches, end), move=job.to_device)
    (optimizer,) = optimizers
    for batch in every_epoch(job, workload.batches, end):
        loss = workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def mixed_precision(job: Job) -> None:
    """The same with autocast around forward and loss, and in float16 with a scaler (torch's AMP recipe).

    Nobody who trains in bfloat16 scales the loss, so there the scaler is off, and costs what an `if` costs.
    """
    import torch

    workload, precision, kind = job.workload, PRECISIONS[job.precision], job.device.type
    need_sides(workload)
    model = wrapped_model(workload.model.to(job.device), job)
    optimizers = optimizers_of(workload, model.parameters())
    schedulers = schedulers_of(workload, optimizers)
    scaler = torch.amp.GradScaler(kind, enabled=precision.scaled)
    autocast = partial(torch.autocast, kind, precision.autocast_dtype())
    model.train()
    end = end_of_epoch(job, model, optimizers, autocast)
    if not is_tutorial(workload, optimizers, schedulers):
        scaling = Scaling(scaler)
        scaled = [scaling.scaled(own) for own in optimizers]
        training = TrainingStep(model, workload.model, scaled, schedulers, scaling.backward)
        return train_steps(
            job,
            training,
            every_epoch(job, workload.batches, end),
            move=job.to_device,
            context=autocast,
            cut=scaling.update,
        )
    (optimizer,) = optimizers
    for batch in every_epoch(job, workload.batches, end):
        with autocast():
            loss = workload.loss(model, job.to_device(batch))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


def wrapped_model(model: torch.nn.Module, job: Job) -> torch.nn.Module:
    """The model for all ranks, then compiled: torch's tutorials compile outside of DistributedDataParallel, so that
    gradients of one part of the graph are exchanged while those of the next are computed."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    if job.strategy != "single_device":
        distributed.init_process_group(distributed.get_default_backend_for_device(job.device))
    if job.strategy == "ddp":
        model = DistributedDataParallel(model, device_ids=[job.device] if job.device.type == "cuda" else None)
    elif job.strategy == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        fully_shard(model, mesh=init_device_mesh(job.device.type, (distributed.get_world_size(),)))
    whole: torch.nn.Module = job.compiled(model)
    return whole
