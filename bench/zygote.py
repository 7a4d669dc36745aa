"""A warm interpreter that forks arms on request: `python -m bench.zygote`, one per preload and set.

It imports torch (and lightning) once, runs no operation, starts no thread, touches no device, and then forks. An arm is
ready in hundredths of a second that way, where a fresh interpreter needs seconds to tens of seconds for imports.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Client, Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from bench import wire

# What plain, Fabric and Trainer programs import late, at their first optimizer or fit. A zygote that has it already
# spares every arm the time; which modules an arm still imports after the fork: BENCH_TRACE_IMPORTS=1 writes to its log.
LATE_IMPORTS = {
    "torch": ("torch._dynamo", "torch.optim", "torch.utils.data", "torch.distributed", "bench.arm"),
    "lightning": ("lightning.pytorch", "lightning.fabric"),
    # Importing torch_xla starts neither a thread nor its PJRT client; the first tensor on the device does.
    "torch_xla": ("torch_xla.core.xla_model", "torch_xla.debug.metrics", "torch_xla.runtime"),
}


def main() -> None:
    """Connect to the conductor named on standard input, preload, and fork arms until it goes away."""
    setup = json.loads(sys.stdin.readline())
    die_with_parent(setup["parent"], signal.SIGTERM)
    began = time.perf_counter()
    for name in setup["preload"]:
        importlib.import_module(name)
        for late in LATE_IMPORTS.get(name, ()):
            importlib.import_module(late)
    # Objects of the imports are put aside: a collection in an arm would copy every page that it shares with the zygote.
    gc.collect()
    gc.freeze()
    connection = Client(setup["address"], authkey=bytes.fromhex(setup["authkey"]))
    hello = {
        "op": "hello",
        "role": "zygote",
        "id": setup["id"],
        "pid": os.getpid(),
        "seconds": time.perf_counter() - began,
        "threads": threading.active_count(),
        "versions": {name: str(getattr(sys.modules[name], "__version__", "")) for name in setup["preload"]},
    }
    wire.send(connection, hello)
    serve(connection, setup)


def serve(connection: Connection, setup: Mapping[str, Any]) -> None:
    """Fork arms and report their ends, until the conductor's connection ends; then leave no arm behind."""
    arms: dict[int, str] = {}  # pid -> arm id

    def end(signum: int = 0, frame: FrameType | None = None) -> None:
        for pid in arms:
            kill_group(pid)
        if os.getppid() != setup["parent"]:  # the run was killed: nobody else is left to remove its socket and scratch
            shutil.rmtree(Path(setup["address"]).parent, ignore_errors=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = wait([connection, reader])
        if reader in ready:
            os.read(reader, 4096)
            for pid, arm in list(arms.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del arms[pid]
                    kill_group(pid)  # loader workers and the like
                    wire.send(connection, {"op": "exited", "arm": arm, "status": os.waitstatus_to_exitcode(status)})
        if connection in ready:
            try:
                request = wire.receive(connection)
            except EOFError:
                end()
            zygote = os.getpid()
            pid = os.fork()
            if pid == 0:
                # The child leaves this function only through os._exit.
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                for descriptor in (connection.fileno(), reader, writer):
                    os.close(descriptor)
                child(request, setup, zygote)
            arms[pid] = request["arm"]


def child(request: Mapping[str, Any], setup: Mapping[str, Any], zygote: int) -> None:
    """Become the arm: own session, log, limits and environment; run it; leave without the long goodbye."""
    status = 1
    try:
        os.setsid()
        die_with_parent(zygote, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's to handle
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.enable(file=2)
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
        os.environ.update(request["environ"])
        Path(request["scratch"]).mkdir(parents=True, exist_ok=True)
        os.chdir(request["scratch"])
        from bench import arm
        from bench.memory import forget_peak

        forget_peak()
        if request["memory_limit"]:
            limit_memory(request["memory_limit"])
        before = set(sys.modules)
        connection = Client(setup["address"], authkey=bytes.fromhex(setup["authkey"]))
        hello = {"op": "hello", "role": "arm", "id": request["arm"], "rank": request["rank"], "pid": os.getpid()}
        wire.send(connection, hello)
        arm.run(request, connection)
        if os.environ.get("BENCH_TRACE_IMPORTS"):
            print("imported after the fork:", *sorted(set(sys.modules) - before))
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def limit_memory(extra: int) -> None:
    """Let this process allocate `extra` bytes more than it has now. RLIMIT_DATA counts private writable mappings (Linux
    4.7 and later, getrlimit(2)); RLIMIT_AS would count torch's gigabytes of mapped libraries too."""
    import resource

    from bench.memory import data_size

    limit = data_size() + extra
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def kill_group(pid: int) -> None:
    """SIGKILL a process group, if it is still there."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:  # macOS says so for a group of which only zombies are left
        return


def die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel to send this process a signal when its parent dies, however it dies (Linux, prctl(2)).

    Elsewhere the zygote sees its connection end and kills its arms.
    """
    if sys.platform != "linux":
        return
    import ctypes

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked


if __name__ == "__main__":
    main()
