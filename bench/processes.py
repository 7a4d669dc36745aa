"""The parent's side of zygotes and arms: start, connect, hold, let go, watch, end. No torch, no pandas.

It blocks and never spins: every wait is in the kernel, and what ends a wait is a message, an end of file or a timeout.
"""

from __future__ import annotations

import math
import os
import queue
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import Any

from bench import wire
from bench.errors import BenchError
from bench.record import Outcome

# Environment variables that change the loops' defaults behind everybody's back (Lightning reads PL_TRAINER_* and LT_*),
# or that would make an arm believe that it is a rank of somebody else's job.
SCRUBBED = re.compile(
    r"^(PL_.*|LT_.*|RANK|LOCAL_RANK|GROUP_RANK|NODE_RANK|ROLE_.*|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT"
    r"|TORCHELASTIC_.*|SLURM_.*|OMP_.*|MKL_.*|OPENBLAS_NUM_THREADS|KMP_.*|GOMP_.*|PYTORCH_.*|TORCH_.*|TORCHINDUCTOR_.*)$"
)
ZYGOTE_PATIENCE = 300.0  # seconds for imports: 20 to 27 s were seen on slow machines, far more on network file systems


class ArmLost(Exception):
    """An arm will give no more answers: what became of it, and why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome: Outcome = outcome
        self.reason = reason
        super().__init__(reason)


class Interrupted(Exception):
    """The user asked to stop, twice: leave everything at once."""


def arm_environment(threads: int, hash_seed: int) -> tuple[dict[str, str], list[str]]:
    """The environment of every zygote and arm, and the names that were taken out of it.

    Args:
        threads: intra-operator threads of every arm.
        hash_seed: PYTHONHASHSEED, the same for all arms of a launch, another for each set of zygotes.
    """
    scrubbed = sorted(name for name in os.environ if SCRUBBED.match(name))
    kept = {name: value for name, value in os.environ.items() if name not in scrubbed}
    # glibc gives the top of the heap back to the system when it is freed and fetches it again, page by page, in the
    # next step; whether it does hangs on the accidental layout of the heap. Identical loops took 2 to 1,500 page faults
    # a step at batches of 4.8 MB, alike in all arms of one zygote, and differed by up to 10 %. No loop is to blame.
    allocator = {"MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
    # OpenBLAS, numpy's library, starts its threads at import; a zygote must have none when it forks.
    ours = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONUNBUFFERED": "1",
        # `import torch` loads whatever backend is installed, and torch_tpu patches torch.compile; see bench.xla.
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
    # Arms work in a scratch folder; a path that was relative to ours must lead there all the same.
    ours |= {name: os.path.abspath(kept[name]) for name in ("BENCH_DATA_DIR",) if kept.get(name)}
    return {**allocator, **kept, **ours}, scrubbed


@dataclass
class Zygote:
    """A warm interpreter: which modules it has imported, and the set that it belongs to."""

    id: str
    process: subprocess.Popen[bytes]
    connection: Connection | None = None
    seconds: float = 0.0
    threads: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Arm:
    """A live cell: one process, held unless it was granted a turn."""

    id: str
    zygote: Zygote
    log: Path
    requested_at: float
    connection: Connection | None = None
    poll: select.poll | None = None
    pid: int = 0
    helpers: int = 0
    ready_after: float = 0.0
    stopped: bool = False
    lost: ArmLost | None = None


class Fleet:
    """All processes of a run. A context: on leaving, none is left.

    Args:
        threads: intra-operator threads of every arm.
        logs: folder for the zygotes' output.
    """

    def __init__(self, threads: int, logs: Path) -> None:
        self.threads = threads
        self.logs = logs
        self.interrupts = 0
        self.conductor_cpu = 0.0  # our own processor seconds while turns ran
        self._home = Path(tempfile.mkdtemp(prefix="bench-"))
        self._authkey = secrets.token_bytes(32)
        self._address = str(self._home / "conductor")
        self._listener = Listener(self._address, family="AF_UNIX", authkey=self._authkey, backlog=64)
        self._arrivals: queue.SimpleQueue[tuple[Connection, dict[str, Any]]] = queue.SimpleQueue()
        self._bell, self._ringer = os.pipe()
        self._exits: dict[str, int] = {}
        self._oom_kills = oom_kills()
        self._closed = False
        self._started = 0
        self.zygotes: dict[str, Zygote] = {}
        self.arms: dict[str, Arm] = {}
        # A thread that sleeps in accept(): the handshake is a conversation, and Listener has no timeout of its own.
        self._door = threading.Thread(target=self._accept, daemon=True, name="bench-accept")
        self._door.start()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
                hello = wire.receive(connection)
            except (OSError, EOFError, AuthenticationError):
                continue  # a stranger, a process that died while it knocked, or `close`
            self._arrivals.put((connection, hello))
            os.write(self._ringer, b"x")

    def scratch(self, name: str) -> Path:
        """A folder for what an arm writes (checkpoints, loggers); gone with the run."""
        return self._home / "scratch" / name

    def ensure_zygotes(self, wanted: Sequence[tuple[int, tuple[str, ...]]], seed: int) -> None:
        """Start those of these zygotes (number of the set, preload) that do not live, and await their imports.

        Raises:
            BenchError: one died or did not answer; says its last words.
        """
        for zygote in [zygote for zygote in self.zygotes.values() if zygote.process.poll() is not None]:
            self._bury(zygote)
        # Set by set: where bytecode is not compiled yet, the first set compiles it once, and the others only read it.
        for number in sorted({number for number, _ in wanted}):
            for preload in (preload for owner, preload in wanted if owner == number):
                if zygote_id(preload, number) not in self.zygotes:
                    environment, _ = arm_environment(self.threads, (seed + number) % 2**32)
                    self._start_zygote(number, preload, environment)
            self._await_zygotes()

    def _await_zygotes(self) -> None:
        deadline = time.monotonic() + ZYGOTE_PATIENCE
        while missing := [zygote for zygote in self.zygotes.values() if zygote.connection is None]:
            self._wait([], min(deadline, time.monotonic() + 0.5))
            dead = next((zygote for zygote in missing if zygote.process.poll() is not None), None)
            if dead is not None or time.monotonic() > deadline:
                blamed = dead or missing[0]
                said = tail(self.logs / f"zygote-{blamed.id}.log")
                raise BenchError(f"the interpreter {blamed.id!r} did not start: {said or 'it said nothing'}")
            if self.interrupts:
                raise Interrupted

    def _start_zygote(self, number: int, preload: tuple[str, ...], environment: Mapping[str, str]) -> None:
        name = zygote_id(preload, number)
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
        with open(self.logs / f"zygote-{name}.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.zygote"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONPATH": path},
                start_new_session=True,
            )
        setup = {
            "address": self._address,
            "authkey": self._authkey.hex(),
            "preload": preload,
            "id": name,
            "parent": os.getpid(),
        }
        assert process.stdin is not None
        process.stdin.write(wire.encode(setup) + b"\n")
        process.stdin.close()
        self.zygotes[name] = Zygote(name, process)

    def start_arm(self, name: str, zygote: str, request: Mapping[str, Any], log: Path) -> Arm:
        """Ask a zygote for an arm. It begins at once; `await_ready` waits for its first pull."""
        keeper = self.zygotes[zygote]
        assert keeper.connection is not None
        self._started += 1
        arm = Arm(f"{name}#{self._started}", keeper, log, time.perf_counter())
        self.arms[arm.id] = arm
        order = {
            "op": "fork",
            "arm": arm.id,
            "rank": 0,
            "log": str(log),
            "scratch": str(self.scratch(arm.id)),
            **request,
        }
        try:
            wire.send(keeper.connection, order)
        except OSError:
            arm.lost = ArmLost("crashed", f"the interpreter {zygote!r} died before it could fork")
        return arm

    def await_ready(self, arms: Sequence[Arm], timeout: float) -> None:
        """Wait until each of these arms has pulled its first batch, or is lost."""
        deadline = time.monotonic() + timeout
        waiting = [arm for arm in arms if arm.lost is None]
        while waiting and time.monotonic() < deadline and not self.interrupts > 1:
            connections = [arm.connection for arm in waiting if arm.connection is not None]
            for connection in self._wait(connections, min(deadline, time.monotonic() + 0.5)):
                arm = next(arm for arm in waiting if arm.connection is connection)
                try:
                    message = self._receive(arm)
                except ArmLost as lost:
                    arm.lost = lost
                else:
                    arm.helpers = message["helpers"]
                    arm.ready_after = time.perf_counter() - arm.requested_at
                    self._hold(arm)
            for arm in waiting:
                if arm.connection is None and arm.id in self._exits:
                    arm.lost = self._died(arm)
            waiting = [arm for arm in waiting if not arm.ready_after and arm.lost is None]
        for arm in waiting:
            arm.lost = self._too_late(arm, timeout, "pulled no batch")

    def turn(self, arm: Arm, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Let one arm go for one turn, and wait until it is held again.

        Raises:
            ArmLost: it died, failed, or did not answer within `timeout` seconds.
        """
        if arm.lost is not None:
            raise arm.lost
        assert arm.connection is not None
        assert arm.poll is not None
        if arm.stopped:
            os.killpg(arm.pid, signal.SIGCONT)
            arm.stopped = False
        go, patience = wire.encode(message), math.ceil(timeout * 1000)
        cpu = time.process_time()
        try:
            arm.connection.send_bytes(go)
            # Connection.poll would build a selector each turn: 3 times the processor time, while the arm runs.
            answered = bool(arm.poll.poll(patience))
        except OSError:
            answered = True  # its end of the connection is gone; reading says so
        self.conductor_cpu += time.process_time() - cpu
        if not answered:
            arm.lost = self._too_late(arm, timeout, "did not finish its turn")
            raise arm.lost
        try:
            reply = self._receive(arm)
        except ArmLost as lost:
            arm.lost = lost
            raise
        if reply["op"] == "taken":
            arm.helpers = max(arm.helpers, reply.get("helpers", 0))
            self._hold(arm)
        return reply

    def _hold(self, arm: Arm) -> None:
        # An arm that waits for its turn sleeps in a read. Its helper threads and loader workers do not: stop them all.
        if arm.helpers:
            os.killpg(arm.pid, signal.SIGSTOP)
            arm.stopped = True

    def _receive(self, arm: Arm) -> dict[str, Any]:
        assert arm.connection is not None
        try:
            message = wire.receive(arm.connection)
        except (EOFError, OSError):
            raise self._died(arm) from None
        if message["op"] == "failed":
            raise ArmLost(message["outcome"], message["reason"])
        return message

    def _died(self, arm: Arm) -> ArmLost:
        deadline = time.monotonic() + 5.0
        while arm.id not in self._exits and time.monotonic() < deadline:
            self._wait([], deadline)
        status = self._exits.get(arm.id)
        if status is None:
            return ArmLost("crashed", "its connection ended, and its zygote does not know why")
        if status < 0:
            name = signal.Signals(-status).name
            if -status == signal.SIGKILL and oom_kills() > self._oom_kills:
                return ArmLost("oom", "killed by SIGKILL while the kernel ran out of memory")
            return ArmLost("crashed", f"killed by {name}; its last words: {tail(arm.log) or '(none)'}")
        return ArmLost(
            "crashed", f"exited with status {status} in mid-run; its last words: {tail(arm.log) or '(none)'}"
        )

    def _too_late(self, arm: Arm, timeout: float, what: str) -> ArmLost:
        if arm.pid:
            try:
                os.killpg(arm.pid, signal.SIGCONT)
                os.kill(arm.pid, signal.SIGUSR1)  # faulthandler writes the stacks of all threads to the arm's log
            except ProcessLookupError:
                return self._died(arm)
            time.sleep(0.5)
        self.end_arm(arm)
        return ArmLost("timeout", f"{what} within {timeout:g} s; its stacks are in logs/{arm.log.name}")

    def _wait(self, connections: Sequence[Connection], deadline: float) -> list[Connection]:
        """Wait for messages of these connections, taking in arrivals and exits meanwhile."""
        keepers = {zygote.connection: zygote for zygote in self.zygotes.values() if zygote.connection is not None}
        ready = wait([*connections, *keepers, self._bell], max(0.0, deadline - time.monotonic()))
        if self._bell in ready:
            os.read(self._bell, 4096)
            while not self._arrivals.empty():
                self._welcome(*self._arrivals.get())
        for connection in ready:
            if isinstance(connection, Connection) and connection in keepers:
                zygote = keepers[connection]
                try:
                    message = wire.receive(connection)
                except (EOFError, OSError):
                    self._bury(zygote)
                    continue
                self._exits[message["arm"]] = message["status"]
        return [item for item in ready if isinstance(item, Connection) and item in connections]

    def _bury(self, zygote: Zygote) -> None:
        """A zygote died, and its arms with it (PR_SET_PDEATHSIG); `ensure_zygotes` starts another when needed."""
        del self.zygotes[zygote.id]
        if zygote.connection is not None:
            zygote.connection.close()
        zygote.process.wait()
        for arm in self.arms.values():
            if arm.zygote is zygote:
                self._exits.setdefault(arm.id, -signal.SIGKILL)

    def _welcome(self, connection: Connection, hello: Mapping[str, Any]) -> None:
        if hello["role"] == "zygote":
            zygote = self.zygotes[hello["id"]]
            zygote.connection, zygote.seconds = connection, hello["seconds"]
            zygote.threads, zygote.versions = hello["threads"], hello["versions"]
        else:
            arm = self.arms[hello["id"]]
            arm.connection, arm.pid = connection, hello["pid"]
            arm.poll = select.poll()
            arm.poll.register(connection.fileno(), select.POLLIN)

    def end_arms(self, arms: Sequence[Arm]) -> None:
        """End these arms, however they are, and wait until they are gone: what dies slowly disturbs the next launch."""
        for arm in arms:
            self.end_arm(arm)
        deadline = time.monotonic() + 5.0
        while any(arm.pid and arm.id not in self._exits for arm in arms) and time.monotonic() < deadline:
            self._wait([], deadline)

    def end_arm(self, arm: Arm) -> None:
        """Kill an arm with all processes that it started."""
        if arm.pid and arm.id not in self._exits:
            # Where it has ended by itself, its zygote reports how.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(arm.pid, signal.SIGKILL)
        if arm.connection is not None:
            arm.connection.close()
            arm.connection = None
        shutil.rmtree(self.scratch(arm.id), ignore_errors=True)

    def close(self) -> None:
        """End every arm and zygote, and wait until they are gone."""
        for arm in self.arms.values():
            self.end_arm(arm)
        for zygote in self.zygotes.values():
            if zygote.connection is not None:
                zygote.connection.close()  # it kills its arms and leaves
            else:
                zygote.process.kill()
        for zygote in self.zygotes.values():
            try:
                zygote.process.wait(5.0)
            except subprocess.TimeoutExpired:
                zygote.process.kill()
                zygote.process.wait()
        self._closed = True
        with socket.socket(socket.AF_UNIX) as knock:  # wakes the thread that sleeps in accept()
            knock.connect(self._address)
        self._door.join(5.0)
        self._listener.close()
        for descriptor in (self._bell, self._ringer):
            os.close(descriptor)
        shutil.rmtree(self._home, ignore_errors=True)


def zygote_id(preload: tuple[str, ...], number: int) -> str:
    """The name of the zygote of that preload in set `number`."""
    return f"{'+'.join(preload)}-{number}"


def oom_kills() -> int:
    """Processes that the kernel has killed for want of memory since boot (Linux); 0 where it does not say."""
    path = Path("/proc/vmstat")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def tail(log: Path, length: int = 200) -> str:
    """The last line of a log that says something."""
    if not log.exists():
        return ""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][-length:] if lines else ""
