"""Arms that write to the conductor's socket, leave their session, or end others: that arm is lost, and nothing else."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from conftest import Bench

from bench.engine.options import Options
from bench.machine import strays
from bench.results.record import Record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

QUICK = Options(budget=1, launch=0.1, fork_servers=1, timeout=4.0, launches=1)


def judged(bench: Bench, crime: str) -> tuple[Record, tuple[Record, ...]]:
    """The record of the outlaw, and those of the others."""
    records = bench.run("outlaws", f"crime=none,{crime}", options=QUICK)
    (outlaw,) = [record for record in records if record.point["crime"] == crime]
    return outlaw, tuple(record for record in records if record is not outlaw)


@pytest.mark.parametrize(
    ("crime", "words"),
    [
        ("five-bytes", "bytes that begin with b'hello"),
        ("long-frame", "as a message of 4611686018427387904 bytes would"),
        ("half-frame", "5 bytes, and then nothing more"),
        ("other-type", "Invalid value 'exited'"),
        ("short-taken", "times of 1 and 1 steps in a turn of"),
        ("not-finite", "malformed"),
        ("unasked", "Invalid value 'ready'"),
        ("flood", "sent what is no message"),
    ],
)
def test_what_is_no_message_ends_the_arm_that_sent_it(bench: Bench, crime: str, words: str) -> None:
    outlaw, others = judged(bench, crime)
    assert (outlaw.outcome, outlaw.reason.partition(":")[0]) == ("crashed", "sent what is no message")
    assert words in outlaw.reason
    assert [record.outcome for record in others] == ["ok", "ok"]


@pytest.mark.long
@pytest.mark.parametrize("crime", ["setsid", "daemon", "forked-daemon", "fork-bomb"])
def test_what_left_its_session_ends_with_its_arm(bench: Bench, crime: str) -> None:
    outlaw, others = judged(bench, crime)
    assert {record.outcome for record in (outlaw, *others)} == {"ok"}
    ours = {fork_server.process.pid for fork_server in bench.fleet.fork_servers.values()}
    deadline = time.monotonic() + 2
    while left := strays.below(ours) - ours:
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.02)
    marks = [fork_server.mark for fork_server in bench.fleet.fork_servers.values()]
    assert {pid for mark in marks for pid in strays.marked_processes(mark)} <= ours


@pytest.mark.parametrize(
    ("crime", "words"),
    [
        ("surrogate", "no such file: /data/caf\\udce9"),
        ("long-text", "RuntimeError: xxx"),
        ("no-text", "its text cannot be had: RuntimeError"),
        ("temporary", "/t/"),
    ],
)
def test_a_reason_is_text_that_can_be_kept(bench: Bench, crime: str, words: str) -> None:
    outlaw, others = judged(bench, crime)
    assert outlaw.outcome == "crashed"
    assert words in outlaw.reason
    assert len(outlaw.reason) < 2100
    assert "\0" not in outlaw.reason
    outlaw.reason.encode()
    assert [record.outcome for record in others] == ["ok", "ok"]


def test_a_log_keeps_its_beginning_and_its_end(bench: Bench) -> None:
    outlaw, _ = judged(bench, "prints")
    assert outlaw.outcome == "ok"
    text = (bench.folder / outlaw.log).read_bytes()
    assert text.startswith(b"the beginning\n")
    assert text.endswith(b"the end\n")
    assert b"bytes out of the middle of this log" in text
    assert len(text) < 2.1 * 2**20


def test_temporary_files_of_an_arm_are_gone_with_it(bench: Bench) -> None:
    outlaw, _ = judged(bench, "temporary")
    folder = Path(outlaw.reason.partition(": ")[2])
    assert len(os.fsencode(folder)) < 70
    assert not folder.exists()
