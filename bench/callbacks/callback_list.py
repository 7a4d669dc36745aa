"""The same callbacks in a loop that somebody wrote: hooks by Lightning's names, with a light stand-in for the Trainer.

    hooks = CallbackList([Throughput(), Phases()], model, [optimizer])
    with hooks:
        for index, batch in enumerate(hooks.batches(loader)):
            with hooks.transfer():
                inputs, targets = (part.to(device, non_blocking=True) for part in batch)
            hooks.on_train_batch_start(batch, index)
            loss = loss_function(model(inputs), targets)
            hooks.on_before_zero_grad(optimizer)
            optimizer.zero_grad()
            hooks.on_before_backward(loss)
            loss.backward()
            hooks.on_after_backward()
            hooks.on_before_optimizer_step(optimizer)
            optimizer.step()
            hooks.on_train_batch_end(loss, batch, index)

A hook that raises stops the loop, as it does in a Trainer. Order of the hooks: lightning 2.6.6, one step with automatic
optimization. A loop that zeroes gradients before its forward pass calls `on_before_zero_grad` before
`on_train_batch_start`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import PassThroughProfiler, Profiler

from bench.axes.accelerators import accelerator_of_type
from bench.axes.accelerators.base import Accelerator
from bench.results.record import Metric

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")

# What Trainer's training loop calls its profiler with (lightning 2.6.6, loops/training_epoch_loop.py:254 and
# trainer/call.py:328); the only sign of the fetch and of the transfer, since no callback hook is called there.
FETCH = ".train_dataloader_next"
TRANSFER = ".batch_to_device"


class MeasuringCallback(Protocol):
    """What the callbacks of this package have in common beside Lightning's hooks.

    `METRICS` declares every name with unit and direction; `metrics` has the values of those that were measured.
    """

    METRICS: ClassVar[tuple[Metric, ...]]

    @property
    def metrics(self) -> dict[str, float]: ...


def accelerator_of(pl_module: LightningModule) -> Accelerator:
    """The accelerator that the module's parameters are on.

    Raises:
        SpecError: a device type that this program does not know.
    """
    return accelerator_of_type(str(pl_module.device.type))


@dataclass
class StandInTrainer:
    """What the callbacks of this package ask of a Trainer; other callbacks may ask for more and then fail."""

    optimizers: list[torch.optim.Optimizer]
    loggers: list[Logger]
    profiler: Profiler = field(default_factory=PassThroughProfiler)
    global_step: int = 0
    sanity_checking: bool = False
    world_size: int = 1


@dataclass(frozen=True)
class StandInModule:
    """What the callbacks of this package ask of a LightningModule."""

    device: torch.device


class CallbackList:
    """Calls the hooks of `callbacks` for a plain or Fabric loop. As a context it starts and ends training as well.

    Args:
        callbacks: in the order in which each hook is called.
        model: its first parameter says which device is waited for.
        optimizers: those whose `step` ends the phase `optimizer`.
        loggers: get what callbacks log; none by default.
        device: what the callbacks take for the module's device; by default that of the model's first parameter.
    """

    def __init__(
        self,
        callbacks: Sequence[Callback],
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        loggers: Sequence[Logger] = (),
        *,
        device: torch.device | None = None,
    ) -> None:
        self.callbacks = tuple(callbacks)
        self._state = StandInTrainer(list(optimizers), list(loggers))
        # Callbacks are typed for the real ones, which take a second to build and bring connectors, loops and signals.
        self._trainer = cast(Trainer, self._state)
        self._module = cast(LightningModule, StandInModule(device or next(model.parameters()).device))
        self._begun = False

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that the callbacks find; one may be added until `on_train_start`."""
        return self._state.optimizers

    def attach(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Pass a real Trainer and module from now on; their hooks are called in the places where theirs are."""
        self._trainer, self._module = trainer, pl_module

    def __enter__(self) -> CallbackList:
        self.on_train_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.on_train_end()
        else:
            for callback in self.callbacks:
                callback.on_exception(self._trainer, self._module, error)

    def batches(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """The loader's batches, one epoch, with each fetch announced to the profiler as Trainer does it."""
        iterator = iter(loader)
        while True:
            with self.fetch():
                try:
                    batch = next(iterator)
                except StopIteration:
                    break
            yield batch
        self.on_train_epoch_end()

    def fetch(self) -> AbstractContextManager[None]:
        """Around the pull of a batch from the loader."""
        return self._announced(FETCH)

    def transfer(self) -> AbstractContextManager[None]:
        """Around the copy of a batch to the device."""
        return self._announced(TRANSFER)

    @contextmanager
    def _announced(self, action: str) -> Iterator[None]:
        with self._state.profiler.profile(f"[CallbackList]{action}"):
            yield

    def on_fit_start(self) -> None:
        """Before anything is put on the device; called by `on_train_start` if nobody did."""
        self._begun = True
        for callback in self.callbacks:
            callback.on_fit_start(self._trainer, self._module)

    def on_train_start(self) -> None:
        """Training begins."""
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            self._state.world_size = distributed.get_world_size()
        if not self._begun:
            self.on_fit_start()
        for callback in self.callbacks:
            callback.on_train_start(self._trainer, self._module)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """The batch is on the device; the forward pass follows."""
        for callback in self.callbacks:
            callback.on_train_batch_start(self._trainer, self._module, batch, batch_idx)

    def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        """The forward pass is over; gradients are zeroed next."""
        for callback in self.callbacks:
            callback.on_before_zero_grad(self._trainer, self._module, optimizer)

    def on_before_backward(self, loss: torch.Tensor) -> None:
        """The backward pass follows."""
        for callback in self.callbacks:
            callback.on_before_backward(self._trainer, self._module, loss)

    def on_after_backward(self) -> None:
        """The backward pass is over."""
        for callback in self.callbacks:
            callback.on_after_backward(self._trainer, self._module)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clipping and the update follow."""
        for callback in self.callbacks:
            callback.on_before_optimizer_step(self._trainer, self._module, optimizer)
        self._state.global_step += 1

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The step is over."""
        for callback in self.callbacks:
            callback.on_train_batch_end(self._trainer, self._module, outputs, batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        """The loader has no more batches."""
        for callback in self.callbacks:
            callback.on_train_epoch_end(self._trainer, self._module)

    def on_train_end(self) -> None:
        """End: `on_train_end`, where callbacks gather over ranks and give back what they hold."""
        for callback in self.callbacks:
            callback.on_train_end(self._trainer, self._module)
