"""What NVIDIA's driver tells of a device, through its own library: NVML, by ctypes.

`torch.cuda.utilization` and its kin (torch 2.13) ask the package nvidia-ml-py, initialise the library anew at every
call, and know neither energy nor reasons for slow clocks. The library comes with the driver. Names, units and bits:
NVIDIA's NVML API reference, R550.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

LIBRARY = "libnvidia-ml.so.1"
NOT_FOUND = 6  # NVML_ERROR_NOT_FOUND

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


class NVMLError(Exception):
    """NVML cannot tell this here, and why."""

    def __init__(self, message: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(message)


class _Utilization(ctypes.Structure):
    """nvmlUtilization_t: percent of the driver's last sample period (1/6 s to 1 s)."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class NVMLDevice:
    """One device, by its UUID: its number in NVML is another than CUDA's where CUDA_VISIBLE_DEVICES is set.

    Args:
        uuid: as `nvidia-smi -L` or torch writes it, with or without `GPU-`.
        library: the shared library's name or path.

    Raises:
        NVMLError: there is no such library, no driver, or no such device.
    """

    def __init__(self, uuid: str, library: str = LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise NVMLError(f"{library} cannot be loaded: {error}") from None
        self._call("nvmlInit_v2")
        try:
            self._handle = self._find(uuid)
        except NVMLError:
            self.close()
            raise

    def _find(self, uuid: str) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        # For a part of a device (MIG), CUDA gives the part's UUID.
        names = [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]
        for name in names:
            try:
                self._call("nvmlDeviceGetHandleByUUID", name.encode(), ctypes.byref(handle))
                return handle
            except NVMLError as error:
                if error.code != NOT_FOUND or name == names[-1]:
                    raise
        raise NVMLError(f"{uuid}: no such device")

    def close(self) -> None:
        """Give the library back; nothing can be read afterwards."""
        self._call("nvmlShutdown")

    def utilization(self) -> float:
        """Share of the driver's last sample period (1/6 s to 1 s) in which at least one kernel ran."""
        rates = _Utilization()
        self._call("nvmlDeviceGetUtilizationRates", self._handle, ctypes.byref(rates))
        return float(rates.gpu) / 100

    def clock(self) -> float:
        """Hz of the multiprocessors, now."""
        return self._clock(SM_CLOCK)

    def memory_clock(self) -> float:
        """Hz of the memory, now."""
        return self._clock(MEMORY_CLOCK)

    def power(self) -> float:
        """Watts: the mean of the last second from Ampere on (but for GA100), before that of the moment."""
        return self._read(ctypes.c_uint(), "nvmlDeviceGetPowerUsage") / 1e3

    def energy(self) -> float:
        """Joules since the driver was loaded (Volta and later)."""
        return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetTotalEnergyConsumption") / 1e3

    def reasons(self) -> int:
        """Bits of `REASONS` for the present clocks. Drivers before R535 have it by its former name only."""
        try:
            return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetCurrentClocksEventReasons")
        except NVMLError as error:
            if error.code is not None:
                raise
            return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetCurrentClocksThrottleReasons")

    def _clock(self, kind: int) -> float:
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetClockInfo", self._handle, kind, ctypes.byref(value))
        return value.value * 1e6

    def _read(self, value: ctypes.c_uint | ctypes.c_ulonglong, name: str) -> int:
        self._call(name, self._handle, ctypes.byref(value))
        return value.value

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function: Callable[..., int] = getattr(self._library, name)
        except AttributeError:
            raise NVMLError(f"{name}: this driver's library has no such function") from None
        code = function(*arguments)
        if code != 0:
            tell = self._library.nvmlErrorString
            tell.restype = ctypes.c_char_p
            said = tell(code) or b"unknown error"
            raise NVMLError(f"{name}: {said.decode(errors='replace')} (NVML error {code})", code)
