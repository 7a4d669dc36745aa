"""Finds a script's training loader, and stands between it and the loop: where torch's DataLoader is iterated.

The training loader is the one between whose batches an optimizer steps. Until it is found everything runs free, set-up,
sanity checks and validation among it; from then on its pulls are the turns, and all others still run free.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, NoReturn

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from bench.arm.stream import ENDLESS, BatchStream
from bench.axes import watch

# Packages whose loops end an epoch by its loader's length, not by its end. Where epochs do not end they are told that
# it is ENDLESS; the script itself is told how long it is.
BY_LENGTH = ("lightning.", "pytorch_lightning.", "transformers.", "accelerate.", "ignite.")
# Of another loader, steps of optimizers between two of its batches, and how often, by which it is a second training
# loader and not one that is looked at now and then.
FEW_UPDATES, OFTEN = 4, 3

Place = tuple[tuple[CodeType, int], ...]
Refuse = Callable[[str], NoReturn]


class ScriptLoaders:
    """All that a script iterates, from `attach` to the end of the process; in its children nothing.

    Args:
        begin: makes the stream, once the training loader is found; gets it, and how many batches an epoch has, 0 where
            that is not known.
        refuse: ends the process with a reason.
        real_epochs: whether turns are epochs: then the first runs free, and its batches are counted.

    Attributes:
        training: the iteration of the training loader that it was found by.
        optimizers: those that have stepped, in the order of their first steps.
        updates: their steps so far.
        iterated: loaders that were iterated, and batches that they gave before one was found.
        second: a second training loader's class, "" while there is none.
    """

    def __init__(self, begin: Callable[[Any, int], BatchStream], refuse: Refuse, *, real_epochs: bool) -> None:
        self._begin = begin
        self._refuse = refuse
        self._real_epochs = real_epochs
        self._off = False
        self._turns: Iterator[Any] | None = None
        self._source = PassesOfScript(self._other_length if real_epochs else None, refuse)
        self._length = 0  # batches of an epoch, counted
        self._left = 0  # of the epoch that goes on
        self._real: Iterator[Any] = iter(())  # its pass over the loader
        self.training: FreePulls | None = None
        self.optimizers: dict[int, torch.optim.Optimizer] = {}
        self.updates = 0
        self.iterated: dict[int, str] = {}
        self.batches = 0
        self.second = ""

    def attach(self) -> None:
        """Stand between every DataLoader, everything that is given to `bench.watch`, and those that iterate them."""
        original_iter, original_len = DataLoader.__iter__, DataLoader.__len__

        def iterate(loader: DataLoader[Any]) -> Any:
            return self.iterate(loader, lambda: original_iter(loader))

        def length(loader: DataLoader[Any]) -> int:
            found = original_len(loader)
            caller = sys._getframe(1).f_globals.get("__name__", "")
            return ENDLESS if not self._off and str(caller).startswith(BY_LENGTH) else found

        DataLoader.__iter__ = iterate  # type: ignore[method-assign]  # for this process
        if not self._real_epochs:
            DataLoader.__len__ = length  # type: ignore[method-assign]  # the same
        register_optimizer_step_post_hook(self._stepped)
        watch.let_watch(lambda batches: WatchedBatches(self, batches))
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        """In a child, a loader worker say: its batches are nobody's turns."""
        self._off = True
        watch.let_watch(None)

    def _stepped(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.updates += 1
        if self._turns is None:
            self.optimizers.setdefault(id(optimizer), optimizer)

    def iterate(self, loader: Any, original: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """What iterates this loader now; `original` begins a pass over it."""
        if self._off:
            return original()
        found, place = self.training, _place()
        if found is None or not (found.loader is loader or (found.place == place and _alike(found.loader, loader))):
            self.iterated[id(loader)] = type(loader).__name__
            return FreePulls(self, loader, original(), place, original)
        if self._real_epochs:
            return self._next_epoch(loader, original)
        self._source.begin(original, original())
        return TurnPulls(self.turns())

    def turns(self) -> Iterator[Any]:
        """The training loader's batches, as they are granted."""
        assert self._turns is not None
        return self._turns

    def is_training(self, pulls: FreePulls) -> bool:
        """Whether this iteration, of which the next batch is asked for, is that of the training loader."""
        if self.training is not None:
            if self._goes_on_in(pulls):
                self.training = pulls
            self._note_second(pulls)
            return pulls is self.training and self._turns is not None
        if not pulls.given or self.updates == pulls.updates_at_first:
            return False
        if threading.current_thread() is not threading.main_thread():
            self._refuse(
                "its training loader is pulled in a thread of its own, which cannot be held with the loop; allowed: in "
                "the main thread, or `for batch in bench.watch(...)` there"
            )
        self.training = pulls
        if self._real_epochs:
            return False
        self._source.begin(pulls.original, pulls.real)
        self._turns = self._begin(pulls.loader, _length(pulls.loader)).turns(self._source)
        return True

    def _goes_on_in(self, pulls: FreePulls) -> bool:
        """Whether the training goes on, before its first turn, in a loader that was built anew and is iterated from
        elsewhere: Trainer begins its first epoch from another line than all others."""
        found = self.training
        if found is None or found is pulls or self._turns is not None or not _alike(found.loader, pulls.loader):
            return False
        over = found.given >= _length(found.loader) > 0
        return over and pulls.given > 0 and self.updates > pulls.updates_at_first

    def _note_second(self, pulls: FreePulls) -> None:
        if pulls is not self.training and pulls.given:
            steps = self.updates - pulls.updates_at_last
            pulls.often = pulls.often + 1 if 0 < steps <= FEW_UPDATES else 0
            if pulls.often >= OFTEN:
                self.second = type(pulls.loader).__name__

    def _next_epoch(self, loader: Any, original: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        assert self.training is not None
        if self._turns is None:
            self._length, self._real = self.training.given, self.training.real
            self._turns = self._begin(loader, self._length).turns(self._source)
        elif self._left:
            self._other_length()
        self._end_pass(loader)
        self._real = original()
        self._source.begin(original, self._real)
        self._left = self._length
        return EpochPulls(self, self._real)

    def _end_pass(self, loader: Any) -> None:
        """End the last pass as a `for` does, which asks for one batch more than there are. Loops that go by the length
        do not, and torch's RandomSampler draws at its end: their next epoch would have other batches than a `for`."""
        if _length(loader) == self._length:
            next(self._real, None)

    def take(self, real: Iterator[Any]) -> Any:
        """The next batch of a real epoch."""
        if self._left:
            batch = next(self.turns())
            self._left -= 1
            return batch
        next(real)  # StopIteration is the end of the epoch
        return self._other_length("more")

    def _other_length(self, given: str = "") -> NoReturn:
        self._refuse(
            f"its epochs are of different lengths: {self._length} batches, then {given or self._length - self._left}; "
            "allowed with --epochs: epochs of one length"
        )


class FreePulls(Iterator[Any]):
    """One iteration of a loader while nobody is held, and on from there if it is the training loader's.

    Attributes:
        given: batches so far, free.
        updates_at_first, updates_at_last: steps of optimizers when the first and the last of them was given.
        often: batches in a row before which optimizers had stepped a few times.
    """

    def __init__(
        self,
        loaders: ScriptLoaders,
        loader: Any,
        real: Iterator[Any],
        place: Place,
        original: Callable[[], Iterator[Any]],
    ) -> None:
        self._loaders = loaders
        self.loader = loader
        self.real = real
        self.place = place
        self.original = original
        self._turns: Iterator[Any] | None = None
        self.given = self.updates_at_first = self.updates_at_last = self.often = 0

    def __next__(self) -> Any:
        if self._turns is not None:
            return next(self._turns)
        loaders = self._loaders
        if loaders.is_training(self):
            self._turns = loaders.turns()
            return next(self._turns)
        batch = next(self.real)
        self.updates_at_last = loaders.updates
        if not self.given:
            self.updates_at_first = loaders.updates
        self.given += 1
        loaders.batches += 1
        return batch

    def __len__(self) -> int:
        return len(self.loader)


class TurnPulls(Iterator[Any]):
    """A further iteration of the training loader. A loop that leaves it early ends it, and not the turns."""

    def __init__(self, turns: Iterator[Any]) -> None:
        self._turns = turns

    def __next__(self) -> Any:
        return next(self._turns)


class EpochPulls(Iterator[Any]):
    """A real epoch of the training loader; its end is the loader's own."""

    def __init__(self, loaders: ScriptLoaders, real: Iterator[Any]) -> None:
        self._loaders = loaders
        self._real = real

    def __next__(self) -> Any:
        return self._loaders.take(self._real)


class PassesOfScript(Iterator[Any]):
    """The batches of the pass that goes on; where it ends and nobody begins another, of the next.

    Args:
        early: is called where a pass ends instead, if its end is the epoch's and the epoch is not over.
        refuse: ends the process with a reason.
    """

    def __init__(self, early: Callable[[], NoReturn] | None, refuse: Refuse) -> None:
        self._early = early
        self._refuse = refuse
        self._original: Callable[[], Iterator[Any]] = lambda: iter(())
        self._real: Iterator[Any] = iter(())

    def begin(self, original: Callable[[], Iterator[Any]], real: Iterator[Any]) -> None:
        """A pass begins, `real`; `original` begins those after it."""
        self._original, self._real = original, real

    def __next__(self) -> Any:
        try:
            return next(self._real)
        except StopIteration:
            if self._early is not None:
                self._early()
            self._real = self._original()
        try:
            return next(self._real)
        except StopIteration:
            self._refuse(
                "its training loader gives no batch in its second pass; allowed: loaders that can be iterated again, "
                "or one pass that is long enough"
            )


class WatchedBatches:
    """What `bench.watch` gives in a race."""

    def __init__(self, loaders: ScriptLoaders, batches: Iterable[Any]) -> None:
        self._loaders = loaders
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self._loaders.iterate(self.batches, lambda: iter(self.batches))

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]  # it says itself that it has none


def _place() -> Place:
    """Where in the code a loader's iteration begins: every call from the top down, ours left out."""
    frame, found = sys._getframe(2), []
    while frame is not None:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]  # None ends it
    return tuple(found)


def _alike(one: Any, other: Any) -> bool:
    """Whether a loader may be another one of the same batches, which a script has built anew."""
    return type(one) is type(other) and _length(one) == _length(other) and _batch(one) == _batch(other)


def _batch(loader: Any) -> Any:
    return getattr(loader, "batch_size", None)


def _length(loader: Any) -> int:
    try:
        found = len(loader)
    except Exception:  # of the loader's own code
        return 0
    return found if found < 2**53 else 0
