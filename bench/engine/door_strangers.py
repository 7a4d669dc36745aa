"""Who was not let in at the door: one line a kind in `strangers.log`, however many came."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.borders import one_line
from bench.engine.door_handshake import Kind
from bench.errors import RunError
from bench.results import files

_EVERY = 1.0  # seconds between two writes of the file at least
_LONGEST = 300  # characters of what was seen of the last one
_KEPT = 2**13  # bytes of an earlier conductor's lines that are kept


@dataclass
class _Line:
    kind: Kind
    first: str
    last: str = ""
    count: int = 0
    address: str = ""
    detail: str = ""

    def __str__(self) -> str:
        times = f"{self.first}" if self.count == 1 else f"{self.first} to {self.last}"
        return f"{self.kind}: {self.count}, {times}; the last one, {self.address}: {self.detail}"


class Strangers:
    """Counts them by kind, and writes the file from a thread of its own: no disk is waited for at the door.

    Memory and file have a line a kind: who comes ten thousand times fills neither.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lines: dict[Kind, _Line] = {}
        self._lock = threading.Lock()
        self._seen = threading.Event()
        self._closing = threading.Event()
        self._before: str | None = None
        self._writer: threading.Thread | None = None

    @property
    def counts(self) -> dict[Kind, int]:
        """How many of each kind there were."""
        with self._lock:
            return {kind: line.count for kind, line in self._lines.items()}

    def saw(self, kind: Kind, address: str, detail: str) -> None:
        """Count one; never waits."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            line = self._lines.setdefault(kind, _Line(kind, now))
            line.count += 1
            line.last, line.address = now, one_line(address[:_LONGEST])[:_LONGEST]
            line.detail = one_line(detail[:_LONGEST])[:_LONGEST]
            if self._writer is None and not self._closing.is_set():
                self._writer = threading.Thread(target=self._write_until_closed, daemon=True, name="bench-strangers")
                with suppress(RuntimeError):  # no thread can be started: it is written when this is closed
                    self._writer.start()
        self._seen.set()

    def _write_until_closed(self) -> None:
        while not self._closing.is_set():
            self._seen.wait()
            self._seen.clear()
            self.write()
            self._closing.wait(_EVERY)

    def write(self) -> None:
        """Write down what there is; where that cannot be, it is tried again with the next one."""
        with suppress(RunError):
            if self._before is None:
                self._before = _earlier(self._log)
            with self._lock:
                text = "".join(f"{line}\n" for line in self._lines.values())
            files.write_aside(self._log, self._before + text)

    def close(self) -> None:
        """Write the last of it."""
        self._closing.set()
        self._seen.set()
        with self._lock:
            writer = self._writer
        if writer is not None and writer.is_alive():
            writer.join(5.0)
        if self._lines:
            self.write()


def _earlier(log: Path) -> str:
    """What a conductor that this one goes on for has written: whole lines, not too many."""
    if not log.exists():
        return ""
    kept = files.read_bytes(log)[-_KEPT:].decode(errors="replace")
    return kept if len(kept) < _KEPT else kept.partition("\n")[2]
