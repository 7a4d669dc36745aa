"""All that a loop function gets. Torch is imported in methods only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.axes.loops.batches import Stream

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import Callback

    from bench.axes.loops.workload import Workload


@dataclass(frozen=True)
class Job:
    """All that a loop function gets.

    Attributes:
        workload: model, loss, optimizer, batches.
        stream: `stream(loader)` is what the loop iterates, one pull a step.
        device: for loops that move things themselves.
        accelerator, precision, devices: as Lightning spells them.
        dtype: of the weights.
        note: takes settings that only the loop can see, for the record's effective settings.
        strategy: `single_device`, `ddp` or `fsdp`; where it is not the first, RANK and the like are set as by torchrun.
        compile: torch's name of a compile mode, or `off`.
        callbacks: for a Trainer's `callbacks=`; none in a launch that is timed.
        trainer: a Trainer's arguments besides, from the axis `trainer`, its callbacks and loggers made.
    """

    workload: Workload
    stream: Callable[[Any], Stream]
    device: torch.device
    accelerator: str
    precision: Any
    devices: int
    dtype: torch.dtype
    note: Callable[[Mapping[str, Any]], None]
    strategy: str = "single_device"
    compile: str = "off"
    callbacks: tuple[Callback, ...] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)

    def compiled(self, model: Any) -> Any:
        """The model as torch.compile gives it in the mode that was asked for, or as it is."""
        import torch

        return model if self.compile == "off" else torch.compile(model, mode=self.compile)

    def to_device(self, batch: Any) -> Any:
        """The batch with its tensors on the device, moved without waiting, and numbers in the dtype of the weights."""
        import torch

        if isinstance(batch, torch.Tensor):
            if self.dtype is not torch.float32 and batch.is_floating_point():
                return batch.to(self.device, self.dtype, non_blocking=True)
            return batch.to(self.device, non_blocking=True)
        if isinstance(batch, tuple | list):
            return type(batch)(self.to_device(part) for part in batch)
        if isinstance(batch, Mapping):
            return {key: self.to_device(part) for key, part in batch.items()}
        return batch
