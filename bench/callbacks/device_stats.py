"""Statistics of an NVIDIA device while it trains: utilisation, clocks, power, energy, reasons for slow clocks.

Samples are taken at the end of batches, at most twice a second, and not by a thread. A thread would come at any moment
of the step and take the interpreter's lock from the loop, would be there when loader workers are forked, and would be
one more thing that runs on while an arm is held. At the end of a batch the device still has work queued, the cost is
that of a few calls, and with short steps almost no step has one. The price: in long steps all samples are taken at the
same point of the step. Energy is a counter of the driver's, read at the ends only, and needs no samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.axes.accelerators.base import Accelerator
from bench.callbacks.callback_list import accelerator_of
from bench.errors import SpecError
from bench.machine.nvml import REASONS, THROTTLED, NVMLDevice, NVMLError, nvml_driver
from bench.results.record import Metric

SHORTEST = 0.5  # seconds between samples: polling at every 10 ms has been seen to slow training (docs/traps.md, 22)

READERS: dict[str, Callable[[NVMLDevice], float]] = {
    "device_utilization": NVMLDevice.utilization,
    "device_clock": NVMLDevice.clock,
    "device_memory_clock": NVMLDevice.memory_clock,
    "device_power": NVMLDevice.power,
}


class DeviceStats(Callback):
    """Means over samples, and the energy of a step, of this rank's NVIDIA device; on others no values, and `notes`.

    The energy is that between `on_train_start` and `on_train_end`, validation left out, over all steps; the device is
    waited for at these points only. It is the whole device's: whatever else runs on it is in all of the figures.

    Args:
        every: seconds from one sample to the next, 0.5 or more; one is taken at the first batch end after that.
        uuid: of the device, as `nvidia-smi -L` writes it; by default the one that the module is on.
        library: a shared library's name or path, in place of nvidia-ml-py or the driver's own.
        clock: seconds, monotonic.

    Raises:
        SpecError: `every` is below 0.5.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("device_utilization", "1", "higher", "share of time in which at least one kernel ran, mean of samples"),
        Metric("device_clock", "Hz", "higher", "clock of the multiprocessors, mean of samples"),
        Metric("device_memory_clock", "Hz", "higher", "clock of the device's memory, mean of samples"),
        Metric("device_power", "W", "lower", "power of the whole board, mean of samples"),
        Metric("device_throttled", "1", "lower", "share of samples with clocks held down by power or heat"),
        Metric("energy_per_step", "J", "lower", "energy of the whole board over the steps, validation left out"),
    )

    def __init__(
        self,
        every: float = SHORTEST,
        *,
        uuid: str | None = None,
        library: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not every >= SHORTEST:
            raise SpecError(f"DeviceStats: every is {every!r}; allowed: {SHORTEST} or more seconds")
        self.every = every
        self._uuid = uuid
        self._library = library
        self._clock = clock
        self._nvml: NVMLDevice | None = None
        self._begin()

    def _begin(self) -> None:
        self._device: Accelerator | None = None
        self._trained = False
        self._failed: dict[str, str] = {}  # why there is no value, by what was asked for
        self._sums: dict[str, float] = {}
        self._samples: dict[str, int] = {}
        self._reasons: dict[str, int] = {}
        self._next = 0.0
        self._steps = 0
        self._energy = 0.0
        self._energy_since: float | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Values by name, those of `METRICS` that could be read."""
        values = {name: self._sums[name] / count for name, count in self._samples.items()}
        if self._trained and self._steps and "energy_per_step" not in self._failed:
            values["energy_per_step"] = self._energy / self._steps
        return values

    @property
    def reasons(self) -> dict[str, float]:
        """Share of samples in which the driver named this reason for the clocks, `idle` among them."""
        samples = self._samples.get("device_throttled", 0)
        return {name: count / samples for name, count in self._reasons.items()}

    @property
    def samples(self) -> int:
        """How many samples were taken."""
        return max(self._samples.values(), default=0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps values away."""
        notes = [f"{name}: {why}" if name else why for name, why in self._failed.items()]
        if self._trained and "" not in self._failed and not self.samples:
            notes.append(f"no sample: training ended within {self.every:g} s")
        return tuple(notes)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()
        self._begin()
        self._device = accelerator_of(pl_module)
        uuid = self._uuid or uuid_of(pl_module)
        if uuid is None:
            self._failed[""] = f"NVML knows NVIDIA's devices, and this module is on {pl_module.device}"
            return
        try:
            self._nvml = NVMLDevice(uuid, nvml_driver(self._library))
        except NVMLError as error:
            self._failed[""] = str(error)
            return
        self._trained = True
        self._next = self._clock() + self.every
        self._resume()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._nvml is None:
            return
        self._steps += 1
        now = self._clock()
        if now >= self._next:
            self._next = now + self.every
            self._sample(self._nvml)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._resume()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._energy_since is not None:  # the device may be beyond answering, so it is not waited for
            self._failed.setdefault("energy_per_step", "training ended with an exception")
        self._close()

    def _sample(self, nvml: NVMLDevice) -> None:
        for name, read in READERS.items():
            value = self._ask(name, partial(read, nvml))
            if value is not None:
                self._add(name, value)
        bits = self._ask("device_throttled", nvml.reasons)
        if bits is not None:
            self._add("device_throttled", float(bool(int(bits) & THROTTLED)))
            for bit, name in REASONS.items():
                if int(bits) & bit:
                    self._reasons[name] = self._reasons.get(name, 0) + 1

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._samples[name] = self._samples.get(name, 0) + 1

    def _ask(self, name: str, read: Callable[[], float]) -> float | None:
        """The value, or None from the first time on that it could not be read."""
        if name in self._failed:
            return None
        try:
            return read()
        except NVMLError as error:
            self._failed[name] = str(error)
            return None

    def _resume(self) -> None:
        if self._nvml is not None:
            self._wait()
            self._energy_since = self._ask("energy_per_step", self._nvml.energy)

    def _pause(self) -> None:
        if self._nvml is None or self._energy_since is None:
            return
        self._wait()
        energy = self._ask("energy_per_step", self._nvml.energy)
        if energy is not None:
            self._energy += energy - self._energy_since
        self._energy_since = None

    def _wait(self) -> None:
        if self._device is not None and self._device.asynchronous:
            self._device.synchronize()

    def _close(self) -> None:
        if self._nvml is not None:
            nvml, self._nvml = self._nvml, None
            self._energy_since = None
            try:
                nvml.close()
            except NVMLError as error:
                self._failed["nvmlShutdown"] = str(error)


def uuid_of(pl_module: LightningModule) -> str | None:
    """The UUID of the CUDA device that the module is on, or None where it is on another kind of device."""
    if pl_module.device.type != "cuda":
        return None
    import torch

    return str(torch.cuda.get_device_properties(pl_module.device).uuid)
