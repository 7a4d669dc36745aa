"""What the arms of `outlaws` do in their loss, at step `at`. Nothing is simulated: it really happens."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bench.axes.loops.workload import Workload


def outlawed_workload(crime: str, at: int) -> Workload:
    data = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    loader: DataLoader[Any] = DataLoader(
        TensorDataset(data), batch_size=16, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(0)
    )
    return Workload(
        model=nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)),
        loss=partial(loss, crime, at, {"step": 0}),
        optimizer=partial(torch.optim.SGD, lr=0.01),
        batches=loader,
        samples=16,
        lightning=lambda: None,  # plain loops only
    )


def loss(crime: str, at: int, state: dict[str, int], model: nn.Module, batch: Any) -> torch.Tensor:
    state["step"] += 1
    if state["step"] == at:
        commit(crime)
    (images,) = batch
    return nn.functional.mse_loss(model(images), images)


def commit(crime: str) -> None:
    if data := sent(crime):
        for socket in sockets():
            os.write(socket, data)
        if crime in ("half-frame", "unasked"):
            time.sleep(3600 if crime == "half-frame" else 0)
    if crime == "flood":
        for socket in sockets():
            for _ in range(100):
                os.write(socket, b"\x00" * 2**20)
    if crime == "setsid":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if crime == "daemon":
        daemonize(lambda: os.execvp("sleep", ["sleep", "601"]))
    if crime == "forked-daemon":
        daemonize(lambda: time.sleep(602))
    if crime == "fork-bomb":
        daemonize(bomb)
    if crime == "kill-fork-server":
        os.kill(os.getppid(), signal.SIGKILL)
    if crime == "stop-fork-server":
        os.kill(os.getppid(), signal.SIGSTOP)
        os._exit(3)
    if crime == "surrogate":
        raise FileNotFoundError("no such file: /data/caf\udce9 \x1b[31mred\x00")
    if crime == "long-text":
        raise RuntimeError("x" * 2**20)
    if crime == "no-text":
        raise Untold
    if crime == "prints":
        os.write(1, b"the beginning\n")
        for _ in range(8):
            os.write(1, b"x" * 2**20 + b"\n")
        os.write(1, b"the end\n")
    if crime == "temporary":
        raise RuntimeError(tempfile.gettempdir())


def sent(crime: str) -> bytes:
    """What goes into the socket, before the arm's own next message."""
    if crime == "five-bytes":
        return b"hello"
    if crime == "long-frame":
        return struct.pack("!iQ", -1, 2**62)
    if crime == "half-frame":
        return struct.pack("!i", 1000) + b"{"
    if crime == "other-type":
        return frame({"op": "exited", "arm": "x", "status": 0})
    if crime == "short-taken":
        return frame({**TAKEN, "seconds": [0.1], "fetching": [0.0]})
    if crime == "not-finite":
        return frame({**TAKEN, "seconds": [float("nan")] * 4})
    if crime == "unasked":
        return frame({"op": "ready", "helpers": 0, "setup": 0.0, "epoch": 0})
    return b""


TAKEN = {"op": "taken", "cpu": 0.0, "involuntary": 0, "faults": 0, "helpers": 0, "fetching": [0.0] * 4}


def frame(message: dict[str, Any]) -> bytes:
    data = json.dumps(message).encode()
    return struct.pack("!i", len(data)) + data


def sockets() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
        except OSError:
            continue
    return found


def daemonize(work: Any) -> None:
    """By the book: fork, a session of its own, fork again, and the one between leaves."""
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in [*sockets(), 1, 2]:
                os.close(descriptor)
            work()
        os._exit(0)
    os.waitpid(between, 0)


def bomb() -> None:
    """A process that leaves its session and is another one, again and again."""
    for _ in range(2000):
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.002)
    sys.exit(0)


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")
