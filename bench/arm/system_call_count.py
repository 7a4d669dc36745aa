"""How often the main thread calls the kernel, by call: a small process watches it (`system_call_tracer`).

Where the system has no ptrace, or forbids it, there is no count, and the reason is told.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from bench.arm import system_call_tracer
from bench.arm.system_call_tracer import END_MARK

ALLOW = 0x59616D61  # PR_SET_PTRACER; Yama refuses the processes that one has started, else
PROGRAM = Path(system_call_tracer.__file__)


class SystemCallCount:
    """Counts the system calls of the thread that starts it.

    Raises:
        RuntimeError: they cannot be counted here; says why.
    """

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise RuntimeError(f"system calls are counted on Linux only; this is {sys.platform}")
        self._tracer: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Count from here on.

        Raises:
            RuntimeError: the kernel forbids it.
        """
        thread = str(threading.get_native_id())
        self._tracer = tracer = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), thread],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ctypes.CDLL(None).prctl(ALLOW, ctypes.c_ulong(tracer.pid), 0, 0, 0)
        assert tracer.stdout is not None
        assert tracer.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, and says nothing
            tracer.stdin.write("\n")
            tracer.stdin.close()
        said = tracer.stdout.readline().strip()
        if said != "ready":
            self._end()
            raise RuntimeError(said or "the process that watches did not start")
        _mark()

    def stop(self) -> dict[str, int]:
        """Count no further; how many there were, by name.

        Raises:
            RuntimeError: the watching process was lost.
        """
        _mark()
        assert self._tracer is not None
        assert self._tracer.stdout is not None
        said = self._tracer.stdout.readline()
        self._end()
        try:
            found: dict[str, int] = json.loads(said)
        except ValueError:
            raise RuntimeError(said.strip() or "the process that watches was lost") from None
        return found

    def _end(self) -> None:
        assert self._tracer is not None
        assert self._tracer.stdout is not None
        self._tracer.stdout.close()
        self._tracer.wait()
        self._tracer = None


def _mark() -> None:
    with suppress(OSError):  # there is no such descriptor
        os.close(END_MARK)
