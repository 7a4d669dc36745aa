"""Peaks of memory: of the device's allocator, of this process, of its loader workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.axes.accelerators.base import Accelerator
from bench.callbacks.callback_list import accelerator_of
from bench.errors import SpecError
from bench.machine.memory import forget_peak, peak_resident, resident
from bench.results.record import Metric


class PeakMemory(Callback):
    """Bytes at their largest between `on_fit_start` and `on_train_end`.

    The device's peaks and this process's are the allocator's and the kernel's own, so that none is missed; both are
    begun anew at `on_fit_start`, for all in this process that read them (Linux: proc(5), clear_refs 5). Elsewhere than
    on Linux, where the kernel's peak cannot be begun anew, growth that stays below an earlier peak is not seen. Linux
    keeps a process's peak by counters that lag some pages a core: memory that came and went was seen up to 0.3 MiB too
    small (Linux 6.18, 2 cores); memory that is still held is exact.
    Loader workers are only sampled, every `every` batches: what a worker holds between two samples is not seen.

    Args:
        every: batches from one look at the workers to the next, 1 or more.

    Raises:
        SpecError: `every` is below 1.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("peak_memory_device", "bytes", "lower", "most that tensors held on the device"),
        Metric("peak_memory_device_reserved", "bytes", "lower", "most that the device's allocator held, used or not"),
        Metric("peak_memory_host_growth", "bytes", "lower", "largest resident set over that at the start"),
        Metric("peak_memory_workers", "bytes", "lower", "resident sets of all child processes, largest sum sampled"),
        Metric("peak_memory_host_all", "bytes", "lower", "host growth and workers together, each at its own largest"),
    )

    def __init__(self, every: int = 20) -> None:
        if every < 1:
            raise SpecError(f"PeakMemory: every is {every!r}; allowed: 1 or more batches")
        self.every = every
        self._device: Accelerator | None = None
        self._batches = 0
        self._start = 0
        self._workers = 0
        self._metrics: dict[str, float] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """Bytes by name as last looked at; those of the device only where it has memory of its own."""
        return dict(self._metrics)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._device = accelerator_of(pl_module)
        self._batches = self._workers = 0
        self._metrics = {}
        self._device.reset_peak_memory()
        forget_peak()
        self._start = resident()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._batches % self.every == 0:
            self._workers = max(self._workers, children_resident())
            self._read()
        self._batches += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._read()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._device is not None:  # None: it was raised before training began
            self._read()  # out of memory is when the peaks are wanted most

    def _read(self) -> None:
        growth = max(0, peak_resident() - self._start)
        values = {
            **({} if self._device is None else self._device.peak_memory()),
            "peak_memory_host_growth": growth,
            "peak_memory_workers": self._workers,
            "peak_memory_host_all": growth + self._workers,
        }
        self._metrics = {name: float(value) for name, value in values.items()}


def children_resident(process: str = "self") -> int:
    """Bytes resident in all descendants of a process now; pages that several share count in each. 0 without /proc."""
    total = 0
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = listing.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread, or its process, has ended since it was listed
        for child in children:
            total += _resident(child) + children_resident(child)
    return total


def _resident(process: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
