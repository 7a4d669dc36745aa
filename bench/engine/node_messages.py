"""What is said between the conductor and the program that stands for it on another machine: typed, JSON. No torch."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.protocol import Message


class StartServer(Message, frozen=True, tag="start-server"):
    """Start a fork server; the answer's number is its process.

    Attributes:
        id, preload: see `bench.engine.interpreters.start_fork_server`.
        side: whose interpreter it is (`bench.plan.side.Side`, as JSON has it), or None.
        threads, hash_seed: of its environment, which is that of the node.
        logs: the folder for its output.
    """

    id: str
    preload: tuple[str, ...]
    side: dict[str, Any] | None
    threads: int
    hash_seed: int
    logs: str


class AskTrouble(Message, frozen=True, tag="trouble"):
    """Ask what is wrong with a fork server, after at most so many seconds for it to end; the answer's text."""

    id: str
    oom_before: int
    patience: float = 0.0


class EndServer(Message, frozen=True, tag="end-server"):
    """End a fork server with all that it left."""

    id: str
    patience: float


class SignalProcesses(Message, frozen=True, tag="signal"):
    """Send a signal to processes, or to their groups; those that are gone are passed over."""

    pids: tuple[int, ...]
    number: int
    group: bool


class AskPort(Message, frozen=True, tag="port"):
    """Ask for a port on which nobody listens; the answer's number."""


class AskStolen(Message, frozen=True, tag="stolen"):
    """Ask what the hypervisor took from these cores so far; the answer's number, in seconds."""

    cores: tuple[int, ...]


class AskKills(Message, frozen=True, tag="oom-kills"):
    """Ask how many processes the kernel has killed for want of memory; the answer's number."""


class RemoveFolders(Message, frozen=True, tag="remove"):
    """Remove folders below the node's own temporary one."""

    paths: tuple[str, ...]


class LookAtFile(Message, frozen=True, tag="look"):
    """Read a file, and write another one with the same text beside it: the answer's text is what was read."""

    path: str
    copy: str


class KeepOff(Message, frozen=True, tag="keep-off"):
    """Run on these cores from here on, and all that is started from here on with it."""

    cores: tuple[int, ...]


class NodeAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request came to.

    Attributes:
        failed: whether it could not be done; `text` then says why.
    """

    text: str = ""
    number: float = 0.0
    failed: bool = False


Request = (
    StartServer
    | AskTrouble
    | EndServer
    | SignalProcesses
    | AskPort
    | AskStolen
    | AskKills
    | RemoveFolders
    | LookAtFile
    | KeepOff
)
REQUESTS = msgspec.json.Decoder(Request)
ANSWERS = msgspec.json.Decoder(NodeAnswer)
