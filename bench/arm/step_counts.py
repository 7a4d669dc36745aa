"""The counts of an arm: a loader that counts what some steps of the loop do that pulls from it.

As with the profiler, loops and the timed stream know nothing of it. A pull is where one step ends and the next begins;
each metric is counted over steps of its own, since to count one thing does another. Garbage is collected before and
after, and not in between: when it is depends on all that an interpreter has done before.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from bench.arm.allocation_count import AllocationCount
from bench.arm.call_count import CallCount
from bench.arm.operator_count import OperatorCount
from bench.arm.system_call_count import SystemCallCount
from bench.axes.loops.batches import forever
from bench.plan.suite_files import without_folder
from bench.results.step_counts import Counted, StepCounts

# What hands out the batches of a timed step is no part of the loop.
OURS = ("bench.arm.", "bench.axes.loops.batches:")

_Counting = Iterator[tuple[Counted, ...]]  # begins to count at the first `next`, tells at the second


class StepCounter:
    """What is counted of one arm.

    Args:
        request: `skip` pulls go by first, then each metric is counted over `steps`.
        compiled: whether torch.compile has to do with it: under a dispatch mode it runs everything as if it had not.
    """

    def __init__(self, request: Mapping[str, Any], *, compiled: bool) -> None:
        self._skip, self._steps = int(request["skip"]), int(request["steps"])
        self._compiled = compiled
        self._found: list[Counted] = []
        self._calls = CallCount()
        _steady_bars()

    def watch(self, loader: Iterable[Any]) -> CountedLoader:
        """The loader, with counted stretches of pulls."""
        return CountedLoader(self, loader)

    def pulls(self, loader: Iterable[Any]) -> Iterator[Any]:
        """An endless pass over the loader, which is iterated again each time it is exhausted."""
        batches = forever(loader)
        for _ in range(self._skip):
            yield next(batches)
        operators = _no_operators if self._compiled else _operators
        for window in (partial(_python_calls, self._calls), _allocations, _system_calls, operators):
            collecting = gc.isenabled()
            gc.collect()
            gc.disable()
            counting = window()
            refused = next(counting)
            for _ in range(self._steps):
                yield next(batches)
            self._found += refused or next(counting)
            if collecting:
                gc.enable()
        yield from batches

    def uncounted(self, size: Callable[[Any], int]) -> Callable[[Any], int]:
        """A function that the stream calls in each step, and whose calls are not the loop's."""

        def call(batch: Any) -> int:
            self._calls.paused = True
            try:
                return size(batch)
            finally:
                self._calls.paused = False

        return call

    def result(self) -> StepCounts:
        """What was counted."""
        return StepCounts(self._steps, tuple(self._found))


class CountedLoader:
    """A loader whose pulls a `StepCounter` sees."""

    def __init__(self, counter: StepCounter, loader: Iterable[Any]) -> None:
        self._counter = counter
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._counter.pulls(self._loader)


def _steady_bars() -> None:
    """Progress bars whose clock ticks a millisecond a look: tqdm goes through its text by the character, and how long
    that is depends on what it says of the time (142,760 or 142,796 calls in 100 steps, otherwise)."""
    tqdm = sys.modules.get("tqdm.std")
    if tqdm is not None:
        ticks = itertools.count(1)
        tqdm.time = lambda: next(ticks) / 1000  # type: ignore[attr-defined]  # untyped module


def _python_calls(count: CallCount) -> _Counting:
    try:
        count.start()
    except RuntimeError as error:
        yield (Counted("python_calls", refused=str(error)),)
        return
    yield ()
    count.stop()
    own = {without_folder(name): number for name, number in count.calls().items() if not name.startswith(OURS)}
    yield (Counted("python_calls", sum(own.values()), own),)


def _allocations() -> _Counting:
    try:
        count = AllocationCount()
    except RuntimeError as error:
        yield (Counted("allocations", refused=str(error)),)
        return
    count.start()
    yield ()
    requests = count.stop()
    yield (Counted("allocations", requests), Counted("cyclic_garbage", gc.collect()))


def _system_calls() -> _Counting:
    try:
        count = SystemCallCount()
        count.start()
    except RuntimeError as error:
        yield (Counted("system_calls", refused=str(error)),)
        return
    yield ()
    try:
        own = count.stop()
    except RuntimeError as error:
        yield (Counted("system_calls", refused=str(error)),)
        return
    # The heap begins where the system's random number says, so how often it is made larger is no affair of the code.
    own.pop("brk", None)
    yield (Counted("system_calls", sum(own.values()), own),)


def _no_operators() -> _Counting:
    reason = "a compiled region that is watched operator by operator is not run compiled"
    yield tuple(Counted(metric, refused=reason) for metric in ("operators", "copies", "host_syncs"))


def _operators() -> _Counting:
    count = OperatorCount()
    with count:
        yield ()
    callers = {
        operator: {without_folder(name): number for name, number in own.items()}
        for operator, own in count.callers().items()
    }
    yield tuple(
        Counted(metric, sum(own.values()), own, {name: callers[name] for name in own})
        for metric, own in (("operators", count.operators), ("copies", count.copies), ("host_syncs", count.host_syncs))
    )
