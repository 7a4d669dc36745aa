"""A warm interpreter that forks arms on request: `python -m bench.arm.fork_server`, one per preload and set.

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
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

import bench.protocol as protocol
from bench.axes.accelerators import accelerators
from bench.axes.plugins import remember_entries
from bench.machine import strays
from bench.machine.knock import knock
from bench.protocol import ArmHello, ExitReport, Fork, ForkFailure, ForkReport, ForkServerHello

# What plain, Fabric and Trainer programs import late, at their first optimizer or fit. A fork server that has it
# spares every arm the time; which modules an arm still imports after the fork: BENCH_TRACE_IMPORTS=1 writes to its log.
LATE_IMPORTS = {
    "torch": ("torch._dynamo", "torch.optim", "torch.utils.data", "torch.distributed", "bench.arm.main"),
    "lightning": ("lightning.pytorch", "lightning.fabric"),
    "ignite": ("ignite.engine",),
    "transformers": ("transformers.trainer",),  # 3.5 s, in each arm, where it is asked for after the fork
}


def main() -> None:
    """Connect to the conductor named on standard input, preload, and fork arms until it goes away."""
    setup = json.loads(sys.stdin.readline())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # these are the conductor's to handle
    die_with_parent(setup["parent"], signal.SIGTERM)
    strays.become_subreaper()
    began = time.perf_counter()
    for name in setup["preload"]:
        importlib.import_module(name)
        for late in late_imports(name):
            importlib.import_module(late)
    import_what_can_be(setup["imports"])
    remember_entries("bench.loops")  # every arm asks for them
    # Objects of the imports are put aside: a collection in an arm would copy every page that the two share.
    gc.collect()
    gc.freeze()
    if switches := sys.modules.get("bench.arm.switches"):
        switches.watch_freezing()
    hello = ForkServerHello(
        id=setup["id"],
        pid=os.getpid(),
        seconds=time.perf_counter() - began,
        threads=threading.active_count(),
        versions={name: str(getattr(sys.modules[name], "__version__", "")) for name in setup["preload"]},
    )
    connection = knock(setup["addresses"], bytes.fromhex(setup["authkey"]), protocol.encode(hello))
    serve(connection, setup)


def import_what_can_be(names: Sequence[str]) -> None:
    """Import what scripts will, `module` or `module:name`, so that arms need not; what cannot be is theirs to say.

    A name that a package loads when it is asked for is asked for.
    """
    for package in dict.fromkeys(name.partition(":")[0].partition(".")[0] for name in names):
        names = (*names, *late_imports(package))
    for name in names:
        module, _, inner = name.partition(":")
        try:
            loaded = importlib.import_module(module)
            if inner:
                getattr(loaded, inner, None)
        except (Exception, SystemExit):  # somebody else's code
            traceback.print_exc()


def late_imports(package: str) -> list[str]:
    """What is imported with a package, by the table above and by the accelerators that need it."""
    own = [module for one in accelerators().values() if package in one.packages for module in one.late_imports]
    return list(dict.fromkeys((*LATE_IMPORTS.get(package, ()), *own)))


def serve(connection: Connection, setup: Mapping[str, Any]) -> None:
    """Fork arms and report their ends, until the conductor's connection ends; then leave no process behind."""
    arms: dict[int, str] = {}  # pid -> arm id

    def end(signum: int = 0, frame: FrameType | None = None) -> None:
        for pid in arms:
            kill_group(pid)
        strays.end_orphans(keep=tuple)
        if os.getppid() != setup["parent"]:  # the run was killed: nobody else is left to remove its scratch
            shutil.rmtree(setup["home"], ignore_errors=True)
        os._exit(0)

    def report(message: protocol.Message) -> None:
        try:
            connection.send_bytes(protocol.encode(message))
        except OSError:
            end()

    signal.signal(signal.SIGTERM, end)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = wait([connection, reader])
        if reader in ready:
            os.read(reader, 4096)
            ended = {}
            for pid, arm in list(arms.items()):
                gone, status = os.waitpid(pid, os.WNOHANG)
                if gone:
                    del arms[pid]
                    kill_group(pid)  # loader workers and the like
                    ended[arm] = os.waitstatus_to_exitcode(status)
            strays.end_orphans(keep=lambda: arms)  # what left the group of an arm that is gone
            for arm, code in ended.items():
                report(ExitReport(arm, code))
        if connection in ready:
            try:
                order = protocol.decode_order(connection.recv_bytes())
            except (EOFError, OSError):
                end()
            fork_server = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:  # too many processes, or no memory for another one
                report(ForkFailure(order.arm, error.strerror or str(error)))
                continue
            if pid == 0:
                # The child leaves this function only through os._exit.
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                    signal.signal(number, signal.SIG_DFL)
                for descriptor in (connection.fileno(), reader, writer):
                    os.close(descriptor)
                child(order, setup, fork_server)
            arms[pid] = order.arm
            report(ForkReport(order.arm, pid))


def child(order: Fork, setup: Mapping[str, Any], fork_server: int) -> None:
    """Become the arm: own session, log, limits and environment; run it; leave without the long goodbye."""
    status = 1
    try:
        os.setsid()
        die_with_parent(fork_server, signal.SIGKILL)
        strays.become_subreaper()
        if setup["cores"]:  # its fork server may have been kept off those of arms that took their turns
            os.sched_setaffinity(0, setup["cores"])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's to handle
        log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.enable(file=2)
        faulthandler.register(protocol.STACKS, file=2, all_threads=True)
        for folder in (order.scratch, order.temporary):
            Path(folder).mkdir(parents=True, exist_ok=True)
        os.environ.update({"TMPDIR": order.temporary, **order.environ})
        tempfile.tempdir = None  # whoever asked before the fork had another one
        os.chdir(order.scratch)
        from bench.arm import main as arm
        from bench.machine.memory import forget_peak

        forget_peak()
        if order.request["memory_limit"]:
            limit_memory(order.request["memory_limit"])
        before = set(sys.modules)
        hello = protocol.encode(ArmHello(order.arm, order.rank, os.getpid()))
        connection = knock(setup["addresses"], bytes.fromhex(setup["authkey"]), hello)
        local = int(order.environ.get("LOCAL_RANK", 0))
        arm.run_arm({**order.request, "rank": order.rank, "local_rank": local, "cores": order.cores}, connection)
        if os.environ.get("BENCH_TRACE_IMPORTS"):
            print("imported after the fork:", *sorted(set(sys.modules) - before))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def limit_memory(extra: int) -> None:
    """Let this process allocate `extra` bytes more than it has now. RLIMIT_DATA counts private writable mappings (Linux
    4.7 and later, getrlimit(2)); RLIMIT_AS would count torch's gigabytes of mapped libraries too."""
    import resource

    from bench.machine.memory import data_size

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

    Elsewhere the fork server sees its connection end and kills its arms.
    """
    if sys.platform != "linux":
        return
    strays.prctl(1, int(number))  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked


if __name__ == "__main__":
    main()
