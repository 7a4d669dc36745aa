"""What is done to a run from outside is not its cells' fault: the launch is void, and made again. Real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SUITES, Bench, Silent

from bench.engine.options import Options
from bench.results.record import Record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the states of processes in /proc")

QUICK = Options(budget=60, launch=0.1, fork_servers=1, timeout=4.0, launches=2)


class Saboteur(Silent):
    """Does something in the first round of each of some launches."""

    def __init__(self, deed: Callable[[], object], launches: tuple[int, ...]) -> None:
        super().__init__()
        self.deed = deed
        self.launches = launches  # in the order of the run, all groups together
        self.seen: list[str] = []

    def update(self, spent: float, budget: float, text: str) -> None:
        if text not in self.seen and not text.endswith(", starting"):
            self.seen.append(text)
            if len(self.seen) - 1 in self.launches:
                self.deed()


def outcomes(records: tuple[Record, ...]) -> list[tuple[int, set[str]]]:
    launches = sorted({record.launch for record in records})
    return [(number, {record.outcome for record in records if record.launch == number}) for number in launches]


def kill(bench: Bench, number: int) -> Callable[[], None]:
    return lambda: os.kill(bench.fleet.fork_servers["torch-0"].process.pid, number)


def test_a_job_that_a_scheduler_ends_keeps_what_was_measured_and_nothing_else(bench: Bench) -> None:
    """Slurm sends SIGTERM to every process of a job at once, and arms may be gone before the run has heard it."""

    def end_the_job() -> None:
        server = bench.fleet.fork_servers["torch-0"].process.pid
        arms = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in [*map(int, arms), server]:
            os.kill(pid, signal.SIGTERM)
        bench.fleet.interrupts += 1

    saboteur = Saboteur(end_the_job, (1,))
    records = bench.run("outlaws", "crime=none,long-text", "at=1000", options=QUICK, progress=saboteur)
    assert len(saboteur.seen) == 2
    assert outcomes(records) == [(0, {"ok"})]
    assert {stop["reason"] for stop in bench.stops.values()} == {"interrupted"}


def test_a_launch_whose_interpreter_is_killed_is_void_and_made_again(bench: Bench) -> None:
    """But for the cell that had failed by itself before: that is no fault of the interpreter's."""
    saboteur = Saboteur(kill(bench, signal.SIGKILL), (0,))
    records = bench.run("outlaws", "crime=none,long-text", "at=3", options=QUICK, progress=saboteur)
    failed = [record for record in records if record.point["crime"] == "long-text"]
    assert [(record.launch, record.outcome) for record in failed] == [(0, "crashed")]
    others = tuple(record for record in records if record not in failed)
    assert outcomes(others) == [(0, {"void"}), (1, {"ok"}), (2, {"ok"})]
    reason = "its interpreter 'torch-0' was killed by SIGKILL"
    assert {record.reason for record in others if record.outcome == "void"} == {reason}
    assert all(record.turns is None for record in others if record.outcome == "void")
    told = f"{records[0].group} launch 1 is void, and is made again: {reason}"
    assert [note for note in saboteur.notes if "void" in note] == [told]
    assert {stop["reason"] for stop in bench.stops.values()} == {"launches"}


@pytest.mark.long
def test_two_in_a_row_end_the_run_and_a_resumed_one_measures_what_was_not(bench: Bench) -> None:
    saboteur = Saboteur(kill(bench, signal.SIGKILL), (2, 3))  # each of two groups has had one launch
    settings = ("crime=none,prints", "at=5,6")
    records = bench.run("outlaws", *settings, options=QUICK, progress=saboteur)
    assert {stop["reason"] for stop in bench.stops.values()} == {"void"}
    assert {record.outcome for record in records if record.launch == 0} == {"ok"}
    assert {record.outcome for record in records if record.launch > 0} == {"void"}
    assert len({(record.group, record.launch) for record in records}) == 4
    again = bench.run("outlaws", *settings, options=QUICK, done=records)
    assert {stop["reason"] for stop in bench.stops.values()} == {"launches"}
    assert {record.outcome for record in again} == {"ok"}
    assert {record.cell for record in again} == {record.cell for record in records}
    assert not {(record.cell, record.launch) for record in again} & {(record.cell, record.launch) for record in records}


@pytest.mark.long
def test_what_was_never_launched_says_why(bench: Bench) -> None:
    saboteur = Saboteur(kill(bench, signal.SIGSTOP), ())
    records = bench.run("outlaws", "crime=none,stop-fork-server", "at=1,2", options=QUICK, progress=saboteur)
    assert {record.outcome for record in records} == {"void"}
    assert any("its interpreter 'torch-0' was stopped (state T)" in record.reason for record in records)
    assert len(records) == len({(record.cell, record.launch) for record in records})
    assert len({record.cell for record in records}) == 6


def test_an_interpreter_that_was_stopped_between_launches_is_replaced(bench: Bench) -> None:
    before = bench.fleet.fork_servers.get("torch-0")
    kill(bench, signal.SIGSTOP)() if before else None
    records = bench.run("outlaws", "crime=none", options=QUICK)
    assert outcomes(records) == [(0, {"ok"}), (1, {"ok"})]
    assert bench.fleet.fork_servers["torch-0"] is not before


def test_logs_that_are_removed_cost_nothing(bench: Bench) -> None:
    saboteur = Saboteur(lambda: shutil.rmtree(bench.folder / "logs"), (0,))
    records = bench.run("outlaws", "crime=none,setsid", options=QUICK, progress=saboteur)
    assert outcomes(records) == [(0, {"ok"}), (1, {"ok"})]
    assert (bench.folder / records[-1].log).exists()


@pytest.mark.long
def test_a_run_that_sleeps_loses_nothing_and_one_that_is_hung_up_ends_in_order(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench",
        "run",
        "outlaws",
        "--suites",
        str(SUITES),
        "--set",
        "crime=none,setsid",
        "--out",
        str(tmp_path),
        "--timeout",
        "3s",
        "--budget",
        "60s",
        "--no-instrument",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 90
            while not list(tmp_path.glob("*/logs/outlaws*-1.log")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGSTOP)
            time.sleep(5)
            process.send_signal(signal.SIGCONT)
            time.sleep(2)
            process.send_signal(signal.SIGHUP)
            said = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert "interrupted; to go on: bench run --resume" in said
    (folder,) = tmp_path.glob("*/records.jsonl")
    assert {json.loads(line)["outcome"] for line in folder.read_text().splitlines()} == {"ok"}
