"""Where arms run: this machine, or others, each by way of a program that a launcher has started there. No torch.

A node starts and ends fork servers, signals what they have forked, and says what only its own kernel knows. All times
are read where they are made; clocks of two nodes are never compared.
"""

from __future__ import annotations

import math
import os
import select
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import msgspec

from bench.borders import file_name
from bench.engine import interpreters
from bench.engine.channel import Channel, Patience
from bench.engine.door import Door
from bench.engine.node_messages import (
    ANSWERS,
    AskKills,
    AskPort,
    AskStolen,
    AskTrouble,
    EndServer,
    KeepOff,
    LookAtFile,
    NodeAnswer,
    RemoveFolders,
    Request,
    SignalProcesses,
    StartServer,
)
from bench.engine.processes import ForkServer, free_port, oom_kills
from bench.errors import BenchError
from bench.machine.cores import stolen
from bench.machine.process_env import arm_environment
from bench.plan.side import Side
from bench.protocol import GarbledMessage, NodeHello, decode_message

LOOPBACK = "127.0.0.1"
LOCAL_INTERFACE = "lo0" if os.uname().sysname == "Darwin" else "lo"
_ANSWER = 30.0  # seconds for an answer; it takes under a millisecond, and seconds to end what does not want to end


class Node(Protocol):
    """A machine on which arms run.

    Attributes:
        name: "" of the conductor's own where no launcher has placed anything.
        gone: what became of it, once it is.
        home: its folder for temporary files.
        cores: that arms may run on.
        address, interface: by which ranks on other nodes reach it.
    """

    name: str
    gone: str
    home: Path
    cores: Sequence[int]
    address: str
    interface: str

    def start_server(
        self, name: str, preload: tuple[str, ...], side: Side | None, threads: int, hash_seed: int, logs: Path
    ) -> ForkServer:
        """Start a fork server.

        Raises:
            BenchError: the node does not let it start.
        """

    def trouble(self, server: ForkServer, oom_before: int, patience: float = 0.0) -> str:
        """What is wrong with one of its fork servers, after at most so many seconds for it to end; "" for nothing."""

    def end_server(self, server: ForkServer, patience: float = 0.0) -> None:
        """End a fork server with all that it left."""

    def signal(self, pids: Sequence[int], number: int, *, group: bool) -> None:
        """Send a signal to processes or to their groups, as far as they are there."""

    def free_port(self) -> int:
        """A port on which nobody listens now."""

    def stolen(self, cores: Sequence[int]) -> float:
        """Seconds that the hypervisor has taken from these cores since boot."""

    def oom_kills(self) -> int:
        """Processes that the kernel has killed for want of memory since boot."""

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove temporary folders of its own."""


class LocalNode:
    """The conductor's own machine."""

    name = ""
    gone = ""
    address = LOOPBACK
    interface = LOCAL_INTERFACE

    def __init__(self, home: Path, door: Door, cores: Sequence[int]) -> None:
        self.home = home
        self.cores = cores
        self._door = door

    def start_server(
        self, name: str, preload: tuple[str, ...], side: Side | None, threads: int, hash_seed: int, logs: Path
    ) -> ForkServer:
        environment, _ = arm_environment(threads, hash_seed)
        door = {"addresses": [self._door.address], "authkey": self._door.key.hex()}
        return interpreters.start_fork_server(name, preload, side, environment, logs, door, self.home, self.cores)

    def trouble(self, server: ForkServer, oom_before: int, patience: float = 0.0) -> str:
        return interpreters.trouble(server, oom_before, patience)

    def end_server(self, server: ForkServer, patience: float = 0.0) -> None:
        interpreters.end_fork_server(server, patience)

    def signal(self, pids: Sequence[int], number: int, *, group: bool) -> None:
        send_signal(pids, number, group=group)

    def free_port(self) -> int:
        return free_port()

    def stolen(self, cores: Sequence[int]) -> float:
        return stolen(cores)

    def oom_kills(self) -> int:
        return oom_kills()

    def remove(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


class RemoteNode:
    """A machine whose program has come in at the door. What it does not answer any more is gone, and never raises.

    Args:
        channel: to its program.
        hello: what that said of it.
    """

    def __init__(self, channel: Channel, hello: NodeHello) -> None:
        self.channel = channel
        self.hello = hello
        self.name = hello.name
        self.gone = ""
        self.home = Path(hello.home)
        self.cores: Sequence[int] = hello.cores
        self.address, self.interface = hello.address, hello.interface
        self._stolen = 0.0

    def start_server(
        self, name: str, preload: tuple[str, ...], side: Side | None, threads: int, hash_seed: int, logs: Path
    ) -> ForkServer:
        order = StartServer(name, preload, asdict(side) if side else None, threads, hash_seed, str(logs.absolute()))
        answer = self._ask(order)
        if answer.failed:
            raise BenchError(answer.text)
        log = interpreters.log_of(name, logs)
        return ForkServer(name, None, preload, log, mark="", pid=int(answer.number), node=self.name)

    def trouble(self, server: ForkServer, oom_before: int, patience: float = 0.0) -> str:
        if server.gone or self.gone:
            return server.gone or self.gone
        answer = self._ask(AskTrouble(server.id, oom_before, patience), _ANSWER + patience)
        return self.gone or answer.text

    def end_server(self, server: ForkServer, patience: float = 0.0) -> None:
        if server.channel is not None:
            server.channel.close()
            server.channel = None
        self._ask(EndServer(server.id, patience), _ANSWER + patience)

    def signal(self, pids: Sequence[int], number: int, *, group: bool) -> None:
        self._ask(SignalProcesses(tuple(pids), int(number), group))

    def free_port(self) -> int:
        return int(self._ask(AskPort()).number)

    def stolen(self, cores: Sequence[int]) -> float:
        return self.stolen_of(self._ask(AskStolen(tuple(cores))))

    def stolen_of(self, answer: NodeAnswer) -> float:
        """The seconds that an answer tells."""
        self._stolen = self._stolen if answer.failed else answer.number  # of a node that is gone, what it said last
        return self._stolen

    def oom_kills(self) -> int:
        return int(self._ask(AskKills()).number)

    def remove(self, folders: Iterable[Path]) -> None:
        self._ask(RemoveFolders(tuple(map(str, folders))))

    def sees(self, path: Path, copy: Path) -> str:
        """What is wrong with a folder that all nodes must share, as seen from there; "" where it is there.

        Args:
            path: a file in it that is there here.
            copy: what it is to write.
        """
        answer = self._ask(LookAtFile(str(path), str(copy)))
        return self.gone or answer.text if answer.failed else ""

    def keep_off(self, cores: Sequence[int]) -> None:
        """Have its program and what it starts from here on run on these cores."""
        self._ask(KeepOff(tuple(cores)))

    def lose(self, reason: str) -> None:
        """It is of no use any more."""
        if not self.gone:
            self.gone = f"node {self.name} is gone: {reason}"
            self.channel.close()

    def heed(self) -> None:
        """Take in what its program said unasked: that it is gone, since it says nothing else."""
        try:
            if self.channel.take() is not None:
                self.lose("it sent what nobody asked for")
        except (EOFError, GarbledMessage) as error:
            self.lose(str(error))

    def _ask(self, request: Request, patience: float = _ANSWER) -> NodeAnswer:
        """The answer to a request; that of a node which is gone says so."""
        self.post(request)
        return self.answer(patience)

    def post(self, request: Request) -> None:
        """Send a request, and wait for nothing: `answer` comes next."""
        if not self.gone:
            try:
                self.channel.send_bytes(msgspec.json.encode(request))
            except OSError as error:
                self.lose(str(error))

    def answer(self, patience: float = _ANSWER) -> NodeAnswer:
        """What comes to the request that was posted."""
        if self.gone:
            return NodeAnswer(text=self.gone, failed=True)
        try:
            return decode_message(ANSWERS, _awaited(self.channel, Patience(patience)))
        except (OSError, EOFError, GarbledMessage) as error:
            self.lose(str(error))
            return NodeAnswer(text=self.gone, failed=True)


def signal_all(pids: Mapping[Node, Sequence[int]], number: int, *, group: bool) -> None:
    """Send a signal to processes of several nodes, or to their groups; see `Node.signal`.

    All are asked before any is waited for: a thousand nodes, one after the other, would take a thousand ways there and
    back, between the first rank of an arm that is held and the last.
    """
    remote = [node for node in pids if isinstance(node, RemoteNode)]
    for node in remote:
        node.post(SignalProcesses(tuple(pids[node]), int(number), group))
    for other, own in pids.items():
        if not isinstance(other, RemoteNode):
            other.signal(own, number, group=group)
    for node in remote:
        node.answer()


def remove_all(folders: Mapping[Node, Sequence[Path]]) -> None:
    """Remove temporary folders of several nodes, in the same way."""
    remote = [node for node in folders if isinstance(node, RemoteNode)]
    for node in remote:
        node.post(RemoveFolders(tuple(map(str, folders[node]))))
    for other, own in folders.items():
        if not isinstance(other, RemoteNode):
            other.remove(own)
    for node in remote:
        node.answer()


def stolen_all(nodes: Iterable[Node], cores: Sequence[int]) -> float:
    """Seconds that hypervisors have taken from these cores on all these nodes together, asked in the same way."""
    kept = list(nodes)
    remote = [node for node in kept if isinstance(node, RemoteNode)]
    for node in remote:
        node.post(AskStolen(tuple(cores)))
    here = math.fsum(node.stolen(cores) for node in kept if not isinstance(node, RemoteNode))
    return here + math.fsum(node.stolen_of(node.answer()) for node in remote)


def _awaited(channel: Channel, patience: Patience) -> bytes:
    while (frame := channel.take()) is None:
        if not patience.left():
            raise TimeoutError(f"it did not answer within {patience.seconds:g} s")
        waiter = select.poll()
        waiter.register(channel.fileno(), select.POLLIN)
        waiter.poll(math.ceil(patience.ask() * 1000))
    return frame


def scratch_of(home: Path, arm: str) -> Path:
    """The folder, below a node's temporary one, for what the ranks of an arm write."""
    return home / "scratch" / file_name(arm)


def temporary_of(home: Path, arm: str, rank: int) -> Path:
    """The folder for the temporary files of a rank, under a short name, since sockets are put there."""
    return home / "t" / f"{arm.rpartition('#')[2]}.{rank}"


def send_signal(pids: Iterable[int], number: int, *, group: bool) -> None:
    """Send a signal to processes of this machine, or to their groups; those that are gone are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(pid, number)
