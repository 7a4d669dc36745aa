"""What NVIDIA's driver tells of a device: clocks, power, energy, reasons for slow clocks, faults. No torch.

It is asked through nvidia-ml-py (module `pynvml`) where that is installed, else through the driver's own library by the
same functions (`nvml_library`). `torch.cuda.utilization` and its kin (torch 2.13) initialise the library anew at every
call, and know neither energy nor reasons. Units and bits: NVIDIA's NVML API reference, R550.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from bench.machine.nvml_library import FUNCTION_NOT_FOUND, NVMLLibrary

NOT_FOUND, GPU_IS_LOST, RESET_REQUIRED = 6, 15, 16  # NVML_ERROR_...
LOST = (GPU_IS_LOST, RESET_REQUIRED)  # after these the device answers nothing more
INVALID_ARGUMENT = 2  # what some drivers answer for a UUID that is none of theirs

# Bits of nvmlDeviceGetCurrentClocksEventReasons. The first two are no fault of the device: nothing to do, or clocks
# that somebody has set.
REASONS = {
    0x001: "idle",
    0x002: "application_clocks",
    0x004: "power_cap",
    0x008: "hardware_slowdown",
    0x010: "sync_boost",
    0x020: "thermal_slowdown",
    0x040: "hardware_thermal_slowdown",
    0x080: "power_brake",
    0x100: "display_clocks",
}
THROTTLED = 0x004 | 0x008 | 0x020 | 0x040 | 0x080
SM_CLOCK, MEMORY_CLOCK = 1, 2  # nvmlClockType_t
XID_EVENTS = 0x8  # nvmlEventTypeXidCriticalError


class NVMLError(Exception):
    """NVML cannot tell this here, and why; `code` is NVML's, None where it is not NVML's answer."""

    def __init__(self, message: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(message)


def nvml_driver(library: str | None = None) -> Any:
    """What NVML is asked through: the module `pynvml`, or a library with its functions.

    Args:
        library: a shared library's name or path, to be asked instead.
    """
    if library is not None:
        return NVMLLibrary(library)
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return NVMLLibrary()


class NVMLDevice:
    """One device, by its UUID: its number in NVML is another than CUDA's where CUDA_VISIBLE_DEVICES is set.

    Of a part of a device (MIG) the driver knows no clock, power or energy: the whole device's are told, and `part` says
    so.

    Args:
        uuid: as `nvidia-smi -L` or torch writes it, with or without `GPU-`.
        driver: as `nvml_driver` gives it; None: the usual one.

    Raises:
        NVMLError: there is no driver, or no such device.
    """

    def __init__(self, uuid: str, driver: Any = None) -> None:
        self._driver = nvml_driver() if driver is None else driver
        self._events: Any = None
        self.part = False
        self._ask("nvmlInit")
        try:
            self._handle = self._find(uuid)
        except NVMLError:
            self.close()
            raise

    def _find(self, uuid: str) -> Any:
        # For a part of a device, CUDA gives the part's UUID.
        names = [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]
        for name in names:
            try:
                handle = self._ask("nvmlDeviceGetHandleByUUID", name)
            except NVMLError as error:
                if error.code not in (NOT_FOUND, INVALID_ARGUMENT) or name == names[-1]:
                    raise
                continue
            self.part = name.startswith("MIG-")
            return self._ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle) if self.part else handle
        raise AssertionError("there is a name")

    def close(self) -> None:
        """Give the library back; nothing can be read afterwards."""
        self._ask("nvmlShutdown")

    def name(self) -> str:
        """The device's name, as its maker gives it."""
        return str(self._ask("nvmlDeviceGetName", self._handle))

    def utilization(self) -> float:
        """Share of the driver's last sample period (1/6 s to 1 s) in which at least one kernel ran."""
        return float(self._ask("nvmlDeviceGetUtilizationRates", self._handle).gpu) / 100

    def clock(self) -> float:
        """Hz of the multiprocessors, now."""
        return float(self._ask("nvmlDeviceGetClockInfo", self._handle, SM_CLOCK)) * 1e6

    def memory_clock(self) -> float:
        """Hz of the memory, now."""
        return float(self._ask("nvmlDeviceGetClockInfo", self._handle, MEMORY_CLOCK)) * 1e6

    def power(self) -> float:
        """Watts: the mean of the last second from Ampere on (but for GA100), before that of the moment."""
        return float(self._ask("nvmlDeviceGetPowerUsage", self._handle)) / 1e3

    def energy(self) -> float:
        """Joules since the driver was loaded (Volta and later)."""
        return float(self._ask("nvmlDeviceGetTotalEnergyConsumption", self._handle)) / 1e3

    def reasons(self) -> int:
        """Bits of `REASONS` for the present clocks. Drivers before R535 have it by its former name only."""
        try:
            return int(self._ask("nvmlDeviceGetCurrentClocksEventReasons", self._handle))
        except NVMLError as error:
            if error.code != FUNCTION_NOT_FOUND:
                raise
            return int(self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", self._handle))

    def heed_faults(self) -> None:
        """Have the driver keep its Xids from now on, for `faults`.

        Raises:
            NVMLError: it does not tell them here, as on a part of a device or without the right to.
        """
        events = self._ask("nvmlEventSetCreate")
        self._ask("nvmlDeviceRegisterEvents", self._handle, XID_EVENTS, events)
        self._events = events

    def faults(self) -> list[int]:
        """The Xids since `heed_faults`, or since they were asked for last; NVIDIA's list of Xid errors has them."""
        found: list[int] = []
        while self._events is not None and len(found) < 16:  # one fault brings a few
            try:
                found.append(int(self._ask("nvmlEventSetWait_v2", self._events, 0).eventData))
            except NVMLError:  # a timeout: there are no more
                break
        return found

    def _ask(self, name: str, *arguments: Any) -> Any:
        function: Callable[..., Any] | None = getattr(self._driver, name, None)
        if function is None:
            raise NVMLError(f"{name}: this nvidia-ml-py has no such function", FUNCTION_NOT_FOUND)
        try:
            return function(*arguments)
        except self._driver.NVMLError as error:
            raise NVMLError(f"{name}: {error} (NVML error {error.value})", error.value) from None
