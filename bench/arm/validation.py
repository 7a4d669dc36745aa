"""Counts the validation batches that a loop takes, so that the ledger tells what was declared and not done.

A torch DataLoader stays one, of the same class for all who ask: Lightning makes others from it, and these count too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader


class ValidationCount:
    """Validation batches, counted as they are handed out.

    Args:
        batches: the workload's, one loader or several, or None.
        active: whether what is taken now counts; Trainer's sanity check, before its first step, does not.

    Attributes:
        declared: whether there are any.
        batches: what a loop is to iterate instead.
        taken: how many were.
    """

    def __init__(self, batches: Any, active: Callable[[], bool]) -> None:
        self._active = active
        self.taken = 0
        self.declared = batches is not None
        self.batches = self._counted(batches)

    def count(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches of one pass."""
        for batch in batches:
            self.taken += self._active()
            yield batch

    def _counted(self, batches: Any) -> Any:
        if batches is None:
            return None
        if isinstance(batches, DataLoader):
            return counted_loader(batches, self.count)
        if isinstance(batches, list | tuple) and batches and all(isinstance(one, DataLoader) for one in batches):
            return type(batches)(map(self._counted, batches))
        if hasattr(batches, "flattened"):  # Lightning's CombinedLoader
            batches.flattened = [self._counted(one) for one in batches.flattened]
            return batches
        return CountedBatches(batches, self.count)


def counted_loader(loader: DataLoader[Any], count: Callable[[Iterator[Any]], Iterator[Any]]) -> DataLoader[Any]:
    """A DataLoader as this one, which may serve other ends too; each pass goes through `count`."""
    kind: Any = type(loader)

    class Counted(kind):  # type: ignore[misc]  # a class that is known when the loader is
        def __iter__(self) -> Iterator[Any]:
            return count(super().__iter__())

    Counted.__name__, Counted.__qualname__, Counted.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    own = copy.copy(loader)
    own.__class__ = Counted
    return own


class CountedBatches:
    """Any other iterable, with its attributes."""

    def __init__(self, batches: Iterable[Any], count: Callable[[Iterator[Any]], Iterator[Any]]) -> None:
        self._batches = batches
        self._count = count

    def __iter__(self) -> Iterator[Any]:
        return self._count(iter(self._batches))

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]  # it says itself that it has none

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)
