"""Batches as every loop meets them: how many samples one has, and epoch after epoch of them. Standard library."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

NO_BATCH = "the workload's loader gave no batch: fewer samples than one batch, with drop_last?"


class Stream(Protocol):
    """What a loop iterates: one pull a step. Sized, so that Trainer fetches no batch ahead."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


@dataclass
class Ending:
    """The end of the stream, which a loop with epochs of its own cannot tell from an epoch's.

    Attributes:
        over: whether it is there.
        calls: are made when it comes, before the loop hears of it.
    """

    over: bool = False
    calls: list[Callable[[], None]] = field(default_factory=list)

    def come(self) -> None:
        """It is there."""
        self.over = True
        for call in self.calls:
            call()


def batch_size(batch: Any) -> int:
    """Samples in a batch: the length of its first tensor, looked for in tuples, lists and mappings."""
    if isinstance(batch, tuple | list):
        return batch_size(batch[0])
    if isinstance(batch, Mapping):
        return batch_size(next(iter(batch.values())))
    return len(batch)


def forever(loader: Iterable[Any]) -> Iterator[Any]:
    """The batches of a loader that is iterated again each time it is exhausted."""
    for epoch in itertools.count():
        tell_sampler(loader, epoch)
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError(NO_BATCH)


def tell_sampler(loader: Iterable[Any], epoch: int) -> None:
    """A distributed sampler shuffles by seed and epoch; without this every epoch had the order of the first."""
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)


class Passes(Iterator[Any]):
    """Passes over a loader, each begun and ended where the loop begins and ends its epoch. It has no end itself."""

    def __init__(self) -> None:
        self._count = 0
        self._loader: Iterable[Any] = ()
        self._batches: Iterator[Any] | None = None

    def begin(self, loader: Iterable[Any]) -> None:
        """The next batch is the first of a pass over this loader.

        Trainer, which knows the length, never asks for one more. The last pass is ended for it all the same: torch's
        RandomSampler draws once more at its end, and the next epoch would have other batches than in other loops.
        """
        self.end()
        self._loader = loader

    def __next__(self) -> Any:
        if self._batches is None:
            tell_sampler(self._loader, self._count)
            self._count += 1
            self._batches = iter(self._loader)
        try:
            return next(self._batches)
        except StopIteration:
            raise ValueError("turns are the loop's own epochs; its loader gave fewer batches than its length") from None

    def end(self) -> None:
        """The loop asks for one batch more than there are, and the loader ends its pass: workers may end with it."""
        batches, self._batches = self._batches, None
        if batches is not None and next(batches, self) is not self:
            raise ValueError("turns are the loop's own epochs; its loader gave more batches than its length")
