"""What asks a run to end: SIGINT, SIGTERM, SIGHUP (a terminal that is closed), SIGQUIT, and how it is heeded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from bench.plan.guard import answer_signals

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


# A scheduler ends the steps of a job one after the other: the nodes of a run may be gone before the run hears of it.
SIGNALS_APART = 3.0  # seconds; on two nodes of one machine they were 0.1 s apart


class Interrupted(Exception):
    """The user asked to stop, and there is nothing in hand that is worth waiting for."""


class Interruptible(Protocol):
    """What counts how often it was asked to stop."""

    interrupts: int


def heard_within(asked: Interruptible, seconds: float) -> bool:
    """Whether it was asked to stop, now or so much later."""
    end = time.monotonic() + seconds
    while not asked.interrupts and time.monotonic() < end:
        time.sleep(0.05)
    return asked.interrupts > 0


@contextmanager
def heed_signals(fleet: Interruptible) -> Iterator[None]:
    """The first signal that asks to stop ends the launch in hand and keeps all it measured; the second leaves at once.

    Later ones change nothing: by then processes are being ended.
    """

    def note(signum: int, frame: FrameType | None) -> None:
        fleet.interrupts += 1
        if fleet.interrupts == 2:
            raise Interrupted

    with answer_signals(note, STOPPING):
        yield


@contextmanager
def ignore_signals() -> Iterator[None]:
    """No signal that asks to stop comes through meanwhile, where this is the main thread; who asks has to wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
