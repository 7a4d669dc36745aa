"""Where an arm's steps spend their time, by call stack: a signal each millisecond, in turns that are never timed.

A signal costs the same wherever it falls, so that it takes from every function the same share. Profilers that are
called at every call and return do not: a function of known 1.0 ms in Trainer came back as 1.6 ms (pyinstrument 5.1, no
calls in it) and 1.8 ms (with calls), and as 0.93 and 0.90 ms from here (docs/measurements/2026-11-26-explain.md).

Held time is in no sample: the signals come from after the gate has opened until before it closes.
"""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Sequence
from time import perf_counter_ns, thread_time_ns
from types import CodeType, FrameType
from typing import Any

from bench.arm.call_count import INLINED
from bench.errors import Unsupported
from bench.plan.suite_files import without_folder
from bench.results.stacks import DEEPEST_STACK, LONGEST_FUNCTION, MOST_STACKS, SampledStacks

_INTERVAL = 0.001  # seconds; a sample costs some 0.15 ms, most of it caches that are cold after it
# Wall time over processor time, in ns, below which nobody asks whether the thread slept or others had the core.
_GAP = 300_000
_OF_THREAD = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)  # macOS knows no threads here


class StackSampler:
    """Samples the main thread between `start` and `stop`; turn after turn adds to the same samples.

    Args:
        interval: seconds of wall time between two samples.
    """

    def __init__(self, interval: float = _INTERVAL) -> None:
        self._interval = interval
        self._steps = 0
        self._lost = 0
        self._codes: dict[int, tuple[CodeType, str]] = {}  # by identity: to hash code is to hash all that it holds
        self._seen: dict[tuple[int, ...], list[int]] = {}
        self._cpu = self._wall = self._slept = 0
        self._before: Any = None
        self._busy = False

    def start(self) -> None:
        """Sample from here on.

        Raises:
            Unsupported: the loop runs in another thread than the main one, to which signals come.
        """
        if threading.current_thread() is not threading.main_thread():
            raise Unsupported("its loop does not run in the main thread, so that its stacks cannot be sampled")
        self._before = signal.signal(signal.SIGALRM, self._heard)
        signal.siginterrupt(signal.SIGALRM, False)
        self._busy = False
        self._mark()
        signal.setitimer(signal.ITIMER_REAL, self._interval, self._interval)

    def stop(self, seconds: Sequence[float]) -> None:
        """Sample no further; so many steps were taken since `start`."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._before is None else self._before)
        self._steps += len(seconds)

    def result(self) -> SampledStacks:
        """All that was seen."""
        names: dict[str, int] = {}
        found: dict[tuple[int, ...], list[int]] = {}
        for stack, (taken, samples) in self._seen.items():
            frames = [self._codes[one] for one in reversed(stack)]
            places = tuple(
                names.setdefault(_name(code, module), len(names))
                for code, module in frames
                if code.co_name not in INLINED
            )[-DEEPEST_STACK:]
            entry = found.setdefault(places, [0, 0])
            entry[0] += taken
            entry[1] += samples
        return SampledStacks(
            self._interval,
            self._steps,
            tuple(names),
            tuple(found),
            tuple(taken / 1e9 for taken, _ in found.values()),
            tuple(samples for _, samples in found.values()),
            self._lost,
        )

    def _mark(self) -> None:
        self._slept = resource.getrusage(_OF_THREAD).ru_nvcsw
        self._wall, self._cpu = perf_counter_ns(), thread_time_ns()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._busy:  # where others have the core, the next signal may come before this one is seen to
            return
        self._busy = True
        cpu, wall = thread_time_ns(), perf_counter_ns()
        taken = cpu - self._cpu
        # Whoever waits by itself takes that time of its step; whoever is made to wait by others does not.
        if wall - self._wall - taken > _GAP and resource.getrusage(_OF_THREAD).ru_nvcsw > self._slept:
            taken = wall - self._wall
        codes, stack = self._codes, []
        while frame is not None:
            code = frame.f_code
            key = id(code)
            if key not in codes:
                codes[key] = (code, str(frame.f_globals.get("__name__", "?")))
            stack.append(key)
            frame = frame.f_back
        entry = self._seen.get(tuple(stack))
        if entry is not None:
            entry[0] += taken
            entry[1] += 1
        elif len(self._seen) < MOST_STACKS:
            self._seen[tuple(stack)] = [taken, 1]
        else:
            self._lost += 1
        self._mark()
        self._busy = False


def _name(code: CodeType, module: str) -> str:
    return f"{without_folder(module)}:{code.co_qualname}"[:LONGEST_FUNCTION]
