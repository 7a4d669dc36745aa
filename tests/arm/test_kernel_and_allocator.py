"""Counts of allocations and system calls against known truths, and what is said where they cannot be had."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from bench.arm import allocation_count, system_call_count, system_call_tracer
from bench.arm.allocation_count import AllocationCount
from bench.arm.system_call_count import SystemCallCount

X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the counter is machine code of x86-64")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ptrace of Linux")


@X86
@pytest.mark.parametrize("number", [0, 1, 200])
def test_as_many_blocks_as_were_asked_for(number: int) -> None:
    """Objects that are kept, in a list that is long enough: one request each."""
    count = AllocationCount()
    kept: list[object] = [None] * number
    places = range(number)

    def made() -> int:
        count.start()
        for place in places:  # whose iterator is one object more; numbers to 256 are there already
            kept[place] = bytes(64)
        return count.stop()

    assert [made() for _ in range(4)][1:] == [number + 1] * 3


@X86
def test_what_is_asked_for_afterwards_is_not_counted_and_all_of_it_can_be_freed() -> None:
    count = AllocationCount()
    count.start()
    kept = [bytes(64) for _ in range(1000)]
    seen = count.stop()
    more = [bytes(64) for _ in range(1000)]
    assert seen >= 1000
    assert count.stop() == seen
    del kept, more
    grown = bytearray(10)
    count.start()
    grown.extend(bytes(100_000))  # a block of the usual allocator, made larger by the counted one
    assert count.stop() >= 1
    assert len(grown) == 100_010


def test_another_machine_has_no_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation_count.platform, "machine", lambda: "riscv64")
    with pytest.raises(RuntimeError, match="on x86-64 only; this is riscv64"):
        AllocationCount()


@LINUX
def test_as_many_system_calls_as_were_made(processes: None) -> None:
    for number in (0, 1, 250):
        count = SystemCallCount()
        count.start()
        for _ in range(number):
            os.getppid()
        assert count.stop() == ({"getppid": number} if number else {})


@LINUX
def test_system_calls_have_their_names(processes: None, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    count = SystemCallCount()
    count.start()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    os.write(descriptor, b"x")
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.read(descriptor, 1)
    os.close(descriptor)
    os.stat(path)
    found = count.stop()
    assert found.pop("newfstatat", 0) + found.pop("stat", 0) == 1
    assert found == {"openat": 1, "write": 1, "lseek": 1, "read": 1, "close": 1}


def test_the_table_of_names_is_in_order() -> None:
    """Numbers that others know: of the manual's table of x86-64."""
    known = {0: "read", 9: "mmap", 16: "ioctl", 39: "getpid", 56: "clone", 61: "wait4", 72: "fcntl", 98: "getrusage"}
    known |= {100: "times", 110: "getppid", 202: "futex", 257: "openat", 318: "getrandom"}
    assert {number: system_call_tracer.name_of(number, "x86_64") for number in known} == known
    assert system_call_tracer.name_of(64, "aarch64") == "write"
    assert system_call_tracer.name_of(9999, "x86_64") == "call 9999"


@LINUX
def test_where_the_kernel_forbids_it_the_reason_is_told(
    processes: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing = tmp_path / "refusing.py"
    text = Path(system_call_tracer.__file__).read_text(encoding="utf-8")
    refusing.write_text(text.replace("seen = count(int(sys.argv[1]))", "raise PermissionError(1, 'not permitted')"))
    monkeypatch.setattr(system_call_count, "PROGRAM", refusing)
    with pytest.raises(RuntimeError, match="ptrace: not permitted"):
        SystemCallCount().start()
    refusing.write_text("raise SystemExit(1)\n")
    with pytest.raises(RuntimeError, match="the process that watches did not start"):
        SystemCallCount().start()


def test_another_system_has_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_call_count.sys, "platform", "darwin")
    with pytest.raises(RuntimeError, match="on Linux only; this is darwin"):
        SystemCallCount()
