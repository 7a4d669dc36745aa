"""The memory of this process, as the kernel counts it. No torch."""

from __future__ import annotations

import sys
from pathlib import Path


def resident() -> int:
    """Resident bytes of this process now."""
    return _status("VmRSS")


def peak_resident() -> int:
    """The largest resident set since the arm began (`forget_peak`), in bytes."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Begin a new peak: a forked process starts with its parent's. Linux: proc(5), /proc/pid/clear_refs, value 5."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def data_size() -> int:
    """Bytes of private writable memory of this process now."""
    return _status("VmData")


def _status(key: str) -> int:
    path = Path("/proc/self/status")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
