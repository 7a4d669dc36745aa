"""Lightning Fabric, as its documentation writes the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.epoch import end_of_epoch, every_epoch
from bench.axes.loops.training import TrainingStep, is_tutorial, need_sides, optimizers_of, schedulers_of, train_steps
from bench.errors import Unsupported

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from bench.axes.loops.job import Job


@register("fabric", preload=("torch", "lightning"))
def fabric(job: Job) -> None:
    """Lightning Fabric: setup, fabric.backward, the user's own loop"""
    from lightning.fabric import Fabric

    workload = job.workload
    need_sides(workload)
    # Lightning knows no name for one device without a strategy but `auto`.
    strategy = "auto" if job.strategy == "single_device" else job.strategy
    fabric = Fabric(
        accelerator=job.accelerator,
        devices=job.devices,
        num_nodes=job.num_nodes,
        precision=job.precision,
        strategy=strategy,
    )
    fabric.launch()
    if job.device.type == "xla":
        # A move to XLA makes new parameters. Fabric hands them to the optimizer for several XLA devices and forgets to
        # for one (2.6.6, fabric.py:1152): the optimizer would keep those of the CPU, and nothing would train.
        fabric.to_device(workload.model)
        job.note({"graph_cut": "xm.optimizer_step(barrier=True), by Fabric's XLAPrecision"})
    # Fabric takes a compiled model apart and compiles it again, around what its strategy wraps it in.
    compiled = job.compiled(workload.model)
    optimizers = optimizers_of(workload, workload.model.parameters())
    schedulers = schedulers_of(workload, optimizers)
    model, *optimizers = fabric.setup(compiled, *optimizers)
    model.train()
    batches = fabric.setup_dataloaders(dataloader(workload.batches))
    end = end_of_epoch(job, model, optimizers, fabric=fabric)
    if not is_tutorial(workload, optimizers, schedulers):
        training = TrainingStep(model, workload.model, optimizers, schedulers, fabric.backward)
        return train_steps(
            job, training, every_epoch(job, batches, end), move=lambda batch: batch, context=fabric.autocast
        )
    (optimizer,) = optimizers
    for batch in every_epoch(job, batches, end):
        loss = workload.loss(model, batch)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()


def dataloader(batches: Any) -> DataLoader[Any]:
    """The workload's batches, if Fabric can set them up.

    Raises:
        Unsupported: they are no DataLoader; with others `setup_dataloaders` ends in a TypeError (2.6.6).
    """
    from torch.utils.data import DataLoader

    if not isinstance(batches, DataLoader):
        raise Unsupported(
            f"Fabric's setup_dataloaders takes a torch DataLoader only, and the workload's `batches` is a "
            f"{type(batches).__name__}"
        )
    return batches
