"""Logs of children: their last words, their stacks, and a limit to how much of them is kept."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bench.engine.processes import Arm

KEPT_BYTES = 2**20  # bytes at the beginning, and as many at the end
MOST_BYTES = 2**24  # of a log, while its arm lives: one that prints all the time must not fill the disk
_SELDOM = 50  # times as long as a look at logs took, until the next one
_LOOK = 2**16  # the last bytes, in which last words are looked for
_FATAL, _MODULES = "Fatal Python error: ", "Extension modules: "
_FRAME = re.compile(r'^  File "(.*)", line \d+ in (\S+)')
# Where a rank is that waits for others: in a collective, or in the backward pass that awaits DDP's.
_WAITING = re.compile(r"/torch/(distributed/|nn/parallel/|autograd/graph\.py)")


def last_words(log: Path, length: int = 200) -> str:
    """The last line of a log that says something, or ""; of a process that a signal ended, what and where."""
    lines = [line.strip() for line in end_of(log).splitlines() if line.strip()]
    if lines and lines[-1].startswith(_MODULES):  # faulthandler's last line is a list of modules
        fatal = max((number for number, line in enumerate(lines) if line.startswith(_FATAL)), default=None)
        if fatal is not None:
            frame = next((line for line in lines[fatal:] if line.startswith("File ")), "")
            return f"{lines[fatal].removeprefix(_FATAL)} {frame}".strip()[-length:]
    return lines[-1][-length:] if lines else ""


def end_of(log: Path, size: int = _LOOK) -> str:
    """The last bytes of a log, as text."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def waits_for_others(log: Path) -> bool:
    """Whether the main thread, as the last stacks in the log have it, is where ranks wait for each other."""
    text = end_of(log)
    begin = text.rfind("Current thread ")
    frames = [match for line in text[begin:].splitlines()[1:] if (match := _FRAME.match(line))] if begin >= 0 else []
    return bool(frames) and _WAITING.search(frames[0][1]) is not None


def shorten_logs(arms: Iterable[Arm]) -> None:
    """Take the middle out of logs that grow too long, while their arms live.

    It looks seldom where looking takes long: at the logs of thousands of ranks, or on a network's file system.
    """
    for arm in arms:
        began = time.monotonic()
        if began >= arm.look_at_logs:
            for rank in arm.ranks:
                shorten(rank.log, MOST_BYTES)
            now = time.monotonic()
            arm.look_at_logs = now + _SELDOM * (now - began)


def shorten(log: Path, most: int = 2 * KEPT_BYTES + 4096) -> int:
    """Keep the first and the last MiB of a log that has more than `most` bytes; gives the bytes that were taken out.

    What a process writes that lives goes to the end, wherever that is (O_APPEND); what it writes meanwhile may be lost.
    """
    with suppress(OSError):
        size = log.stat().st_size
        if size <= most:
            return 0
        with open(log, "r+b") as file:
            file.seek(size - KEPT_BYTES)
            end = file.read(KEPT_BYTES)
            removed = size - 2 * KEPT_BYTES
            file.seek(KEPT_BYTES)
            file.write(f"\n[... bench took {removed} bytes out of the middle of this log ...]\n".encode() + end)
            file.truncate()
        return removed
    return 0
