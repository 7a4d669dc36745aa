"""What is specific to a device: is it there, wait for it, its peak memory, its name. Torch is imported in methods only.

`unavailable` is asked by the parent, which never imports torch; it looks for the driver's files, not for torch's word.
"""

from __future__ import annotations

import glob
import os
import platform
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from bench.axes.accelerators import xla
from bench.errors import SpecError, Unsupported, one_of

if TYPE_CHECKING:
    import torch


class DeviceWatch(Protocol):
    """What a device does besides the arithmetic, read at the edges of turns."""

    def before(self) -> None:
        """Just before a turn; not timed."""

    def after(self, steps: int, *, audited: bool, timed: bool) -> None:
        """Just after a turn of that many steps; not timed."""

    def effective(self) -> dict[str, Any]:
        """What goes into the record's effective settings."""


class NoWatch:
    """Of most devices there is nothing to say."""

    def before(self) -> None:
        pass

    def after(self, steps: int, *, audited: bool, timed: bool) -> None:
        pass

    def effective(self) -> dict[str, Any]:
        return {}


class Accelerator:
    """All that is specific to a device; the base answers for one that needs nothing special.

    Attributes:
        name: value of the axis, as Lightning spells it where Lightning knows it.
        lightning: what Fabric and Trainer are given.
        packages: what its interpreters import besides torch.
    """

    name = "cpu"
    packages: tuple[str, ...] = ()

    @property
    def lightning(self) -> str:
        return self.name

    def prepare(self) -> None:
        """What an arm does before it builds anything."""

    def watch(self) -> DeviceWatch:
        return NoWatch()

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


class XLA(Device):
    """A TPU through torch_xla. The client must not start before Fabric or Trainer is made: they set XLA_USE_BF16."""

    name = "tpu"
    packages = ("torch_xla",)

    def unavailable(self) -> str | None:
        return xla.no_tpu() or xla.no_torch_xla()

    def device(self, local_rank: int = 0) -> torch.device:
        import torch

        return torch.device("xla", local_rank)

    @property
    def asynchronous(self) -> bool:
        return True

    def synchronize(self) -> None:
        xla.wait()

    def describe(self) -> str:
        return xla.hardware()

    def peak_memory(self) -> Mapping[str, int]:
        return xla.peak_memory()

    def watch(self) -> DeviceWatch:
        return xla.XLAWatch()


class XLAOnCPU(XLA):
    """PJRT's CPU device, for the sake of testing: the code path of a TPU, and none of its figures."""

    name = xla.CPU

    @property
    def lightning(self) -> str:
        return "tpu"

    def unavailable(self) -> str | None:
        if not xla.on_cpu():
            return "set PJRT_DEVICE=CPU to run torch_xla on the CPU"
        return xla.no_torch_xla()

    def prepare(self) -> None:
        if "lightning" in sys.modules:
            xla.answer_lightning()

    def describe(self) -> str:
        return f"{xla.hardware()}, PJRT's CPU device: no TPU"


class TorchTPU(Device):
    """A TPU through torch_tpu, which is eager and registers itself as torch's accelerator."""

    name = "tpu"

    def unavailable(self) -> str | None:
        return xla.no_tpu() or xla.no_torch_tpu()

    def prepare(self) -> None:
        reason = xla.load_torch_tpu()
        if reason:
            raise Unsupported(reason)

    @property
    def asynchronous(self) -> bool:
        return True

    def synchronize(self) -> None:
        import torch

        torch.accelerator.synchronize()

    def describe(self) -> str:
        return "TPU through torch_tpu"

    def reset_peak_memory(self) -> None:
        import torch

        torch.accelerator.reset_peak_memory_stats()

    def peak_memory(self) -> Mapping[str, int]:
        import torch

        return {"peak_memory_device": torch.accelerator.max_memory_allocated()}


ACCELERATORS: dict[str, Accelerator] = {kind.name: kind() for kind in (Accelerator, CUDA, MPS, XLA, XLAOnCPU)}


def accelerator(name: str, *, lightning: bool = False) -> Accelerator:
    """The accelerator of that name, spelled as Lightning spells it.

    Args:
        lightning: whether Fabric or Trainer is to use it. They drive TPUs through torch_xla only; other loops take
            torch_tpu where it is installed.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in ACCELERATORS:
        raise SpecError(one_of("accelerator", name, ACCELERATORS))
    if name == "tpu" and not lightning and xla.no_torch_tpu() is None:
        return TorchTPU()
    return ACCELERATORS[name]
