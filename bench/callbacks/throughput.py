"""Samples and steps a second, in windows and overall, without waiting for the device at every batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.axes.accelerators.base import Accelerator
from bench.axes.loops.batch_tree import batch_size
from bench.callbacks.callback_list import accelerator_of
from bench.errors import SpecError
from bench.results.record import Metric


@dataclass(frozen=True)
class Window:
    """Some consecutive batches of this rank.

    Attributes:
        steps: batches in it, each a forward and a backward pass; not optimizer updates.
        samples: as the batches themselves say.
        seconds: edge to edge with the device drained, fetching included, validation left out.
        warmup: whether it is the first one, which has compilation, allocation and the loader's start in it.
    """

    steps: int
    samples: int
    seconds: float
    warmup: bool


class Throughput(Callback):
    """Samples/s and steps/s over windows of `window` batches and over all windows but the first.

    The clock starts at `on_train_start` and each window ends at the `on_train_batch_end` of its last batch. Only there,
    at the ends of epochs and around validation does it wait for the device, and on the CPU nowhere. What lies between
    epochs (a loader's restart, a checkpoint) is in the window that it falls into.

    Args:
        window: batches in a window, 1 or more.
        batch_size: samples in one batch; the default takes the length of its first tensor.

    Raises:
        SpecError: `window` is below 1.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("samples_per_second", "samples/s", "higher", "this rank's samples over all windows but the first"),
        Metric("steps_per_second", "steps/s", "higher", "this rank's batches over all windows but the first"),
        Metric("samples_per_second_window", "samples/s", "higher", "the last full window after the first, this rank"),
        Metric("steps_per_second_window", "steps/s", "higher", "the last full window after the first, this rank"),
        Metric("samples_per_second_warmup", "samples/s", "higher", "the first window, this rank; kept apart"),
        Metric("steps_per_second_warmup", "steps/s", "higher", "the first window, this rank; kept apart"),
        Metric("samples_per_second_global", "samples/s", "higher", "all ranks' samples_per_second, gathered, added"),
    )

    def __init__(self, window: int = 50, *, batch_size: Callable[[Any], int] = batch_size) -> None:
        if window < 1:
            raise SpecError(f"Throughput: window is {window!r}; allowed: 1 or more batches")
        self.window = window
        self._batch_size = batch_size
        self._device: Accelerator | None = None
        self._begin()

    def _begin(self) -> None:
        self._windows: list[Window] = []
        self._steps = self._samples = 0
        self._seconds = 0.0  # of the open window, up to its last pause
        self._since: float | None = None  # None: paused, or not training
        self._last = 0.0  # when the last batch was done, as far as it is known without waiting
        self._global: float | None = None

    @property
    def windows(self) -> tuple[Window, ...]:
        """All closed windows in order of time; the first is the warm-up, the last may be shorter than the others."""
        return tuple(self._windows)

    @property
    def metrics(self) -> dict[str, float]:
        """Values by name, those of `METRICS` that were measured. A run of one window has only those of the warm-up."""
        values: dict[str, float] = {}
        steps, samples, seconds = self._totals()
        if seconds > 0:
            values["samples_per_second"] = samples / seconds
            values["steps_per_second"] = steps / seconds
        full = [window for window in self._windows if window.steps == self.window and not window.warmup]
        if full:
            values["samples_per_second_window"] = full[-1].samples / full[-1].seconds
            values["steps_per_second_window"] = full[-1].steps / full[-1].seconds
        if self._windows:
            values["samples_per_second_warmup"] = self._windows[0].samples / self._windows[0].seconds
            values["steps_per_second_warmup"] = self._windows[0].steps / self._windows[0].seconds
        if self._global is not None:
            values["samples_per_second_global"] = self._global
        return values

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()
        self._device = accelerator_of(pl_module)
        self._since = self._last = self._now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._steps += 1
        self._samples += self._batch_size(batch)
        if self._steps < self.window:
            self._last = perf_counter()
            return
        self._last = self._now()
        self._close()
        for logger in trainer.loggers:
            logger.log_metrics(self.metrics, step=trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._since is not None:  # None during the sanity check
            self._seconds += self._now() - self._since
            self._since = None
            self._last = 0.0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and self._device is not None:
            self._since = self._now()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The last batch of all is known as such only when training has ended, and by then checkpoints may have been
        # written; so where the device runs ahead, its work is waited for here, once an epoch.
        if self._device is not None and self._device.asynchronous and self._since is not None:
            self._last = self._now()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._steps:
            self._close()
        self._since = None
        self._global = self._gather(trainer, pl_module)

    def _now(self) -> float:
        if self._device is not None and self._device.asynchronous:
            self._device.synchronize()
        return perf_counter()

    def _close(self) -> None:
        # A pause since the last batch has booked all of its time already.
        running = 0.0 if self._since is None else max(0.0, self._last - self._since)
        seconds = self._seconds + running
        self._windows.append(Window(self._steps, self._samples, seconds, warmup=not self._windows))
        self._steps = self._samples = 0
        self._seconds = 0.0
        if self._since is not None:
            self._since = self._last

    def _totals(self) -> tuple[int, int, float]:
        counted = [window for window in self._windows if not window.warmup]
        return (
            sum(window.steps for window in counted),
            sum(window.samples for window in counted),
            sum(window.seconds for window in counted),
        )

    def _gather(self, trainer: Trainer, pl_module: LightningModule) -> float | None:
        """The sum over ranks, each rank's own figure, from one all_gather; None if a rank has none to give."""
        import torch
        from torch import distributed

        _, samples, seconds = self._totals()
        own = samples / seconds if seconds > 0 else 0.0
        if not (distributed.is_available() and distributed.is_initialized()):
            return own if own and trainer.world_size == 1 else None
        # float32, since MPS has no float64; 1e-7 of a throughput is nothing.
        mine = torch.tensor([own], dtype=torch.float32, device=pl_module.device)
        every = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
        distributed.all_gather(every, mine)
        rates = [float(rate) for rate in torch.cat(every).tolist()]
        return sum(rates) if min(rates) > 0 else None
