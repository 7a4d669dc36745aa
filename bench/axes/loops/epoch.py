"""What loops do where a turn is one of their own epochs (`Suite(epochs="real")`): validate, save, begin the next.

Elsewhere the stream is one epoch that does not end, and a loop pays nothing for what stands here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from lightning.fabric import Fabric
    from lightning.pytorch import Trainer

    from bench.axes.loops.job import Job

CHECKPOINT = "last.pt"  # in the folder that the arm works in: the last epoch's, as Trainer keeps one by default


def every_epoch(job: Job, loader: Any, end: Callable[[], object]) -> Iterable[Any]:
    """The batches of epoch after epoch, with `end` called after each; iterated once, with a step for each batch."""
    stream = job.stream(loader)
    return _epochs(job, stream, end) if job.real_epochs else stream


def _epochs(job: Job, stream: Iterable[Any], end: Callable[[], object]) -> Iterator[Any]:
    for _ in job.epochs():
        yield from stream
        if not job.ending.over:
            end()


def end_of_epoch(
    job: Job,
    model: torch.nn.Module,
    optimizers: Sequence[Any],
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    fabric: Fabric | None = None,
) -> Callable[[], float | None]:
    """What users write after an epoch's batches, as a function: it gives the mean loss of the validation batches.

    Validation as in torch's tutorials: in eval mode, without gradients, where the workload has batches and a loss for
    it. Then a checkpoint of model and optimizers.

    Args:
        model: as it is trained, wrapped and compiled.
        autocast: is around each forward pass.
        fabric: that moves batches and saves; None: the job and torch do.
    """
    if not job.real_epochs:
        return lambda: None
    from torch.utils.data import DataLoader

    batches = job.workload.validation
    move: Callable[[Any], Any] = job.to_device if fabric is None else fabric.to_device
    if fabric is not None and isinstance(batches, DataLoader):
        batches = fabric.setup_dataloaders(batches)
    job.note({"checkpoint": "torch.save" if fabric is None else "fabric.save"})

    def end() -> float | None:
        loss = mean_loss(job, model, batches, move, autocast)
        if fabric is not None:
            fabric.save(CHECKPOINT, {"model": model, **named(optimizers)})
        else:
            save(job, model, optimizers)
        return loss

    return end


def mean_loss(
    job: Job,
    model: torch.nn.Module,
    batches: Iterable[Any] | None,
    move: Callable[[Any], Any],
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> float | None:
    """The mean loss of validation batches, in eval mode; None where there are none, or the workload has no loss."""
    import torch

    if batches is None or job.workload.loss is None:
        return None
    losses = []
    model.eval()
    with torch.no_grad():
        for batch in batches:
            with autocast():
                losses.append(job.workload.loss(model, move(batch)))
    model.train()
    return torch.stack(losses).mean().item() if losses else None


def named(optimizers: Sequence[Any]) -> dict[str, Any]:
    """Optimizers, or their states, by their names in a checkpoint."""
    if len(optimizers) == 1:
        return {"optimizer": optimizers[0]}
    return {f"optimizer_{index}": optimizer for index, optimizer in enumerate(optimizers)}


def save(job: Job, model: torch.nn.Module, optimizers: Sequence[Any]) -> None:
    """Model and optimizers into CHECKPOINT, by rank 0 alone; what is sharded is put together first, by all ranks."""
    import torch

    if job.strategy == "fsdp":
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            get_model_state_dict,
            get_optimizer_state_dict,
        )

        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_model_state_dict(model, options=whole)
        states = [get_optimizer_state_dict(model, one, options=whole) for one in optimizers]
    else:
        state = getattr(model, "module", model).state_dict()
        states = [one.state_dict() for one in optimizers]
    if os.environ.get("RANK", "0") == "0":
        torch.save({"model": state, **named(states)}, CHECKPOINT)


def trainers_validation(job: Job) -> Any:
    """The validation batches for a Trainer; none where the module that is made of the workload has no loss for them."""
    workload = job.workload
    return None if workload.loss is None and workload.lightning is None else workload.validation


def epochs_of_trainer(job: Job, trainer: Trainer) -> None:
    """Let a Trainer without a last epoch end with the stream; it would go on over epochs without a batch."""

    def stop() -> None:
        trainer.should_stop = True

    job.ending.calls.append(stop)
