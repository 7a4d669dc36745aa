"""Which nodes a run has, which came and were refused, and where the ranks of an arm are. No torch.

Nodes of one run must have the same versions of torch, Lightning, Python and of this program: two of them train one
model together. What else differs between them is told; what they cannot share is refused before anything is measured.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

from bench.engine.channel import Channel
from bench.engine.nodes import LOCAL_INTERFACE, LOOPBACK, LocalNode, Node, RemoteNode
from bench.errors import BenchError
from bench.machine import environment
from bench.machine.process_env import PACKAGE_PARENT, RankPlace
from bench.protocol import NodeHello
from bench.results import files, identity
from bench.results.record import Outcome

# Of two nodes of one run these must be the same; of other facts it is told that they differ.
VERSIONS = ("loopmark", "python", "torch", "lightning", "numpy")
TOLD = ("cpu", "cores", "cores_usable", "machine", "memory", "kernel")
CLOCK_TOLD = 60.0  # seconds that the wall clocks of two nodes may be apart before it is told; nothing is made of them


class Placement:
    """The nodes of a run.

    Args:
        local: the conductor's own machine, where arms are as long as no launcher places them.
        threads: of every arm, for the facts that nodes are compared by.
    """

    def __init__(self, local: LocalNode, threads: int) -> None:
        self._threads = threads
        self.nodes: list[Node] = [local]
        self._by_name: dict[str, Node] = {local.name: local}
        self.refused: dict[str, str] = {}  # by name, why
        self.differences: list[str] = []  # between nodes that are used, as sentences
        self.asked = 0  # nodes that a launcher was asked for; 0: there is none
        self._told = 0  # live nodes when `changed` was asked last

    def begin(self, nodes: int) -> None:
        """From here on nodes are those that come in."""
        self.asked, self.nodes = nodes, []
        self._by_name.clear()

    @property
    def live(self) -> list[Node]:
        """The nodes that are there, in the launcher's order."""
        return [node for node in self.nodes if not node.gone]

    @property
    def remote(self) -> Iterator[RemoteNode]:
        """Those of them that are reached by way of a program."""
        return (node for node in self.live if isinstance(node, RemoteNode))

    @property
    def lost(self) -> bool:
        """Whether a node has gone that was there."""
        return any(node.gone for node in self.nodes)

    @property
    def outcome(self) -> Outcome:
        """Of a cell for which there are too few nodes: whether there were enough."""
        return "crashed" if self.lost else "unsupported"

    @property
    def changed(self) -> bool:
        """Whether other nodes are there than when it was asked last; never, where no launcher places any."""
        before, self._told = self._told, len(self.live)
        return bool(self.asked) and before != self._told

    @property
    def complete(self) -> bool:
        """Whether all nodes that were asked for have come in, or were refused."""
        return len(self.nodes) + len(self.refused) >= self.asked

    def named(self, name: str) -> Node:
        """The node of that name, were it gone."""
        return self._by_name[name]

    def key(self, node: Node) -> str:
        """What the ids of a node's fork servers end in: nothing for the first one."""
        return "" if node is self.nodes[0] else node.name

    def for_arm(self, count: int) -> list[Node]:
        """The nodes of an arm that needs so many; none where they are not to be had."""
        there = self.live
        return there[:count] if count <= len(there) else []

    def lacking(self, count: int) -> str:
        """Why an arm that needs so many nodes cannot be started, as a sentence; "" where it can."""
        there = self.live
        if count <= len(there):
            return ""
        gone = [node.gone for node in self.nodes if node.gone]
        why = [*gone, *(f"node {name} was refused: {reason}" for name, reason in self.refused.items())]
        missing = self.asked - len(self.nodes) - len(self.refused)
        if missing > 0:
            why.append(f"{missing} of {self.asked} did not come in")
        return f"num_nodes={count} needs {count} nodes, and {len(there)} are there: {'; '.join(why)}"

    def admit(self, channel: Channel, hello: NodeHello, logs: Path) -> str:
        """Take a node in; gives why it is refused, or "".

        Args:
            logs: the folder that all nodes must share.
        """
        taken = hello.name in self._by_name or hello.name in self.refused
        name = hello.name if not taken else f"{hello.name}#{hello.index}"
        node = RemoteNode(channel, hello)
        node.name = name
        reason = self._refusal(node, logs)
        if reason:
            self.refused[name] = reason
            return reason
        self._compare(node)
        self.nodes.append(node)
        self._by_name[node.name] = node
        self.nodes.sort(key=lambda one: one.hello.index if isinstance(one, RemoteNode) else 0)
        return ""

    def _refusal(self, node: RemoteNode, logs: Path) -> str:
        if not self.asked:
            return "no launcher was asked for"
        if any(isinstance(one, RemoteNode) and one.hello.index == node.hello.index for one in self.nodes):
            return f"node {node.hello.index} is there already"
        here, there = self._facts, node.hello.facts
        other = [
            f"{key} {there.get(key)!r} there and {here.get(key)!r} here"
            for key in VERSIONS
            if there.get(key) != here.get(key)
        ]
        if not other and node.hello.package != package_digest():
            other = [f"loopmark is {there.get('loopmark')} in both, of other files than those in {PACKAGE_PARENT} here"]
        if other:
            return f"other versions: {', '.join(other)}; allowed: the same on every node"
        return shared_folder_fault(node, logs)

    @cached_property
    def _facts(self) -> Mapping[str, environment.EnvironmentValue]:
        return environment.environment(self._threads)

    def _compare(self, node: RemoteNode) -> None:
        """Note in what a node that is used differs from the first one."""
        apart = node.hello.clock - time.time()
        if abs(apart) > CLOCK_TOLD:
            how = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'}"
            self.differences.append(f"the clock of node {node.name} is {how} the conductor's; no figure is made of it")
        if not self.nodes:
            return
        first = self.nodes[0]
        assert isinstance(first, RemoteNode)
        other = [
            f"{key} {node.hello.facts.get(key)!r} against {first.hello.facts.get(key)!r}"
            for key in TOLD
            if node.hello.facts.get(key) != first.hello.facts.get(key)
        ]
        if other:
            self.differences.append(f"node {node.name} is not like node {first.name}: {', '.join(other)}")


def shared_folder_fault(node: RemoteNode, logs: Path) -> str:
    """Why a node does not share the run's folder with us, as a sentence; "" where it does, and may write there.

    Raises:
        BenchError: the folder cannot be written here.
    """
    token = secrets.token_hex(8)
    ours, theirs = logs / f".node-{token}", logs / f".node-{token}-seen"
    try:
        logs.mkdir(exist_ok=True)
        ours.write_text(token)
        fault = node.sees(ours.absolute(), theirs.absolute())
        if not fault and files.read_bytes(theirs).decode() != token:
            fault = "it wrote something else there than it read"
    except OSError as error:
        raise BenchError(f"{logs}: cannot be written: {error.strerror or error}") from None
    finally:
        for path in (ours, theirs):
            with suppress(OSError):
                path.unlink()
    if not fault:
        return ""
    return f"it does not share {logs.absolute()} with the conductor: {fault}; allowed: an --out that all nodes see"


@cache
def package_digest() -> str:
    """A digest of the files of this program: two nodes may have one version, and other code."""
    return identity.digest_of_tree(PACKAGE_PARENT / "bench", "*.py")


def rank_places(nodes: Sequence[Node], ranks: int) -> list[Node]:
    """The node of each rank: the first ones on the first node."""
    each = ranks // len(nodes)
    return [nodes[rank // each] for rank in range(ranks)]


def rank_place(rank: int, world: int, nodes: Sequence[Node], port: int) -> RankPlace:
    """Where a rank is; ranks of one node reach each other by its loopback interface."""
    node = rank // (world // len(nodes))
    alone = len(nodes) == 1
    address = LOOPBACK if alone else nodes[0].address
    return RankPlace(rank, world, node, len(nodes), address, port, LOCAL_INTERFACE if alone else nodes[node].interface)
