"""What the stream itself costs a step: in a process of its own, without torch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Any


def time_stream(repeats: int) -> None:
    """Print the stream's cost a step, in seconds, round by round. Runs in a process of its own."""
    import torch

    from bench.arm.stream import BatchStream, Grant, TurnTimes

    steps = 50
    batches = [(torch.zeros(64, 784), torch.zeros(64)) for _ in range(steps)]

    class Gate:
        def __init__(self) -> None:
            self.seconds = 0.0
            self.grants: Iterator[Grant | None] = iter([Grant(steps), None])

        def wait(self) -> Grant | None:
            return next(self.grants)

        def before(self, grant: Grant) -> None:
            pass

        def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
            self.seconds = sum(taken.seconds)

    def bare() -> float:
        # What the stream's turn times is one pull and one step after another; so is this, without the stream.
        source = iter(batches)
        began = perf_counter_ns()
        for _batch in source:
            pass
        return (perf_counter_ns() - began) / 1e9

    def streamed() -> float:
        gate = Gate()
        for _batch in BatchStream(gate)(batches):
            pass
        return gate.seconds

    costs = []
    order: list[Callable[[], float]] = [bare, streamed]
    generator = random.Random(0)
    for _ in range(repeats):
        generator.shuffle(order)
        seconds = {arm: arm() for arm in order}
        costs.append((seconds[streamed] - seconds[bare]) / steps)
    print(json.dumps(costs))
