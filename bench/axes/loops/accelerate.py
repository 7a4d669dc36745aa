"""Hugging Face Accelerate, as its documentation writes the loop. An extra: `pip install loopmark[loops]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.epoch import every_epoch, mean_loss
from bench.axes.loops.training import TrainingStep, is_tutorial, need_sides, optimizers_of, schedulers_of, train_steps
from bench.axes.precision import PRECISIONS
from bench.errors import Unsupported

if TYPE_CHECKING:
    from accelerate import Accelerator

    from bench.axes.loops.job import Job

CHECKPOINT_FOLDER = "last"


@register("accelerate", preload=("torch", "accelerate"))
def accelerate(job: Job) -> None:
    """Hugging Face Accelerate: prepare, accelerator.backward, the user's own loop"""
    workload = job.workload
    need_sides(workload)
    accelerator = made_accelerator(job)
    own = workload.model.to(job.device, PRECISIONS[job.precision].dtype())
    optimizers: list[Any] = optimizers_of(workload, own.parameters())
    schedulers = schedulers_of(workload, optimizers)
    model, *optimizers = accelerator.prepare(own, *optimizers)
    if accelerator.num_processes == 1:
        # Of several ranks, a prepared scheduler takes a step for each of them, so that its length is that of one.
        schedulers = [accelerator.prepare(scheduler) for scheduler in schedulers]
    batches, move = prepared_batches(job, accelerator)
    model.train()
    end = end_of_epoch_with(job, accelerator, model)
    if not is_tutorial(workload, optimizers, schedulers):
        training = TrainingStep(model, workload.model, optimizers, schedulers, accelerator.backward)
        return train_steps(job, training, every_epoch(job, batches, end), move=move, context=accelerator.autocast)
    (optimizer,) = optimizers
    for batch in every_epoch(job, batches, end):
        loss = workload.loss(model, move(batch))
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()


def made_accelerator(job: Job) -> Accelerator:
    """An Accelerator for the cell; of several ranks it finds torchrun's variables.

    Raises:
        Unsupported: it is asked for what it does not do, or what this loop does not ask it for.
    """
    from accelerate import Accelerator
    from accelerate.utils import TorchDynamoPlugin

    if job.device.type == "xla":
        raise Unsupported("the loop 'accelerate' is written for the CPU, CUDA and MPS")
    if job.strategy == "fsdp":
        raise Unsupported("Accelerate shards by a plugin with settings of its own; allowed: single_device, ddp")
    mixed = precision_for_accelerate(job, "Accelerate")
    compiled = {} if job.compile == "off" else {"dynamo_plugin": TorchDynamoPlugin("inductor", mode=job.compile)}
    return Accelerator(cpu=job.device.type == "cpu", mixed_precision=mixed, **compiled)


def precision_for_accelerate(job: Job, who: str) -> str:
    """A cell's precision in Accelerate's words; weights of another dtype are the loop's to make.

    Raises:
        Unsupported: 16-mixed on the CPU.
    """
    precision = PRECISIONS[job.precision]
    if precision.scaled and job.device.type == "cpu":
        raise Unsupported(f"{who} trains in {job.precision} on a GPU only (accelerate/accelerator.py, 1.15)")
    return {"": "no", "bfloat16": "bf16", "float16": "fp16"}[precision.autocast]


def prepared_batches(job: Job, accelerator: Accelerator) -> tuple[Any, Callable[[Any], Any]]:
    """The workload's batches as Accelerate prepares a DataLoader, and what the loop moves a batch with.

    What is no DataLoader Accelerate leaves as it is. So does this loop with one that gives a rank its share already:
    it would be shared out once more.
    """
    from torch.utils.data import DataLoader, DistributedSampler

    batches = job.workload.batches
    shared = accelerator.num_processes > 1 and isinstance(getattr(batches, "sampler", None), DistributedSampler)
    if not isinstance(batches, DataLoader) or shared:
        return batches, job.to_device
    ours = PRECISIONS[job.precision].weights == "float32"  # Accelerate moves, and does not cast
    return accelerator.prepare(batches), (lambda batch: batch) if ours else job.to_device


def end_of_epoch_with(job: Job, accelerator: Accelerator, model: Any) -> Callable[[], object]:
    """Validation, and a checkpoint by Accelerate."""
    if not job.real_epochs:
        return lambda: None
    job.note({"checkpoint": "accelerator.save_state"})

    def end() -> None:
        mean_loss(job, model, job.workload.validation, job.to_device)
        accelerator.save_state(CHECKPOINT_FOLDER)

    return end
