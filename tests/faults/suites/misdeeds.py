"""What arms do that is bad. Nothing is simulated: each of these really happens, in the arm, at a stage of its own."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import errno
import gc
import json
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from bench.spec import Workload

from . import parts

STEP = 20  # calls of the loss before it happens; audited steps are the first of a launch
BUILDING: dict[str, Callable[[], None]] = {}
LOSING: dict[str, Callable[[], Any]] = {}
LOADING: dict[str, Callable[[], Any]] = {}


def faulty(name: str) -> Workload:
    """The workload of parts.py, with the misdeed of that name in it."""
    name = name.removesuffix("-again")
    if os.environ.get("RANK", "1") != "1":  # of several ranks only the second is bad
        return parts.workload()
    if name in BUILDING:
        BUILDING[name]()
        return parts.workload()
    made = parts.workload()
    if name in LOADING:
        return replace(made, batches=LOADING[name]())
    if name in LOSING:
        calls = 0

        def loss(model: Any, batch: Any) -> Any:
            nonlocal calls
            calls += 1
            right = parts.loss(model, batch)
            given = LOSING[name]() if calls == STEP else None
            return right if given is None else given(right) if callable(given) else given

        return replace(made, loss=loss)
    if name != "none":
        raise ValueError(f"no misdeed {name!r}")
    return made


def building(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    return lambda deed: BUILDING.setdefault(name, deed)


def losing(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    return lambda deed: LOSING.setdefault(name, deed)


def loading(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    return lambda deed: LOADING.setdefault(name, deed)


def raising(error: BaseException) -> Callable[[], Any]:
    def deed() -> Any:
        raise error

    return deed


def sleeping(*_: Any) -> None:
    time.sleep(3600)


def sent(number: int) -> Callable[[], Any]:
    """A signal to itself; what it does not end, or stop, hangs."""

    def deed() -> None:
        os.kill(os.getpid(), number)
        time.sleep(3600)

    return deed


# Exceptions, in the loss and in build.


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Base(BaseException):
    pass


ERRORS: dict[str, BaseException] = {
    "raise": RuntimeError("the loss is in no mood"),
    "sys-exit": SystemExit(0),
    "sys-exit-words": SystemExit("enough of this"),
    "stop-iteration": StopIteration(),
    "generator-exit": GeneratorExit(),
    "cancelled": asyncio.CancelledError(),
    "keyboard-interrupt": KeyboardInterrupt(),
    "base-exception": Base("not an Exception"),
    "group": ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "recursion-error": RecursionError("too deep"),
    "memory-error": MemoryError(),
    "unprintable": Unprintable(),
    "wordless": RuntimeError(),
    "megabyte": RuntimeError("x" * 1_000_000),
    "many-lines": RuntimeError("\n" * 5000 + "the end"),
    "html": RuntimeError("<script>alert(1)</script><img src=x onerror=alert(1)>"),
    "escapes": RuntimeError("\x1b]0;title\x07\x1b[31mred\x1b[0m and \x9b31m"),
    "nul": RuntimeError("nothing\x00here"),
    "bell": RuntimeError("\x07\x08\x7f"),
    "right-to-left": RuntimeError("\u202etxet\u202c \u2066and\u2069 \u200f"),
    "line-separators": RuntimeError("one\u2028two\u2029three\x85four\rfive\x0bsix"),
    "surrogate": RuntimeError("\udcff is a byte of a file's name"),
    "surrogate-pair": RuntimeError("\ud83d alone, and \ude00"),
    "mathtext": RuntimeError("$a^$ \\frac{1}{ $_{$"),
    "markdown": RuntimeError("a | b\n| --- |\n[x](javascript:alert(1)) `"),
    "formula": RuntimeError("=cmd|' /C calc'!A0"),
    "jinja": RuntimeError("{{ 7*7 }} {% raw %} {# #}"),
    "percent": RuntimeError("%s %d {0} {x!r} %(name)s"),
    "json": RuntimeError('"}\n{"schema":2}'),
}
LOSING |= {name: raising(error) for name, error in ERRORS.items()}
BUILDING |= {f"build-{name}": raising(error) for name, error in ERRORS.items()}


@losing("surrogate-file")
def _surrogate_file() -> None:
    Path(os.fsdecode(b"no-such-\xff\xfe-file")).read_bytes()


@building("build-import")
def _build_import() -> None:
    import no_such_module_at_all  # noqa: F401


@losing("recursion")
def _recursion() -> Any:
    return _recursion()


# Ends.

LOSING |= {f"exit-{code}": (lambda code=code: os._exit(code)) for code in (0, 1, 3, 7, 255)}
for _name in ("KILL", "SEGV", "TERM", "STOP", "ABRT", "BUS", "HUP", "PIPE", "ALRM", "QUIT", "TSTP", "USR1", "XCPU"):
    LOSING[f"sig{_name.lower()}"] = sent(getattr(signal, f"SIG{_name}"))


@losing("crash-in-c")
def _crash_in_c() -> None:
    ctypes.string_at(0)


@losing("kill-group")
def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


@losing("stop-group")
def _stop_group() -> None:
    os.killpg(0, signal.SIGSTOP)


# Hangs.

LOSING["hang"] = sleeping
BUILDING["build-hang"] = sleeping


@losing("hang-in-c")
def _hang_in_c() -> None:
    ctypes.CDLL(None).sleep(3600)


@losing("hang-with-gil")
def _hang_with_gil() -> None:
    ctypes.PyDLL(None).sleep(3600)


@losing("hang-deaf")
def _hang_deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.sleep(3600)


@losing("spin")
def _spin() -> None:
    while True:
        pass


@losing("deadlock")
def _deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


# What it gives for a loss.

LOSING |= {
    "nan": lambda: lambda right: right * float("nan"),
    "inf": lambda: lambda right: right * float("inf"),
    "none-loss": lambda: lambda right: None,
    "int-loss": lambda: 3,
    "str-loss": lambda: "much",
    "vector": lambda: lambda right: right.repeat(3),
    "empty-vector": lambda: lambda right: right.repeat(0),
    "detached": lambda: lambda right: right.detach(),
    "complex": lambda: lambda right: right * 1j,
    "bool": lambda: lambda right: right > 0,
}
LOSING["negative-zero"] = lambda: lambda right: right * -0.0

# Memory, output, files.


@losing("allocate")
def _allocate() -> None:
    hoard = []
    while True:
        hoard.append(torch.ones(16 * 2**20))


@losing("allocate-bytes")
def _allocate_bytes() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1) * 2**26))


def _print(megabytes: int, text: bytes) -> Callable[[], None]:
    def deed() -> None:
        for _ in range(megabytes):
            os.write(1, text * (2**20 // len(text)))

    return deed


LOSING["print-100mb"] = _print(100, b"one more line of a log that nobody reads\n")
LOSING["print-no-newline"] = _print(8, b"x")
LOSING["print-binary"] = _print(1, bytes(range(256)))


@losing("print-escapes-and-exit")
def _print_escapes() -> None:
    os.write(2, b"\x1b]0;title\x07\x1b[2Jlast words\n")
    os._exit(9)


@losing("last-words-not-utf8")
def _last_words() -> None:
    os.write(2, b"last \xff\xfe words\n")
    os._exit(9)


@losing("close-all")
def _close_all() -> None:
    os.closerange(0, 4096)


@losing("close-standard")
def _close_standard() -> None:
    for descriptor in (0, 1, 2):
        os.close(descriptor)


@losing("few-descriptors")
def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@losing("remove-cwd")
def _remove_cwd() -> None:
    import shutil

    shutil.rmtree(os.getcwd())


@losing("chdir-root")
def _chdir_root() -> None:
    os.chdir("/")


@losing("locked-folder")
def _locked_folder() -> None:
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/file").write_text("x")
    os.chmod("deep", 0)


@losing("deep-folder")
def _deep_folder() -> None:
    for _ in range(600):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)


@losing("fifo-in-scratch")
def _fifo_in_scratch() -> None:
    os.mkfifo("fifo")
    os.symlink("/", "link-to-root")
    os.symlink("loop", "loop")


@losing("sparse-file")
def _sparse_file() -> None:
    with open("huge", "wb") as file:
        file.truncate(2**40)


@losing("log-removed")
def _log_removed() -> None:
    os.unlink(os.readlink("/proc/self/fd/1"))


@losing("environment")
def _environment() -> None:
    os.environ.clear()
    os.umask(0o777)


# Children.


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
    """A fork of this python, twice, in a session of its own: its environment is that of the zygote."""
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


# Loaders.


class Loader:
    """An iterable that is no DataLoader, with a length of its own."""

    def __init__(self, length: Any, batches: Any = None) -> None:
        self.length, self.batches = length, batches

    def __len__(self) -> int:
        if isinstance(self.length, BaseException):
            raise self.length
        return self.length  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Any]:
        yield from parts.loader() if self.batches is None else self.batches()


class Dying(Dataset[Any]):
    """Its worker dies at the second batch."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        self.deed = deed

    def __len__(self) -> int:
        return 128

    def __getitem__(self, index: int) -> torch.Tensor:
        if index > 60 and torch.utils.data.get_worker_info() is not None:
            self.deed()
        return torch.ones(parts.WIDTH)


def _dying(deed: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: DataLoader(Dying(deed), batch_size=8, num_workers=1, collate_fn=lambda rows: (torch.stack(rows),))


def _raises_later(error: BaseException) -> Callable[[], Iterator[Any]]:
    def batches() -> Iterator[Any]:
        yield from list(parts.loader())[:4]
        raise error

    return batches


LOADING |= {
    "loader-empty": lambda: Loader(0, lambda: iter(())),
    "loader-one-batch": lambda: Loader(1, lambda: iter(list(parts.loader())[:1])),
    "loader-len-1030": lambda: Loader(10**30),
    "loader-len-negative": lambda: Loader(-1),
    "loader-len-raises": lambda: Loader(ValueError("how long?")),
    "loader-len-str": lambda: Loader("long"),
    "loader-batch-none": lambda: Loader(4, lambda: iter([None] * 4)),
    "loader-batch-str": lambda: Loader(4, lambda: iter(["batch"] * 4)),
    "loader-enospc": lambda: Loader(16, _raises_later(OSError(errno.ENOSPC, "No space left on device"))),
    "loader-interrupt": lambda: Loader(16, _raises_later(KeyboardInterrupt())),
    "loader-exit": lambda: Loader(16, _raises_later(SystemExit(0))),
    "loader-not-iterable": lambda: 7,
    "worker-exits": _dying(lambda: os._exit(3)),
    "worker-killed": _dying(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "worker-raises": _dying(raising(ValueError("a bad row"))),
    "worker-hangs": _dying(sleeping),
}

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


def _zygote(number: int) -> Callable[[], None]:
    def deed() -> None:
        os.kill(os.getppid(), number)
        time.sleep(0.5)

    return deed


LOSING |= {
    "zygote-sigkill": _zygote(signal.SIGKILL),
    "zygote-sigint": _zygote(signal.SIGINT),
    "zygote-sigterm": _zygote(signal.SIGTERM),
    "zygote-sigstop": _zygote(signal.SIGSTOP),
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
        from multiprocessing.connection import Client

        address, key = _key()
        Client(address, authkey=key).send_bytes(data)
        time.sleep(0.2)

    return deed


LOSING |= {
    "knock-list": _knocks(b"[1, 2, 3]"),
    "knock-number": _knocks(b"7"),
    "knock-no-json": _knocks(b"hello"),
    "knock-not-utf8": _knocks(b"\xff\xfe"),
    "knock-no-role": _knocks(b'{"op": "hello"}'),
    "knock-strange-id": _knocks(b'{"op": "hello", "role": "arm", "id": "nobody#1.0", "rank": 0, "pid": 1}'),
    "knock-zygote": _knocks(b'{"op": "hello", "role": "zygote", "id": "none", "pid": 1, "seconds": 0, "threads": 1}'),
}
