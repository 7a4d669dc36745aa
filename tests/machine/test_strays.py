"""Nothing is believed of processes after one look: what a walk over /proc has missed, the next one finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bench.machine import strays

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="walks over /proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("missed", [0, 1, 2])
def test_who_slips_through_a_walk_is_ended_all_the_same(sleeper: subprocess.Popen[bytes], missed: int) -> None:
    walks = 0

    def find() -> set[int]:
        nonlocal walks
        walks += 1
        return {sleeper.pid} if walks > missed and sleeper.poll() is None else set()

    assert strays.end_strays(find) == set()
    with suppress(subprocess.TimeoutExpired):
        sleeper.wait(5.0)
    assert sleeper.returncode == -9


def test_who_cannot_be_ended_is_told_and_not_waited_for() -> None:
    """Number 2**22 + 1 is no process's: proc_pid_max(5)."""
    assert strays.end_strays(lambda: {2**22 + 1}, patience=0.05) == {2**22 + 1}
