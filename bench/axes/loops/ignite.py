"""PyTorch Ignite, as its documentation writes an engine. An extra: `pip install loopmark[loops]`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.epoch import end_of_epoch
from bench.axes.loops.plain import wrapped_model
from bench.axes.loops.training import (
    Scaling,
    TrainingStep,
    is_tutorial,
    need_sides,
    optimizers_of,
    schedulers_of,
    training_step,
)
from bench.axes.precision import PRECISIONS
from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch
    from ignite.engine import Engine

    from bench.axes.loops.job import Job

MANY_EPOCHS = 2**31 - 1  # the stream ends before


@register("ignite", preload=("torch", "ignite"))
def ignite(job: Job) -> None:
    """PyTorch Ignite: an Engine around the user's update function"""
    from ignite.engine import Engine, Events

    if job.device.type == "xla":
        raise Unsupported("the loop 'ignite' is written for the CPU, CUDA and MPS")
    workload, precision = job.workload, PRECISIONS[job.precision]
    need_sides(workload)
    model = wrapped_model(workload.model.to(job.device, precision.dtype()), job)
    optimizers = optimizers_of(workload, model.parameters())
    engine = Engine(update_function(job, model, optimizers))
    end = end_of_epoch(job, model, optimizers, autocast_of(job))

    def epoch_completed() -> None:
        if not job.ending.over:
            end()

    engine.add_event_handler(Events.EPOCH_COMPLETED, epoch_completed)
    # Where the data give no more, an engine begins with them once more, unless it has been told to end.
    job.ending.calls.append(engine.terminate)
    engine.run(job.stream(workload.batches), max_epochs=MANY_EPOCHS if job.real_epochs else 1)


def autocast_of(job: Job) -> Any:
    """What makes the context of a forward pass."""
    import torch

    precision = PRECISIONS[job.precision]
    kind = job.device.type
    return partial(torch.autocast, kind, precision.autocast_dtype(), enabled=bool(precision.autocast))


def update_function(job: Job, model: Any, optimizers: list[torch.optim.Optimizer]) -> Callable[[Engine, Any], Any]:
    """What an Engine is made of: one step, which gives the loss as a number, as `create_supervised_trainer` does."""
    import torch

    workload, precision = job.workload, PRECISIONS[job.precision]
    schedulers = schedulers_of(workload, optimizers)
    scaler = torch.amp.GradScaler(job.device.type, enabled=precision.scaled)
    autocast = autocast_of(job)
    if not is_tutorial(workload, optimizers, schedulers):
        scaling = Scaling(scaler)
        stepping = [scaling.scaled(own) for own in optimizers] if precision.scaled else optimizers
        training = TrainingStep(model, workload.model, stepping, schedulers, scaling.backward)

        def own_update(engine: Engine, batch: Any) -> Any:
            model.train()
            with autocast():
                loss = training_step(workload, training, job.to_device(batch))
            scaling.update()
            return loss.item() if isinstance(loss, torch.Tensor) else loss

        return own_update
    (optimizer,) = optimizers

    def mixed_update(engine: Engine, batch: Any) -> float:
        model.train()
        optimizer.zero_grad()
        with autocast():
            loss = workload.loss(model, job.to_device(batch))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    def update(engine: Engine, batch: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = workload.loss(model, job.to_device(batch))
        loss.backward()
        optimizer.step()
        return loss.item()

    return mixed_update if precision.autocast else update
