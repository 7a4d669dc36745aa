"""A launcher for tests: several nodes on this machine, each a real program that knocks over TCP at the loopback."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.engine.launchers import Program, agent_command
from bench.engine.nodes import LOOPBACK, Node
from bench.machine.process_env import RankPlace, rank_environment
from bench.machine.strays import below


class NodesHere:
    """Starts the program of each node as a child.

    Args:
        names: of the nodes.
        environ: variables that a node's program has besides, by the node's name.
        inside: words that a node's program is started by, by the node's name.
    """

    name = "here"
    address = LOOPBACK
    port = 0
    patience = 60.0

    def __init__(
        self,
        *names: str,
        environ: Mapping[str, Mapping[str, str]] | None = None,
        inside: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.names = names
        self.nodes = len(names)
        self.environ = environ or {}
        self.inside = inside or {}
        self.programs: dict[str, Program] = {}

    def start(self, setup: Mapping[str, Any], logs: Path) -> None:
        for index, name in enumerate(self.names):
            variables = {"SLURMD_NODENAME": name, **self.environ.get(name, {})}
            given = ["env", *(f"{key}={value}" for key, value in variables.items())]
            words = [*self.inside.get(name, ()), *given, *agent_command()]
            self.programs[name] = Program(words, {**setup, "index": index}, logs / f"{name}.log")

    def kill(self, name: str) -> None:
        """End a node with all that it has started, with no word."""
        for pid in below([self.programs[name].process.pid]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def trouble(self) -> str:
        found = [told for program in self.programs.values() if (told := program.trouble())]
        return found[0] if len(found) == len(self.programs) else ""

    def rank_environment(self, place: RankPlace, nodes: Sequence[Node]) -> dict[str, str]:
        return rank_environment(place)

    def close(self) -> None:
        for program in self.programs.values():
            program.close()
