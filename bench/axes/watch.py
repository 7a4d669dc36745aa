"""`bench.watch`: where a training that uses no DataLoader says what its batches are. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_T = TypeVar("_T")
_taker: Callable[[Iterable[Any]], Iterable[Any]] | None = None


def watch(batches: Iterable[_T]) -> Iterable[_T]:
    """The batches, to be iterated in their place: `for batch in bench.watch(batches): ...`.

    In a race (`bench race`) their iteration can be timed and held, as that of every DataLoader is. Anywhere else, and
    in loader workers, they are given back as they are.

    Raises:
        TypeError: where they are iterated, if they cannot be.
    """
    return batches if _taker is None else _taker(batches)


def let_watch(taker: Callable[[Iterable[Any]], Iterable[Any]] | None) -> None:
    """Have `watch` give its batches to this function from now on, or to none."""
    global _taker
    _taker = taker
