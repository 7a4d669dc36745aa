"""Misdeeds of an arm beyond itself: children that stay, its connection, its fork server, the conductor."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .misdeeds import LOSING, building, losing, raising, sleeping


@losing("child")
def _child() -> None:
    subprocess.Popen(["sleep", "600"])


@losing("child-own-group")
def _child_own_group() -> None:
    subprocess.Popen(["sleep", "600"], process_group=0)


@losing("child-setsid")
def _child_setsid() -> None:
    subprocess.Popen(["setsid", "sleep", "600"])


@losing("child-bare")
def _child_bare() -> None:
    """In a session of its own, without our environment, and its parent gone: nothing tells whose it is."""
    subprocess.Popen(["env", "-i", "setsid", "-f", "sleep", "600"], close_fds=True, cwd="/")


@losing("child-deaf")
def _child_deaf() -> None:
    subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM HUP INT; while :; do sleep 600; done"])


@losing("child-stopped")
def _child_stopped() -> None:
    subprocess.Popen(["setsid", "sh", "-c", "kill -STOP $$; sleep 600"])


@losing("child-keeps-forking")
def _child_keeps_forking() -> None:
    subprocess.Popen(["setsid", "sh", "-c", "while :; do sleep 0.2 & wait; done"])


@losing("daemon")
def _daemon() -> None:
    _daemonize()


@building("build-daemon")
def _build_daemon() -> None:
    _daemonize()


@losing("daemon-and-die")
def _daemon_and_die() -> None:
    _daemonize()
    os._exit(5)


def _daemonize() -> None:
    """A fork of this python, twice, in a session of its own: its environment is that of the fork server."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(600)


@losing("multiprocessing")
def _multiprocessing() -> None:
    import multiprocessing

    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()


@losing("thread")
def _thread() -> None:
    threading.Thread(target=raising(ValueError("in a thread")), daemon=True).start()
    threading.Thread(target=sleeping).start()


@losing("atexit")
def _atexit() -> None:
    atexit.register(sleeping)

# The connection to the conductor, and the processes above.


def _sockets() -> list[int]:
    """Descriptors that are connected sockets: the one to the conductor."""
    return [
        int(name)
        for name in os.listdir("/proc/self/fd")
        if int(name) > 2 and Path(f"/proc/self/fd/{name}").exists() and stat.S_ISSOCK(os.fstat(int(name)).st_mode)
    ]


def _writes(*data: bytes, then: Callable[[], Any] = lambda: None) -> Callable[[], None]:
    def deed() -> None:
        for number in _sockets():
            for part in data:
                os.write(number, part)
        then()

    return deed


def _framed(text: str) -> bytes:
    return struct.pack("!i", len(text.encode())) + text.encode()


LOSING |= {
    "socket-5-bytes": _writes(b"\0\0\0\1x"),
    "socket-noise": _writes(b"\xde\xad\xbe\xef" * 8),
    "socket-half": _writes(struct.pack("!i", 1000) + b"half", then=sleeping),
    "socket-huge": _writes(struct.pack("!i", 2**31 - 1), then=sleeping),
    "socket-huge-64": _writes(struct.pack("!iQ", -1, 2**60), then=sleeping),
    "socket-list": _writes(_framed("[1, 2]")),
    "socket-no-op": _writes(_framed('{"seconds": 3}')),
    "socket-wrong-op": _writes(_framed('{"op": "exited", "arm": 3}')),
    "socket-wrong-types": _writes(_framed('{"op": "taken", "seconds": "many", "cpu": null}')),
    "socket-nan": _writes(_framed('{"op": "taken", "seconds": NaN}')),
    "socket-surrogate": _writes(_framed('{"op": "failed", "outcome": "crashed", "reason": "\\udcff"}')),
    "socket-wrong-outcome": _writes(_framed('{"op": "failed", "outcome": "splendid", "reason": "so there"}')),
    "socket-deep": _writes(_framed("[" * 200_000)),
    "socket-result": _writes(_framed(json.dumps({"op": "result"}))),
    "socket-binary": _writes(struct.pack("!i", 4) + b"\xff\xfe\xfd\xfc"),
}


@losing("socket-closed")
def _socket_closed() -> None:
    for number in _sockets():
        os.close(number)


@losing("socket-shut")
def _socket_shut() -> None:
    import socket

    for number in _sockets():
        socket.socket(fileno=os.dup(number)).shutdown(socket.SHUT_WR)
    sleeping()


def _fork_server(number: int) -> Callable[[], None]:
    def deed() -> None:
        os.kill(os.getppid(), number)
        time.sleep(0.5)

    return deed


LOSING |= {
    "fork-server-sigkill": _fork_server(signal.SIGKILL),
    "fork-server-sigint": _fork_server(signal.SIGINT),
    "fork-server-sigterm": _fork_server(signal.SIGTERM),
    "fork-server-sigstop": _fork_server(signal.SIGSTOP),
}


@losing("conductor-sigterm")
def _conductor_sigterm() -> None:
    parent = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(parent), signal.SIGTERM)
    time.sleep(0.5)


def _key() -> tuple[str, bytes]:
    """The conductor's address and key, as this process has them somewhere: an arm is no stranger."""
    for item in gc.get_objects():
        address = item.get("address") if isinstance(item, dict) else None
        key = item.get("authkey") if isinstance(item, dict) else None
        if isinstance(address, str) and isinstance(key, str):
            return address, bytes.fromhex(key)
    frame: Any = sys._getframe()
    while frame is not None:
        for item in frame.f_locals.values():
            own = item.get if isinstance(item, dict) else lambda name, item=item: getattr(item, name, None)
            if own("address") and own("authkey"):
                key = own("authkey")
                return str(own("address")), key if isinstance(key, bytes) else bytes.fromhex(key)
        frame = frame.f_back
    raise RuntimeError("the key is nowhere")


def _knocks(data: bytes) -> Callable[[], None]:
    def deed() -> None:
        from bench.machine.knock import knock

        address, key = _key()
        with suppress(OSError):  # the door says no
            knock([address], key, data)
        time.sleep(0.2)

    return deed


LOSING |= {
    "knock-list": _knocks(b"[1, 2, 3]"),
    "knock-number": _knocks(b"7"),
    "knock-no-json": _knocks(b"hello"),
    "knock-not-utf8": _knocks(b"\xff\xfe"),
    "knock-no-role": _knocks(b'{"op": "hello"}'),
    "knock-strange-id": _knocks(b'{"op": "hello", "role": "arm", "id": "nobody#1.0", "rank": 0, "pid": 1}'),
    "knock-fork-server": _knocks(b'{"op": "hello", "role": "fork-server", "id": "none", "pid": 1, "seconds": 0}'),
}
