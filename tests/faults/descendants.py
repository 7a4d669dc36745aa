"""Every process that a fault has brought into the world, however it tried to leave. Linux.

Two witnesses. By ancestry: while a fault is tried we are a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so whoever
loses its parent becomes our child, in whatever session or group it is, with whatever environment; a walk over parents
finds it. By mark: an environment variable that all descendants inherit; /proc/PID/environ keeps it over forks and even
where the process has changed its own. The second finds what a service outside has started for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "BENCH_FAULT_MARK"
PATIENCE = 5.0  # seconds in which what was told to end may still be on its way
PR_SET_CHILD_SUBREAPER = 36
WALKS = 3


@dataclass(frozen=True)
class Process:
    """A process: its number and the tick at which it started (numbers are used again), its parent, what it runs."""

    pid: int
    started: int
    parent: int
    state: str
    command: str

    @property
    def told(self) -> str:
        """In words; the folder that it works in tells which arm it is of."""
        folder = "?"
        with suppress(OSError):
            folder = "/".join(os.readlink(f"/proc/{self.pid}/cwd").split("/")[-2:])
        return f"{self.pid} ({self.command[:80]}) in {folder}"


def processes() -> dict[int, Process]:
    """All processes there are, zombies included."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):  # it has gone meanwhile
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            name = (entry / "comm").read_text(errors="replace").strip()
            pid = int(entry.name)
            found[pid] = Process(pid, int(fields[19]), int(fields[1]), fields[0], words or name)
    return found


def descendants(ancestor: int, among: dict[int, Process]) -> list[Process]:
    """Those below `ancestor`, by parents."""
    children: dict[int, list[int]] = {}
    for process in among.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, open_ = [], [ancestor]
    while open_:
        below = children.get(open_.pop(), [])
        found += [among[pid] for pid in below]
        open_ += below
    return found


def marked(mark: str, among: dict[int, Process]) -> list[Process]:
    """Those whose environment at their start held the mark."""
    found = []
    for process in among.values():
        with suppress(OSError):  # it has gone, or is another user's
            if f"{MARK}={mark}".encode() in (Path("/proc") / str(process.pid) / "environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


class Watch:
    """Knows which processes belong to one fault.

    Args:
        mark: the value of MARK in the environment of all that is started for it.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self._earlier = {(process.pid, process.started) for process in processes().values()}

    def living(self) -> list[Process]:
        """Its processes that run or are stopped; those that have ended and were given to us are reaped."""
        among = processes()
        ours = {process.pid: process for process in (*descendants(os.getpid(), among), *marked(self.mark, among))}
        ours = {pid: one for pid, one in ours.items() if (pid, one.started) not in self._earlier and pid != os.getpid()}
        for process in ours.values():
            if process.state == "Z" and process.parent == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        return [process for process in ours.values() if process.state not in "ZX"]

    def left(self) -> list[Process]:
        """As `living`, but nothing is believed only where several walks in a row found nothing.

        A walk over /proc is no moment. Who was born after the list was made, of a parent that has ended before its own
        entry was read, is in neither; the next walk finds it, unless it was quick to do the same.
        """
        return next(filter(None, (self.living() for _ in range(WALKS))), [])

    def survivors(self, patience: float) -> list[Process]:
        """Those that are still there after `patience` seconds."""
        deadline = time.monotonic() + patience
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def end(self) -> None:
        """Kill all that is left, until nothing is."""
        deadline = time.monotonic() + 10.0
        while (left := self.left()) and time.monotonic() < deadline:
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.02)


@contextmanager
def adopting() -> Iterator[None]:
    """Whoever loses its parent below us becomes our child meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(37, ctypes.byref(before), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)
