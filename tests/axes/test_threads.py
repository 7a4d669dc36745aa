"""The axis `threads`: each arm computes with its own number of threads, on as many cores."""

from __future__ import annotations

import os

import pytest
import torch
from conftest import Bench

from bench.engine.options import Options
from bench.machine.cores import Layout, usable_cores

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
SEVERAL = pytest.mark.skipif(len(usable_cores()) < 2, reason="two threads need two cores")


@pytest.mark.long
@SEVERAL
@pytest.mark.parametrize("loop", ["plain", "trainer"])
def test_trap_6_each_arm_computes_with_its_own_threads_on_as_many_cores(bench: Bench, loop: str) -> None:
    """All arms come from fork servers of one thread; in each arm the threads that have computed are counted."""
    records = bench.run("settled", f"loop={loop}", "threads=1,2", "counted=true", "width=768", options=QUICK)
    assert {str(item.outcome) for item in records} == {"ok"}, [item.reason for item in records]
    cores = usable_cores()
    for item in records:
        threads = int(item.point["threads"])
        assert item.requested["threads"] == item.effective["threads"] == threads
        assert item.effective["cores"] == list(item.cores) == cores[-threads:]
    assert {item.point["threads"] for item in records} == {1, 2}


def test_a_process_that_was_forked_without_threads_may_have_others() -> None:
    """What the axis rests on: OpenMP makes its threads at the first operation, in the arm and not before the fork."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        torch.set_num_threads(2)
        os.write(writer, str(torch.get_num_threads()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 9) == b"2"


def test_cores_are_as_many_as_the_threads_of_each_rank() -> None:
    place = Layout((2, 3), (0, 1), (0, 1, 2, 3))
    assert place.ranks(1) == [[2, 3]]
    assert place.ranks(1, threads=1) == [[3]]
    assert place.ranks(2, threads=1) == [[3], [2]]
    assert place.ranks(1, threads=4) == [[0, 1, 2, 3]]
    assert place.ranks(2, threads=3) == [[1, 2, 3]] * 2  # they share the cores that there are
    assert place.ranks(1, workers=1, threads=1) == [[0, 1, 2, 3]]
