"""Arms that really fail become records with outcome and reason, the others go on, and nothing outlives the run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import SUITES, Bench

from bench.engine.options import Options
from bench.protocol import Go
from bench.results.record import Record
from bench.stats.step_times import LEAST_ROUNDS

QUICK = Options(budget=1, launch=0.2, fork_servers=1, timeout=6.0, memory_limit=700 * 2**20)


def only(records: tuple[Record, ...], fault: str) -> Record:
    return next(record for record in records if record.point["fault"] == fault and not record.twin)


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        ("raise", "crashed", "RuntimeError: the loss is in no mood"),
        ("exit", "crashed", "exited with status 7"),
        ("kill", "crashed", "killed by SIGKILL"),
        ("allocate", "oom", "memory"),
        ("build", "crashed", "cannot be built"),
        ("unsupported", "unsupported", "cannot run on a Sunday"),
        ("other-data", "unequal-work", "samples_digest"),
        ("frozen", "unequal-work", "the weights at the end are those of the start"),
    ],
)
def test_a_fault_is_an_outcome_with_a_reason(bench: Bench, fault: str, outcome: str, words: str) -> None:
    failing(bench, fault, outcome, words)


def failing(bench: Bench, fault: str, outcome: str, words: str) -> Record:
    before = set(bench.fleet.arms)  # of other tests, whose numbers other processes may have by now
    records = bench.run("faults", f"fault=none,{fault}", options=QUICK)
    failed = only(records, fault)
    assert failed.outcome == outcome
    assert words in failed.reason
    # The baseline and its twin were not disturbed.
    assert only(records, "none").outcome == "ok"
    twin = next(record for record in records if record.twin)
    assert twin.outcome == "ok"
    assert twin.turns is not None
    assert len(twin.turns.round) >= LEAST_ROUNDS
    assert not any(_alive(arm.pid) for name, arm in bench.fleet.arms.items() if name not in before)
    return failed


def test_a_timeout_is_an_outcome_and_leaves_the_stacks_in_the_log(bench: Bench) -> None:
    failed = failing(bench, "hang", "timeout", "within 6 s")
    text = (bench.folder / failed.log).read_text()
    assert "most recent call first" in text
    assert "faulty.py" in text
    assert " in loss" in text


def test_a_loop_that_ends_by_itself_is_no_measurement(bench: Bench) -> None:
    failed = only(bench.run("faults", "fault=none,ends", options=QUICK), "ends")
    assert failed.outcome == "crashed"


def test_a_failed_cell_is_not_started_again(bench: Bench) -> None:
    options = Options(budget=120, launch=0.1, fork_servers=1, launches=2)
    records = bench.run("faults", "fault=none,raise", options=options)
    assert sum(record.point["fault"] == "raise" for record in records) == 1
    assert sum(record.point["fault"] == "none" and not record.twin for record in records) > 1


def test_a_killed_fork_server_is_replaced(bench: Bench) -> None:
    fork_server = bench.fleet.fork_servers["torch-0"]
    fork_server.process.kill()
    fork_server.process.wait()
    time.sleep(0.2)
    bench.run("faults", "fault=none", options=QUICK)  # this launch may be lost with the fork server ...
    records = bench.run("faults", "fault=none", options=QUICK)  # ... the next has another one
    assert {record.outcome for record in records} == {"ok"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the state of processes from /proc")
def test_held_means_held_for_helper_threads_too(bench: Bench, tmp_path: Path) -> None:
    file = str(SUITES / "faults.py")
    arms = []
    for fault in ("thread", "none"):
        request: dict[str, Any] = {
            "suite": "faults",
            "file": file,
            "point": {"loop": "plain", "fault": fault, "at": 1},
            "seed": 0,
            "requested": {"loop": "plain", "accelerator": "cpu", "precision": "32-true", "devices": 1},
            "memory_limit": None,
            "padding": 0,
            "environ": {},
        }
        arms.append(bench.fleet.start_arm(("torch",), request, tmp_path / f"{fault}.log"))
    bench.fleet.await_ready(arms, 20)
    assert [arm.lost for arm in arms] == [None, None]
    assert [arm.helpers > 0 for arm in arms] == [True, False]
    try:
        for _ in range(3):
            # A signal takes its time to arrive, and the kernel counts in ticks of 10 ms: the last may still come.
            time.sleep(0.2)
            before = [_cpu_ticks(arm.pid) for arm in arms]
            time.sleep(0.5)
            # A held arm uses no processor: asleep in a read, or stopped with all its threads.
            assert [_cpu_ticks(arm.pid) for arm in arms] == before
            for arm in arms:
                reply = bench.fleet.turn(arm, Go(5), 20)
                assert len(reply.seconds) == 5
    finally:
        bench.fleet.end_arms(arms)


def _cpu_ticks(pid: int) -> int:
    """Processor time of a process, all threads, in the kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
