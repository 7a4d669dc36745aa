"""BatchStream: the clock, the pause button and the ledger's source.

Every training loop pulls one batch a step from an iterable. This is that iterable. The time between two pulls is one
whole iteration, whatever the loop does in it; not answering a pull holds the loop; and what was handed out is known.
A turn is a number of pulls that somebody else (the conductor, through a `Gate`) allows.

Where epochs are real, the loop sees the end of each: the iterator ends with the loader's epoch, and a turn with the
first pull of the next one, so that what the loop does in between is a part of the turn's last step.
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
from bench.axes.loops.batches import NO_BATCH, Passes, StreamEnding, forever
from bench.errors import Unsupported

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
    """An endless epoch over a loader, taken in turns, or epoch after epoch.

    Args:
        gate: gives leave for turns and is told what they took.
        synchronize: waits for the device; called at the edges of a turn, never inside; None where nothing runs ahead.
        size: counts the samples of a batch.
        real_epochs: whether the loop sees the ends of epochs.

    Attributes:
        ending: comes when the gate says that it is over.
    """

    def __init__(
        self,
        gate: TurnGate,
        synchronize: Callable[[], None] | None = None,
        size: Callable[[Any], int] = batch_size,
        *,
        real_epochs: bool = False,
    ) -> None:
        self._gate = gate
        self._synchronize = synchronize
        self._size = size
        self._real_epochs = real_epochs
        self._passes = Passes()
        self._taken: Iterator[Any] | None = None  # the turns of all epochs
        self.ending = StreamEnding()

    def __call__(self, loader: Iterable[Any]) -> Batches:
        """The stream over `loader`, which is iterated again each time it is exhausted.

        Raises:
            Unsupported: epochs are real, and the loader has no length.
        """
        return Epochs(self, loader) if self._real_epochs else Batches(self, loader)

    def epoch(self, loader: Iterable[Any], length: int) -> Iterator[Any]:
        """Hand out one epoch of batches; turns go on over its end."""
        if self.ending.over:
            raise RuntimeError(
                "the loop began another epoch after the stream was over; job.ending.over tells it to end"
            )
        self._passes.begin(loader)
        if self._taken is None:
            self._taken = self.turns(self._passes)
        for _ in range(length):
            try:
                batch = next(self._taken)
            except StopIteration:
                return
            yield batch
        # Trainer, which knows the length, does not come here; loops that ask for one batch more do.
        self._passes.end()

    def turns(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Hand out batches, turn by turn, until the gate says that it is over."""
        gate, synchronize, size = self._gate, self._synchronize, self._size
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
        self.ending.come()


class Batches:
    """What a loop iterates: a stream over one loader. Sized, so that Trainer fetches no batch ahead."""

    def __init__(self, stream: BatchStream, loader: Iterable[Any]) -> None:
        self._stream = stream
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._stream.turns(forever(self._loader))

    def __len__(self) -> int:
        return ENDLESS


class Epochs(Batches):
    """The same where epochs are real: each iterator is one epoch of the loader."""

    def __init__(self, stream: BatchStream, loader: Iterable[Any]) -> None:
        super().__init__(stream, loader)
        try:
            self._length = len(loader)  # type: ignore[arg-type]  # it says itself that it has none
        except TypeError:
            raise Unsupported("turns are whole epochs, and its loader has no length") from None
        if not self._length:
            raise ValueError(NO_BATCH)

    def __iter__(self) -> Iterator[Any]:
        return self._stream.epoch(self._loader, self._length)

    def __len__(self) -> int:
        return self._length
