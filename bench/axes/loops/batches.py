"""Batches as every loop meets them: how many samples one has, and epoch after epoch of them. Standard library."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol


class Stream(Protocol):
    """What a loop iterates: one pull a step. Sized, so that Trainer fetches no batch ahead."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


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
        # A distributed sampler shuffles by seed and epoch; without this every epoch had the order of the first.
        set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError("the workload's loader gave no batch: fewer samples than one batch, with drop_last?")
