"""Meters of devices and processors, each behind one reading: clock, power, energy, and why clocks are held down.

Who reads them decides when: a reading takes from some microseconds to some milliseconds, and polled all the time a
meter is the harness itself (docs/traps.md, 22). No torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.machine.nvml import LOST, NVMLDevice, NVMLError

Clock = Callable[[], float]
POWERCAP = Path("/sys/class/powercap")
XID_PAGE = "docs.nvidia.com/deploy/xid-errors"


class MeterError(Exception):
    """There is no meter, and why."""


@dataclass(frozen=True)
class MeterReading:
    """What a meter said, None where it has no word for it.

    Attributes:
        at: seconds of a monotonic clock, in the middle of the reading.
        took: seconds that it took.
        clock: Hz of the multiprocessors.
        power: watts.
        energy: joules since some beginning.
        reasons: bits of `nvml.REASONS`.
    """

    at: float
    took: float
    clock: float | None = None
    power: float | None = None
    energy: float | None = None
    reasons: int | None = None


class Meter(Protocol):
    """What can be read of a device.

    Attributes:
        kind: `nvml` or `rapl`.
        failed: why a quantity is not told, by its name; it is not asked for again.
        lost: what the driver says of a device that is gone; "" while it is there.
    """

    kind: str
    failed: dict[str, str]
    lost: str

    def read(self) -> MeterReading: ...

    def faults(self) -> list[str]:
        """Faults of the device that the driver has told of since it was asked last, in its words."""

    def close(self) -> None: ...


def open_meter(address: str, clock: Clock = time.perf_counter, driver: Any = None) -> Meter:
    """The meter of an address as `Accelerator.meter` gives it: `nvml:UUID` or `rapl:`.

    Args:
        driver: what NVML is asked through; None: `nvml_driver`'s.

    Raises:
        MeterError: it cannot be read here.
    """
    kind, _, which = address.partition(":")
    if kind == "nvml":
        try:
            return NVMLMeter(NVMLDevice(which, driver), clock)
        except NVMLError as error:
            raise MeterError(str(error)) from None
    if kind == "rapl":
        return RAPLMeter(clock=clock)
    raise MeterError(f"nothing is known of a meter {kind!r}; allowed: nvml, rapl")


class NVMLMeter:
    """An NVIDIA device."""

    kind = "nvml"

    def __init__(self, device: NVMLDevice, clock: Clock = time.perf_counter) -> None:
        self._device = device
        self._clock = clock
        self.failed: dict[str, str] = {}
        self.lost = ""
        if device.part:
            whole = "the driver knows that of the whole device only, and this is a part of one (MIG)"
            self.failed |= {"power": whole, "energy": whole}
        try:
            device.heed_faults()
        except NVMLError as error:
            self.failed["faults"] = str(error)

    def read(self) -> MeterReading:
        began = self._clock()
        energy = self._ask("energy", self._device.energy)
        power = self._ask("power", self._device.power)
        clock = self._ask("clock", self._device.clock)
        reasons = self._ask("reasons", self._device.reasons)
        took = self._clock() - began
        return MeterReading(began + took / 2, took, clock, power, energy, None if reasons is None else int(reasons))

    def _ask(self, name: str, read: Callable[[], float]) -> float | None:
        if self.lost or name in self.failed:
            return None
        try:
            return read()
        except NVMLError as error:
            if error.code in LOST:
                self.lost = str(error)
            else:
                self.failed[name] = str(error)
            return None

    def faults(self) -> list[str]:
        found = [f"Xid {number} ({XID_PAGE})" for number in self._device.faults()]
        return [*found, self.lost] if self.lost else found

    def close(self) -> None:
        try:
            self._device.close()
        except NVMLError as error:
            self.failed["close"] = str(error)


class RAPLMeter:
    """The processor packages of this machine: whatever runs on them is in it, the conductor and neighbours too.

    Linux, Intel and AMD: /sys/class/powercap, readable by root only since 2020 (CVE-2020-8694) unless an administrator
    says otherwise. The counters wrap around, after an hour or so.

    Raises:
        MeterError: there is none, or it may not be read.
    """

    kind = "rapl"

    def __init__(self, folder: Path = POWERCAP, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self.failed: dict[str, str] = {}
        self.lost = ""
        self._ranges = {path / "energy_uj": _number(path / "max_energy_range_uj") for path in _packages(folder)}
        if not self._ranges:
            raise MeterError(f"no processor package in {folder} has an energy counter")
        self._last: Mapping[Path, int] = {path: _number(path) for path in self._ranges}
        self._total = 0

    def read(self) -> MeterReading:
        began = self._clock()
        energy = None
        if not self.failed:
            try:
                now = {path: _number(path) for path in self._ranges}
            except MeterError as error:
                self.failed["energy"] = str(error)
            else:
                for path, value in now.items():
                    risen = value - self._last[path]
                    self._total += risen if risen >= 0 else risen + self._ranges[path]
                self._last, energy = now, self._total / 1e6
        took = self._clock() - began
        return MeterReading(began + took / 2, took, energy=energy)

    def faults(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def _packages(folder: Path) -> list[Path]:
    """The zones of whole packages; those of parts of one (core, uncore, dram) are inside these or not processors."""
    zones = sorted(folder.glob("intel-rapl:*"))  # AMD's have that name, too
    return [zone for zone in zones if zone.name.count(":") == 1 and _text(zone / "name").startswith("package")]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise MeterError(f"{path}: {error.strerror}") from None


def _number(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal():
        raise MeterError(f"{path}: {text[:40]!r} is no number")
    return int(text)
