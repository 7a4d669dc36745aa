"""Batches as every loop meets them: epoch after epoch of a loader, and what its suite says of it. No torch."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any, Protocol

from bench.axes.loops.batch_tree import batch_size
from bench.errors import Unsupported, quote

# Iterators of Python's own that have no end, whatever they are made of.
ENDLESS_ITERATORS = (itertools.cycle, itertools.count, itertools.repeat)

NO_BATCH = "the workload's loader gave no batch: fewer samples than one batch, with drop_last?"

LARGEST_BATCH = 2**32  # samples, as a function may count them: sums over all steps stay whole numbers for JSON


class Stream(Protocol):
    """What a loop iterates: one pull a step. Sized, so that Trainer fetches no batch ahead."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


def counter(samples: int | Callable[[Any], int] | None) -> Callable[[Any], int]:
    """What counts the samples of a batch in every step: a workload's `samples`, where it is a function.

    Raises:
        ValueError: `samples` is none of what it may be; the counter raises it where the function gives no number.
    """
    if samples is None or (isinstance(samples, int) and not isinstance(samples, bool) and samples > 0):
        return batch_size
    if not callable(samples):
        raise ValueError(
            f"samples: {quote(samples)}; allowed: a whole number from 1 on, a function of the batch, or None"
        )

    def counted(batch: Any) -> int:
        try:
            found = samples(batch)
        except Exception as error:
            raise ValueError(f"samples: the function of the batch raised {type(error).__name__}: {error}") from error
        if type(found) is not int:  # such as numpy gives them, or torch
            with suppress(Exception):
                found = -1 if isinstance(found, bool) else operator.index(found)
        if type(found) is not int or not 0 <= found <= LARGEST_BATCH:
            told = found if isinstance(found, int) else f"a {type(found).__name__}"
            raise ValueError(f"samples: the function of the batch gave {told}; allowed: whole numbers from 0 on")
        return found

    return counted


def refuse_one_pass(loader: Any) -> None:
    """Refuse what can be gone through only once.

    Iterators of other types are left: some start anew each time that they are iterated, and `forever` sees it.

    Raises:
        Unsupported: it is a generator, or an iterator of Python's own that has an end.
        TypeError: it cannot be iterated.
    """
    kind = type(loader)
    own = kind.__module__ in ("builtins", "itertools") and hasattr(kind, "__next__")
    if (isinstance(loader, GeneratorType) or own) and not isinstance(loader, ENDLESS_ITERATORS):
        raise Unsupported(_exhausted(loader))
    if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
        raise TypeError(f"batches: an object of type {kind.__name__}; allowed: a DataLoader, a list, an iterable")


def _exhausted(loader: Any) -> str:
    return (
        f"the workload's `batches` is exhausted after one pass (type {type(loader).__name__}); give a list, a "
        "DataLoader, or an object with __iter__ that starts anew"
    )


def batches_in(loader: Any) -> int:
    """Batches in an epoch, or 0 where the loader does not say.

    A DataLoader over an IterableDataset has a `__len__` that raises TypeError, unless the dataset has a length, and
    Lightning's CombinedLoader one that raises RuntimeError until it is iterated.
    """
    try:
        length = len(loader)
    except Exception:  # of the loader's own code
        return 0
    return length if length < 2**53 else 0


class CombinedBatches:
    """The batches of Lightning's CombinedLoader, which gives (batch, index, index of the loader).

    A Trainer hands the first of these to the training step, and leaves the rest. So it is in every loop.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        for batch, _, _ in self.loader:
            yield batch

    def __len__(self) -> int:
        return len(self.loader)  # which raises before it is iterated


def as_trainers_see(loader: Any) -> Any:
    """The loader, or what gives its batches as a Trainer hands them to the training step."""
    module = sys.modules.get("lightning.pytorch.utilities.combined_loader")
    return CombinedBatches(loader) if module is not None and isinstance(loader, module.CombinedLoader) else loader


@dataclass
class StreamEnding:
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


def forever(loader: Iterable[Any]) -> Iterator[Any]:
    """The batches of a loader that is iterated again each time it is exhausted."""
    for epoch in itertools.count():
        tell_sampler(loader, epoch)
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty and epoch:
            raise Unsupported(_exhausted(loader))
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
