"""What is specific to a device: is it there, wait for it, its peak memory, its name. Torch is imported in methods only.

`unavailable` is asked by the parent, which never imports torch; it looks for the driver's files, not for torch's word.
"""

from __future__ import annotations

import glob
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import SpecError, Unsupported, one_of

if TYPE_CHECKING:
    import torch


class Accelerator:
    """Questions about a device; the base answers for one that needs nothing special."""

    name = "cpu"

    def unavailable(self) -> str | None:
        """Why cells cannot run on it on this machine, or None."""
        return None

    def count(self) -> int:
        """How many of it there are for us, without asking torch. On the CPU a device is a process, and needs a core."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def too_many(self, devices: int, threads: int) -> str | None:
        """Why so many devices cannot be had, or None."""
        if devices == 1 or devices * threads <= self.count():  # one process may share its cores with its own threads
            return None
        return (
            f"devices={devices} with {threads} threads each need {devices * threads} cores, and {self.count()} are "
            f"usable; allowed: 1 to {max(1, self.count() // threads)}"
        )

    def device(self, local_rank: int = 0) -> torch.device:
        import torch

        return torch.device(self.name)

    @property
    def asynchronous(self) -> bool:
        """Whether a step may return before its work is done, so that a turn's edges must wait."""
        return False

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""

    def describe(self) -> str:
        return platform.processor() or platform.machine()

    def reset_peak_memory(self) -> None:
        """Begin a new peak."""

    def peak_memory(self) -> Mapping[str, int]:
        """Bytes by metric name, since the last reset; nothing where the device has no memory of its own."""
        return {}


class Device(Accelerator):
    """A device of its own beside the processor."""

    def count(self) -> int:
        return 1

    def too_many(self, devices: int, threads: int) -> str | None:
        if devices <= self.count():
            return None
        return f"devices={devices}: there are fewer {self.name} devices; allowed: 1 to {self.count()}"


class CUDA(Device):
    name = "cuda"

    def count(self) -> int:
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        there = len(glob.glob("/dev/nvidia[0-9]*")) or len(glob.glob("/proc/driver/nvidia/gpus/*")) or 1
        return there if named is None else min(there, len([name for name in named.split(",") if name.strip()]))

    def unavailable(self) -> str | None:
        if glob.glob("/dev/nvidia[0-9]*") or glob.glob("/proc/driver/nvidia/gpus/*") or sys.platform == "win32":
            return None
        return "no NVIDIA device on this machine: /dev/nvidia0 is not there"

    def device(self, local_rank: int = 0) -> torch.device:
        import torch

        if not torch.cuda.is_available():
            raise Unsupported(f"torch {torch.__version__} finds no CUDA device")
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)

    @property
    def asynchronous(self) -> bool:
        return True

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()

    def describe(self) -> str:
        import torch

        return torch.cuda.get_device_name()

    def reset_peak_memory(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def peak_memory(self) -> Mapping[str, int]:
        import torch

        return {
            "peak_memory_device": torch.cuda.max_memory_allocated(),
            "peak_memory_device_reserved": torch.cuda.max_memory_reserved(),
        }


class MPS(Device):
    name = "mps"

    def unavailable(self) -> str | None:
        if sys.platform == "darwin" and platform.machine() == "arm64":
            return None
        return f"mps needs macOS on Apple silicon; this is {sys.platform} on {platform.machine()}"

    @property
    def asynchronous(self) -> bool:
        return True

    def synchronize(self) -> None:
        import torch

        torch.mps.synchronize()

    def peak_memory(self) -> Mapping[str, int]:
        # MPS keeps no peak; the driver's pool never shrinks while the process trains, so its size is one.
        import torch

        return {"peak_memory_device_reserved": torch.mps.driver_allocated_memory()}


class TPU(Device):
    name = "tpu"

    def unavailable(self) -> str | None:
        vendor = "0x1ae0"  # Google's PCI vendor id, which torch_xla looks for as well
        for path in Path("/sys/bus/pci/devices").glob("*/vendor"):
            if path.read_text().strip() == vendor:
                return "a TPU is here, but this version of loopmark does not drive it yet"
        return "no TPU on this machine: no PCI device of vendor 0x1ae0"


ACCELERATORS: dict[str, Accelerator] = {kind.name: kind() for kind in (Accelerator, CUDA, MPS, TPU)}


def accelerator(name: str) -> Accelerator:
    """The accelerator of that name, spelled as Lightning spells it.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in ACCELERATORS:
        raise SpecError(one_of("accelerator", name, ACCELERATORS))
    return ACCELERATORS[name]
