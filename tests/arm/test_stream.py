"""The stream's clock, pause and counts; the schedule; the ledger's judgement. No torch."""

from __future__ import annotations

import random
import threading
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from bench.arm.stream import ENDLESS, BatchStream, Grant, TurnTimes
from bench.axes.loops.batch_tree import batch_size
from bench.engine.turn_order import block_length, rounds, williams_square
from bench.errors import Unsupported
from bench.results.work_ledger import own_faults, validation_differences


@dataclass
class Gate:
    """Grants from a list; remembers what happened, in order."""

    grants: list[Grant]
    taken: list[TurnTimes] = field(default_factory=list)
    batches: list[list[Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def wait(self) -> Grant | None:
        self.events.append("wait")
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        self.events.append("before")

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        self.events.append("after")
        self.taken.append(taken)
        self.batches.append(batches)


def test_a_turn_is_timed_from_pull_to_pull() -> None:
    gate = Gate([Grant(3)])
    spans = []
    last = None
    began = time.perf_counter()
    for batch in BatchStream(gate)([bytes([1]), bytes([3]), bytes([2])]):
        now = time.perf_counter()
        if last is not None:
            spans.append(now - last)
        last = now
        time.sleep(0.05 * batch[0])
    (taken,) = gate.taken
    # The stream's intervals are those that a stopwatch in the loop reads, shifted by the microseconds between the two.
    assert list(taken.seconds[:2]) == pytest.approx(spans, abs=0.02)
    assert [seconds >= 0.05 * count for seconds, count in zip(taken.seconds, (1, 3, 2), strict=True)] == [True] * 3
    assert sum(taken.seconds) <= time.perf_counter() - began
    assert taken.cpu < sum(taken.seconds) / 2  # a sleeping loop uses no processor


def test_the_loop_is_held_until_the_gate_answers() -> None:
    leave = threading.Event()

    class Slow(Gate):
        def wait(self) -> Grant | None:
            if self.taken:
                leave.wait(5)
            return super().wait()

    gate = Slow([Grant(2), Grant(1)])
    steps: list[int] = []

    def loop() -> None:
        for batch in BatchStream(gate)([b"0"] * 5):
            steps.append(batch[0])

    thread = threading.Thread(target=loop)
    thread.start()
    time.sleep(0.5)
    assert len(steps) == 2
    assert len(gate.taken) == 1
    leave.set()
    thread.join(5)
    assert len(steps) == 3
    # The time held is in no turn.
    assert sum(gate.taken[1].seconds) < 0.25


def test_a_loader_is_iterated_again_and_counted() -> None:
    gate = Gate([Grant(2), Grant(3, audit=True)])
    seen = [batch[0] for batch in BatchStream(gate)([b"\0\0", b"\1\1\1"])]
    assert seen == [0, 1, 0, 1, 0]
    assert [taken.samples for taken in gate.taken] == [5, 7]
    # Only an audited turn keeps its batches.
    assert gate.batches == [[b"\1\1\1"], [b"\0\0", b"\1\1\1", b"\0\0"]]
    assert len(BatchStream(gate)([b"0"])) == ENDLESS


def test_a_device_is_waited_for_at_the_edges_of_a_turn_and_never_inside() -> None:
    gate = Gate([Grant(3)])
    stream = BatchStream(gate, lambda: gate.events.append("synchronize"))
    for _batch in stream([b"0"] * 3):
        gate.events.append("step")
    assert gate.events == ["wait", "before", "synchronize", "step", "step", "step", "synchronize", "after", "wait"]


def test_an_empty_loader_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(ValueError, match="gave no batch"):
        list(BatchStream(Gate([Grant(1)]))([]))


DATA = array("b", b"ab")


@pytest.mark.parametrize("batch", [b"ab", (b"ab", b"c"), {"x": DATA, "y": b"c"}, [[DATA], 1]])
def test_the_size_of_a_batch_is_that_of_its_first_tensor(batch: Any) -> None:
    assert batch_size(batch) == 2


@pytest.mark.parametrize("count", range(1, 9))
def test_blocks_are_balanced_for_place_and_predecessor(count: int) -> None:
    block = williams_square(count)
    assert len(block) == block_length(count)
    assert all(sorted(order) == list(range(count)) for order in block)
    for place in range(count):
        assert set(Counter(order[place] for order in block).values()) == {len(block) // count}
    follows = Counter(pair for order in block for pair in pairwise(order))
    if count > 1:
        assert len(follows) == count * (count - 1)
        assert len(set(follows.values())) == 1


def test_orders_are_random_seeded_and_balanced_in_each_block() -> None:
    def first(seed: int, number: int) -> list[list[int]]:
        source = rounds(5, random.Random(seed))
        return [next(source) for _ in range(number)]

    assert first(1, 40) == first(1, 40)
    assert first(1, 40) != first(2, 40)
    for start in range(0, 40, 10):
        block = first(1, 40)[start : start + 10]
        assert all(set(Counter(order[place] for order in block).values()) == {2} for place in range(5))


LEDGER: dict[str, Any] = {
    "steps": 10,
    "samples": 100,
    "samples_digest": "ab",
    "audited": 4,
    "forward": 4,
    "backward": 4,
    "optimizer_updates": 10,
    "audited_updates": 4,
    "audited_changes": 4,
    "losses": [1.0, 0.9],
    "nonzero_gradients": 1.0,
    "initial_weights": "x",
    "final_weights": "y",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audited_changes": 0}, "4 optimizer updates were watched, and none of them changed a parameter"),
        ({"faults": ["it cheats"]}, "it cheats"),
        ({"nonzero_gradients": 0.0}, "all gradients were zero"),
        ({"final_weights": "x"}, "weights at the end are those of the start"),
        ({"losses": [float("nan")]}, "not finite"),
    ],
)
def test_training_that_does_not_train_is_seen(changes: dict[str, Any], words: str) -> None:
    assert own_faults(LEDGER) == []
    assert words in "; ".join(own_faults({**LEDGER, **changes}))


def real(gate: Gate, loader: Any, end: Any = lambda: None) -> list[list[int]]:
    """A loop with epochs of its own over a real stream: the batches of each."""
    stream = BatchStream(gate, real_epochs=True)
    batches = stream(loader)
    epochs: list[list[int]] = []
    while not stream.ending.over:
        epochs.append([])
        for batch in batches:
            epochs[-1].append(batch[0])
        if not stream.ending.over:
            end()
    return epochs


class Sampled(list[bytes]):
    """A loader with a sampler that remembers the epochs that it was told."""

    def __init__(self, batches: list[bytes]) -> None:
        super().__init__(batches)
        self.sampler = self
        self.epochs: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


def test_a_real_epoch_ends_with_the_loader_and_its_turn_with_the_next_pull() -> None:
    gate = Gate([Grant(2, audit=True), Grant(1), Grant(3), Grant(3)])
    loader = Sampled([b"\0", b"\1", b"\2"])
    assert real(gate, loader, lambda: time.sleep(0.05)) == [[0, 1, 2]] * 3 + [[]]
    assert loader.epochs == [0, 1, 2]
    assert gate.events == ["wait", *["before", "after", "wait"] * 4]
    assert [len(taken.seconds) for taken in gate.taken] == [2, 1, 3, 3]
    assert [taken.samples for taken in gate.taken] == [2, 1, 3, 3]
    for taken in gate.taken[1:]:
        assert taken.seconds[-1] >= 0.05  # what the loop does between its epochs
        assert sum(taken.seconds[:-1]) < 0.05
    assert sum(gate.taken[0].seconds) < 0.05


def test_a_loop_that_knows_the_length_and_asks_for_no_more_has_the_same_turns() -> None:
    gate = Gate([Grant(3), Grant(3)])
    stream = BatchStream(gate, real_epochs=True)
    passes: list[str] = []

    class Loader(Sampled):
        def __iter__(self) -> Any:
            yield from super().__iter__()
            passes.append("ended")

    batches = stream(Loader([b"0"] * 3))
    assert len(batches) == 3
    told: list[str] = []
    stream.ending.calls.append(lambda: told.append("over"))
    iter(batches)  # Trainer makes one to see whether it can, and takes another
    for epoch in range(3):
        iterator = iter(batches)
        taken = [batch for _, batch in zip(range(3), iterator, strict=False)]
        assert len(taken) == (3 if epoch < 2 else 0)
        assert told == ([] if epoch < 2 else ["over"])
    assert passes == ["ended"] * 2  # each pass is pulled to its end: samplers draw there
    with pytest.raises(RuntimeError, match="began another epoch after the stream was over"):
        next(iter(batches))


@pytest.mark.parametrize(
    ("loader", "error", "words"),
    [
        (iter([b"0"]), Unsupported, "turns are whole epochs, and its loader has no length"),
        ([], ValueError, "gave no batch"),
    ],
)
def test_a_real_epoch_needs_a_loader_with_a_length(loader: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        real(Gate([Grant(1)]), loader)


@pytest.mark.parametrize(("length", "words"), [(3, "fewer batches"), (1, "more batches")])
def test_a_real_epoch_is_as_long_as_its_loader_says(length: int, words: str) -> None:
    class Loader(Sampled):
        def __len__(self) -> int:
            return length

    with pytest.raises(ValueError, match=f"gave {words} than its length"):
        real(Gate([Grant(9)]), Loader([b"0"] * 2))


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        (4, 4, []),
        (0, 0, []),
        (0, 4, ["validation batches: 0 against the baseline's 4: it never validates"]),
        (4, 0, ["validation batches: 4 against the baseline's 0: the baseline never validates"]),
        (2, 4, ["validation batches: 2 against the baseline's 4"]),
    ],
)
def test_other_validation_is_seen(mine: int, theirs: int, words: list[str]) -> None:
    one, other = ({**LEDGER, "validation_batches": count} for count in (mine, theirs))
    assert validation_differences(one, other) == words
    assert validation_differences(LEDGER, {**LEDGER, "validation_batches": 0}) == []  # a ledger of an older version
