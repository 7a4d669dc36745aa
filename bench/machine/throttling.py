"""Whether the cores keep their clock, and whether a limit of processor time holds processes back. No torch.

What is not told on a machine is None: virtual machines hide clocks, and only Linux has these files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class CoreClock:
    """What the kernel tells of some cores at one moment.

    Attributes:
        hertz: of the slowest of them, now.
        most_hertz: that they may have.
        governor: that sets it.
        throttles: how often heat has slowed one of them down since boot.
        held_back: seconds for which processes of this cgroup have waited for its next share of processor time.
    """

    hertz: float | None
    most_hertz: float | None
    governor: str | None
    throttles: int | None
    held_back: float | None


def core_clock(cores: Sequence[int], cpus: Path = CPUS, cgroup: Path = CGROUP) -> CoreClock:
    """What can be read of these cores, and of this process's cgroup as the container sees it."""
    folders = [cpus / f"cpu{core}" for core in cores]
    now, most = (_numbers(folder / "cpufreq" / name for folder in folders) for name in _CLOCKS)
    governors = {text for folder in folders if (text := _text(folder / "cpufreq" / "scaling_governor"))}
    throttles = _numbers(folder / "thermal_throttle" / "core_throttle_count" for folder in folders)
    waited = [line.split()[1] for line in _text(cgroup / "cpu.stat").splitlines() if line.startswith("throttled_usec ")]
    return CoreClock(
        hertz=1e3 * min(now) if now else None,
        most_hertz=1e3 * min(most) if most else None,
        governor=", ".join(sorted(governors)) or None,
        throttles=sum(throttles) if throttles else None,
        held_back=int(waited[0]) / 1e6 if waited else None,
    )


_CLOCKS = ("scaling_cur_freq", "cpuinfo_max_freq")  # in kHz


def _numbers(paths: Iterable[Path]) -> list[int]:
    return [int(text) for path in paths if (text := _text(path)).isdigit()]


def _text(path: Path) -> str:
    """The content of one of the kernel's files; "" where there is none, or none that can be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
