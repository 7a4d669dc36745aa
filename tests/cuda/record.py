"""`python -m tests.cuda.record`: writes down what the driver answers, for `replay`. Half of the time the device works.

Each function is asked every 20 ms, and an answer is kept when it differs from the one before. The work is products of
matrices in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.machine.nvml import nvml_driver

from .replay import RECORDED, RECORDINGS

EVERY = 0.02
ASKED: dict[str, Callable[[Any, Any], int]] = {
    "nvmlDeviceGetClockInfo/1": lambda driver, handle: driver.nvmlDeviceGetClockInfo(handle, 1),
    "nvmlDeviceGetClockInfo/2": lambda driver, handle: driver.nvmlDeviceGetClockInfo(handle, 2),
    "nvmlDeviceGetPowerUsage": lambda driver, handle: driver.nvmlDeviceGetPowerUsage(handle),
    "nvmlDeviceGetTotalEnergyConsumption": lambda driver, handle: driver.nvmlDeviceGetTotalEnergyConsumption(handle),
    "nvmlDeviceGetUtilizationRates": lambda driver, handle: driver.nvmlDeviceGetUtilizationRates(handle).gpu,
    "nvmlDeviceGetCurrentClocksEventReasons": (
        lambda driver, handle: driver.nvmlDeviceGetCurrentClocksEventReasons(handle)
    ),
}
WORK = """
import time, torch
ends, one = time.monotonic() + {seconds}, torch.randn(4096, 4096, device="cuda")
while time.monotonic() < ends:
    one = torch.nn.functional.normalize(one @ one)
    torch.cuda.synchronize()
"""


def record(
    driver: Any,
    seconds: float,
    about: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """A recording of all devices of this driver."""
    driver.nvmlInit()
    began = clock()
    handles = [driver.nvmlDeviceGetHandleByIndex(index) for index in range(driver.nvmlDeviceGetCount())]
    answers: list[dict[str, list[Any]]] = [{name: [] for name in ASKED} for _ in handles]
    while (now := clock() - began) < seconds:
        for handle, own in zip(handles, answers, strict=True):
            for name, ask in ASKED.items():
                try:
                    value: Any = int(ask(driver, handle))
                except driver.NVMLError as error:
                    value = {"error": int(error.value)}
                if not own[name] or own[name][-1][1] != value:
                    own[name].append([round(now, 3), value])
        sleep(EVERY)
    named = [(str(driver.nvmlDeviceGetUUID(one)), str(driver.nvmlDeviceGetName(one))) for one in handles]
    made = {
        "source": RECORDED,
        "recorded": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "driver": str(driver.nvmlSystemGetDriverVersion()),
        "about": about,
        "devices": [
            {"uuid": uuid, "name": name, "answers": own} for (uuid, name), own in zip(named, answers, strict=True)
        ],
    }
    driver.nvmlShutdown()
    return made


def record_at_work(driver: Any, seconds: float) -> dict[str, Any]:
    """A recording of an idle device that begins to work halfway."""
    code = f"import time; time.sleep({seconds / 4})\n" + WORK.format(seconds=seconds / 2)
    with subprocess.Popen([sys.executable, "-c", code]) as work:
        made = record(driver, seconds, f"{seconds:g} s: idle, products of 4,096 x 4,096 matrices for half of it, idle")
        work.kill()
    return made


def write(made: dict[str, Any], folder: Path) -> Path:
    """Into a file of a name that is not taken."""
    device = made["devices"][0]["name"].lower().replace(" ", "_")
    path = folder / f"{made['recorded'][:10]}_{device}.json"
    number = 2
    while path.exists():
        path = path.with_name(f"{made['recorded'][:10]}_{device}_{number}.json")
        number += 1
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made) + "\n", encoding="utf-8")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cuda.record", description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="how long; default: 12")
    parser.add_argument("--out", type=Path, default=RECORDINGS, help="the folder; default: tests/cuda/recordings")
    arguments = parser.parse_args()
    driver = nvml_driver()
    try:
        driver.nvmlInit()  # before any work begins
        made = record_at_work(driver, arguments.seconds)
        driver.nvmlShutdown()
    except driver.NVMLError as error:
        print(f"nothing can be recorded here: {error}", file=sys.stderr)
        return 77
    print(write(made, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
