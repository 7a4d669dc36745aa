"""Fork servers from the parent's side: start one, see what is wrong with one, end one with all it left. No torch."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.borders import file_name
from bench.engine import losses
from bench.engine.processes import ForkServer, oom_kills
from bench.errors import BenchError
from bench.machine import strays
from bench.machine.process_env import PACKAGE_PARENT
from bench.plan.side import SIDE, Side


def start_fork_server(
    name: str,
    preload: tuple[str, ...],
    side: Side | None,
    environment: Mapping[str, str],
    logs: Path,
    door: Mapping[str, Any],
    home: Path,
    usable_cores: Sequence[int] = (),
) -> ForkServer:
    """A new fork server; it knocks at the door when it has imported what `preload` names.

    Args:
        side: whose interpreter it is, or None for ours.
        door: `addresses`, as `bench.machine.knock` takes them, and `authkey`, in hexadecimal.
        home: the run's temporary folder, which fork servers remove when the run was killed.
        usable_cores: those that an arm is set up on, wherever its fork server imports; none: where that does.

    Raises:
        BenchError: the system does not let it start.
    """
    root = str(PACKAGE_PARENT)
    mark = secrets.token_hex(8)
    log = log_of(name, logs)
    try:
        # Without -P python would put the working folder first, and so one side's code before the other's.
        own = side.paths if side else (working_folder(),)
        path = os.pathsep.join([root, *own, *filter(None, [environment.get("PYTHONPATH")])])
        logs.mkdir(exist_ok=True)
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [side.python if side else sys.executable, "-P", "-m", "bench.arm.fork_server"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**environment, **(side.environ if side else {}), "PYTHONPATH": path, strays.MARK: mark},
                start_new_session=True,
            )
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise BenchError(f"the interpreter {name!r} cannot be started: {losses.reason(error)}{where}") from None
    setup = {
        **door,
        "home": str(home),
        "preload": [module for module in preload if not module.startswith(SIDE)],
        "imports": side.imports if side else (),
        "id": name,
        "parent": os.getpid(),
        "cores": usable_cores,
    }
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it is dead already; its log says why
        process.stdin.write(msgspec.json.encode(setup) + b"\n")
        process.stdin.close()
    return ForkServer(name, process, preload, log, mark, pid=process.pid)


def log_of(name: str, logs: Path) -> Path:
    """The log of the fork server of that name."""
    return logs / f"{file_name(f'fork-server-{name}')}.log"


def working_folder() -> str:
    """The working folder.

    Raises:
        BenchError: it was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BenchError("the working folder was removed; change to one that exists") from None


def trouble(server: ForkServer, oom_kills_before: int, patience: float = 0.0) -> str:
    """What is wrong with a fork server, and so not the fault of its arms; "" where nothing is.

    Args:
        patience: seconds that it has to end by itself before it is asked.
    """
    if server.gone:
        return server.gone
    assert server.process is not None
    if patience:
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(patience)
    name = f"its interpreter {server.id!r}"
    if (status := server.process.poll()) is not None:
        how = f"was killed by {losses.signal_name(-status)}" if status < 0 else f"ended with status {status}"
        killed = -status == signal.SIGKILL and oom_kills() > oom_kills_before
        return f"{name} {how}{' while the kernel ran out of memory' if killed else ''}"
    if strays.state(server.pid) in ("T", "t"):
        return f"{name} was stopped (state T)"
    return ""


def end_fork_server(server: ForkServer, patience: float = 0.0) -> None:
    """End a fork server and all that it has started, whatever became of it since.

    Args:
        patience: seconds that it has to end by itself, as it does when its connection is closed.
    """
    if server.channel is not None:
        server.channel.close()
        server.channel = None
    assert server.process is not None
    try:
        server.process.wait(patience)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
    strays.end_strays(partial(strays.marked_processes, server.mark))
