"""All that a loop function gets. Torch is imported in methods only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.axes.loops.batch_tree import moved
from bench.axes.loops.batches import Stream, StreamEnding

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
        accelerator, precision, devices, num_nodes: as Lightning spells them; `devices` is of each node.
        dtype: of the weights.
        note: takes settings that only the loop can see, for the record's effective settings.
        strategy: `single_device`, `ddp` or `fsdp`; where it is not the first, RANK and the like are set as by torchrun.
        compile: torch's name of a compile mode, or `off`.
        callbacks: for a Trainer's `callbacks=`; none in a launch that is timed.
        trainer: a Trainer's arguments besides, from the axis `trainer`, its callbacks and loggers made.
        real_epochs: whether the stream ends with each epoch of the loader, and the loop goes on to its next epoch.
        ending: the end of the stream, where the loop is to end for good.
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
    num_nodes: int = 1
    compile: str = "off"
    callbacks: tuple[Callback, ...] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)
    real_epochs: bool = False
    ending: StreamEnding = field(default_factory=StreamEnding)

    def epochs(self) -> Iterator[int]:
        """The loop's epochs, from 0, until the stream is over; a single one where the stream ends with no epoch."""
        for epoch in itertools.count():
            yield epoch
            if not self.real_epochs or self.ending.over:
                return

    def compiled(self, model: Any) -> Any:
        """The model as torch.compile gives it in the mode that was asked for, or as it is."""
        import torch

        return model if self.compile == "off" else torch.compile(model, mode=self.compile)

    def to_device(self, batch: Any) -> Any:
        """The batch with its tensors on the device, moved without waiting, and numbers in the dtype of the weights."""
        import torch

        return moved(batch, self.device, None if self.dtype is torch.float32 else self.dtype)
