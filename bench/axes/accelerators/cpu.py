"""The processor. A device is a process on it, and needs a core."""

from __future__ import annotations

import os
import platform
import shutil

from bench.axes.accelerators.base import Accelerator


class CPU(Accelerator):
    """The processor."""

    name = "cpu"

    def count(self) -> int:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def too_many(self, devices: int, threads: int) -> str | None:
        if devices == 1 or devices * threads <= self.count():  # one process may share its cores with its own threads
            return None
        return (
            f"devices={devices} with {threads} threads each need {devices * threads} cores, and {self.count()} are "
            f"usable; allowed: 1 to {max(1, self.count() // threads)}"
        )

    def unsupported_compile(self, mode: str) -> str | None:
        reason = super().unsupported_compile(mode)
        if reason is not None:
            return reason
        if not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))):
            return "torch.compile needs a C++ compiler for the CPU: no g++ or clang++ on the path, and no CXX"
        return None

    def meter(self) -> str:
        return "rapl:"

    def describe(self) -> str:
        return platform.processor() or platform.machine()
