"""What places the nodes of a run: torchrun, which started us on each of them, or Slurm's srun. No torch.

A launcher starts one program a node (`bench.engine.node_agent`) and gives it, by standard input or by a file that
nobody else may read, the conductor's address and the run's secret.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from bench.borders import file_name
from bench.engine import losses
from bench.engine.nodes import Node
from bench.engine.slurm import allocation, node_address, rank_variables, srun_command
from bench.errors import BenchError, SpecError, one_of
from bench.machine.process_env import PACKAGE_PARENT, RankPlace, rank_environment, store_environment
from bench.results import files

NODE_LAUNCHERS = ("slurm", "torchrun")
TORCHRUN_VARIABLES = (
    *("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
)
AGENT = "bench.engine.node_agent"
_ENDING = 20.0  # seconds for nodes to end what they have started, when their conductor has gone


class Launcher(Protocol):
    """What starts a program on each node of a run.

    Attributes:
        name: as `--launcher` has it.
        nodes: how many there are.
        address, port: of this machine, at which the nodes knock; port 0 is any.
        patience: seconds for all of them to come in.
    """

    name: str
    nodes: int
    address: str
    port: int
    patience: float

    def start(self, setup: Mapping[str, Any], logs: Path) -> None:
        """Start the program on each node.

        Args:
            setup: what it must know, the secret among it.
            logs: a folder for what it prints.

        Raises:
            BenchError: the system does not let it start.
        """

    def trouble(self) -> str:
        """Why no more nodes will come in; "" while they may."""

    def rank_environment(self, place: RankPlace, nodes: Sequence[Node]) -> dict[str, str]:
        """The variables that a rank finds in its environment."""

    def close(self) -> None:
        """Wait until the nodes have ended what they have started; end what does not."""


class Program:
    """A process that a launcher has started, which reads one line from its standard input."""

    def __init__(self, words: Sequence[str], setup: Mapping[str, Any], log: Path) -> None:
        self.log = log
        path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            log.parent.mkdir(exist_ok=True)
            with open(log, "ab") as file:
                self.process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONPATH": path},
                    start_new_session=True,
                )
        except OSError as error:
            raise BenchError(f"{words[0]} cannot be started: {losses.reason(error)}") from None
        stream: IO[bytes] | None = self.process.stdin
        assert stream is not None
        with suppress(BrokenPipeError):  # it is gone already; its log says why
            stream.write(msgspec.json.encode(setup) + b"\n")
            stream.close()

    def trouble(self) -> str:
        """That it has ended, with its last words; "" while it lives."""
        status = self.process.poll()
        return "" if status is None else f"it ended with status {status}: {losses.said(self.log)}"

    def close(self) -> None:
        """Wait for its end, which its nodes bring about; then end it."""
        try:
            self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_ENDING)
            self.process.kill()
            self.process.wait()


def agent_command() -> list[str]:
    """The program of a node, in our own interpreter."""
    return [sys.executable, "-P", "-m", AGENT]


class TorchrunLauncher:
    """torchrun has started `bench run` once a node: we are the first of them, the others wait for our file.

    Args:
        out: the folder in which all nodes find that file.

    Raises:
        SpecError: torchrun has not started us; says how.
    """

    name = "torchrun"
    port = 0
    patience = 120.0

    def __init__(self, out: Path, environ: Mapping[str, str] = os.environ) -> None:
        _needed(environ)
        self.nodes = int(environ["GROUP_WORLD_SIZE"])
        self.address = resolved(environ["MASTER_ADDR"], "MASTER_ADDR, which torchrun's --local-addr sets,")
        self._index = int(environ["GROUP_RANK"])
        self._file = secret_file(out, environ)
        self._program: Program | None = None

    def start(self, setup: Mapping[str, Any], logs: Path) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_secret(self._file, setup)
        own = {**setup, "index": self._index}
        self._program = Program(agent_command(), own, logs / "node.log")

    def trouble(self) -> str:
        return self._program.trouble() if self._program is not None else ""

    def rank_environment(self, place: RankPlace, nodes: Sequence[Node]) -> dict[str, str]:
        return rank_environment(place)

    def close(self) -> None:
        with suppress(OSError):
            self._file.unlink()
        if self._program is not None:
            self._program.close()


class SlurmLauncher:
    """srun starts the program on each node of the allocation that we are in.

    Args:
        nodes: how many; None: all of the allocation.

    Raises:
        BenchError: there is no allocation, or it is smaller.
    """

    name = "slurm"
    port = 0
    patience = 180.0

    def __init__(self, nodes: int | None, environ: Mapping[str, str] = os.environ) -> None:
        self._allocation = allocation(environ, nodes)
        self.nodes = len(self._allocation.nodes)
        name = environ.get("SLURMD_NODENAME") or socket.gethostname()
        self.address = resolved(node_address(name), "the address that Slurm has of this node")
        self._program: Program | None = None

    def start(self, setup: Mapping[str, Any], logs: Path) -> None:
        self._program = Program(srun_command(self._allocation, agent_command()), setup, logs / "srun.log")

    def trouble(self) -> str:
        return self._program.trouble() if self._program is not None else ""

    def rank_environment(self, place: RankPlace, nodes: Sequence[Node]) -> dict[str, str]:
        names = tuple(node.name for node in nodes)
        own = replace(self._allocation, nodes=names, node_list=",".join(names))
        given = rank_variables(
            own, rank=place.rank, local_rank=place.local_rank, node=place.node, ranks_per_node=place.local_world
        )
        # Lightning takes a job of these names for a shell, and would start the ranks once more.
        shell = given["SLURM_JOB_NAME"] in ("bash", "interactive", "")
        return {**store_environment(place), **given, **({"SLURM_JOB_NAME": "bench"} if shell else {})}

    def close(self) -> None:
        if self._program is not None:
            self._program.close()


def launcher_of(name: str, nodes: int | None, out: Path) -> Launcher | None:
    """The launcher of that name; None for "", which leaves all on this machine.

    Args:
        nodes: that it must have, or None.

    Raises:
        SpecError: there is none of that name, or it has not so many nodes.
    """
    if not name:
        if nodes is not None and nodes > 1:
            raise SpecError(f"--nodes {nodes} needs --launcher; allowed: {', '.join(NODE_LAUNCHERS)}")
        return None
    if name not in NODE_LAUNCHERS:
        raise SpecError(one_of("launcher", name, NODE_LAUNCHERS))
    made: Launcher = SlurmLauncher(nodes) if name == "slurm" else TorchrunLauncher(out)
    if nodes is not None and nodes > made.nodes:
        raise SpecError(f"--nodes {nodes}: {name} has {made.nodes}; allowed: 1 to {made.nodes}")
    return made


def is_other_node(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started us as another process than the first one of the first node.

    Raises:
        SpecError: it has not started us.
    """
    _needed(environ)
    return environ["RANK"] != "0"


def is_agent(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether we are the process of torchrun's that stands for its node: the first one on it."""
    return environ["LOCAL_RANK"] == "0"


def secret_file(out: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the nodes of a run of torchrun find what they must know: a name that all of them can tell."""
    names = (environ["TORCHELASTIC_RUN_ID"], environ["MASTER_ADDR"], environ["MASTER_PORT"])
    return out / f".{file_name('nodes-' + '-'.join(names))}.json"


def write_secret(path: Path, setup: Mapping[str, Any]) -> None:
    """Write what nodes must know into a file that nobody else may read, whole or not at all.

    Raises:
        BenchError: it cannot be written.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(setup) + b"\n")
            os.fsync(descriptor)
        os.replace(aside, path)
    except OSError as error:
        raise files.unwritable(path, error) from None


def resolved(host: str, what: str) -> str:
    """The address of a host.

    Raises:
        BenchError: it has none.
    """
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise BenchError(f"{what} is {host!r}, which has no address here: {error.strerror or error}") from None


def _needed(environ: Mapping[str, str]) -> None:
    if missing := [name for name in TORCHRUN_VARIABLES if not environ.get(name)]:
        raise SpecError(
            f"--launcher torchrun: torchrun has not started this process ({missing[0]} is not set); on each node: "
            "torchrun --nnodes N --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:PORT -m bench run ..."
        )
