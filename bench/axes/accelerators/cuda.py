"""NVIDIA GPUs."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from bench.axes.accelerators.base import Accelerator
from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch


class CUDA(Accelerator):
    """NVIDIA GPUs, through torch.cuda."""

    name = "cuda"

    def count(self) -> int:
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        there = len(glob.glob("/dev/nvidia[0-9]*")) or len(glob.glob("/proc/driver/nvidia/gpus/*")) or 1
        return there if named is None else min(there, len([name for name in named.split(",") if name.strip()]))

    def unavailable(self) -> str | None:
        if glob.glob("/dev/nvidia[0-9]*") or glob.glob("/proc/driver/nvidia/gpus/*") or sys.platform == "win32":
            return None
        return "no NVIDIA device on this machine: /dev/nvidia0 is not there"

    def unsupported_strategy(self, wrapping: Literal["ddp", "fsdp"], *, lightning: bool) -> str | None:
        return None

    def unsupported_compile(self, mode: str) -> str | None:
        return None

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
