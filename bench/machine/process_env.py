"""The environment variables of fork servers and arms: what is taken out, what is set, what torchrun gives a rank."""

from __future__ import annotations

import os
import re
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


def rank_environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torchrun sets for one of `ranks` processes on one machine (torch/distributed/elastic/agent/server/
    local_elastic_agent.py, torch 2.13), so that every loop finds its ranks in the way its users start it.

    Args:
        port: where rank 0 opens the store on the loopback interface.
    """
    number, world = str(rank), str(ranks)
    return {
        "RANK": number,
        "LOCAL_RANK": number,
        "GROUP_RANK": "0",
        "ROLE_RANK": number,
        "ROLE_NAME": "default",
        "WORLD_SIZE": world,
        "LOCAL_WORLD_SIZE": world,
        "GROUP_WORLD_SIZE": "1",
        "ROLE_WORLD_SIZE": world,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_RUN_ID": f"bench-{port}",
        # Rank 0 opens the store itself: there is no agent that does.
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        # gloo asks for the address of the host's own name, which a machine without a network may not know.
        "GLOO_SOCKET_IFNAME": "lo0" if os.uname().sysname == "Darwin" else "lo",
    }
