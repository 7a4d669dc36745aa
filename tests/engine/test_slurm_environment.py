"""What is read of Slurm's environment and what srun is told, without a Slurm; tests/slurm asks a real one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.slurm import (
    SlurmAllocation,
    allocation,
    counts_by_node,
    rank_variables,
    srun_command,
)
from bench.errors import BenchError

# As a batch script of two nodes sees it (slurm 22.05.8).
BATCH = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NAME": "bench",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_JOB_CPUS_PER_NODE": "2(x2)",
    "SLURM_GPUS_ON_NODE": "4",
}


def two(listed: str) -> Sequence[str]:
    assert listed == "node[1-2]"
    return ["node1", "node2"]


GIVEN = SlurmAllocation.from_environment(BATCH, two)


def test_a_batch_script_is_told_its_nodes() -> None:
    read = SlurmAllocation.from_environment(BATCH, two)
    assert (read.job, read.name, read.node_list) == ("17", "bench", "node[1-2]")
    assert (read.nodes, read.cpus, read.gpus) == (("node1", "node2"), (2, 2), 4)


def test_gpus_may_have_a_type() -> None:
    typed = {**BATCH, "SLURM_GPUS_PER_NODE": "h100:8"}
    del typed["SLURM_GPUS_ON_NODE"]
    assert SlurmAllocation.from_environment(typed, two).gpus == 8
    assert SlurmAllocation.from_environment({**typed, "SLURM_GPUS_PER_NODE": ""}, two).gpus == 0


def test_outside_an_allocation_one_line_says_what_to_do() -> None:
    with pytest.raises(BenchError, match=r"(?m)\Anot in an allocation .*bench submit --nodes N.*salloc --nodes=N\Z"):
        SlurmAllocation.from_environment({"SLURM_CONF": "/etc/slurm/slurm.conf"}, two)


def test_where_there_is_no_slurm_one_line_says_so() -> None:
    with pytest.raises(BenchError, match=r"\Ano Slurm here: srun and scontrol not found .*--launcher torchrun.*\Z"):
        allocation(BATCH, 2, lambda name: None)


def test_fewer_nodes_than_asked_for() -> None:
    assert GIVEN.first(2) is GIVEN
    one = GIVEN.first(1)
    assert (one.nodes, one.cpus, one.node_list) == (("node1",), (2,), "node1")
    with pytest.raises(BenchError, match=r"3 nodes were asked for, and job 17 has 2: node1, node2; allowed: 1 to 2,"):
        GIVEN.first(3)


@given(st.lists(st.tuples(st.integers(1, 256), st.integers(1, 5)), min_size=1, max_size=6))
def test_counts_by_node_are_read_as_slurm_writes_them(runs: list[tuple[int, int]]) -> None:
    text = ",".join(f"{count}(x{times})" if times > 1 else str(count) for count, times in runs)
    wanted = tuple(count for count, times in runs for _ in range(times))
    assert counts_by_node(text, len(wanted)) == wanted
    assert counts_by_node(text, len(wanted) + 1) == (0,) * (len(wanted) + 1)


@pytest.mark.parametrize("text", ["", "many", "2(x2", "2(x2),?"])
def test_counts_that_say_nothing(text: str) -> None:
    assert counts_by_node(text, 2) == (0, 0)


def test_one_program_a_node_that_outlives_the_death_of_another() -> None:
    command = srun_command(GIVEN, ["true"])
    assert command[0] == "srun"
    assert command[-1] == "true"
    wanted = {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--nodelist=node1,node2", "--overlap", "--no-kill"}
    wanted |= {"--cpu-bind=none", "--mem=0", "--kill-on-bad-exit=0", "--wait=0", "--unbuffered", "--input=all"}
    assert wanted <= {*command}


@given(st.integers(1, 4), st.integers(1, 8), st.data())
def test_ranks_are_told_what_srun_tells_them(nodes: int, ranks: int, data: st.DataObject) -> None:
    names = tuple(f"n{index}" for index in range(nodes))
    given = SlurmAllocation("5", "x", names, (ranks,) * nodes, 0, ",".join(names))
    rank = data.draw(st.integers(0, nodes * ranks - 1))
    node, local = divmod(rank, ranks)
    told = rank_variables(given, rank=rank, local_rank=local, node=node, ranks_per_node=ranks)
    assert int(told["SLURM_PROCID"]) == int(told["SLURM_NODEID"]) * int(told["SLURM_NTASKS_PER_NODE"]) + local
    assert int(told["SLURM_NTASKS"]) == int(told["SLURM_NNODES"]) * int(told["SLURM_NTASKS_PER_NODE"])
    assert told["SLURMD_NODENAME"] == names[node]
    assert counts_by_node(told["SLURM_TASKS_PER_NODE"], nodes) == (ranks,) * nodes
