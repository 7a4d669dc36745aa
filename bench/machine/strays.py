"""Processes that stepped out of line: found in /proc, and ended with all that they started. Linux; elsewhere nothing.

A process that leaves its session is out of reach of a signal to its group. So arms and fork servers are subreapers
(prctl(2)): what loses its parent becomes theirs. A live arm has all its descendants under it; what becomes a fork
server's child without having been forked as an arm is of an arm that is gone. A fork server that is killed leaves them
to init; they are known by a variable that was in its environment when it began, which its descendants can neither take
out of /proc/PID/environ nor fail to have, unless they began with another environment altogether.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

MARK = "LOOPMARK_RUN"  # the variable
STRAY_PATIENCE = 3.0  # seconds to end strays in: one that forks faster than it is ended wins, and is told of
_PROC = Path("/proc")
_WALKS = 3  # that find nothing, in a row, before nothing is believed


def become_subreaper() -> None:
    """Processes below this one that lose their parent become its children (Linux 3.4 and later)."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def prctl(option: int, value: int) -> None:
    """prctl(2), where there is one."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def state(pid: int) -> str:
    """The letter of a process's state, as `T` for stopped and `Z` for ended; "" where it is gone or not to be seen."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def cpu_ticks(pid: int) -> int:
    """Processor time of a process, all threads, in the kernel's ticks; 0 where it is not to be seen."""
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def parents() -> dict[int, int]:
    """The parent of every process that can be seen, zombies included."""
    found = {}
    for entry in _numbers():
        if fields := _stat(entry):
            found[entry] = int(fields[1])
    return found


def _numbers() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()] if sys.platform == "linux" else []
    except OSError:
        return []


def children() -> list[int]:
    """The children of this process, zombies included."""
    try:
        tasks = os.listdir("/proc/self/task")
        return [int(pid) for task in tasks for pid in Path(f"/proc/self/task/{task}/children").read_text().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN, or none of Linux
        me = os.getpid()
        return [pid for pid, parent in parents().items() if parent == me]


def below(roots: Iterable[int]) -> set[int]:
    """These processes and all their descendants."""
    offspring: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        offspring.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += offspring.get(pid, [])
    return found


def marked_processes(token: str) -> set[int]:
    """Processes of this user that began with the mark of this token in their environment."""
    wanted = f"{MARK}={token}".encode()
    found = set()
    for pid in _numbers():
        with suppress(OSError):
            if wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found - {os.getpid()}


def end_strays(find: Callable[[], set[int]], patience: float = STRAY_PATIENCE) -> set[int]:
    """End what `find` finds until it finds nothing, several times over; gives what is left after `patience` seconds.

    All are stopped before any is killed: who is stopped cannot fork another one meanwhile. And a walk over processes is
    no moment: who was born after the list was made, of a parent that ended before its entry was read, is in neither.
    """
    deadline = time.monotonic() + patience
    pause = 0.001
    while (found := next(filter(None, (find() for _ in range(_WALKS))), set())) and time.monotonic() < deadline:
        stopped: set[int] = set()
        while (more := below(found) - stopped - {os.getpid()}) and time.monotonic() < deadline:
            _signal(more, signal.SIGSTOP)
            stopped |= more
        _signal(stopped, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.05, 2 * pause)
    return found


def end_orphans(keep: Callable[[], Iterable[int]], patience: float = STRAY_PATIENCE) -> set[int]:
    """End all children of this process but those to keep, with all below them, and reap them; gives what is left."""

    def find() -> set[int]:
        orphans = set(children()) - set(keep())
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return set(children()) - set(keep())

    return end_strays(find, patience)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
