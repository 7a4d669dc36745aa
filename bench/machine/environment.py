"""The machine and the software, as a flat mapping; which keys must match before runs may be compared. No torch."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.axes.accelerators import accelerators
from bench.machine.cores import usable_cores
from bench.machine.git import commit_here
from bench.machine.process_env import arm_environment
from bench.results.version import __version__

EnvironmentValue = str | int | float | bool

PACKAGES = (
    *("torch", "torchvision", "lightning", "numpy", "pandas", "scipy", "rich", "tqdm", "triton", "tensorboard"),
    *("torch_xla", "torch_tpu"),
)

# Runs whose values differ here are different experiments: another processor, kernel of arithmetic, or framework.
CHECKED_FACTS = ("cpu", "cores", "machine", "system", "python", "torch", "lightning", "threads")


def environment(threads: int) -> dict[str, EnvironmentValue]:
    """What a reader needs to judge a figure or to repeat it. Versions come from metadata: nothing is imported."""
    arms, scrubbed = arm_environment(threads, 0)
    values: dict[str, EnvironmentValue] = {
        "loopmark": __version__,
        "node": node_name(),
        "python": platform.python_version(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": cpu(),
        "cores": os.cpu_count() or 1,
        "cores_usable": len(usable_cores()) or 1,
        "memory": _memory(),
        "threads": threads,
        "virtual_machine": _hypervisor(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_quota": cpu_quota(),
        "load_average": os.getloadavg()[0],
        "scrubbed_variables": " ".join(scrubbed),
        "allocator": " ".join(f"{name}={value}" for name, value in sorted(arms.items()) if name.startswith("MALLOC_")),
        "pjrt_device": os.environ.get("PJRT_DEVICE", ""),  # CPU: cells of accelerator=tpu are xla-cpu, and no TPU's
        "budget_limit": os.environ.get("BENCH_BUDGET", ""),  # a run under it may have measured less than it would
        "commit": commit_here(),
        "executable_is_venv": sys.prefix != sys.base_prefix,
    }
    packages = (package for device in accelerators().values() for package in device.packages)
    for package in dict.fromkeys((*PACKAGES, *packages)):
        try:
            values[package] = version(package)
        except PackageNotFoundError:
            values[package] = "not installed"
    return values


def node_name() -> str:
    """The name of this machine: as Slurm has it, or its own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def mismatches(one: Mapping[str, EnvironmentValue], other: Mapping[str, EnvironmentValue]) -> list[str]:
    """Sentences for the checked keys in which two environments differ."""
    return [
        f"{key}: {one.get(key)!r} against {other.get(key)!r}" for key in CHECKED_FACTS if one.get(key) != other.get(key)
    ]


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def cpu_quota() -> str:
    """The control group's share of processor time, as the kernel writes it (Linux, cgroup v2: quota and period)."""
    return _read("/sys/fs/cgroup/cpu.max")


def cpu() -> str:
    """The processor's name."""
    info = _read("/proc/cpuinfo")
    for line in info.splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _hypervisor() -> bool:
    return any(line.startswith("flags") and " hypervisor" in line for line in _read("/proc/cpuinfo").splitlines())


def _memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
