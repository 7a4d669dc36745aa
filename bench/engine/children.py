"""The processes of a run: fork servers and arms are started, taken in, heard of and ended here. No torch, no pandas.

What is said with an arm that lives is `bench.engine.fleet`'s. What ends an arm from outside, by way of its interpreter,
the machine or the disk, is kept here as such.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

import bench.protocol as protocol
from bench.engine import losses
from bench.engine.channel import Channel, Patience
from bench.engine.door import Door
from bench.engine.door_strangers import Strangers
from bench.engine.launchers import Launcher
from bench.engine.logs import shorten
from bench.engine.nodes import LocalNode, Node, RemoteNode, remove_all, scratch_of, signal_all, temporary_of
from bench.engine.placement import Placement, rank_place, rank_places
from bench.engine.processes import Arm, ArmLost, ForkServer, Rank, forget_gone, fork_server_id, is_gone
from bench.engine.stopping import Interrupted, ignore_signals
from bench.engine.turn_meters import TurnMeters
from bench.errors import BenchError
from bench.machine import scratch, strays
from bench.machine.cores import usable_cores
from bench.machine.descriptors import allow_connections
from bench.machine.process_env import rank_environment
from bench.plan.side import SIDE, Side
from bench.protocol import ExitReport, Fork, ForkReport, ForkServerHello, GarbledMessage, Hello, NodeHello

# Seconds for imports: 20 to 27 s were seen on slow machines, far more on network file systems.
FORK_SERVER_PATIENCE = 300.0
REPORT_PATIENCE = 5.0  # seconds for a fork server to tell how an arm ended, and for it to end itself
KEPT_ARMS = 1000  # that are remembered, at least, when they have ended
LEAVE = strays.STRAY_PATIENCE + REPORT_PATIENCE  # to end what its arms have left behind as well


class Children:
    """All processes of a run. A context: on leaving, none is left.

    Args:
        threads: intra-operator threads of every arm.
        logs: folder for the fork servers' output.
        sides: environments by name. A preload that ends in `@NAME` is that of a fork server of that side.
        launcher: what starts nodes, which `join` takes in; None: arms are on this machine.

    Raises:
        BenchError: there is no place for temporary files, or no socket or thread to be had.
    """

    def __init__(
        self, threads: int, logs: Path, sides: Mapping[str, Side] | None = None, *, launcher: Launcher | None = None
    ) -> None:
        self.threads = threads
        self._sides = sides or {}
        self.logs = logs
        self.launcher = launcher
        self.interrupts = 0
        self.conductor_cpu = 0.0  # our own processor seconds while turns ran
        self._home = scratch.Home()
        try:
            self.strangers = Strangers(logs / "strangers.log")
            tcp = None if launcher is None else (launcher.address, launcher.port)
            self.door = Door(self._home.path, self.strangers, tcp=tcp)
        except BaseException:
            self._home.close()
            raise
        self.placement = Placement(LocalNode(self._home.path, self.door, usable_cores()), threads)
        self.exits: dict[str, int] = {}
        self.voids: dict[str, str] = {}  # ranks that were ended from outside, by id, and by what
        self.oom_before: dict[str, int] = {}  # by node, processes that its kernel had killed when an arm was asked for
        self._started = 0
        self._known: dict[str, ForkServer] = {}  # the last one of each id, alive or not
        self.fork_servers: dict[str, ForkServer] = {}
        self.set_in_use = 0  # of fork servers, and the ids of those of the next one that import already
        self.coming: list[str] = []
        self.arms: dict[str, Arm] = {}
        self.meters = TurnMeters()
        self.while_waiting: Callable[[], None] = lambda: None  # is called now and then while interpreters import

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def turn_meters(self) -> TurnMeters | None:
        """The meters that are read at each turn's end; of other nodes' devices there are none."""
        return self.meters if self.launcher is None else None

    @property
    def imports(self) -> dict[tuple[str, ...], float]:
        """Seconds that interpreters took for their imports, by what they import; the slowest of each kind."""
        found: dict[tuple[str, ...], float] = {}
        for server in self.fork_servers.values():
            if server.seconds:
                found[server.preload] = max(server.seconds, found.get(server.preload, 0.0))
        return found

    @property
    def caches(self) -> Path:
        """Where compiled code is kept from launch to launch of a run, a folder a cell; gone with the run."""
        return self._home.path / "caches"

    def node(self, server: ForkServer) -> Node:
        """The machine that a fork server is on."""
        return self.placement.named(server.node)

    def ensure_fork_servers(self, wanted: Sequence[tuple[int, tuple[str, ...]]], seed: int) -> None:
        """Start those of these fork servers (number of the set, preload) that do not live, and await their imports.

        Raises:
            BenchError: one died or did not answer; says its last words.
        """
        for server in list(self.fork_servers.values()):
            if trouble := self.trouble(server):
                self.bury(server, trouble)
        self._await_fork_servers(self.start_fork_servers(wanted, seed))

    def start_fork_servers(self, wanted: Sequence[tuple[int, tuple[str, ...]]], seed: int) -> list[str]:
        """Start those of these fork servers that are not there, each on every node, and wait for none; gives all ids.

        Raises:
            BenchError: the system does not let one start.
        """
        names = []
        for number, preload in wanted:
            for node in self.placement.live:
                names.append(fork_server_id(preload, number, self.placement.key(node)))
                if names[-1] not in self.fork_servers:
                    self._start_fork_server(names[-1], node, number, preload, seed)
        return names

    def arrived(self, names: Sequence[str]) -> bool:
        """Whether these fork servers have their imports; waits for nothing. One that died is buried."""
        self.wait([], Patience(0.0))
        for name in names:
            server = self.fork_servers.get(name)
            if server is not None and (trouble := self.trouble(server)):
                self.bury(server, trouble)
        servers = [self.fork_servers.get(name) for name in names]
        return all(server is not None and server.channel is not None for server in servers)

    def retire(self, numbers: Iterable[int]) -> None:
        """End the fork servers of these numbers, whose arms have ended."""
        retired = {*numbers}
        for server in [server for server in self.fork_servers.values() if server.number in retired]:
            self.fork_servers.pop(server.id)
            self.node(server).end_server(server, LEAVE)

    def _await_fork_servers(self, names: Sequence[str]) -> None:
        patience = Patience(FORK_SERVER_PATIENCE)
        while missing := [server for name in names if (server := self.fork_servers.get(name)) and not server.channel]:
            self.wait([], patience)
            self.while_waiting()
            dead = next((server for server in missing if self.trouble(server)), None)
            if dead is not None and (gone := self.node(dead).gone):
                self.bury(dead, gone)  # its cells say so; the others go on
                continue
            if dead is not None or not patience.left():
                blamed = dead or missing[0]
                said = losses.said(blamed.log)
                if self.door.refused:
                    said = f"no connection can be taken: {self.door.refused}"
                self.bury(blamed, "it did not start")
                raise BenchError(f"the interpreter {blamed.id!r} did not start: {said}")
            if self.interrupts:
                raise Interrupted

    def _start_fork_server(self, name: str, node: Node, number: int, preload: tuple[str, ...], seed: int) -> None:
        side = next((self._sides[part.removeprefix(SIDE)] for part in preload if part.startswith(SIDE)), None)
        try:
            started = node.start_server(name, preload, side, self.threads, (seed + number) % 2**32, self.logs)
        except BenchError:
            if not node.gone:
                raise
            return
        started.number = number
        self.fork_servers[name] = self._known[name] = started

    def start_arm(self, preload: tuple[str, ...], request: Mapping[str, Any], log: Path, *, number: int = 0) -> Arm:
        """Ask a fork server for an arm. It begins at once; `await_ready` waits for its first pull.

        Args:
            preload: what its fork server has imported.
            number: of which set of fork servers, from 0.
            request: for every rank alike; `ranks` (0: one process that is no rank), and `cores`, a list for each rank.
            log: of rank 0; that of rank 1 is called `NAME-rank1.log`. The arm has its name.
        """
        if len(self.arms) >= KEPT_ARMS:
            forget_gone(self.arms, self.exits, self.voids)
        count, name = max(1, request.get("ranks", 0)), log.stem
        self._started += 1
        nodes = self.placement.for_arm(request.get("nodes", 1))
        places = rank_places(nodes or self.placement.nodes[:1], count)
        keepers = [self._keeper(node, number, preload) for node in places]
        paths = [log] + [log.with_name(f"{log.stem}-rank{rank}.log") for rank in range(1, count)]
        members = [
            Rank(f"{name}#{self._started}.{rank}", path, keeper)
            for rank, (path, keeper) in enumerate(zip(paths, keepers, strict=True))
        ]
        arm = Arm(f"{name}#{self._started}", members, time.perf_counter(), script="script" in request)
        arm.needs = request.get("nodes", 1)
        self.arms[arm.id] = arm
        if not nodes:
            arm.lost = ArmLost("crashed", self.placement.lacking(arm.needs))
            return arm
        alive = sum(len(one.ranks) for one in self.arms.values() if not one.ended)
        if few := allow_connections(alive + len(self.fork_servers) + len(self.placement.nodes)):
            arm.lost = ArmLost("unsupported", few)
            return arm
        self.oom_before = {node.name: node.oom_kills() for node in nodes}
        with suppress(OSError):  # its fork says so
            log.parent.mkdir(exist_ok=True)
        port = nodes[0].free_port() if request.get("ranks") else 0
        given = rank_environment if self.launcher is None else partial(self.launcher.rank_environment, nodes=nodes)
        for rank, (member, node) in enumerate(zip(members, places, strict=True)):
            environ = given(rank_place(rank, count, nodes, port)) if port else {}
            order = Fork(
                arm=member.id,
                rank=rank,
                log=str(member.log.absolute()),
                scratch=str(scratch_of(node.home, arm.id) / str(rank)),
                temporary=str(temporary_of(node.home, arm.id, rank)),
                environ={**request.get("environ", {}), **environ},
                cores=request["cores"][rank] if request.get("cores") else [],
                request={key: value for key, value in request.items() if key not in ("environ", "cores")},
            )
            keeper = member.fork_server
            try:
                if keeper.channel is None:
                    raise ConnectionError(keeper.gone or "it is gone")
                keeper.channel.send_bytes(protocol.encode_order(order))
            except OSError as error:
                deaf = f"its interpreter {keeper.id!r} takes no orders: {losses.reason(error)}"
                arm.lost = self.outside(arm, keeper, self.trouble(keeper) or deaf)
                break
        return arm

    def _keeper(self, node: Node, number: int, preload: tuple[str, ...]) -> ForkServer:
        """The last fork server of that kind on a node; of a node that was gone before it had one, none that lives."""
        name = fork_server_id(preload, number, self.placement.key(node))
        known = self._known.get(name) if node.gone else self._known[name]
        return known or ForkServer(name, None, preload, self.logs, "", gone=node.gone, node=node.name, number=number)

    def outside(self, arm: Arm, server: ForkServer, reason: str) -> ArmLost:
        """The loss of an arm by what is not its own: its launch is made again, unless a node is gone that it needs."""
        gone = self.node(server).gone and not self.placement.for_arm(arm.needs)
        return ArmLost("crashed" if gone else "void", reason)

    def trouble(self, server: ForkServer, patience: float = 0.0) -> str:
        return self.node(server).trouble(server, self.oom_before.get(server.node, 0), patience)

    def wait(self, channels: Sequence[Channel], patience: Patience) -> list[Channel]:
        """Wait for messages of these channels, taking in arrivals and exits meanwhile, for SLICE seconds at most."""
        keepers = {server.channel: server for server in self.fork_servers.values() if server.channel is not None}
        nodes = {node.channel: node for node in self.placement.remote}
        objects: list[Any] = [*channels, *keepers, *nodes, self.door.bell]
        # An arm may say two things at once, that it is there and that it is ready: the second came with the first.
        pending = [item for item in (*channels, *keepers) if item.pending]
        ready = {*pending, *wait(objects, 0.0 if pending else patience.ask())}
        if self.door.bell in ready:
            for channel, hello in self.door.arrived():
                if not self._welcome(channel, hello):
                    said = f"nobody waits for {hello.id!r}"
                    self.strangers.saw("not awaited", f"process {hello.pid}", said)
                    channel.close()
        for item in ready:
            if isinstance(item, Channel) and item in nodes:
                nodes[item].heed()
            if isinstance(item, Channel) and item in keepers:
                self._listen(keepers[item], item)
        return [item for item in ready if isinstance(item, Channel) and item in channels]

    def _listen(self, server: ForkServer, channel: Channel) -> None:
        """Take in all that a fork server has to report."""
        try:
            while (data := channel.take()) is not None:
                report = protocol.decode_message(protocol.REPORTS, data)
                name, _, number = report.arm.rpartition(".")
                arm = self.arms.get(name)
                if isinstance(report, ExitReport):
                    self.exits[report.arm] = report.status
                elif isinstance(report, ForkReport):
                    if arm is None or arm.ended:  # it was given up meanwhile
                        self.node(server).signal([report.pid], signal.SIGKILL, group=False)
                    else:
                        arm.ranks[int(number)].pid = report.pid
                else:
                    self.voids[report.arm] = f"its interpreter {server.id!r} could not fork: {report.reason}"
        except EOFError:
            self.bury(
                server, self.trouble(server, REPORT_PATIENCE) or f"its interpreter {server.id!r} closed its connection"
            )
        except GarbledMessage as error:
            self.bury(server, f"its interpreter {server.id!r} sent what is no message: {error}")

    def bury(self, server: ForkServer, reason: str) -> None:
        """A fork server is of no use any more, and its arms with it; `ensure_fork_servers` starts another."""
        server.gone = server.gone or reason
        self.fork_servers.pop(server.id, None)
        self.node(server).end_server(server)
        for arm in self.arms.values():
            for rank in arm.ranks:
                if rank.fork_server is server and rank.id not in self.exits:
                    self.voids.setdefault(rank.id, server.gone)

    def _welcome(self, channel: Channel, hello: Hello) -> bool:
        """Connect a process that came in with what it is; False where nobody waits for it."""
        if isinstance(hello, NodeHello):
            return self.launcher is not None and not self.placement.admit(channel, hello, self.logs)
        if isinstance(hello, ForkServerHello):
            server = self.fork_servers.get(hello.id)
            if server is None or server.channel is not None or server.pid != hello.pid:
                return False
            server.channel, server.seconds = channel, hello.seconds
            server.threads, server.versions = hello.threads, hello.versions
            return True
        name, _, number = hello.id.rpartition(".")
        arm = self.arms.get(name)
        if arm is None or arm.ended or number != str(hello.rank) or hello.rank >= len(arm.ranks):
            return False
        rank = arm.ranks[hello.rank]
        if rank.channel is not None or rank.pid not in (0, hello.pid):
            return False
        rank.channel, rank.pid = channel, hello.pid
        arm.poll.register(channel.fileno(), select.POLLIN)
        return True

    def signal(self, arm: Arm, number: int, *, group: bool = True) -> None:
        """Send a signal to the processes of an arm that are there, or to their groups."""
        by_node: dict[Node, list[int]] = {}
        for rank in arm.ranks:
            if rank.pid and rank.id not in self.exits:
                by_node.setdefault(self.node(rank.fork_server), []).append(rank.pid)
        signal_all(by_node, number, group=group)

    def end_arms(self, arms: Iterable[Arm]) -> None:
        """End these arms, however they are, and wait until they are gone: what dies slowly disturbs the next launch."""
        arms = list(arms)
        for arm in arms:
            self.end_arm(arm)
        patience = Patience(REPORT_PATIENCE)
        left = [rank for arm in arms for rank in arm.ranks]
        while (left := [rank for rank in left if not is_gone(rank, self.exits, self.voids)]) and patience.left():
            self.wait([], patience)

    def end_arm(self, arm: Arm) -> None:
        """Kill an arm with all that it started, but what left its session: that is its fork server's to end."""
        self.signal(arm, signal.SIGKILL)
        if not arm.ended:
            self.signal(arm, signal.SIGKILL, group=False)  # one may have no group of its own yet
        for rank in arm.ranks:
            if rank.channel is not None:
                rank.channel.close()
                rank.channel = None
            shorten(rank.log)
        if arm.ended:
            return
        arm.ended = True
        by_node: dict[Node, list[Path]] = {}
        for number, rank in enumerate(arm.ranks):
            node = self.node(rank.fork_server)
            folders = by_node.setdefault(node, [scratch_of(node.home, arm.id)])
            folders.append(temporary_of(node.home, arm.id, number))
        remove_all(by_node)

    def close(self) -> None:
        """End every arm and fork server, and wait until they are gone; whoever interrupts this has to wait, too."""
        with ignore_signals():
            for arm in self.arms.values():
                self.end_arm(arm)
            for node in self.placement.nodes:
                if isinstance(node, RemoteNode):
                    node.channel.close()  # its program ends all that it has started
            for server in self.fork_servers.values():
                if server.channel is not None:
                    server.channel.close()  # all at once: they kill their arms and leave
                    server.channel = None
                elif server.process is not None:
                    server.process.kill()
            for server in self.fork_servers.values():
                if server.process is not None:
                    self.node(server).end_server(server, LEAVE)
            if self.launcher is not None:
                self.launcher.close()
            self.door.close()
            self.strangers.close()
            self._home.close()
            self.meters.close()
