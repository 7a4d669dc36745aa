"""Runs on two nodes of a real Slurm: every loop trains on both, and a node that dies ends its cells and not the run."""

from __future__ import annotations

from pathlib import Path

from bench.results import store
from bench.results.record import Record
from tests.slurm.cluster import NODES
from tests.slurm.shell import Shell, measured

LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")
NARROW = ["scaling", "--set", "scaling=weak", "--set", "batch_size=64", "--set", "width=64", "--no-instrument"]
TWO = ["--nodes", "2", "--devices", "1"]


def records_of(run: str) -> tuple[Record, ...]:
    return store.intact(store.read_run(Path(run))).records


def test_all_loops_train_on_two_nodes_and_do_equal_work(shell: Shell) -> None:
    job = shell.submit(*NARROW, *TWO, "--set", "num_nodes=2", "--compare", "loop", "--seeds", "1", "--budget", "90s")
    status = shell.wait(job, lambda status: status["state"] not in ("pending", "running"))
    records = records_of(status["run"])
    assert (status["state"], status["outcomes"]) == ("completed", {"ok": len(LOOPS) + 1}), [
        record.reason_and_log for record in records
    ]
    assert {record.point["loop"] for record in records} == {*LOOPS}
    assert {record.nodes for record in records} == {NODES}
    assert {(record.effective["num_nodes"], record.effective["strategy"]) for record in records} == {(2, "ddp")}
    for kept in ("steps", "samples", "samples_digest", "optimizer_updates", "initial_weights", "final_weights"):
        assert len({str(record.ledger[kept]) for record in records}) == 1, kept
    (steps,) = {record.ledger["steps"] for record in records}
    assert {record.ledger["samples"] for record in records} == {steps * 64 * len(NODES)}  # of both ranks


def test_a_node_that_dies_ends_its_cells_and_not_the_run(shell: Shell) -> None:
    job = shell.submit(*NARROW, *TWO, "--set", "loop=plain", "--budget", "60s")
    try:
        shell.wait(job, measured)
        shell.cluster.kill(NODES[1])
        status = shell.wait(job, lambda status: status["state"] not in ("pending", "running"))
    finally:
        shell.cluster.heal()
    assert status["state"] == "completed", status
    records = records_of(status["run"])
    both = [record for record in records if record.point["num_nodes"] == 2]
    assert [record.outcome for record in both[:-1]] == ["ok"] * (len(both) - 1)
    assert both[-1].outcome == "crashed"
    assert NODES[1] in both[-1].reason
    others = [record for record in records if record.point["num_nodes"] == 1]
    assert {record.outcome for record in others} == {"ok"}
    assert {record.nodes for record in others} == {NODES[:1]}
    assert max(record.launch for record in others) > both[-1].launch


def test_a_requeued_run_of_two_nodes_goes_on_where_it_was(shell: Shell) -> None:
    """Slurm ends every process on both nodes at once: none of what was lost so is blamed on a cell."""
    job = shell.submit(*NARROW, *TWO, "--set", "loop=plain", "--budget", "10m")
    number = shell.wait(job, measured)["slurm"]
    shell.cluster.call("scontrol", "requeue", number)
    shell.wait(job, lambda status: status["state"] == "requeued")
    before = shell.records(job)
    shell.cluster.call("scontrol", "update", f"JobId={number}", "StartTime=now")
    status = shell.wait(job, lambda status: status["state"] == "running" and shell.records(job) != before)
    shell.bench("cancel", job)
    shell.wait(job, lambda status: status["state"] == "cancelled")
    assert shell.records(job).startswith(before)
    shell.cluster.heal()
    assert {record.outcome for record in records_of(status["run"])} == {"ok"}


def test_a_job_that_is_cancelled_before_its_first_launch_blames_no_cell(shell: Shell) -> None:
    """Its interpreters import when their nodes are ended."""
    job = shell.submit(*NARROW, *TWO, "--set", "loop=plain", "--budget", "10m")
    shell.wait(job, lambda status: "starting 2 interpreters" in shell.printed(status))
    shell.bench("cancel", job)
    shell.wait(job, lambda status: status["state"] == "cancelled")
    shell.cluster.heal()
    (status,) = shell.tasks(job)
    assert (status["state"], status["records"]) == ("cancelled", 0), shell.printed(status)
