"""What is read of Slurm's environment, the command line of srun, and what srun tells a rank. Pure, but for `scontrol`.

Slurm says to a batch script, and to a shell that `salloc` opened, what it has been given: names of nodes as
`node[1-2]`, CPUs as `2(x2)`. `srun` inside starts one program a node; the ranks that this program forks get the
variables that srun would have given them, as that is where Lightning's SLURMEnvironment looks (lightning 2.6.6,
fabric/plugins/environments/slurm.py), and users' own code, too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import BenchError, quote

HOW_TO_GET_ONE = "submit the run (`bench submit --nodes N ...`), or ask for nodes first: salloc --nodes=N"
_COUNTED = re.compile(r"(\d+)(?:\(x(\d+)\))?")


@dataclass(frozen=True)
class SlurmAllocation:
    """The nodes that Slurm has given to a job.

    Attributes:
        job: the job's number, that of the task itself of an array.
        name: the job's name.
        nodes: their names, in Slurm's order; the batch script runs on the first.
        cpus: of each node, as many as nodes.
        gpus: of each node; 0 where none was asked for.
        node_list: the nodes as Slurm writes them, `node[1-2]`.
    """

    job: str
    name: str
    nodes: tuple[str, ...]
    cpus: tuple[int, ...]
    gpus: int
    node_list: str

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], hosts: Callable[[str], Sequence[str]] | None = None
    ) -> SlurmAllocation:
        """The allocation that this process is in.

        Args:
            hosts: the names in a list as Slurm writes it; None: those of `scontrol show hostnames`.

        Raises:
            BenchError: it is in none; says what to do.
        """
        job, listed = environment.get("SLURM_JOB_ID"), environment.get("SLURM_JOB_NODELIST")
        if not job or not listed:
            raise BenchError(
                f"not in an allocation of Slurm's (no SLURM_JOB_ID, no SLURM_JOB_NODELIST): {HOW_TO_GET_ONE}"
            )
        nodes = tuple((hosts or host_names)(listed))
        cpus = counts_by_node(environment.get("SLURM_JOB_CPUS_PER_NODE", ""), len(nodes))
        # `4`, or with a type `h100:4`; the first is of the node that reads it, and there where the other may not be.
        gpus = environment.get("SLURM_GPUS_ON_NODE") or environment.get("SLURM_GPUS_PER_NODE", "")
        number = gpus.rpartition(":")[2]
        return cls(
            job=job,
            name=environment.get("SLURM_JOB_NAME", ""),
            nodes=nodes,
            cpus=cpus,
            gpus=int(number) if number.isdecimal() else 0,
            node_list=listed,
        )

    def first(self, number: int) -> SlurmAllocation:
        """The part of it that a run on so many nodes uses.

        Raises:
            BenchError: it has fewer.
        """
        if number > len(self.nodes):
            raise BenchError(
                f"{number} nodes were asked for, and job {self.job} has {len(self.nodes)}: {', '.join(self.nodes)}; "
                f"allowed: 1 to {len(self.nodes)}, or a job with more: --nodes={number} of `bench submit` or salloc"
            )
        if number == len(self.nodes):
            return self
        nodes = self.nodes[:number]
        return SlurmAllocation(self.job, self.name, nodes, self.cpus[:number], self.gpus, ",".join(nodes))


def allocation(
    environment: Mapping[str, str], nodes: int | None, found: Callable[[str], str | None] = shutil.which
) -> SlurmAllocation:
    """The first `nodes` nodes of the allocation that this process is in.

    Args:
        nodes: None: all.
        found: where a program is, by name.

    Raises:
        BenchError: there is no Slurm here, this is no job of its, or the job has fewer nodes; one message.
    """
    absent = [name for name in ("srun", "scontrol") if found(name) is None]
    if absent:
        raise BenchError(
            f"no Slurm here: {' and '.join(absent)} not found in PATH; allowed: a node of a cluster with Slurm, or "
            "--launcher torchrun where there is none"
        )
    whole = SlurmAllocation.from_environment(environment)
    return whole if nodes is None else whole.first(nodes)


def node_address(node: str) -> str:
    """The address of a node as Slurm reaches it, by Slurm itself; the node's name where it does not know it.

    Raises:
        BenchError: scontrol is not there.
    """
    try:
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "node", node], capture_output=True, text=True, timeout=60.0
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"scontrol show node {quote(node)}: {error}") from None
    found = re.search(r"\bNodeAddr=(\S+)", done.stdout)
    return found[1] if found else node


def host_names(listed: str) -> tuple[str, ...]:
    """The names in a list as Slurm writes it, by Slurm itself: brackets may be nested, padded, and more than one.

    Raises:
        BenchError: scontrol says that it is none, or is not there.
    """
    try:
        done = subprocess.run(["scontrol", "show", "hostnames", listed], capture_output=True, text=True, timeout=60.0)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"scontrol show hostnames {quote(listed)}: {error}") from None
    if done.returncode != 0 or not done.stdout.split():
        raise BenchError(f"scontrol show hostnames {quote(listed)}: {done.stderr.strip() or 'no names'}")
    return tuple(done.stdout.split())


def counts_by_node(text: str, nodes: int) -> tuple[int, ...]:
    """A number of each node from `2(x3),4`; 0 of each where it says nothing, or not of as many nodes."""
    counts: list[int] = []
    for part in filter(None, text.split(",")):
        if not (match := _COUNTED.fullmatch(part)):
            return (0,) * nodes
        counts += [int(match[1])] * int(match[2] or 1)
    return tuple(counts) if len(counts) == nodes else (0,) * nodes


def srun_command(allocation: SlurmAllocation, program: Sequence[str]) -> list[str]:
    """The command line of one step that runs this program once on each node, whatever becomes of the others.

    It may stand beside other steps of the job (`--overlap`), has all CPUs, memory and devices that the job has on a
    node, bound to none, as arms are pinned by the conductor, and lives on when a node dies or a task ends badly.
    """
    number = len(allocation.nodes)
    return [
        "srun",
        f"--jobid={allocation.job}",
        f"--nodes={number}",
        f"--ntasks={number}",
        "--ntasks-per-node=1",
        f"--nodelist={','.join(allocation.nodes)}",
        "--overlap",
        "--cpu-bind=none",
        "--mem=0",
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--wait=0",  # else a site's WaitTime ends all other tasks so many seconds after the first one
        "--mpi=none",
        "--input=all",
        "--unbuffered",
        "--export=ALL",
        "--job-name=bench-nodes",
        *program,
    ]


def rank_variables(
    allocation: SlurmAllocation, *, rank: int, local_rank: int, node: int, ranks_per_node: int, step: str = "0"
) -> dict[str, str]:
    """What srun would have set for this rank, had it started the ranks itself.

    Args:
        node: the index of its node.
        ranks_per_node: of every node; all nodes times this is the world.
        step: the number of the step that runs the agents.
    """
    nodes = len(allocation.nodes)
    return {
        "SLURM_JOB_ID": allocation.job,
        "SLURM_JOBID": allocation.job,
        "SLURM_JOB_NAME": allocation.name,
        "SLURM_STEP_ID": step,
        "SLURM_STEPID": step,
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(local_rank),
        "SLURM_NODEID": str(node),
        "SLURMD_NODENAME": allocation.nodes[node],
        "SLURM_NTASKS": str(nodes * ranks_per_node),
        "SLURM_NPROCS": str(nodes * ranks_per_node),
        "SLURM_NTASKS_PER_NODE": str(ranks_per_node),
        "SLURM_TASKS_PER_NODE": str(ranks_per_node) if nodes == 1 else f"{ranks_per_node}(x{nodes})",
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_NODELIST": allocation.node_list,
        "SLURM_JOB_NODELIST": allocation.node_list,
    }
