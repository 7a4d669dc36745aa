"""DataLoaders with other arguments, with batches that are handed out again, and such as are made once.

A loader is the one that is meant by the lines that made it (`call_sites`), which its observation told.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from bench.arm.call_sites import CallSites
from bench.arm.import_hooks import put_in_place
from bench.errors import SpecError

# What torch refuses of a loader without workers.
OF_WORKERS = ("persistent_workers", "prefetch_factor", "timeout", "multiprocessing_context")
SITE = "_bench_site"  # the attribute of a loader that has the lines which made it


def mark_loaders(sites: CallSites, at: str = "", own: Mapping[str, Any] | None = None, factor: int = 1) -> None:
    """Mark each loader with the lines that make it, and give the one made at `at` other arguments.

    Args:
        at: the lines; "": every loader is meant.
        own: arguments of DataLoader by name, over those that the training gives.
        factor: that its batch size is multiplied with.

    Raises:
        SpecError: DataLoader has no such argument.
    """
    first = DataLoader.__init__
    signature = inspect.signature(first)
    own = own or {}
    if unknown := [name for name in own if name not in signature.parameters]:
        allowed = ", ".join(name for name in signature.parameters if name not in ("self", "dataset"))
        raise SpecError(f"unknown argument of DataLoader {unknown[0]!r}; allowed: {allowed}")

    @functools.wraps(first)
    def made(self: DataLoader[Any], *arguments: Any, **named: Any) -> None:
        here = sites.chain()
        if (own or factor != 1) and (not at or here == at):
            bound = signature.bind(self, *arguments, **named)
            given = changed_arguments(bound.arguments, own, factor)
            arguments, named = (), {name: value for name, value in given.items() if name != "self"}
        first(self, *arguments, **named)
        setattr(self, SITE, here)

    put_in_place(DataLoader, "__init__", made)


def changed_arguments(given: Mapping[str, Any], own: Mapping[str, Any], factor: int) -> dict[str, Any]:
    """A loader's arguments with others over them, those left out that its number of workers leaves no place for."""
    found = {**given, **own}
    if not found.get("num_workers", 0):
        found = {name: value for name, value in found.items() if name not in OF_WORKERS}
    if factor != 1 and found.get("batch_sampler") is None and found.get("batch_size", 1):
        found["batch_size"] = found.get("batch_size", 1) * factor
    return found


def keep_batches(number: int, at: str = "") -> None:
    """Hand out the first `number` batches of a loader again and again: a perfect loader, which bounds all others."""
    if type(number) is not int or number < 1:
        raise SpecError(f"cached_batches={number!r} is not possible; allowed: a whole number from 1 on")
    first, kept = DataLoader.__iter__, dict[str, list[Any]]()

    def iterate(self: DataLoader[Any]) -> Iterator[Any]:
        site = getattr(self, SITE, "")
        if at and site != at:
            return first(self)
        return _KeptBatches(self, first, kept.setdefault(site, []), number)

    put_in_place(DataLoader, "__iter__", iterate)


class _KeptBatches:
    """One epoch: of the loader until as many are kept as are wanted, then of those."""

    def __init__(self, loader: DataLoader[Any], iterate: Any, kept: list[Any], number: int) -> None:
        self._kept, self._taken = kept, 0
        try:
            self._length = len(loader)
            self._number = min(number, self._length)
        except TypeError:  # it has no length, and ends where its first epoch does
            self._length = self._number = len(kept)
        # Without a length the first epoch is kept whole.
        self._own = iterate(loader) if not self._number or len(kept) < self._number else None

    def __iter__(self) -> _KeptBatches:
        return self

    def __next__(self) -> Any:
        if self._own is not None and (not self._number or len(self._kept) < self._number):
            batch = next(self._own)
            self._kept.append(batch)
        else:
            self._own = None  # ends its workers
            if self._taken >= self._length:
                raise StopIteration
            batch = self._kept[self._taken % self._number]
        self._taken += 1
        return _with_own_containers(batch)


def _with_own_containers(batch: Any) -> Any:
    """The same tensors in lists and dicts of their own: loops take things out of theirs."""
    if type(batch) is dict:
        return {key: _with_own_containers(part) for key, part in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(_with_own_containers(part) for part in batch)
    return batch


def reuse_loaders(sites: CallSites) -> None:
    """Make loaders, samplers and datasets once that the same lines make of the same arguments again and again.

    The next one made is another object with the first one's attributes, so that what it would compute is there already,
    workers that persist too. What the lines compute besides is paid as before: the saving is one at least.
    """
    made = _Made(sites)
    each_maker(made.wrap)


def each_maker(wrap: Callable[[Any], None]) -> None:
    """Call `wrap` with DataLoader and with each class of datasets and samplers that has an `__init__` of its own, those
    that are defined later too."""
    wrap(DataLoader)
    for base in (Dataset, Sampler):
        left = [base]
        while left:
            one = left.pop()
            left += one.__subclasses__()
            if "__init__" in vars(one) and one is not base:
                wrap(one)
        _wrap_later(base, wrap)


def _wrap_later(base: Any, wrap: Callable[[Any], None]) -> None:
    before = vars(base).get("__init_subclass__")

    def defined(own: Any, /, **named: Any) -> None:
        if before is None:
            super(base, own).__init_subclass__(**named)
        else:
            before.__get__(None, own)(**named)
        if "__init__" in vars(own):
            wrap(own)

    put_in_place(base, "__init_subclass__", classmethod(defined))


class _Made:
    """What was made, by the lines that did, with its arguments."""

    def __init__(self, sites: CallSites) -> None:
        self._sites = sites
        self._known: dict[tuple[type, str], tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {}
        self._inside = False  # an object's own __init__ calls those of its bases

    def wrap(self, own: Any) -> None:
        first = own.__init__

        @functools.wraps(first)
        def made(this: Any, *arguments: Any, **named: Any) -> None:
            if self._inside or not hasattr(this, "__dict__"):
                first(this, *arguments, **named)
                return
            key = type(this), self._sites.chain()
            known = self._known.get(key)
            if known is not None and _same(known[0], arguments) and _same(known[1], named):
                this.__dict__ = known[2]
                return
            self._inside = True
            try:
                first(this, *arguments, **named)
            finally:
                self._inside = False
            self._known[key] = arguments, named, this.__dict__

        put_in_place(own, "__init__", made)


def _same(one: Any, other: Any) -> bool:
    """Whether two arguments are the same, or tell the same."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, str | bytes | int | float | bool):
        return bool(one == other)
    if isinstance(one, torch.Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and bool(torch.equal(one, other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return getattr(one, "__dict__", None) is not None and one.__dict__ is getattr(other, "__dict__", None)
