"""The training loader is the one between whose batches an optimizer steps; all else runs free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import pytest

from bench.arm.script_loaders import ScriptLoaders
from bench.arm.stream import BatchStream, Grant, TurnTimes


class Refused(Exception):
    pass


def refuse(reason: str) -> NoReturn:
    raise Refused(reason)


class Gate:
    """Turns of two steps; what was handed out in each."""

    def __init__(self) -> None:
        self.turns: list[int] = []

    def wait(self) -> Grant | None:
        assert len(self.turns) < 100, "whoever asks for all batches of a loader that is held has no end"
        return Grant(2)

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.turns.append(len(taken.seconds))


class Script:
    """A script's loaders, without a process around them."""

    def __init__(self, *, real_epochs: bool = False) -> None:
        self.gate = Gate()
        self.begun: list[tuple[Any, int]] = []
        self.loaders = ScriptLoaders(self.begin, refuse, real_epochs=real_epochs)

    def begin(self, loader: Any, length: int) -> BatchStream:
        self.begun.append((loader, length))
        return BatchStream(self.gate, size=lambda batch: 1)

    def over(self, batches: Iterable[Any]) -> Iterator[Any]:
        return self.loaders.iterate(batches, lambda: iter(batches))

    def step(self) -> None:
        self.loaders.updates += 1


def test_a_loader_is_found_at_the_first_batch_after_a_step() -> None:
    script, batches = Script(), list(range(5))
    pulls = script.over(batches)
    assert next(pulls) == 0
    assert not script.begun
    script.step()
    assert next(pulls) == 1
    assert script.begun == [(batches, 5)]


def test_batches_go_on_over_the_ends_of_passes_and_none_is_lost_or_seen_twice() -> None:
    script, batches = Script(), list(range(5))
    seen = []
    for batch in script.over(batches):
        seen.append(batch)
        script.step()
        if len(seen) == 23:
            break
    assert seen == [number % 5 for number in range(23)]
    assert script.gate.turns == [2] * 10, "the turn after the free first batch, and the one that goes on"


def test_accumulation_is_found_at_its_first_update() -> None:
    script = Script()
    pulls = script.over(range(100))
    for number in range(8):
        next(pulls)
        assert len(script.begun) == int(number >= 4)
        if number % 4 == 3:
            script.step()


def test_validation_and_sanity_checks_run_free() -> None:
    script = Script()
    assert list(script.over(range(3))) == [0, 1, 2]
    training = script.over(range(4))
    next(training)
    script.step()
    next(training)
    assert list(script.over("abc")) == ["a", "b", "c"]
    assert len(script.begun) == 1


def test_a_loop_that_leaves_its_loader_early_ends_the_pass_and_not_the_turns() -> None:
    script, batches, seen = Script(), list(range(10)), []
    for _ in range(6):
        for batch in script.over(batches):
            seen.append(batch)
            script.step()
            if batch == 3:
                break
    assert seen == [0, 1, 2, 3] * 6
    assert script.gate.turns == [2] * 11


def test_a_loader_that_is_built_anew_at_the_same_place_is_the_same() -> None:
    script, seen = Script(real_epochs=True), []
    for _ in range(4):
        for batch in script.over(list(range(6))):
            seen.append(batch)
            script.step()
    assert seen == list(range(6)) * 4
    assert script.begun[0][1] == 6
    assert script.gate.turns == [2] * 8, "the first epoch is free, and the last turn is not over before the next pull"


def test_a_loader_that_is_built_anew_and_iterated_from_elsewhere_after_its_first_epoch_is_the_same() -> None:
    script, seen = Script(real_epochs=True), []
    for batch in script.over(list(range(6))):
        seen.append(batch)
        script.step()
    for _ in range(4):
        for batch in script.over(list(range(6))):
            seen.append(batch)
            script.step()
        list(script.over(list(range(6))))  # validation, of as many batches, between which nothing steps
    assert seen == list(range(6)) * 5
    assert script.gate.turns == [2] * 8, "two epochs are free: the first, and that which tells where the others begin"


def test_epochs_of_other_lengths_are_refused() -> None:
    script, lengths = Script(real_epochs=True), iter([6, 6, 4, 6, 6, 6, 6])

    class Batches:
        def __iter__(self) -> Iterator[int]:
            return iter(range(next(lengths)))

    batches = Batches()

    def train() -> None:
        for _ in range(4):
            for _batch in script.over(batches):
                script.step()

    with pytest.raises(Refused, match="different lengths: 6 batches, then 4"):
        train()


def test_what_gives_nothing_in_its_second_pass_is_refused() -> None:
    script = Script()
    pulls = script.over(iter(range(3)))
    for _ in range(3):
        next(pulls)
        script.step()
    with pytest.raises(Refused, match="no batch in its second pass"):
        next(pulls)


def test_a_second_training_loader_is_noted_and_one_that_is_looked_at_is_not() -> None:
    script = Script()
    for number, (_, _) in enumerate(zip(script.over(range(40)), script.over(range(50)), strict=False)):
        script.step()
        if number == 10:
            break
    assert script.loaders.second == "range"
    looked = Script()
    pulls, looks = looked.over(range(100)), looked.over("abcdefgh")
    for number in range(60):
        next(pulls)
        looked.step()
        if number % 10 == 0:
            next(looks)
    assert looked.loaders.second == ""


def test_children_of_a_script_iterate_as_they_are() -> None:
    script = Script()
    script.loaders._leave()
    pulls = script.over([1, 2, 3])
    next(pulls)
    script.step()
    assert list(pulls) == [2, 3]
    assert not script.begun
