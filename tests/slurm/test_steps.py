"""The step that runs one program a node, in a real allocation: what it is told, and what it survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT

from bench.engine.slurm import SlurmAllocation, rank_variables
from tests.slurm.cluster import NODES, Cluster

# Into files: srun's --unbuffered mixes the lines of two tasks.
TELL = "import json, os, sys; json.dump({**os.environ}, open(f'{sys.argv[1]}/{os.environ[\"SLURM_PROCID\"]}', 'w'))"
IN_ALLOCATION = """
import json, os, subprocess, sys
from bench.engine.slurm import allocation, srun_command
given = allocation(os.environ, 2)
told = subprocess.run(srun_command(given, sys.argv[1:]))
print(json.dumps({"allocation": vars(given), "status": told.returncode}))
"""


def in_allocation(cluster: Cluster, *program: str) -> subprocess.Popen[str]:
    """A run's own place: within salloc, with this program as a step on both nodes."""
    command = ["salloc", "--quiet", "--nodes=2", "--no-kill", sys.executable, "-c", IN_ALLOCATION, *program]
    environment = {**os.environ, **cluster.environment, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def until(job: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait while the job runs, a minute at most."""
    end = time.monotonic() + 60.0
    while not condition():
        assert job.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


def family(pid: int) -> list[int]:
    """A process and all that came of it; salloc gives its command a group of its own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def test_a_step_is_told_what_ranks_are_told(cluster: Cluster, tmp_path: Path) -> None:
    """And the allocation is read as Slurm has it."""
    printed, _ = in_allocation(cluster, sys.executable, "-c", TELL, str(tmp_path)).communicate(timeout=60)
    said = json.loads(printed)
    assert said["status"] == 0
    read = {key: tuple(value) if isinstance(value, list) else value for key, value in said["allocation"].items()}
    given = SlurmAllocation(**read)
    assert (given.nodes, given.cpus, given.gpus, given.node_list) == (NODES, (1, 1), 0, "node[1-2]")
    steps = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert {*steps} == {"0", "1"}
    for rank in range(2):
        ours = rank_variables(given, rank=rank, local_rank=0, node=rank, ranks_per_node=1)
        theirs = {name: steps[str(rank)].get(name) for name in ours}
        # The step has a name of its own, and a rank's job keeps the job's.
        assert ours | {"SLURM_JOB_NAME": ""} == theirs | {"SLURM_JOB_NAME": ""}


def test_a_step_outlives_the_death_of_a_node(cluster: Cluster, tmp_path: Path) -> None:
    (over := tmp_path / "over").mkdir()
    wait = (
        f"touch {tmp_path}/$SLURM_NODEID; until test -e {over}/0; do sleep 0.1; done; touch {over}/$SLURM_NODEID.done"
    )
    job = in_allocation(cluster, "sh", "-c", wait)
    try:
        until(job, lambda: {"0", "1"} <= {path.name for path in tmp_path.iterdir()})
        cluster.kill(NODES[1])
        time.sleep(1.0)
        (over / "0").touch()
        until(job, (over / "0.done").exists)
        assert not (over / "1.done").exists()
    finally:
        for pid in family(job.pid):  # srun too, which waits until slurmctld has given the dead node up
            os.kill(pid, signal.SIGKILL)
        job.communicate()
        cluster.heal()
