"""`bench submit`, `status`, `cancel` with a real Slurm: jobs are found again, cancelled, requeued, and out of time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SUITES

from bench.results import jobs, store
from tests.slurm.cluster import BRIEF, NODES, PARTITION
from tests.slurm.shell import PATIENCE_S, Shell, measured

# One core of a node each, so that four fit on the two nodes; one group of two arms that import torch alone.
SMALL = ["changing", "--suites", str(SUITES), "--set", "loop=plain", "--set", "change=none", "--no-instrument"]
SMALL += ["--shared", "--cpus", "1"]


@pytest.fixture(scope="module")
def submitted(shell: Shell) -> Iterator[dict[str, str]]:
    """Jobs by what will be done to them. They run beside each other: most of each is waiting for imports."""
    found = {what: shell.submit(*SMALL, "--budget", "10m", "--time", "15m") for what in ("cancel", "requeue", "limit")}
    yield {**found, "find": shell.submit(*SMALL, "--budget", "1s")}
    shell.cluster.heal()  # those of tests that were not run


def test_a_job_is_found_again_after_its_submitter_has_gone(shell: Shell, submitted: dict[str, str]) -> None:
    status = shell.wait(submitted["find"], lambda status: status["state"] == "completed")
    assert (status["outcomes"], status["reason"]) == ({"ok": 2}, "")
    assert status["nodes"] in ("node1", "node2")
    assert store.read_run(Path(status["run"])).info["finished"]
    table = shell.bench("status").stdout
    for name in submitted.values():
        assert name in table
    assert "changing" in shell.bench("show", status["run"]).stdout  # a run like any other


def test_a_cancelled_job_keeps_what_it_measured(shell: Shell, submitted: dict[str, str]) -> None:
    job = submitted["cancel"]
    shell.wait(job, measured)
    before = shell.records(job)
    done = shell.bench("cancel", job)
    assert (done.returncode, done.stderr) == (0, "")
    status = shell.wait(job, lambda status: status["state"] == "cancelled")
    shell.wait(job, lambda status: not shell.cluster.call("squeue", "--noheader", f"--jobs={status['slurm']}"))
    status = shell.wait(job, lambda status: status["state"] == "cancelled")
    assert shell.records(job).startswith(before)
    assert {*status["outcomes"]} == {"ok"}
    read = store.intact(store.read_run(Path(status["run"])))
    assert {stop["reason"] for stop in read.info["stops"].values()} == {"interrupted"}
    assert f"to go on with it: bench run --resume {status['run']}" in shell.bench("status", job).stdout


def test_a_requeued_job_goes_on_where_it_was(shell: Shell, submitted: dict[str, str]) -> None:
    job = submitted["requeue"]
    number = shell.wait(job, measured)["slurm"]
    shell.cluster.call("scontrol", "requeue", number)
    shell.wait(job, lambda status: status["state"] == "requeued")
    before = shell.records(job)
    # Slurm leaves the node two minutes to clean up.
    shell.cluster.call("scontrol", "update", f"JobId={number}", "StartTime=now")
    again = shell.wait(job, lambda status: status["state"] == "running" and shell.records(job) != before)
    assert shell.records(job).startswith(before)
    assert {*again["outcomes"]} == {"ok"}
    assert jobs.read_job(shell.folder / "results" / "jobs" / job).tasks[1].restarts == 1
    shell.bench("cancel", job)


def test_a_job_that_is_out_of_time_says_so(shell: Shell, submitted: dict[str, str]) -> None:
    job = submitted["limit"]
    # The run's own budget is longer; Slurm sends its signal 60 s before the limit.
    number = shell.tasks(job)[0]["slurm"]
    shell.cluster.call("scontrol", "update", f"JobId={number}", "TimeLimit=2")
    status = shell.wait(job, lambda status: status["state"] not in ("pending", "running"))
    assert (status["state"], status["reason"]) == ("timeout", "its time was up; what was measured is there")
    assert {*status["outcomes"]} == {"ok"}
    read = store.intact(store.read_run(Path(status["run"])))
    assert {stop["reason"] for stop in read.info["stops"].values()} == {"interrupted"}


def test_tasks_of_an_array_share_the_groups_and_are_merged_over_nodes(shell: Shell) -> None:
    job = shell.submit(*SMALL, "--set", "amount=1,2,3", "--budget", "1s", "--array", "3")
    end = time.monotonic() + PATIENCE_S
    tasks = shell.tasks(job)
    while {task["state"] for task in tasks} != {"completed"}:
        assert time.monotonic() < end, tasks
        time.sleep(0.3)
        tasks = shell.tasks(job)
    runs = [store.read_run(Path(task["run"])) for task in tasks]
    assert [run.folder.name for run in runs] == [f"{job}-1", f"{job}-2", f"{job}-3"]
    groups = Counter(group for run in runs for group in {record.group for record in run.records})
    assert [*groups.values()] == [2, 2, 2]  # each group on two tasks
    merged = shell.bench("merge", *(task["run"] for task in tasks))
    assert (merged.returncode, merged.stderr) == (0, "")
    assert "over nodes (a random effect)" in merged.stdout
    assert {task["nodes"] for task in tasks} == {*NODES}
    assert all(node in merged.stdout for node in NODES)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--partition", "mian"], f"unknown partition 'mian'; allowed: {PARTITION}, {BRIEF}"),
        (
            ["--partition", BRIEF, "--time", "10m"],
            "partition brief allows 120 s at most; partitions that allow it: main",
        ),
        (["--nodes", "3"], f"--nodes 3: partition {PARTITION} has 2; allowed: 1 to 2"),
        (["--time", "1m"], "--time 60 s: the run's budget, its start and its end need 330 s; allowed: 6m or more"),
        (["--array", "3"], "--array 3: the plan has 1 group, each for 2 tasks; allowed: 1 to 2"),
        (["--qos", "none\ntouch x"], r"--qos 'none\ntouch x' is not possible; allowed: a text of one line"),
        (["--constraint", "gold"], "sbatch: Batch job submission failed: Invalid feature specification; asked for: "),
        (["--gpus", "8"], "sbatch: "),
    ],
)
def test_what_slurm_cannot_give_is_refused_in_one_line(shell: Shell, words: list[str], told: str) -> None:
    done = shell.bench("submit", *SMALL, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_job_that_is_not_there(shell: Shell, submitted: dict[str, str]) -> None:
    for command in ("status", "cancel"):
        done = shell.bench(command, "4711")
        assert done.returncode == 2
        assert done.stderr.startswith("bench: unknown job '4711'; allowed: ")
        assert submitted["find"] in done.stderr


def test_what_slurm_has_forgotten_the_job_itself_has_written(shell: Shell, submitted: dict[str, str]) -> None:
    """The cluster of these tests forgets after seconds."""
    (before,) = shell.tasks(submitted["find"])
    end = time.monotonic() + PATIENCE_S
    while shell.cluster.job(before["slurm"]):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert shell.tasks(submitted["find"]) == [before]
