"""Apple's GPUs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Literal

from bench.axes.accelerators.base import Accelerator


class MPS(Accelerator):
    """The GPU of Apple silicon, through Metal Performance Shaders.

    It has no meter: what macOS tells of its clock and power, powermetrics does, as root only, and so it is not asked.
    """

    name = "mps"

    def unavailable(self) -> str | None:
        if sys.platform == "darwin" and platform.machine() == "arm64":
            return None
        return f"mps needs macOS on Apple silicon; this is {sys.platform} on {platform.machine()}"

    def unsupported_precision(self, name: str, *, lightning: bool) -> str | None:
        return "mps has no 64-bit floating point" if name == "64-true" else None

    def unsupported_strategy(self, wrapping: Literal["ddp", "fsdp"], *, lightning: bool) -> str | None:
        return f"no {wrapping} on mps: Lightning and torch have none there"

    def describe(self) -> str:
        import torch

        return str(torch.backends.mps.get_name())

    def synchronize(self) -> None:
        import torch

        torch.mps.synchronize()

    def peak_memory(self) -> Mapping[str, int]:
        # MPS keeps no peak; the driver's pool never shrinks while the process trains, so its size is one.
        import torch

        return {"peak_memory_device_reserved": torch.mps.driver_allocated_memory()}

    def allocated_memory(self) -> int | None:
        import torch

        return torch.mps.current_allocated_memory()
