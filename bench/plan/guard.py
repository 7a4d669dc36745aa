"""Code of others that the parent has to call: suite files, `refuses`, `workers`. Whatever it does becomes a message.

A suite file may raise anything, leave by `sys.exit(0)` or `os._exit(0)`, die or hang. The first two are caught where
they happen; what ends or holds a process is found by importing the file in a child first.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from bench.errors import SpecError

IMPORT_PATIENCE = 30.0  # seconds for the top level of a suite file, which imports nothing heavy

LONGEST_TEXT = 300  # characters of an exception's text

_signals: list[int] = []  # SIGINT, SIGTERM and SIGHUP that have come


@contextmanager
def signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, and remember that it was they who did."""

    def note(signum: int, frame: FrameType | None) -> None:
        _signals.append(signum)
        raise KeyboardInterrupt

    _signals.clear()
    with answer_signals(note, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        yield


@contextmanager
def answer_signals(note: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """These signals call `note` meanwhile, but for those that are ignored, as nohup(1) leaves SIGHUP.

    Only the main thread may say what signals do; in another nothing is changed, and they do what its program says.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Calls somebody else's code: any exception of it, SystemExit and KeyboardInterrupt too, is a mistake in `what`.

    Raises:
        SpecError: it raised; names what, and the exception.
        KeyboardInterrupt: the user ended the program meanwhile.
    """
    try:
        yield
    except SpecError as error:
        raise SpecError([f"{what}: {mistake}" for mistake in error.mistakes]) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and _signals:
            raise
        raise SpecError(f"{what}: {exception_line(error)}") from error


def exception_line(error: BaseException) -> str:
    """An exception in one line, even where its own text cannot be made."""
    name = "sys.exit was called" if isinstance(error, SystemExit) else type(error).__name__
    try:
        text = " ".join(str(error).split())[:LONGEST_TEXT]
    except BaseException as second:  # a __str__ of somebody else's may raise anything
        text = f"(its text cannot be made: {type(second).__name__})"
    return f"{name}: {text}" if text else name


def try_in_child(what: str, call: Callable[[], object]) -> None:
    """Make the call in a forked child first, which may leave, die or hang as it likes; exceptions are not told here.

    Raises:
        SpecError: the child did not come to the end of the call.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started us
            stream.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.close(reader)
            with open(os.devnull, "r+b") as nothing:
                for descriptor in (0, 1, 2):
                    os.dup2(nothing.fileno(), descriptor)
            with suppress(BaseException):  # told by the caller, who makes the call again
                call()
            os.write(writer, b"x")
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], IMPORT_PATIENCE)
        came = bool(ready) and os.read(reader, 1) == b"x"
    finally:
        os.close(reader)
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)  # before its setsid; a zombie until it is waited for
        _, status = os.waitpid(child, 0)
    if not ready:
        raise SpecError(f"{what}: not done after {IMPORT_PATIENCE:g} s")
    if not came:
        ending = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-ending).name}" if ending < 0 else f"left the program (status {ending})"
        raise SpecError(f"{what}: {how}")
