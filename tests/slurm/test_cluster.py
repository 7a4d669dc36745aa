"""The Slurm of the tests is what a Slurm is: two nodes, steps on both, and a node that dies with all it ran."""

from __future__ import annotations

import subprocess
import time

from tests.slurm.cluster import NODES, Cluster


def test_a_step_runs_on_each_node(cluster: Cluster) -> None:
    printed = cluster.call("srun", "--nodes=2", "--ntasks-per-node=1", "sh", "-c", "echo $(hostname) $SLURM_PROCID")
    assert sorted(printed.split("\n")) == ["", "node1 0", "node2 1"]


def test_a_node_dies_with_all_that_runs_on_it(cluster: Cluster) -> None:
    """And its step's end is seen at once, on the node that lives: long before slurmctld asks after it."""
    sleep = ["sleep", "4711"]
    step = subprocess.Popen(
        ["srun", "--nodes=1", f"--nodelist={NODES[1]}", *sleep], env={**cluster.environment, "PATH": "/usr/bin:/bin"}
    )
    try:
        end = time.monotonic() + 60.0
        while not _running(sleep):
            assert step.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        cluster.kill(NODES[1])
        assert not _running(sleep)
    finally:
        step.kill()
        step.wait()
        cluster.heal()
    assert cluster.node_states() == dict.fromkeys(NODES, "idle")


def _running(command: list[str]) -> bool:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return f"/usr/bin/{' '.join(command)}" in listed.splitlines()  # srun looks the program up
