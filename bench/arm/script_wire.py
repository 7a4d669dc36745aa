"""A script's connection to the conductor, which the script may close, or take along into a child. Without torch."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NoReturn

_LOG_END = 4096  # bytes in which last words are looked for


class ScriptWire:
    """Says and hears what its connection does; where that is gone, the process ends with a line in its log.

    Whether it still is what it was is looked at each time, in a microsecond: a script that closes all descriptors and
    opens a file may get the connection's number for it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._descriptor = connection.fileno()
        self._process = os.getpid()
        self._identity = self._now()

    def _now(self) -> tuple[int, int]:
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            return 0, 0
        return status.st_dev, status.st_ino

    @property
    def in_child(self) -> bool:
        """Whether this is another process by now, which the script has forked."""
        return os.getpid() != self._process

    def send_bytes(self, data: bytes, /) -> None:
        self._check()
        try:
            self._connection.send_bytes(data)
        except OSError as error:
            self._lost(error)

    def recv_bytes(self) -> bytes:
        self._check()
        try:
            return self._connection.recv_bytes()
        except (OSError, EOFError) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> NoReturn:
        """The conductor is gone, or a handler of a signal has raised while the script was held.

        Raises:
            Exception: what a handler of the script's has raised, as a TimeoutError, which is an OSError, too.
        """
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        if place is not None and place.tb_frame.f_globals.get("__name__") != Connection.__module__:
            raise error
        self._check()
        end_process("the conductor is gone")

    def _check(self) -> None:
        if self.in_child:
            end_process("a child of the script asked for batches of its parent's training loader, which only that gets")
        if self._now() != self._identity:
            end_process(
                f"the script has closed descriptor {self._descriptor}, the connection to the conductor; allowed: to "
                "close what it has opened itself"
            )


def end_process(reason: str) -> NoReturn:
    """End this process with a last line in its log."""
    try:
        os.write(2, f"\nbench: {reason}\n".encode())
    except OSError:  # it has closed that, too
        leave(1)
    leave(1)


def leave(status: int) -> NoReturn:
    """End this process here and now, without the endings of whatever runs in it."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # the script has closed or replaced it
                stream.flush()
    finally:
        os._exit(status)


def own_last_words() -> str:
    """The last line that this process has written to its log, or "" where it cannot be had."""
    try:
        with open("/proc/self/fd/2", "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_END))
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError:  # it is no file, or there is no /proc
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
