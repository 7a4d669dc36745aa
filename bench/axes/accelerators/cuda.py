"""NVIDIA GPUs."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from bench.axes.accelerators.base import Accelerator
from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch


def visible_devices(named: str | None, there: int) -> int:
    """How many devices a process sees, as CUDA reads CUDA_VISIBLE_DEVICES: up to the first name that is none.

    Args:
        named: the variable; None where it is not set.
        there: devices of the machine.
    """
    if named is None:
        return there
    names = list(takewhile(lambda name: _is_name(name, there), (name.strip() for name in named.split(","))))
    if len(set(names)) < len(names):
        return 0  # one that is named twice: CUDA then has none at all
    # Of parts of devices (MIG) a process gets one (CUDA C++ Programming Guide, environment variables).
    return 1 if any(name.startswith("MIG-") for name in names) else min(there, len(names))


def _is_name(name: str, there: int) -> bool:
    return name.startswith(("GPU-", "MIG-")) or (name.isdecimal() and int(name) < there)


def _devices_there() -> int:
    """Of this machine, by the driver's files; under WSL there is one file for them all."""
    files = glob.glob("/dev/nvidia[0-9]*") or glob.glob("/proc/driver/nvidia/gpus/*") or glob.glob("/dev/dxg")
    return len(files)


class CUDA(Accelerator):
    """NVIDIA GPUs, through torch.cuda."""

    name = "cuda"

    def count(self) -> int:
        return visible_devices(os.environ.get("CUDA_VISIBLE_DEVICES"), _devices_there() or 1)

    def unavailable(self) -> str | None:
        if not _devices_there() and sys.platform != "win32":
            return "no NVIDIA device on this machine: neither /dev/nvidia0 nor, under WSL, /dev/dxg is there"
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        if named is not None and not visible_devices(named, max(1, _devices_there())):
            return f"CUDA_VISIBLE_DEVICES={named!r} hides every CUDA device"
        return None

    def unsupported_strategy(self, wrapping: Literal["ddp", "fsdp"], *, lightning: bool) -> str | None:
        if sys.platform == "win32":
            return f"no {wrapping} on cuda under Windows: torch has no nccl there"
        return None

    def unsupported_compile(self, mode: str) -> str | None:
        return None

    def asks(self, compile_mode: str) -> Mapping[str, str]:
        # The two that have triton.cudagraphs among their options (torch._inductor.list_mode_options).
        return {"cuda_graphs": "yes"} if compile_mode in ("reduce-overhead", "max-autotune") else {}

    def device(self, local_rank: int = 0) -> torch.device:
        import torch

        if not torch.cuda.is_available():
            raise Unsupported(f"torch {torch.__version__} finds no CUDA device")
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()

    def describe(self) -> str:
        import torch

        return torch.cuda.get_device_name()

    def meter(self) -> str:
        import torch

        return f"nvml:{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"

    def reset_peak_memory(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def peak_memory(self) -> Mapping[str, int]:
        import torch

        return {
            "peak_memory_device": torch.cuda.max_memory_allocated(),
            "peak_memory_device_reserved": torch.cuda.max_memory_reserved(),
        }

    def allocated_memory(self) -> int | None:
        import torch

        return torch.cuda.memory_allocated()
