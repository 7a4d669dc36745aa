"""What a tool's adapter gives, and what it is given. No torch here."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUBJECTS = Path(__file__).resolve().parent / "subjects"
BATCH = 64  # the shortest step of the suite `overhead`: noise shows most
TIMEOUT = 1800.0  # seconds; the slowest tool takes about 100 for one side on 2 slow cores


class ToolFailed(Exception):
    """A tool's command failed; the message holds the end of what it said."""


@dataclass(frozen=True)
class Place:
    """Where and how one estimate is made.

    Attributes:
        folder: fresh, for the tool's files.
        cores: of the measured process; () leaves it to the system, where it cannot be said (macOS).
        environment: of every command, the same for all tools.
        quick: a smoke test: the least that the tool can be told to do.
    """

    folder: Path
    cores: tuple[int, ...]
    environment: Mapping[str, str]
    quick: bool

    def inside(self, name: str) -> Place:
        """The same in a folder of this name within this one."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self, folder=folder)


@dataclass(frozen=True)
class Side:
    """One side of A against A.

    Attributes:
        seconds: a step's time, the statistic that the tool itself compares by.
        wall: seconds that the tool's command took, from its start to its end.
        statistics: the same samples reduced in other ways, by name; seconds.
        values: how many samples the tool kept.
    """

    seconds: float
    wall: float
    statistics: Mapping[str, float]
    values: int


@dataclass(frozen=True)
class Estimate:
    """One estimate of the ratio of A to A.

    Attributes:
        log_ratio: natural logarithm of second over first.
        seconds: a step's time, of the first and of the second side.
        wall: seconds of both commands, or of the one that measures both.
        log_ratios: by other statistics of the same samples.
        details: what else the raw file should keep.
    """

    log_ratio: float
    seconds: tuple[float, float]
    wall: float
    log_ratios: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """A benchmark tool.

    Attributes:
        name: on the command line and in the raw file.
        title: in table and picture.
        how: what one estimate is, for the table.
        package: whose version is recorded.
        estimate: makes one.
    """

    name: str
    title: str
    how: str
    package: str
    estimate: Callable[[Place], Estimate]


def run(place: Place, command: Sequence[str], *, pinned: bool) -> float:
    """Run a command to its end in the place's folder; gives its wall time in seconds.

    Args:
        pinned: put the whole command on the place's cores; False where the tool has an option of its own for that.

    Raises:
        ToolFailed: it exits with another code than 0, or does not end.
    """

    def pin() -> None:
        if pinned and place.cores:
            os.sched_setaffinity(0, place.cores)

    began = time.monotonic()
    try:
        done = subprocess.run(
            list(command),
            cwd=place.folder,
            env=dict(place.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            preexec_fn=pin,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{' '.join(command)}: still running after {TIMEOUT:.0f} s") from None
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise ToolFailed(f"{' '.join(command)}: exit code {done.returncode}: {done.stdout[-1500:]}")
    return wall


def reduced(values: Sequence[float]) -> dict[str, float]:
    """The statistics that one or another tool compares by."""
    return {"minimum": min(values), "median": statistics.median(values), "mean": statistics.fmean(values)}


def two_commands(place: Place, side: Callable[[Place], Side]) -> Estimate:
    """A against A by two separate measurements, one after the other, as the tool's users compare two versions."""
    first, second = side(place.inside("first")), side(place.inside("second"))
    shared = [name for name in first.statistics if name in second.statistics]
    return Estimate(
        log_ratio=math.log(second.seconds / first.seconds),
        seconds=(first.seconds, second.seconds),
        wall=first.wall + second.wall,
        log_ratios={name: math.log(second.statistics[name] / first.statistics[name]) for name in shared},
        details={"walls": [first.wall, second.wall], "values": [first.values, second.values]},
    )
