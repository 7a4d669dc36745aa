"""The functions of nvidia-ml-py that we ask, under the same names, by ctypes: for machines that have the driver only.

The package (module `pynvml`) is preferred where it is installed: it is NVIDIA's own. The library comes with the driver.
Names, units and bits: NVIDIA's NVML API reference, R550, and nvidia-ml-py 13.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

LIBRARY = "libnvidia-ml.so.1"
LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 12, 13  # NVML_ERROR_...


class LibraryError(Exception):
    """What NVML answered instead of a value; `value` is its code, as nvidia-ml-py's exceptions have it."""

    def __init__(self, value: int, text: str) -> None:
        self.value = value
        super().__init__(text)


class _Utilization(ctypes.Structure):
    """nvmlUtilization_t."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _EventData(ctypes.Structure):
    """nvmlEventData_t."""

    _fields_ = (
        ("device", ctypes.c_void_p),
        ("eventType", ctypes.c_ulonglong),
        ("eventData", ctypes.c_ulonglong),
        ("gpuInstanceId", ctypes.c_uint),
        ("computeInstanceId", ctypes.c_uint),
    )


class NVMLLibrary:
    """A shared library with NVML's functions, asked as the module `pynvml` is.

    Args:
        name: of the library, or its path.
    """

    NVMLError = LibraryError

    def __init__(self, name: str = LIBRARY) -> None:
        self._name = name
        self._library: ctypes.CDLL | None = None

    def nvmlInit(self) -> None:
        try:
            self._library = ctypes.CDLL(self._name)
        except OSError as error:
            raise LibraryError(LIBRARY_NOT_FOUND, f"{self._name} cannot be loaded: {error}") from None
        self._call("nvmlInit_v2")

    def nvmlShutdown(self) -> None:
        self._call("nvmlShutdown")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(handle))
        return handle

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: ctypes.c_void_p) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part, ctypes.byref(handle))
        return handle

    def nvmlDeviceGetCount(self) -> int:
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(value))
        return value.value

    def nvmlDeviceGetHandleByIndex(self, index: int) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        return handle

    def nvmlDeviceGetUUID(self, handle: ctypes.c_void_p) -> str:
        return self._text("nvmlDeviceGetUUID", handle)

    def nvmlDeviceGetName(self, handle: ctypes.c_void_p) -> str:
        return self._text("nvmlDeviceGetName", handle)

    def nvmlSystemGetDriverVersion(self) -> str:
        return self._text("nvmlSystemGetDriverVersion")

    def nvmlDeviceGetUtilizationRates(self, handle: ctypes.c_void_p) -> _Utilization:
        rates = _Utilization()
        self._call("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(rates))
        return rates

    def nvmlDeviceGetClockInfo(self, handle: ctypes.c_void_p, kind: int) -> int:
        value = ctypes.c_uint()
        self._call("nvmlDeviceGetClockInfo", handle, kind, ctypes.byref(value))
        return value.value

    def nvmlDeviceGetPowerUsage(self, handle: ctypes.c_void_p) -> int:
        return self._read(ctypes.c_uint(), "nvmlDeviceGetPowerUsage", handle)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p) -> int:
        return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetTotalEnergyConsumption", handle)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: ctypes.c_void_p) -> int:
        return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetCurrentClocksEventReasons", handle)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: ctypes.c_void_p) -> int:
        return self._read(ctypes.c_ulonglong(), "nvmlDeviceGetCurrentClocksThrottleReasons", handle)

    def nvmlEventSetCreate(self) -> ctypes.c_void_p:
        events = ctypes.c_void_p()
        self._call("nvmlEventSetCreate", ctypes.byref(events))
        return events

    def nvmlDeviceRegisterEvents(self, handle: ctypes.c_void_p, kinds: int, events: ctypes.c_void_p) -> None:
        self._call("nvmlDeviceRegisterEvents", handle, ctypes.c_ulonglong(kinds), events)

    def nvmlEventSetWait_v2(self, events: ctypes.c_void_p, milliseconds: int) -> _EventData:
        data = _EventData()
        self._call("nvmlEventSetWait_v2", events, ctypes.byref(data), ctypes.c_uint(milliseconds))
        return data

    def _read(self, value: ctypes.c_uint | ctypes.c_ulonglong, name: str, handle: ctypes.c_void_p) -> int:
        self._call(name, handle, ctypes.byref(value))
        return value.value

    def _text(self, name: str, *handle: ctypes.c_void_p) -> str:
        text = ctypes.create_string_buffer(96)  # the longest of NVML's, NVML_DEVICE_UUID_V2_BUFFER_SIZE
        self._call(name, *handle, text, ctypes.c_uint(len(text)))
        return text.value.decode(errors="replace")

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function: Callable[..., int] = getattr(self._library, name)
        except AttributeError:
            raise LibraryError(FUNCTION_NOT_FOUND, "this driver's library has no such function") from None
        code = function(*arguments)
        if code != 0:
            assert self._library is not None
            tell = self._library.nvmlErrorString
            tell.restype = ctypes.c_char_p
            raise LibraryError(code, (tell(code) or b"unknown error").decode(errors="replace"))
