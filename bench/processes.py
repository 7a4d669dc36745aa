"""The parent's side of zygotes and arms: start, connect, hold, let go, watch, end. No torch, no pandas.

It blocks and never spins: every wait is in the kernel, and what ends a wait is a message, an end of file or a timeout.
"""

from __future__ import annotations

import math
import os
import queue
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
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import Any

from bench import ranks, wire
from bench.borders import file_name
from bench.errors import BenchError
from bench.handles import SIDE, Arm, ArmLost, Rank, Side, Zygote, free_port, oom_kills, tail, zygote_id
from bench.variables import arm_environment, rank_environment

ZYGOTE_PATIENCE = 300.0  # seconds for imports: 20 to 27 s were seen on slow machines, far more on network file systems
GRACE = 3.0  # seconds in which the other ranks of an arm that lost one may say what they died of


class Interrupted(Exception):
    """The user asked to stop, twice: leave everything at once."""


class Fleet:
    """All processes of a run. A context: on leaving, none is left.

    Args:
        threads: intra-operator threads of every arm.
        logs: folder for the zygotes' output.
        sides: environments by name. A preload that ends in `@NAME` is that of a zygote of that side.
    """

    def __init__(self, threads: int, logs: Path, sides: Mapping[str, Side] | None = None) -> None:
        self.threads = threads
        self._sides = sides or {}
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

    @property
    def imports(self) -> dict[tuple[str, ...], float]:
        """Seconds that interpreters took for their imports, by what they import; the slowest of each kind."""
        found: dict[tuple[str, ...], float] = {}
        for zygote in self.zygotes.values():
            if zygote.seconds:
                found[zygote.preload] = max(zygote.seconds, found.get(zygote.preload, 0.0))
        return found

    def scratch(self, name: str) -> Path:
        """A folder for what an arm writes (checkpoints, loggers); gone with the run."""
        return self._home / "scratch" / name

    @property
    def caches(self) -> Path:
        """Where compiled code is kept from launch to launch of a run, a folder a cell; gone with the run."""
        return self._home / "caches"

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
                said = tail(self.logs / f"zygote-{file_name(blamed.id)}.log")
                raise BenchError(f"the interpreter {blamed.id!r} did not start: {said or 'it said nothing'}")
            if self.interrupts:
                raise Interrupted

    def _start_zygote(self, number: int, preload: tuple[str, ...], environment: Mapping[str, str]) -> None:
        name = zygote_id(preload, number)
        root = str(Path(__file__).resolve().parent.parent)
        side = next((self._sides[name.removeprefix(SIDE)] for name in preload if name.startswith(SIDE)), None)
        # Without -P python would put the working folder first, and so one side's code before the other's.
        own = side.paths if side else (os.getcwd(),)
        path = os.pathsep.join([root, *own, *filter(None, [environment.get("PYTHONPATH")])])
        with open(self.logs / f"zygote-{file_name(name)}.log", "wb") as log:
            process = subprocess.Popen(
                [side.python if side else sys.executable, "-P", "-m", "bench.zygote"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONPATH": path},
                start_new_session=True,
            )
        setup = {
            "address": self._address,
            "authkey": self._authkey.hex(),
            "preload": [name for name in preload if not name.startswith(SIDE)],
            "id": name,
            "parent": os.getpid(),
        }
        assert process.stdin is not None
        process.stdin.write(wire.encode(setup) + b"\n")
        process.stdin.close()
        self.zygotes[name] = Zygote(name, process, preload)

    def start_arm(self, name: str, zygote: str, request: Mapping[str, Any], log: Path) -> Arm:
        """Ask a zygote for an arm. It begins at once; `await_ready` waits for its first pull.

        Args:
            request: for every rank alike; `ranks` (0: one process that is no rank), and `cores`, a list for each rank.
            log: of rank 0; that of rank 1 is called `NAME-rank1.log`.
        """
        keeper = self.zygotes[zygote]
        assert keeper.connection is not None
        self._started += 1
        count = max(1, request.get("ranks", 0))
        logs = [log] + [log.with_name(f"{log.stem}-rank{number}.log") for number in range(1, count)]
        members = [Rank(f"{name}#{self._started}.{number}", path) for number, path in enumerate(logs)]
        arm = Arm(f"{name}#{self._started}", keeper, members, time.perf_counter())
        self.arms[arm.id] = arm
        port = free_port() if request.get("ranks") else 0
        for number, member in enumerate(members):
            environ = rank_environment(number, count, port) if port else {}
            order = {
                **request,
                "op": "fork",
                "arm": member.id,
                "rank": number,
                "log": str(member.log),
                "scratch": str(self.scratch(arm.id) / str(number)),
                "environ": {**request.get("environ", {}), **environ},
                "cores": request["cores"][number] if request.get("cores") else [],
            }
            try:
                wire.send(keeper.connection, order)
            except OSError:
                arm.lost = ArmLost("crashed", f"the interpreter {zygote!r} died before it could fork")
        return arm

    def await_ready(self, arms: Sequence[Arm], timeout: float) -> None:
        """Wait until each rank of each of these arms has pulled its first batch, or the arm is lost."""
        deadline = time.monotonic() + timeout
        waiting = [arm for arm in arms if arm.lost is None]
        while waiting and time.monotonic() < deadline and not self.interrupts > 1:
            by_connection = {
                rank.connection: (arm, number)
                for arm in waiting
                for number, rank in enumerate(arm.ranks)
                if rank.connection is not None and not rank.ready_after
            }
            for connection in self._wait(list(by_connection), min(deadline, time.monotonic() + 0.5)):
                arm, number = by_connection[connection]
                if arm.lost is not None:
                    continue
                message = self._hear(arm, number)
                if message is not None:
                    rank = arm.ranks[number]
                    rank.helpers, rank.setup, rank.epoch = message["helpers"], message["setup"], message["epoch"]
                    arm.ranks[number].ready_after = time.perf_counter() - arm.requested_at
                    if arm.ready_after:  # not before: a rank that is still setting up needs the others' threads
                        self._hold(arm)
            for arm in waiting:
                for number, rank in enumerate(arm.ranks):
                    if arm.lost is None and rank.connection is None and rank.id in self._exits:
                        self._lose(arm, {number: self._died(rank)})
            waiting = [arm for arm in waiting if not arm.ready_after and arm.lost is None]
        for arm in waiting:
            self._too_late(arm, [n for n, rank in enumerate(arm.ranks) if not rank.ready_after], timeout, "no batch")

    def turn(self, arm: Arm, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Let one arm go for one turn, and wait until all of its ranks are held again; `ranks.together` of replies.

        Raises:
            ArmLost: it died, failed, or did not answer within `timeout` seconds.
        """
        if arm.lost is not None:
            raise arm.lost
        if arm.stopped:
            for rank in arm.ranks:
                os.killpg(rank.pid, signal.SIGCONT)
            arm.stopped = False
        go, patience = wire.encode(message), math.ceil(timeout * 1000)
        replies: dict[int, dict[str, Any]] = {}
        cpu = time.process_time()
        for rank in arm.ranks:
            assert rank.connection is not None
            with suppress(OSError):  # its end of the connection is gone; reading says so
                rank.connection.send_bytes(go)
        # Connection.poll would build a selector each turn: 3 times the processor time, while the arm runs.
        answered = arm.poll.poll(patience)
        self.conductor_cpu += time.process_time() - cpu
        while answered:
            numbers = {rank.connection.fileno(): n for n, rank in enumerate(arm.ranks) if rank.connection is not None}
            for descriptor, _ in answered:
                number = numbers[descriptor]
                if number not in replies and (reply := self._hear(arm, number)) is not None:
                    replies[number] = reply
                if arm.lost is not None:
                    raise arm.lost
            if len(replies) == len(arm.ranks):
                break
            answered = self._poll_rest(arm, replies, patience)
        else:
            self._too_late(arm, [n for n in range(len(arm.ranks)) if n not in replies], timeout, "did not finish")
            assert arm.lost is not None
            raise arm.lost
        for number, reply in replies.items():
            arm.ranks[number].helpers = max(arm.ranks[number].helpers, reply.get("helpers", 0))
        if replies[0]["op"] == "taken":
            self._hold(arm)
        return ranks.together([replies[number] for number in range(len(arm.ranks))])

    @staticmethod
    def _poll_rest(arm: Arm, replies: Mapping[int, Any], patience: int) -> list[tuple[int, int]]:
        rest = select.poll()
        for number, rank in enumerate(arm.ranks):
            if number not in replies and rank.connection is not None:
                rest.register(rank.connection.fileno(), select.POLLIN)
        return rest.poll(patience)

    def _hold(self, arm: Arm) -> None:
        # An arm that waits for its turn sleeps in a read. Its helper threads and loader workers do not: stop them all.
        # All ranks or none: threads of one serve the others.
        if arm.helpers:
            for rank in arm.ranks:
                os.killpg(rank.pid, signal.SIGSTOP)
            arm.stopped = True

    def _hear(self, arm: Arm, number: int) -> dict[str, Any] | None:
        """The message that has come from a rank; None where it is lost, and the arm with it."""
        loss = self._receive(arm.ranks[number])
        if isinstance(loss, ArmLost):
            self._lose(arm, {number: loss})
            return None
        return loss

    def _receive(self, rank: Rank) -> dict[str, Any] | ArmLost:
        assert rank.connection is not None
        try:
            message = wire.receive(rank.connection)
        except (EOFError, OSError):
            return self._died(rank)
        if message["op"] == "failed":
            return ArmLost(message["outcome"], message["reason"])
        return message

    def _lose(self, arm: Arm, losses: dict[int, ArmLost]) -> None:
        """An arm without one of its ranks is lost as a whole: hear what the others have to say, then end them all."""
        deadline = time.monotonic() + GRACE
        while len(losses) < len(arm.ranks) and time.monotonic() < deadline:
            rest = {r.connection: n for n, r in enumerate(arm.ranks) if n not in losses and r.connection is not None}
            for connection in self._wait(list(rest), deadline):
                heard = self._receive(arm.ranks[rest[connection]])
                if isinstance(heard, ArmLost):
                    losses[rest[connection]] = heard
            if not rest:
                break
        told = {number: (loss.outcome, loss.reason) for number, loss in losses.items()}
        outcome, reason = ranks.blame(told, len(arm.ranks))
        arm.lost = ArmLost(next(loss.outcome for loss in losses.values() if loss.outcome == outcome), reason)
        if len(arm.ranks) > 1:
            self.end_arm(arm)

    def _died(self, rank: Rank) -> ArmLost:
        deadline = time.monotonic() + 5.0
        while rank.id not in self._exits and time.monotonic() < deadline:
            self._wait([], deadline)
        status = self._exits.get(rank.id)
        if status is None:
            return ArmLost("crashed", "its connection ended, and its zygote does not know why")
        if status < 0:
            name = signal.Signals(-status).name
            if -status == signal.SIGKILL and oom_kills() > self._oom_kills:
                return ArmLost("oom", "killed by SIGKILL while the kernel ran out of memory")
            return ArmLost("crashed", f"killed by {name}; its last words: {tail(rank.log) or '(none)'}")
        return ArmLost(
            "crashed", f"exited with status {status} in mid-run; its last words: {tail(rank.log) or '(none)'}"
        )

    def _too_late(self, arm: Arm, missing: Sequence[int], timeout: float, what: str) -> None:
        """End an arm of which these ranks did not answer in time; their stacks go to their logs."""
        for number in range(len(arm.ranks)):
            rank = arm.ranks[number]
            if not rank.pid:
                continue
            try:
                os.killpg(rank.pid, signal.SIGCONT)
                os.kill(rank.pid, signal.SIGUSR1)  # faulthandler writes the stacks of all threads to the rank's log
            except ProcessLookupError:
                return self._lose(arm, {number: self._died(rank)})
        time.sleep(0.5)
        self.end_arm(arm)
        what = {"no batch": "pulled no batch", "did not finish": "did not finish its turn"}[what]
        logs = " and ".join(f"logs/{arm.ranks[number].log.name}" for number in missing)
        who = f"rank {' and '.join(map(str, missing))} of {len(arm.ranks)} " if len(arm.ranks) > 1 else ""
        arm.lost = ArmLost("timeout", f"{who}{what} within {timeout:g} s; its stacks are in {logs}")

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
                for rank in arm.ranks:
                    self._exits.setdefault(rank.id, -signal.SIGKILL)

    def _welcome(self, connection: Connection, hello: Mapping[str, Any]) -> None:
        if hello["role"] == "zygote":
            zygote = self.zygotes[hello["id"]]
            zygote.connection, zygote.seconds = connection, hello["seconds"]
            zygote.threads, zygote.versions = hello["threads"], hello["versions"]
        else:
            name, _, number = hello["id"].rpartition(".")
            arm = self.arms[name]
            rank = arm.ranks[int(number)]
            rank.connection, rank.pid = connection, hello["pid"]
            arm.poll.register(connection.fileno(), select.POLLIN)

    def end_arms(self, arms: Sequence[Arm]) -> None:
        """End these arms, however they are, and wait until they are gone: what dies slowly disturbs the next launch."""
        for arm in arms:
            self.end_arm(arm)
        processes = [rank for arm in arms for rank in arm.ranks]
        deadline = time.monotonic() + 5.0
        while any(rank.pid and rank.id not in self._exits for rank in processes) and time.monotonic() < deadline:
            self._wait([], deadline)

    def end_arm(self, arm: Arm) -> None:
        """Kill an arm with all processes that it started."""
        for rank in arm.ranks:
            if rank.pid and rank.id not in self._exits:
                # Where it has ended by itself, its zygote reports how.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(rank.pid, signal.SIGKILL)
            if rank.connection is not None:
                rank.connection.close()
                rank.connection = None
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
