"""The environment variables of fork servers and arms: what is taken out, what is set, what torchrun gives a rank."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# Where `import bench` finds this very package, for interpreters that are started anew.
PACKAGE_PARENT = Path(__file__).resolve().parents[2]

# Environment variables that change the loops' defaults behind everybody's back (Lightning reads PL_TRAINER_* and LT_*,
# Accelerate ACCELERATE_*), or that would make an arm believe that it is a rank of somebody else's job.
SCRUBBED = re.compile(
    r"^(PL_.*|LT_.*|ACCELERATE_.*|RANK|LOCAL_RANK|GROUP_RANK|NODE_RANK|ROLE_.*|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT"
    r"|TORCHELASTIC_.*|SLURM_.*|OMP_.*|MKL_.*|OPENBLAS_NUM_THREADS|KMP_.*|GOMP_.*|PYTORCH_.*|TORCH_.*|TORCHINDUCTOR_.*"
    r"|TRITON_CACHE_DIR)$"
)


def arm_environment(threads: int, hash_seed: int) -> tuple[dict[str, str], list[str]]:
    """The environment of every fork server and arm, and the names that were taken out of it.

    Args:
        threads: intra-operator threads of every arm.
        hash_seed: PYTHONHASHSEED, another for each fork server, since that too may differ by accident: a control that
            shared it with its baseline would not show what it does.
    """
    scrubbed = sorted(name for name in os.environ if SCRUBBED.match(name))
    kept = {name: value for name, value in os.environ.items() if name not in scrubbed}
    # glibc gives the top of the heap back to the system when it is freed and fetches it again, page by page, in the
    # next step; whether it does hangs on the accidental layout of the heap. Identical loops took 2 to 1,500 page faults
    # a step at batches of 4.8 MB, alike in all arms of one fork server, differing by up to 10 %. No loop is to blame.
    allocator = {"MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
    # OpenBLAS, numpy's library, starts its threads at import; a fork server must have none when it forks.
    ours = {
        **thread_environment(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONUNBUFFERED": "1",
        # `import torch` loads whatever backend is installed, and torch_tpu patches torch.compile.
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
    # Arms work in a scratch folder; a path that was relative to ours must lead there all the same.
    # One that begins with a home is not relative, and whose home that is may be nobody's: the arm says so.
    data = kept.get("BENCH_DATA_DIR", "")
    ours |= {"BENCH_DATA_DIR": os.path.abspath(data)} if data and not data.startswith("~") else {}
    return {**allocator, **kept, **ours}, scrubbed


def thread_environment(threads: int) -> dict[str, str]:
    """What says how many threads a process computes with, to libraries that are loaded then, and to its children.

    Inductor compiles with as many workers as an arm has threads. One is its own process: a pool of workers would be
    started when it is imported, and a fork server that has threads or children cannot fork arms.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
    return dict.fromkeys(names, str(threads))


@dataclass(frozen=True)
class RankPlace:
    """Where a rank is among all ranks of its arm.

    Attributes:
        rank, world: its number, and how many there are.
        node, nodes: the same of its node; each has as many ranks.
        address, port: where rank 0 opens the store.
        interface: by which ranks reach each other, "" where that is not known.
    """

    rank: int
    world: int
    node: int
    nodes: int
    address: str
    port: int
    interface: str

    @property
    def local_world(self) -> int:
        """Ranks on its node."""
        return self.world // self.nodes

    @property
    def local_rank(self) -> int:
        """Its number among those."""
        return self.rank % self.local_world

    @property
    def job(self) -> str:
        """A name that all ranks of its arm share."""
        return f"bench-{self.port}"


def rank_environment(place: RankPlace) -> dict[str, str]:
    """What torchrun sets for a rank (torch/distributed/elastic/agent/server/local_elastic_agent.py, torch 2.13), so
    that every loop finds its ranks in the way its users start it."""
    rank, world = str(place.rank), str(place.world)
    return {
        **store_environment(place),
        "GROUP_RANK": str(place.node),
        "ROLE_RANK": rank,
        "ROLE_NAME": "default",
        "LOCAL_WORLD_SIZE": str(place.local_world),
        "GROUP_WORLD_SIZE": str(place.nodes),
        "ROLE_WORLD_SIZE": world,
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_RUN_ID": place.job,
        # Rank 0 opens the store itself: there is no agent that does.
        "TORCHELASTIC_USE_AGENT_STORE": "False",
    }


def store_environment(place: RankPlace) -> dict[str, str]:
    """What `torch.distributed` reads of a rank's environment, whoever has set it, and the interface of its backends.

    gloo asks for the address of the host's own name, which a machine without a network may not know, or know wrongly.
    What the user has set stands, where ranks are on several nodes.
    """
    several = place.nodes > 1
    names = ("GLOO_SOCKET_IFNAME", *(("NCCL_SOCKET_IFNAME",) if several else ()))
    interfaces = {name: place.interface for name in names if place.interface and not (several and os.environ.get(name))}
    return {
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local_rank),
        "WORLD_SIZE": str(place.world),
        "MASTER_ADDR": place.address,
        "MASTER_PORT": str(place.port),
        **interfaces,
    }
