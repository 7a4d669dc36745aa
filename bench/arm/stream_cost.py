"""What the stream itself costs a step, of a suite and of a script: in a process of its own."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, pairwise
from time import perf_counter_ns
from typing import Any, NoReturn

import torch

from bench.arm.script_loaders import ScriptLoaders
from bench.arm.stream import BatchStream, Grant, TurnTimes

STREAM_STEPS = 50  # of a turn
SCRIPT_STEPS, COLD = 30, 10  # the same, where steps are real ones of 1.4 ms or so; the first find cold caches


class CountingGate:
    """Gives leave for one turn, and keeps what it took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._grants: Iterator[Grant | None] = iter([Grant(STREAM_STEPS), None])

    def wait(self) -> Grant | None:
        return next(self._grants)

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.seconds = sum(taken.seconds)


class PairedGate:
    """Gives leave for turns, and takes as many steps without the stream while the loop is held."""

    def __init__(self, repeats: int, bare: Callable[[], Sequence[float]]) -> None:
        self._left = repeats
        self._bare = bare
        self._turn: Sequence[float] = ()
        self.costs: list[float] = []  # seconds a step

    def wait(self) -> Grant | None:
        if self._turn:
            self.costs.append(settled_step(self._turn) - settled_step(self._bare()))
        self._left -= 1
        return Grant(SCRIPT_STEPS) if self._left >= 0 else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self._turn = taken.seconds


def settled_step(seconds: Sequence[float]) -> float:
    """The mean of a turn's settled steps, in seconds; what the machine did to some counts for two of them at most."""
    own = seconds[COLD:]
    typical = statistics.median(own)
    return statistics.fmean(min(one, 2 * typical) for one in own)


def time_stream(repeats: int) -> None:
    """Print the stream's cost a step, in seconds, round by round. Runs in a process of its own."""
    batches = [(torch.zeros(64, 784), torch.zeros(64)) for _ in range(STREAM_STEPS)]

    def bare() -> float:
        # What the stream's turn times is one pull and one step after another; so is this, without the stream.
        source = iter(batches)
        began = perf_counter_ns()
        for _batch in source:
            pass
        return (perf_counter_ns() - began) / 1e9

    def streamed() -> float:
        gate = CountingGate()
        for _batch in BatchStream(gate)(batches):
            pass
        return gate.seconds

    costs = []
    order: list[Callable[[], float]] = [bare, streamed]
    generator = random.Random(0)
    for _ in range(repeats):
        generator.shuffle(order)
        seconds = {arm: arm() for arm in order}
        costs.append((seconds[streamed] - seconds[bare]) / STREAM_STEPS)
    print(json.dumps(costs))


def time_script_stream(repeats: int) -> None:
    """Print what a step of a script costs more than without us, in seconds, round by round: real steps of some 1.4 ms,
    in turns with the stream and without it, of one model. Runs in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width = 384
    model = torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    batches = [torch.randn(64, width) for _ in range(STREAM_STEPS)]

    def step(batch: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    def refuse(reason: str) -> NoReturn:
        raise RuntimeError(reason)

    source = cycle(batches)

    def bare() -> list[float]:
        marks = [perf_counter_ns()]
        for _ in range(SCRIPT_STEPS):
            step(next(source))
            marks.append(perf_counter_ns())
        return [(end - start) / 1e9 for start, end in pairwise(marks)]

    gate = PairedGate(repeats, bare)
    loaders = ScriptLoaders(lambda loader, length: BatchStream(gate), refuse, real_epochs=False)
    pulls = loaders.iterate(batches, lambda: iter(batches))
    step(next(pulls))
    loaders.updates += 1  # as its hook would count it
    for batch in pulls:
        step(batch)
    print(json.dumps(gate.costs))
