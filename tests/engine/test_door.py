"""The conductor's end of a connection: frames in parts, time that does not run while we sleep, runs with strangers."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest
from conftest import Bench
from hypothesis import given
from hypothesis import strategies as some

from bench import protocol
from bench.engine import channel, children
from bench.engine.channel import SLICE, Channel, Patience
from bench.engine.fleet import Fleet
from bench.engine.options import Options
from bench.machine.knock import knock
from bench.protocol import ArmHello, GarbledMessage


@contextmanager
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, 0.2), theirs


@given(some.lists(some.binary(max_size=300), max_size=4), some.data())
def test_frames_are_whole_however_they_come(frames: list[bytes], data: Any) -> None:
    stream = b"".join(struct.pack("!i", len(frame)) + frame for frame in frames)
    came: list[bytes] = []
    with pair() as (receiver, theirs):
        while stream:
            size = data.draw(some.integers(1, len(stream)))
            theirs.send(stream[:size])
            stream = stream[size:]
            while (frame := receiver.take()) is not None:
                came.append(frame)
        assert came == frames
        assert receiver.half == 0
        theirs.close()
        with pytest.raises(EOFError):
            receiver.take()


def test_frames_are_those_of_multiprocessing() -> None:
    with pair() as (receiver, theirs), Connection(theirs.detach()) as other:
        for size in (0, 1, 20_000, 150_000):
            other.send_bytes(b"x" * size)
            assert receiver.recv_bytes() == b"x" * size
            receiver.send_bytes(b"y" * size)
            assert other.recv_bytes() == b"y" * size


@pytest.mark.parametrize(
    "header", [b"hello", struct.pack("!i", 2**30), struct.pack("!i", -2), struct.pack("!iQ", -1, 2**63)]
)
def test_what_is_no_frame_is_garbled_at_once(header: bytes) -> None:
    with pair() as (receiver, theirs):
        theirs.send(header)
        with pytest.raises(GarbledMessage):
            receiver.take()


def test_half_a_frame_keeps_nobody_waiting() -> None:
    with pair() as (receiver, theirs):
        theirs.send(struct.pack("!i", 100) + b"half")
        assert receiver.take() is None
        assert receiver.half == 8
        with pytest.raises(TimeoutError):
            receiver.recv_bytes()
        with pytest.raises(TimeoutError):  # nobody reads at the other end
            receiver.send_bytes(b"x" * 2**23)


def test_patience_does_not_run_while_we_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(channel.time, "monotonic", lambda: now[0])
    patience = Patience(3.0)
    for passed, left in ((0.5, 2.5), (0.5, 2.0), (3600.0, 1.5), (0.5, 1.0), (1.4, 0.0)):
        assert patience.ask() <= channel.SLICE
        now[0] += passed
        assert patience.left() == pytest.approx(left)
    assert patience.slept == pytest.approx(3599.5)


def test_a_run_is_not_held_up_by_who_says_nothing_or_says_that_he_is_another(bench: Bench) -> None:
    made = bench.fleet.door
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(made.address)
    hello = protocol.encode(ArmHello("nobody#1.0", 0, os.getpid()))
    with knock([made.address], made.key, hello) as other:
        records = bench.run("faults", "fault=none", options=Options(budget=1, launch=0.1, fork_servers=1, launches=1))
        assert {record.outcome for record in records} == {"ok"}
        assert other.poll(5)
    bench.fleet.strangers.write()
    assert "nobody waits for 'nobody#1.0'" in (bench.fleet.logs / "strangers.log").read_text()
    silent.close()


def test_arms_that_need_more_connections_than_may_be_open_say_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    few = "9000 connections need 9256 open files, and 4096 are allowed"
    monkeypatch.setattr(children, "allow_connections", lambda wanted: few)
    records = bench.run("faults", "fault=none", options=Options(budget=1, launch=0.1, fork_servers=1, launches=1))
    assert {(record.outcome, record.reason) for record in records} == {("unsupported", few)}


def framed(*messages: protocol.Message) -> bytes:
    return b"".join(len(data).to_bytes(4, "big") + data for data in map(protocol.encode, messages))


def test_what_comes_together_with_something_else_is_heard_without_another_byte(fleet: Fleet) -> None:
    """A quick arm on a busy machine: its hello and that it is ready lie in the socket when the hello is read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver = Channel(ours, 5.0)
        theirs.sendall(framed(protocol.Stop(), protocol.Ready(0, 0.01, 8)))
        assert protocol.decode_message(protocol.GRANTS, receiver.recv_bytes()) == protocol.Stop()
        assert receiver.pending
        began = time.monotonic()
        assert fleet.wait([receiver], Patience(20.0)) == [receiver]
        assert time.monotonic() - began < SLICE
        assert receiver.take() == protocol.encode(protocol.Ready(0, 0.01, 8))
        assert not receiver.pending
        assert fleet.wait([receiver], Patience(0.05)) == []
