"""Nodes, fork servers and arms that train nothing and answer as real ones do, thousands of them in one process.

`python -m peers.fake_nodes` reads a line of JSON from standard input, as `bench.engine.node_agent` does, with `first`
and `last` of the nodes that it is. Their connections are real ones, over TCP, and what they say is the protocol's; only
their process ids are nobody's, so that no signal hits anything.
"""

from __future__ import annotations

import json
import selectors
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import msgspec

import bench.protocol as protocol
from bench.engine.node_messages import REQUESTS, AskPort, EndServer, LookAtFile, NodeAnswer, StartServer
from bench.engine.nodes import LOOPBACK
from bench.engine.placement import package_digest
from bench.machine import environment
from bench.machine.knock import knock
from bench.protocol import (
    ArmHello,
    CallbackMetrics,
    ExitReport,
    Fork,
    ForkReport,
    ForkServerHello,
    Go,
    Ledger,
    NodeHello,
    Ready,
    Result,
    TurnReport,
)

NOBODY = 2**30  # process ids above any that Linux gives (2**22, proc(5))
STEP = 0.001  # seconds that a step is said to have taken
ANSWER = msgspec.json.encode(NodeAnswer())


@dataclass(eq=False)
class Line:
    """A connection, and what to do with what comes: False ends it."""

    connection: Connection
    hear: Callable[[bytes], bool]


class Fakes:
    """All that one process stands for.

    Args:
        setup: `addresses`, `authkey`, `threads`, and the nodes' numbers, from `first` to before `last`.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._key = bytes.fromhex(setup["authkey"])
        self._facts = environment.environment(int(setup["threads"]))
        self._package = package_digest()
        self._selector = selectors.DefaultSelector()
        self._pids = NOBODY + 100_000 * int(setup["first"])
        self._home = tempfile.gettempdir()
        self._reports: dict[int, bytes] = {}
        self._result = protocol.encode(result())
        self._servers: dict[str, Connection] = {}
        self.lines = 0

    def serve(self) -> None:
        """Be all these nodes until the conductor has closed every connection."""
        for number in range(int(self._setup["first"]), int(self._setup["last"])):
            self._node(number)
            self.hear(0.0)
        while self.lines:
            self.hear(None)

    def hear(self, wait: float | None) -> None:
        """Answer what has come."""
        for key, _ in self._selector.select(wait):
            line: Line = key.data
            try:
                stays = line.hear(line.connection.recv_bytes())
            except (EOFError, OSError):
                stays = False
            if not stays:
                self._selector.unregister(line.connection)
                line.connection.close()
                self.lines -= 1

    def _open(self, hello: protocol.Message, hear: Callable[[Connection, bytes], bool]) -> Connection:
        connection = knock(self._setup["addresses"], self._key, protocol.encode(hello))
        self._selector.register(connection, selectors.EVENT_READ, Line(connection, lambda data: hear(connection, data)))
        self.lines += 1
        return connection

    def _pid(self) -> int:
        self._pids += 1
        return self._pids

    def _node(self, number: int) -> None:
        hello = NodeHello(
            id=f"node-{number}",
            pid=self._pid(),
            name=f"fake{number}",
            index=number,
            address=LOOPBACK,
            interface="lo",
            cores=(0,),
            home=self._home,
            clock=time.time(),
            facts=self._facts,
            package=self._package,
        )
        self._open(hello, self._hear_node)

    def _hear_node(self, connection: Connection, data: bytes) -> bool:
        request = protocol.decode_message(REQUESTS, data)
        if isinstance(request, StartServer):
            pid = self._pid()
            connection.send_bytes(msgspec.json.encode(NodeAnswer(number=pid)))
            hello = ForkServerHello(request.id, pid, 1.0, 1, {})
            self._servers[request.id] = self._open(hello, self._hear_server)
            return True
        if isinstance(request, LookAtFile):
            with open(request.path) as shared, open(request.copy, "w") as copy:
                copy.write(shared.read())
        if isinstance(request, EndServer):
            self._servers.pop(request.id, None)
        answer = msgspec.json.encode(NodeAnswer(number=29500)) if isinstance(request, AskPort) else ANSWER
        connection.send_bytes(answer)
        return True

    def _hear_server(self, server: Connection, data: bytes) -> bool:
        order: Fork = protocol.decode_order(data)
        pid = self._pid()

        def hear(arm: Connection, said: bytes) -> bool:
            grant = protocol.decode_message(protocol.GRANTS, said)
            if isinstance(grant, Go):
                arm.send_bytes(self._report(grant.steps))
                return True
            arm.send_bytes(self._result)
            with suppress(OSError):
                server.send_bytes(protocol.encode(ExitReport(order.arm, 0)))
            return False

        server.send_bytes(protocol.encode(ForkReport(order.arm, pid)))
        arm = self._open(ArmHello(order.arm, order.rank, pid), hear)
        arm.send_bytes(protocol.encode(Ready(0, 0.001, 8)))
        return True

    def _report(self, steps: int) -> bytes:
        if steps not in self._reports:
            self._reports[steps] = protocol.encode(turn_report(steps))
        return self._reports[steps]


def turn_report(steps: int) -> TurnReport:
    """What an arm says after a turn of so many steps, with as many digits as a clock in nanoseconds gives."""
    seconds = tuple(STEP + number * 1e-9 for number in range(steps))
    return TurnReport(seconds, tuple(1.23e-4 + number * 1e-9 for number in range(steps)), STEP * steps, 0, 14)


def result() -> Result:
    """What an arm says at its end."""
    ledger = Ledger(
        steps=200,
        samples=6400,
        smallest_batch=32,
        largest_batch=32,
        declared_samples=32,
        samples_digest="6a7c9f91",
        initial_weights="8" * 64,
        final_weights="9" * 64,
        audited=8,
        forward=8,
        backward=8,
        optimizer_updates=200,
        losses=(0.0887,) * 8,
        nonzero_gradients=1.0,
        audited_updates=8,
        audited_changes=8,
        optimizers=("Adam",),
        learning_rates=(0.001,) * 8,
    )
    effective = {f"setting_{number}": "as it was asked for" for number in range(40)}
    return Result(ledger, effective, {"peak_memory_host": 400_000_000}, CallbackMetrics())


if __name__ == "__main__":
    Fakes(json.loads(sys.stdin.readline())).serve()
