"""Plays recorded answers of NVML: what it makes has the names, values and errors of nvidia-ml-py's module `pynvml`.

A recording is a JSON file under recordings/, made by `python -m tests.cuda.record` on a machine with a device, or
written from documentation; `source` says which. A function's answers are points in time, seconds after `nvmlInit`, each
with the value that is given from then on, or `{"error": CODE}`. A counter may be written as its rate instead:
`{"start": mJ, "every": s, "milliwatts": [[s, mW], ...]}` moves every so many seconds, as the driver's does.
"""

from __future__ import annotations

import bisect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

RECORDINGS = Path(__file__).parent / "recordings"
RECORDED, DOCUMENTED = "recorded", "documented, not recorded"
# NVML's words (nvmlErrorString) by code, those that are played, and the names of their constants.
WORDS = {
    1: "Uninitialized",
    2: "Invalid Argument",
    3: "Not Supported",
    4: "Insufficient Permissions",
    6: "Not Found",
    9: "Driver Not Loaded",
    10: "Timeout",
    13: "Function Not Found",
    15: "GPU is lost",
    16: "GPU requires restart",
    999: "Unknown Error",
}
NAMES = {
    **{1: "UNINITIALIZED", 2: "INVALID_ARGUMENT", 3: "NOT_SUPPORTED", 4: "NO_PERMISSION", 6: "NOT_FOUND"},
    **{9: "DRIVER_NOT_LOADED", 10: "TIMEOUT", 13: "FUNCTION_NOT_FOUND", 15: "GPU_IS_LOST", 16: "RESET_REQUIRED"},
    999: "UNKNOWN",
}
FUNCTIONS = (
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)


class NVMLError(Exception):
    """As nvidia-ml-py's: `value` is the code, the text NVML's word for it, and there is a class for each code."""

    classes: ClassVar[dict[int, type[NVMLError]]] = {}

    def __new__(cls, value: int) -> Self:
        return super().__new__(cast(type[Self], cls.classes.get(value, cls)), value)

    def __init__(self, value: int) -> None:
        self.value = value
        super().__init__(value)

    def __str__(self) -> str:
        return WORDS.get(self.value, f"NVML Error with code {self.value}")


# As NVMLError_NotSupported, and NVMLError_GpuIsLost.
NVMLError.classes.update(
    {code: type(f"NVMLError_{name.title().replace('_', '')}", (NVMLError,), {}) for code, name in NAMES.items()}
)


class Recording:
    """A recording, checked."""

    def __init__(self, data: Mapping[str, Any], where: str = "recording") -> None:
        assert data["source"] in (RECORDED, DOCUMENTED), f"{where}: source {data['source']!r}"
        self.data = data
        self.source = str(data["source"])
        self.devices = list(data["devices"])
        for device in self.devices:
            for key in device["answers"]:
                name = key.partition("/")[0]
                assert name in FUNCTIONS, f"{where}: {key} is none of {FUNCTIONS}"

    @classmethod
    def named(cls, name: str) -> Recording:
        """One of recordings/, without `.json`."""
        return cls.of_file(RECORDINGS / f"{name}.json")

    @classmethod
    def of_file(cls, path: Path) -> Recording:
        return cls(json.loads(path.read_text(encoding="utf-8")), path.name)


class Replay:
    """Answers as NVML did, by a clock; stands in for the module `pynvml`.

    Args:
        clock: monotonic seconds.
    """

    NVMLError = NVMLError

    def __init__(self, recording: Recording, clock: Callable[[], float] = time.monotonic) -> None:
        self._recording = recording
        self._clock = clock
        self._began: float | None = None
        self.users = 0
        self.calls: list[str] = []
        for code, made in NVMLError.classes.items():
            setattr(self, made.__name__, made)
            setattr(self, f"NVML_ERROR_{NAMES[code]}", code)

    def nvmlInit(self) -> None:
        if code := self._recording.data.get("init_error"):
            raise NVMLError(code)
        if self._began is None:
            self._began = self._clock()
        self.users += 1

    def nvmlShutdown(self) -> None:
        if not self.users:
            raise NVMLError(1)
        self.users -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return str(self._recording.data.get("driver", ""))

    def nvmlDeviceGetCount(self) -> int:
        return len(self._recording.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        for index, device in enumerate(self._recording.devices):
            if uuid in (device["uuid"], *device.get("parts", ())):
                return index
        raise NVMLError(6)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: int) -> int:
        return part

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return str(self._recording.devices[handle]["uuid"])

    def nvmlDeviceGetName(self, handle: int) -> str:
        return str(self._recording.devices[handle]["name"])

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        return self._answer(handle, f"nvmlDeviceGetClockInfo/{kind}")

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self._answer(handle, "nvmlDeviceGetPowerUsage")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self._answer(handle, "nvmlDeviceGetTotalEnergyConsumption")

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._answer(handle, "nvmlDeviceGetUtilizationRates"), memory=0)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return self._answer(handle, "nvmlDeviceGetCurrentClocksEventReasons")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        return self._answer(handle, "nvmlDeviceGetCurrentClocksThrottleReasons")

    def nvmlEventSetCreate(self) -> list[tuple[int, int]]:
        return []  # of what is registered, and how many of its events were told

    def nvmlDeviceRegisterEvents(self, handle: int, kinds: int, events: list[tuple[int, int]]) -> None:
        if kinds != 8:
            raise NVMLError(2)
        if self._recording.devices[handle].get("events") == {"error": 3}:
            raise NVMLError(3)
        events.append((handle, 0))

    def nvmlEventSetWait_v2(self, events: list[tuple[int, int]], timeoutms: int) -> SimpleNamespace:
        for number, (handle, told) in enumerate(events):
            xids = [xid for at, xid in self._recording.devices[handle].get("xids", ()) if at <= self._time()]
            if told < len(xids):
                events[number] = (handle, told + 1)
                return SimpleNamespace(eventType=8, eventData=xids[told])
        raise NVMLError(10)

    def _time(self) -> float:
        if self._began is None or not self.users:
            raise NVMLError(1)
        return self._clock() - self._began

    def _answer(self, handle: int, key: str) -> int:
        now = self._time()
        self.calls.append(key)
        answers = self._recording.devices[handle]["answers"]
        if key not in answers:
            raise NVMLError(13 if key.startswith("nvmlDeviceGetCurrentClocks") else 3)
        lost = self._recording.devices[handle].get("lost")
        if lost is not None and now >= lost:
            raise NVMLError(15)
        value = _at(answers[key], now)
        if isinstance(value, Mapping):
            raise NVMLError(value["error"])
        return int(value)


def _at(answer: Any, now: float) -> Any:
    if isinstance(answer, Mapping) and "milliwatts" in answer:
        every = answer["every"]
        return answer["start"] + _risen(answer["milliwatts"], now // every * every)
    times = [at for at, _ in answer]
    return answer[max(0, bisect.bisect_right(times, now) - 1)][1]


def _risen(rates: Sequence[tuple[float, float]], until: float) -> float:
    """Millijoules that these milliwatts, each from its time on, have made by then."""
    ends = [*(at for at, _ in rates[1:]), float("inf")]
    return sum(max(0.0, min(end, until) - at) * rate for (at, rate), end in zip(rates, ends, strict=True))
