"""A slowdown of known size, put into an arm: at pulls the loader is busy for a fraction of the loop's own step.

What a step costs by itself is read on the main thread's own clock, which stands still while the arm is held, less what
was burnt. The median follows the loop as it warms up. For loops that the processor drives: where a step's work is a
device's, the main thread's time is not the step's. No torch.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Sized
from time import perf_counter_ns, thread_time_ns
from typing import Any

REMEMBERED_STEPS = 31  # steps; the median of fewer follows single slow ones


class Burn:
    """A loader that takes longer.

    Args:
        loader: whose batches are handed out.
        fraction: of a step that is burnt at a pull, 0 or more; 0 does all but burn, for an arm to compare with.
        every: which pulls: each, or each second, third, ... of all epochs together.

    Raises:
        ValueError: a fraction below 0, or no such pulls.
    """

    def __init__(self, loader: Iterable[Any], fraction: float, every: int = 1) -> None:
        if fraction < 0:
            raise ValueError(f"fraction {fraction}; allowed: 0 or more")
        if every < 1:
            raise ValueError(f"every {every}; allowed: 1 or more")
        self._loader = loader
        self._fraction = fraction
        self._every = every
        self._pulls = 0
        self._steps: deque[int] = deque(maxlen=REMEMBERED_STEPS)
        # What the engine asks a loader.
        self.sampler = getattr(loader, "sampler", None)
        self.num_workers = int(getattr(loader, "num_workers", 0))

    def __len__(self) -> int:
        assert isinstance(self._loader, Sized)
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        began = None
        for batch in self._loader:
            now = thread_time_ns()
            if began is not None:
                self._steps.append(now - began)
            self._pulls += 1
            if self._steps:
                # Asked at each pull, which takes 5 µs: an arm that asked every 20th time only was 0.35 % faster.
                usual = statistics.median(self._steps) / 1e9
                spin(self._fraction * usual if self._pulls % self._every == 0 else 0.0)
            began = thread_time_ns()
            yield batch


def spin(seconds: float) -> None:
    """Keep the processor busy for so long, and touch no memory: what other code finds in its caches stays."""
    end = perf_counter_ns() + round(1e9 * seconds)
    while perf_counter_ns() < end:
        pass
