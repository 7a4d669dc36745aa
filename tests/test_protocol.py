"""Messages: what may be said at a place is decoded, and everything else is one kind of error. No processes."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from bench import protocol
from bench.protocol import CallbackMetrics, Fork, GarbledMessage, Go, Ledger, Ready, Result, TurnReport

DECODERS = [
    protocol.ARRIVALS,
    protocol.REPORTS,
    protocol.FIRST,
    protocol.TURN,
    protocol.LAST,
    protocol.ANY,
]
LEDGER = Ledger(
    steps=8,
    samples=128,
    smallest_batch=16,
    largest_batch=16,
    declared_samples=None,
    samples_digest="0",
    initial_weights="a",
    final_weights="b",
    audited=8,
    forward=8,
    backward=8,
    optimizer_updates=8,
    losses=(0.5, "nan"),
    nonzero_gradients=1.0,
)
MESSAGES: list[protocol.Message] = [
    protocol.ForkServerHello("torch-0", 10, 1.5, 1, {"torch": "2"}),
    protocol.ArmHello("a#1.0", 0, 11),
    protocol.ForkReport("a#1.0", 11),
    protocol.ForkFailure("a#1.0", "Resource temporarily unavailable"),
    protocol.ExitReport("a#1.0", -9),
    Ready(3, 0.2, 16),
    TurnReport((0.1, 0.2), (0.0, 0.1), 0.3, 0, 5, 2),
    Result(LEDGER, {"loop": "plain", "cores": [1]}, {"peak_memory_host": 5}, CallbackMetrics()),
    protocol.ArmFailure("crashed", "ValueError: no"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_where_it_may_be_said_and_nowhere_else(message: protocol.Message) -> None:
    data = protocol.encode(message)
    taken = 0
    for decoder in DECODERS:
        try:
            assert protocol.decode_message(decoder, data) == message
            taken += 1
        except GarbledMessage:
            continue
    assert taken == {"Ready": 2, "TurnReport": 2, "Result": 2, "ArmFailure": 4}.get(type(message).__name__, 1)


@given(some.binary(max_size=200))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"op":"taken"}')
@example(b'"\xff"')
@example(b"null")
def test_bytes_that_are_no_message_are_garbled(data: bytes) -> None:
    for decoder in DECODERS:
        with pytest.raises(GarbledMessage, match="bytes, "):
            protocol.decode_message(decoder, data)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=6,
)


@given(some.sampled_from(MESSAGES), some.data())
def test_a_message_with_a_field_of_another_kind_is_garbled_or_keeps_to_its_types(
    message: protocol.Message, data: Any
) -> None:
    fields = msgspec.to_builtins(message)
    name = data.draw(some.sampled_from(sorted(fields)))
    fields[name] = data.draw(JSON)
    raw = json.dumps(fields).encode()  # NaN and Infinity as Python writes them
    for decoder in DECODERS:
        try:
            found = protocol.decode_message(decoder, raw)
        except GarbledMessage:
            continue
        # What is taken in is what it says to be, and has no number that is none.
        assert protocol.decode_message(decoder, protocol.encode(found)) == found
        assert all(math.isfinite(number) for number in numbers(msgspec.to_builtins(found)))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", [0.1, 0.0]),
        ("seconds", [-1.0, 1.0]),
        ("seconds", [1e300, 1.0]),
        ("seconds", [True, 1.0]),
        ("cpu", -1),
        ("faults", -1),
        ("faults", 2**60),
        ("helpers", 1.5),
        ("more", 1),
    ],
)
def test_a_turn_is_of_times_that_can_be(field: str, value: Any) -> None:
    fields = msgspec.to_builtins(TurnReport((0.1, 0.2), (0.0, 0.1), 0.3, 0, 5, 2))
    with pytest.raises(GarbledMessage):
        protocol.decode_message(protocol.TURN, json.dumps({**fields, field: value}).encode())


def test_what_utf8_cannot_say_is_written_out_or_kept() -> None:
    failed = protocol.encode(protocol.ArmFailure("crashed", "no file \udce9"))
    assert protocol.decode_message(protocol.FIRST, failed) == protocol.ArmFailure("crashed", "no file \\udce9")
    order = Fork("a#1.0", 0, "/logs/\udce9.log", "/s", "/t", {}, [0], {"file": "/suites/\udce9.py"})
    assert protocol.decode_order(protocol.encode_order(order)) == order  # a path must lead to the same file
    assert protocol.GRANTS.decode(protocol.encode(Go(5, instrument=True))) == Go(5, instrument=True)


@given(some.text(max_size=5000))
@example("\x00")
@example("")
@example("x" * 2**20)
def test_a_reason_is_bounded_valid_text(text: str) -> None:
    reason = protocol.short_reason(text)
    assert 0 < len(reason) < protocol.LONGEST_REASON + 50
    reason.encode()
    assert "\0" not in reason
