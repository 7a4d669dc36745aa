"""BatchStream: the clock, the pause button and the ledger's source.

Every training loop pulls one batch a step from an iterable. This is that iterable. The time between two pulls is one
whole iteration, whatever the loop does in it; not answering a pull holds the loop; and what was handed out is known.
A turn is a number of pulls that somebody else (the conductor, through a `Gate`) allows.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns, process_time_ns
from typing import Any, Protocol

from bench.arm.own_faults import blame_ourselves
from bench.axes.loops.batch_tree import batch_size
from bench.axes.loops.batches import forever

# Loops that ask for the length of an epoch see one epoch that does not end before the run does: what a loop does once
# an epoch (validation, checkpoints) is not a cost of a step. Under 2**31, so that progress bars can print it.
ENDLESS = 1_000_000_000


@dataclass(frozen=True)
class Grant:
    """Leave to take `steps` steps.

    `audit`: they are watched for the ledger; `instrument`: callbacks see them. Neither are ever timed for a figure.
    """

    steps: int
    audit: bool = False
    instrument: bool = False


@dataclass(frozen=True)
class TurnTimes:
    """What a granted turn took.

    Attributes:
        seconds: of each step, from pull to pull; the last one ends when the device has drained.
        fetching: of each step, the part in which the loop waited for its batch.
        cpu: processor seconds of the whole process, all threads.
        involuntary: involuntary context switches.
        faults: page faults that needed no disk: memory that the allocator had given back, or not had yet.
        samples: samples handed out, as the batches themselves say, or the workload's own function.
        smallest, largest: samples of the smallest and of the largest batch.
    """

    seconds: tuple[float, ...]
    fetching: tuple[float, ...]
    cpu: float
    involuntary: int
    faults: int
    samples: int
    smallest: int
    largest: int


class TurnGate(Protocol):
    """Who decides when the loop may go on."""

    def wait(self) -> Grant | None:
        """Block until there is leave for a turn; None ends the stream."""

    def before(self, grant: Grant) -> None:
        """Just before the first batch of a turn; not timed."""

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        """Just after the last step of a turn; not timed. `batches`: all that were handed out if audited, else the last.

        Batches are not kept during a timed turn: memory that is not freed cannot be used again by the next fetch, and
        the steps would pay for fresh pages that no ordinary loop touches.
        """


class BatchStream:
    """An endless epoch over a loader, taken in turns.

    Args:
        gate: gives leave for turns and is told what they took.
        synchronize: waits for the device; called at the edges of a turn, never inside; None where nothing runs ahead.
        size: counts the samples of a batch.
    """

    def __init__(
        self,
        gate: TurnGate,
        synchronize: Callable[[], None] | None = None,
        size: Callable[[Any], int] = batch_size,
    ) -> None:
        self._gate = gate
        self._synchronize = synchronize
        self._size = size

    def __call__(self, loader: Iterable[Any]) -> Batches:
        """The stream over `loader`, which is iterated again each time it is exhausted."""
        return Batches(self, loader)

    def turns(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Hand out batches, turn by turn, until the gate says that it is over."""
        gate, synchronize, size = self._gate, self._synchronize, self._size
        batches = forever(loader)
        while (grant := gate.wait()) is not None:
            handed: list[Any] = []
            sizes: list[int] = []
            audit = grant.audit
            gate.before(grant)
            if synchronize is not None:
                synchronize()
            usage = resource.getrusage(resource.RUSAGE_SELF)
            cpu = process_time_ns()
            marks = [perf_counter_ns()]
            fetched: list[int] = []
            # The loop body below is all that a step costs: `bench selftest` holds it under 2 µs (stream_cost).
            for _ in range(grant.steps):
                batch = next(batches)
                fetched.append(perf_counter_ns())
                try:
                    sizes.append(size(batch))
                except Exception as error:
                    if size is not batch_size:
                        raise  # it is the workload's own
                    blame_ourselves(error, "counting the samples of a batch")
                if audit:
                    handed.append(batch)
                yield batch
                marks.append(perf_counter_ns())
            if synchronize is not None:
                synchronize()
                marks[-1] = perf_counter_ns()
            cpu_after, after = process_time_ns(), resource.getrusage(resource.RUSAGE_SELF)
            taken = TurnTimes(
                seconds=tuple((end - start) / 1e9 for start, end in pairwise(marks)),
                fetching=tuple((end - start) / 1e9 for start, end in zip(marks, fetched, strict=False)),
                cpu=(cpu_after - cpu) / 1e9,
                involuntary=after.ru_nivcsw - usage.ru_nivcsw,
                faults=after.ru_minflt - usage.ru_minflt,
                samples=sum(sizes),
                smallest=min(sizes),
                largest=max(sizes),
            )
            gate.after(grant, taken, handed if audit else [batch])


class Batches:
    """What a loop iterates: a stream over one loader. Sized, so that Trainer fetches no batch ahead."""

    def __init__(self, stream: BatchStream, loader: Iterable[Any]) -> None:
        self._stream = stream
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._stream.turns(self._loader)

    def __len__(self) -> int:
        return ENDLESS
