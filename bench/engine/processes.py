"""What the parent holds of its fork servers and arms: names, pids, connections, what became of them. No torch."""

from __future__ import annotations

import select
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine.channel import Channel
from bench.results.record import Outcome


class ArmLost(Exception):
    """An arm will give no more answers: what became of it, and why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome: Outcome = outcome
        self.reason = reason
        super().__init__(reason)


@dataclass
class ForkServer:
    """A warm interpreter: which modules it has imported, and the set that it belongs to.

    Attributes:
        preload: what it was asked to import, and its side.
        mark: is in the environment of all its descendants (`bench.machine.strays`).
        process: of this machine; None on another one.
        pid: on its node.
        node: the name of the machine that it is on, "" of the conductor's own.
        number: of its set.
        gone: what became of it, once it is.
        seconds: its imports took; 0.0 until it has said so.
    """

    id: str
    process: subprocess.Popen[bytes] | None
    preload: tuple[str, ...]
    log: Path
    mark: str
    channel: Channel | None = None
    gone: str = ""
    seconds: float = 0.0
    threads: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    node: str = ""
    number: int = 0


@dataclass
class Rank:
    """One process of an arm: its name towards the fork server that has forked it, and the channel to it."""

    id: str
    log: Path
    fork_server: ForkServer
    channel: Channel | None = None
    pid: int = 0
    helpers: int = 0
    ready_after: float = 0.0
    setup: float = 0.0  # seconds that its loop took to its first pull
    epoch: int = 0  # batches in an epoch of its loader, 0 where that is not known
    workers: int = 0  # of its loader, and the accelerator it trains on, where only the arm knows
    accelerator: str = ""
    meter: str = ""  # of its device (`Accelerator.meter`)


@dataclass
class Arm:
    """A live cell: its processes, one a rank, held unless they were granted a turn."""

    id: str
    ranks: list[Rank]
    requested_at: float
    script: bool = False  # whether it is somebody's script, whose first pull is the script's to come to
    needs: int = 1  # nodes
    poll: select.poll = field(default_factory=select.poll)
    stopped: bool = False
    ended: bool = False
    lost: ArmLost | None = None
    look_at_logs: float = 0.0  # when their length is looked at next

    @property
    def log(self) -> Path:
        return self.ranks[0].log

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node of each rank, by name; none where no launcher has placed them, or none was ever started."""
        names = tuple(rank.fork_server.node for rank in self.ranks)
        return names if all(names) and any(rank.pid for rank in self.ranks) else ()

    @property
    def pid(self) -> int:
        return self.ranks[0].pid

    @property
    def helpers(self) -> int:
        """Threads and processes besides the ranks' main threads, the most that a rank has."""
        return max(rank.helpers for rank in self.ranks)

    @property
    def setup(self) -> float:
        """Seconds that the slowest rank's loop took to its first pull."""
        return max(rank.setup for rank in self.ranks)

    @property
    def ready_after(self) -> float:
        """Seconds from the request until all ranks had pulled their first batch; 0.0 before."""
        times = [rank.ready_after for rank in self.ranks]
        return max(times) if all(times) else 0.0


def is_gone(rank: Rank, exits: Mapping[str, int], voids: Mapping[str, str]) -> bool:
    """Whether a process has ended, or was never there, by what is known of ends and losses, by id."""
    return not rank.pid or rank.id in exits or rank.id in voids


def forget_gone(arms: dict[str, Arm], exits: dict[str, int], voids: dict[str, str]) -> None:
    """Forget the arms that are gone, and what is known of their ends: a run may have a hundred thousand of them."""
    for arm in [arm for arm in arms.values() if arm.ended and all(is_gone(rank, exits, voids) for rank in arm.ranks)]:
        del arms[arm.id]
        for rank in arm.ranks:
            exits.pop(rank.id, None)
            voids.pop(rank.id, None)


def fork_server_id(preload: tuple[str, ...], number: int, node: str = "") -> str:
    """The name of the fork server of that preload in set `number`, on a node."""
    return f"{'+'.join(preload)}-{number}{f'@{node}' if node else ''}"


def free_port() -> int:
    """A port of the loopback interface on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def oom_kills() -> int:
    """Processes that the kernel has killed for want of memory since boot (Linux); 0 where it does not say."""
    path = Path("/proc/vmstat")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
