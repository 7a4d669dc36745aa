"""The program that stands for the conductor on another machine: `python -m bench.engine.node_agent`, one a node.

A launcher (srun, torchrun) starts it. It reads where the conductor is, and the run's secret, from its standard input or
from a file that nobody else may read; never from its command line or its environment, which others can see. It starts
fork servers, signals what they have forked, and answers what only its own kernel knows, until the conductor's
connection ends: then it leaves no process behind.
"""

from __future__ import annotations

import argparse
import os
import secrets
import select
import shutil
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import msgspec

import bench.protocol as protocol
from bench.borders import one_line
from bench.engine import interpreters
from bench.engine.node_messages import (
    REQUESTS,
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
from bench.engine.nodes import LOOPBACK, send_signal
from bench.engine.placement import package_digest
from bench.engine.processes import ForkServer, free_port, oom_kills
from bench.errors import BenchError
from bench.machine import environment, knock, scratch, strays
from bench.machine.cores import stolen, usable_cores
from bench.machine.process_env import arm_environment
from bench.plan.side import Side

INDEX_VARIABLES = ("SLURM_NODEID", "GROUP_RANK", "NODE_RANK")  # which node this is, as launchers say it
FILE_PATIENCE = 120.0  # seconds for the conductor to write its file: it may be started last


class Agent:
    """What a node does for the conductor.

    Args:
        setup: `addresses` of the conductor, its `authkey` in hexadecimal, and `threads` of every arm.
        home: a folder for temporary files.
    """

    def __init__(self, setup: Mapping[str, Any], home: Path) -> None:
        self._setup = setup
        self._home = home
        self._cores = usable_cores()
        self._servers: dict[str, ForkServer] = {}
        self._did: dict[type, Callable[[Any], NodeAnswer]] = {
            StartServer: self._start,
            AskTrouble: self._trouble,
            EndServer: self._end,
            SignalProcesses: self._signal,
            AskPort: lambda _: NodeAnswer(number=free_port()),
            AskStolen: lambda asked: NodeAnswer(number=stolen(asked.cores)),
            AskKills: lambda _: NodeAnswer(number=oom_kills()),
            RemoveFolders: self._remove,
            LookAtFile: self._look,
            KeepOff: self._keep_off,
        }

    def serve(self, connection: Connection) -> None:
        """Do as the conductor says, until its connection ends."""
        while True:
            try:
                request: Request = protocol.decode_message(REQUESTS, connection.recv_bytes())
                connection.send_bytes(msgspec.json.encode(self._did[type(request)](request)))
            except (EOFError, OSError):
                return

    def close(self) -> None:
        """End every fork server with all its arms."""
        for server in self._servers.values():
            assert server.process is not None
            server.process.terminate()  # all at once: they kill their arms and leave
        for server in self._servers.values():
            interpreters.end_fork_server(server, strays.STRAY_PATIENCE)

    def _start(self, order: StartServer) -> NodeAnswer:
        environ, _ = arm_environment(order.threads, order.hash_seed)
        side = Side(**order.side) if order.side else None
        door = {"addresses": self._setup["addresses"], "authkey": self._setup["authkey"]}
        try:
            server = interpreters.start_fork_server(
                order.id, order.preload, side, environ, Path(order.logs), door, self._home, self._cores
            )
        except BenchError as error:
            return NodeAnswer(text=str(error), failed=True)
        self._servers[order.id] = server
        return NodeAnswer(number=server.pid)

    def _trouble(self, asked: AskTrouble) -> NodeAnswer:
        server = self._servers.get(asked.id)
        if server is None:
            return NodeAnswer(text=f"its interpreter {asked.id!r} was ended")
        return NodeAnswer(text=interpreters.trouble(server, asked.oom_before, asked.patience))

    def _end(self, asked: EndServer) -> NodeAnswer:
        if (server := self._servers.pop(asked.id, None)) is not None:
            interpreters.end_fork_server(server, asked.patience)
        return NodeAnswer()

    def _signal(self, asked: SignalProcesses) -> NodeAnswer:
        send_signal(asked.pids, asked.number, group=asked.group)
        return NodeAnswer()

    def _remove(self, asked: RemoveFolders) -> NodeAnswer:
        for path in map(Path, asked.paths):
            if path.is_relative_to(self._home):
                shutil.rmtree(path, ignore_errors=True)
        return NodeAnswer()

    @staticmethod
    def _look(asked: LookAtFile) -> NodeAnswer:
        try:
            text = Path(asked.path).read_text()
            Path(asked.copy).write_text(text)
        except (OSError, UnicodeDecodeError) as error:
            return NodeAnswer(text=f"{asked.path}: {getattr(error, 'strerror', None) or error}", failed=True)
        return NodeAnswer(text=text)

    def _keep_off(self, asked: KeepOff) -> NodeAnswer:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, asked.cores or self._cores)
        return NodeAnswer()


def main(words: Sequence[str] | None = None) -> int:
    """Run the agent; gives its exit status."""
    parser = argparse.ArgumentParser(prog="bench.engine.node_agent", description=__doc__)
    parser.add_argument("--secret-file", type=Path, help="where the conductor is; default: standard input has it")
    try:
        stand_for_conductor(parser.parse_args(words).secret_file)
    except BenchError as error:
        print(f"node {environment.node_name()}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def stand_for_conductor(file: Path | None) -> None:
    """Connect to the conductor, and do as it says to its end.

    Args:
        file: says where it is; None: standard input does.

    Raises:
        BenchError: it cannot be found, or does not take this node.
    """
    with scratch.scratch_folder() as home:
        setup = read_setup(sys.stdin) if file is None else await_setup(file)
        try:
            _stand(setup, home, environment.node_name())
        except knock.KnockError as error:
            raise BenchError(str(error)) from None


def _stand(setup: Mapping[str, Any], home: Path, name: str) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # these are the conductor's to handle
    connection = knock.knock(
        setup["addresses"], bytes.fromhex(setup["authkey"]), lambda end: protocol.encode(hello(setup, home, name, end))
    )
    agent = Agent(setup, home)

    def leave(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    try:
        agent.serve(connection)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        agent.close()


def hello(setup: Mapping[str, Any], home: Path, name: str, connected: socket.socket) -> protocol.NodeHello:
    """What is told of this node to the conductor at the other end of a connection."""
    address = str(connected.getsockname()[0]) if connected.family != socket.AF_UNIX else LOOPBACK
    return protocol.NodeHello(
        id=f"node-{secrets.token_hex(4)}",
        pid=os.getpid(),
        name=name,
        index=int(setup.get("index", node_index())),
        address=address,
        interface=interface_of(address),
        cores=tuple(usable_cores()),
        home=str(home),
        clock=time.time(),
        facts=environment.environment(int(setup["threads"])),
        package=package_digest(),
    )


def node_index() -> int:
    """The place of this node among those of its launcher, from 0."""
    found = next((os.environ[name] for name in INDEX_VARIABLES if os.environ.get(name)), "0")
    return int(found) if found.isdigit() else 0


def read_setup(stream: TextIO) -> dict[str, Any]:
    """Where the conductor is, from one line of JSON.

    Raises:
        BenchError: it is none.
    """
    line = stream.readline()
    try:
        found: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        if not {"addresses", "authkey", "threads"} <= {*found}:
            raise ValueError("it lacks addresses, authkey or threads")
    except (msgspec.DecodeError, ValueError) as error:
        raise BenchError(f"where the conductor is was not told: {one_line(str(error))[:200]}") from None
    return found


def await_setup(file: Path, patience: float = FILE_PATIENCE) -> dict[str, Any]:
    """Where the conductor is, from a file that it writes.

    Raises:
        BenchError: the file does not come, or others may read it.
    """
    deadline = time.monotonic() + patience
    while not file.exists():
        if time.monotonic() > deadline:
            folder = file.parent if file.parent.is_dir() else file.parent.parent
            raise BenchError(
                f"{file} did not come within {patience:g} s; the conductor writes it, and all nodes must see "
                f"{folder}; allowed: an --out that they share"
            )
        select.select([], [], [], 0.2)
    about = file.stat()
    if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid != os.geteuid():
        raise BenchError(f"{file}: others may read or write it (mode {stat.S_IMODE(about.st_mode):04o}); allowed: 0600")
    with open(file) as stream:
        return read_setup(stream)


def interface_of(address: str) -> str:
    """The name of the network interface that has this address; "" where none is found (Linux, netdevice(7))."""
    if not sys.platform.startswith("linux") or ":" in address:
        return ""
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an address
                asked = struct.pack("256s", name.encode()[:15])
                found = fcntl.ioctl(probe.fileno(), 0x8915, asked)[20:24]  # SIOCGIFADDR
                if socket.inet_ntoa(found) == address:
                    return name
    # All of 127.0.0.0/8 is the loopback's.
    return "lo" if address.startswith("127.") else ""


if __name__ == "__main__":
    sys.exit(main())
