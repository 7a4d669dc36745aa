"""Misdeeds of an arm for itself: exceptions, ends, hangs, losses that are none, memory, output and files."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .misdeeds import BUILDING, LOSING, building, losing, raising, sent, sleeping

# Exceptions, in the loss and in build.


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Base(BaseException):
    pass


ERRORS: dict[str, BaseException] = {
    "raise": RuntimeError("the loss is in no mood"),
    "sys-exit": SystemExit(0),
    "sys-exit-words": SystemExit("enough of this"),
    "stop-iteration": StopIteration(),
    "generator-exit": GeneratorExit(),
    "cancelled": asyncio.CancelledError(),
    "keyboard-interrupt": KeyboardInterrupt(),
    "base-exception": Base("not an Exception"),
    "group": ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "recursion-error": RecursionError("too deep"),
    "memory-error": MemoryError(),
    "unprintable": Unprintable(),
    "wordless": RuntimeError(),
    "megabyte": RuntimeError("x" * 1_000_000),
    "many-lines": RuntimeError("\n" * 5000 + "the end"),
    "html": RuntimeError("<script>alert(1)</script><img src=x onerror=alert(1)>"),
    "escapes": RuntimeError("\x1b]0;title\x07\x1b[31mred\x1b[0m and \x9b31m"),
    "nul": RuntimeError("nothing\x00here"),
    "bell": RuntimeError("\x07\x08\x7f"),
    "right-to-left": RuntimeError("\u202etxet\u202c \u2066and\u2069 \u200f"),
    "line-separators": RuntimeError("one\u2028two\u2029three\x85four\rfive\x0bsix"),
    "surrogate": RuntimeError("\udcff is a byte of a file's name"),
    "surrogate-pair": RuntimeError("\ud83d alone, and \ude00"),
    "mathtext": RuntimeError("$a^$ \\frac{1}{ $_{$"),
    "markdown": RuntimeError("a | b\n| --- |\n[x](javascript:alert(1)) `"),
    "formula": RuntimeError("=cmd|' /C calc'!A0"),
    "jinja": RuntimeError("{{ 7*7 }} {% raw %} {# #}"),
    "percent": RuntimeError("%s %d {0} {x!r} %(name)s"),
    "json": RuntimeError('"}\n{"schema":2}'),
}
LOSING |= {name: raising(error) for name, error in ERRORS.items()}
BUILDING |= {f"build-{name}": raising(error) for name, error in ERRORS.items()}


@losing("surrogate-file")
def _surrogate_file() -> None:
    Path(os.fsdecode(b"no-such-\xff\xfe-file")).read_bytes()


@building("build-import")
def _build_import() -> None:
    import no_such_module_at_all  # noqa: F401 - the misdeed


@losing("recursion")
def _recursion() -> Any:
    return _recursion()


# Ends.

LOSING |= {f"exit-{code}": (lambda code=code: os._exit(code)) for code in (0, 1, 3, 7, 255)}
for _name in ("KILL", "SEGV", "TERM", "STOP", "ABRT", "BUS", "HUP", "PIPE", "ALRM", "QUIT", "TSTP", "USR2", "XCPU"):
    LOSING[f"sig{_name.lower()}"] = sent(getattr(signal, f"SIG{_name}"))


@losing("crash-in-c")
def _crash_in_c() -> None:
    ctypes.string_at(0)


@losing("kill-group")
def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


@losing("stop-group")
def _stop_group() -> None:
    os.killpg(0, signal.SIGSTOP)


# Hangs.

LOSING["hang"] = sleeping
BUILDING["build-hang"] = sleeping


@losing("hang-in-c")
def _hang_in_c() -> None:
    ctypes.CDLL(None).sleep(3600)


@losing("hang-with-gil")
def _hang_with_gil() -> None:
    ctypes.PyDLL(None).sleep(3600)


@losing("hang-deaf")
def _hang_deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.sleep(3600)


@losing("spin")
def _spin() -> None:
    while True:
        pass


@losing("deadlock")
def _deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


# What it gives for a loss.

LOSING |= {
    "nan": lambda: lambda right: right * float("nan"),
    "inf": lambda: lambda right: right * float("inf"),
    "none-loss": lambda: lambda right: None,
    "int-loss": lambda: 3,
    "str-loss": lambda: "much",
    "vector": lambda: lambda right: right.repeat(3),
    "empty-vector": lambda: lambda right: right.repeat(0),
    "detached": lambda: lambda right: right.detach(),
    "complex": lambda: lambda right: right * 1j,
    "bool": lambda: lambda right: right > 0,
}
LOSING["negative-zero"] = lambda: lambda right: right * -0.0

# Memory, output, files.


@losing("allocate")
def _allocate() -> None:
    hoard = []
    while True:
        hoard.append(torch.ones(16 * 2**20))


@losing("allocate-bytes")
def _allocate_bytes() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1) * 2**26))


def _print(megabytes: int, text: bytes) -> Callable[[], None]:
    def deed() -> None:
        for _ in range(megabytes):
            os.write(1, text * (2**20 // len(text)))

    return deed


LOSING["print-100mb"] = _print(100, b"one more line of a log that nobody reads\n")
LOSING["print-no-newline"] = _print(8, b"x")
LOSING["print-binary"] = _print(1, bytes(range(256)))


@losing("print-escapes-and-exit")
def _print_escapes() -> None:
    os.write(2, b"\x1b]0;title\x07\x1b[2Jlast words\n")
    os._exit(9)


@losing("last-words-not-utf8")
def _last_words() -> None:
    os.write(2, b"last \xff\xfe words\n")
    os._exit(9)


@losing("close-all")
def _close_all() -> None:
    os.closerange(0, 4096)


@losing("close-standard")
def _close_standard() -> None:
    for descriptor in (0, 1, 2):
        os.close(descriptor)


@losing("few-descriptors")
def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@losing("remove-cwd")
def _remove_cwd() -> None:
    import shutil

    shutil.rmtree(os.getcwd())


@losing("chdir-root")
def _chdir_root() -> None:
    os.chdir("/")


@losing("locked-folder")
def _locked_folder() -> None:
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/file").write_text("x")
    os.chmod("deep", 0)


@losing("deep-folder")
def _deep_folder() -> None:
    for _ in range(600):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)


@losing("fifo-in-scratch")
def _fifo_in_scratch() -> None:
    os.mkfifo("fifo")
    os.symlink("/", "link-to-root")
    os.symlink("loop", "loop")


@losing("sparse-file")
def _sparse_file() -> None:
    with open("huge", "wb") as file:
        file.truncate(2**40)


@losing("log-removed")
def _log_removed() -> None:
    os.unlink(os.readlink("/proc/self/fd/1"))


@losing("environment")
def _environment() -> None:
    os.environ.clear()
    os.umask(0o777)
