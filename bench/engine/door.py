"""Where processes of a run knock: the listening sockets, and a handshake for each arrival that nobody has to wait for.

Only those that know the run's key are heard (`bench.machine.knock`), and on a socket of this machine only processes of
this user. Whoever says nothing, half of something, or what is no hello, is closed and counted (`door_strangers`). One
thread serves all who are at the door; it reads what has come and never waits for anybody.
"""

from __future__ import annotations

import errno
import os
import queue
import resource
import secrets
import selectors
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import bench.protocol as protocol
from bench.engine.channel import Channel
from bench.engine.door_handshake import Handshake, StrangerError
from bench.engine.door_strangers import Strangers
from bench.errors import BenchError
from bench.machine.knock import LONGEST_ANSWER, REFUSAL, WELCOME, frame, keep_alive, name
from bench.protocol import GarbledMessage, Hello

HANDSHAKE = 10.0  # seconds that each message of a handshake may take; a child's takes under a millisecond
PENDING = 1024  # handshakes at once; who comes then takes the place of who has shown nothing for the longest time
_SHARE = 4  # they take this part of the descriptors at most: the run needs the others
_QUEUE = 4096  # connections that wait to be taken in; Linux allows so many (net.core.somaxconn), and drops others' SYN
_AT_ONCE = 64  # that are taken in before those that are in are heard again
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(eq=False)
class _Caller:
    """Somebody at the door."""

    connected: socket.socket
    address: str
    pid: int | None
    handshake: Handshake
    deadline: float


class Door:
    """Takes in processes of the run while it is open.

    Args:
        home: a folder of the run's own, for the socket where the system has no others.
        strangers: told of everyone who is not let in.
        tcp: host and port to listen on besides the socket of this machine; port 0 is any that is free.

    Raises:
        BenchError: no socket can be made, or the port is taken.
    """

    def __init__(self, home: Path, strangers: Strangers, *, tcp: tuple[str, int] | None = None) -> None:
        self.key = secrets.token_bytes(32)
        self._strangers = strangers
        self._arrivals: queue.SimpleQueue[tuple[Channel, Hello]] = queue.SimpleQueue()
        self._callers: dict[socket.socket, _Caller] = {}  # who was heard last is last
        self._open = True
        self.refused = ""  # why the system lets nobody in now
        # An abstract name (unix(7)) has no path, which might be too long, or be removed while the run goes on.
        self.address = f"\0loopmark-{secrets.token_hex(16)}" if sys.platform == "linux" else str(home / "door")
        self._sockets: list[socket.socket] = []
        self._descriptors: list[int] = []
        try:
            self.bell, self._ringer = self._pipe()
            self._ended, self._end = self._pipe()
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._ended, selectors.EVENT_READ)
            here = socket.socket(socket.AF_UNIX)
            self._sockets.append(here)
            here.bind(self.address)
            if tcp is not None:
                self._sockets.append(listening(*tcp))
            for one in self._sockets:
                one.listen(_QUEUE)
                one.setblocking(False)
                self._selector.register(one, selectors.EVENT_READ)
            self._thread = threading.Thread(target=self._serve, daemon=True, name="bench-door")
            self._thread.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            self._release()
            raise BenchError(f"no processes can be started here: {error}") from None
        except BenchError:
            self._release()
            raise

    def _pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)  # full of rings, it rings
        self._descriptors += [reader, writer]
        return reader, writer

    @property
    def tcp_address(self) -> tuple[str, int]:
        """Host and port of the TCP socket, where one was asked for."""
        assert len(self._sockets) == 2, "no TCP socket was asked for"
        host, port = self._sockets[1].getsockname()[:2]
        return str(host), int(port)

    @property
    def waiting(self) -> int:
        """How many have come in and were not asked for yet."""
        return self._arrivals.qsize()

    @property
    def pending(self) -> int:
        """How many are at the door."""
        return len(self._callers)

    def arrived(self) -> list[tuple[Channel, Hello]]:
        """Those that came in since it was last asked; `bell` can be read from when there are any."""
        os.read(self.bell, 4096)
        came: list[tuple[Channel, Hello]] = []
        with suppress(queue.Empty):
            while True:
                came.append(self._arrivals.get_nowait())
        return came

    def _serve(self) -> None:
        while self._open:
            longest = self._longest_silent
            wait = None if longest is None else max(0.0, longest.deadline - time.monotonic())
            # Whoever has said something is heard before anybody's time is over: it was us who slept, maybe.
            for key, _ in self._selector.select(wait):
                if not isinstance(key.fileobj, socket.socket):
                    continue  # `close` wakes us
                if (caller := self._callers.get(key.fileobj)) is not None:
                    self._hear(caller)
                elif key.fileobj in self._sockets:
                    self._take_in(key.fileobj)
            now = time.monotonic()
            while (longest := self._longest_silent) is not None and longest.deadline <= now:
                self._expire(longest)

    @property
    def _longest_silent(self) -> _Caller | None:
        return next(iter(self._callers.values()), None)

    def _take_in(self, listener: socket.socket) -> None:
        """Take in who waits at a socket, but not so many that those who are in wait for it."""
        for number in range(_AT_ONCE):
            try:
                connected, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM and number:
                    return  # it is asked for a descriptor before it is asked whether anybody waits
                if error.errno in _NO_ROOM and self._make_room():
                    continue
                self.refused = error.strerror or str(error)
                time.sleep(0.05)  # out of descriptors or memory, and no stranger has them: some may come back
                return
            self.refused = ""
            while len(self._callers) >= pending_limit() and self._make_room():
                pass
            self._meet(connected)

    def _meet(self, connected: socket.socket) -> None:
        """Begin a handshake with who has just come."""
        address, pid = "of this machine", None
        try:
            connected.setblocking(False)
            if connected.family == socket.AF_UNIX:
                pid, user = peer(connected)
                address = address if pid is None else f"process {pid} of user {user}"
                if user not in (None, os.geteuid()):
                    raise StrangerError("another user", f"only user {os.geteuid()} may come in")
            else:
                address = name(connected.getpeername())
                keep_alive(connected)
            self._selector.register(connected, selectors.EVENT_READ)
        except OSError as error:
            connected.close()
            return self._strangers.saw("closed early", address, error.strerror or str(error))
        except StrangerError as error:
            connected.close()
            return self._strangers.saw(error.kind, address, error.detail)
        caller = _Caller(connected, address, pid, Handshake(self.key), time.monotonic() + HANDSHAKE)
        self._callers[connected] = caller
        self._hear(caller)

    def _hear(self, caller: _Caller) -> None:
        """Take what has come from a caller, and answer."""
        handshake = caller.handshake
        try:
            while handshake.hello is None:
                data = caller.connected.recv(handshake.wanted)
                if not data:
                    raise StrangerError("closed early", f"after {handshake.half} bytes of a message")
                answer = handshake.take(data)
                if not handshake.half:
                    caller.deadline = time.monotonic() + HANDSHAKE
                    self._callers[caller.connected] = self._callers.pop(caller.connected)
                _send(caller.connected, answer)
            arrival = self._arrival(handshake.hello, caller)
            _send(caller.connected, frame(WELCOME))
        except BlockingIOError:
            return
        except StrangerError as error:
            self._dismiss(caller, error)
        # Whatever goes wrong between us and a stranger is that stranger's end, and nobody else's.
        except Exception as error:
            self._dismiss(caller, StrangerError("closed early", f"{type(error).__name__}: {error}"))
        else:
            self._forget(caller)
            self._arrivals.put((Channel(caller.connected), arrival))
            with suppress(BlockingIOError):
                os.write(self._ringer, b"x")

    @staticmethod
    def _arrival(data: bytes, caller: _Caller) -> Hello:
        """The hello, where it may come from this caller."""
        try:
            hello: Hello = protocol.decode_message(protocol.ARRIVALS, data)
        except GarbledMessage as error:
            problem = str(error)
        else:
            if caller.pid in (None, 0, hello.pid):  # 0: of another namespace of processes
                return hello
            problem = f"process {caller.pid} says that it is process {hello.pid}"
        with suppress(OSError):  # so that it does not try again
            _send(caller.connected, frame((REFUSAL + problem.encode(errors="replace"))[:LONGEST_ANSWER]))
        raise StrangerError("no hello", problem)

    def _expire(self, caller: _Caller) -> None:
        half = caller.handshake.half
        if half:
            self._dismiss(caller, StrangerError("half a message", f"{half} bytes, and nothing more in {HANDSHAKE:g} s"))
        else:
            self._dismiss(caller, StrangerError("silence", f"it said nothing for {HANDSHAKE:g} s"))

    def _make_room(self) -> bool:
        """Close who has shown nothing for the longest time; whether there was anybody."""
        for caller in self._callers.values():
            if not caller.handshake.proved:
                self._dismiss(caller, StrangerError("too many at once", f"{len(self._callers)} were at the door"))
                return True
        return False

    def _dismiss(self, caller: _Caller, error: StrangerError) -> None:
        self._strangers.saw(error.kind, caller.address, error.detail)
        self._forget(caller)
        caller.connected.close()

    def _forget(self, caller: _Caller) -> None:
        del self._callers[caller.connected]
        self._selector.unregister(caller.connected)

    def close(self) -> None:
        """Let nobody in any more."""
        self._open = False
        os.write(self._end, b"x")
        self._thread.join(5.0)
        with suppress(BlockingIOError):
            os.write(self._ringer, b"x")
        for channel, _ in self.arrived():
            channel.close()
        self._release()

    def _release(self) -> None:
        for caller in list(self._callers.values()):
            self._forget(caller)
            caller.connected.close()
        for one in self._sockets:
            one.close()
        if hasattr(self, "_selector"):
            self._selector.close()
        for descriptor in self._descriptors:
            os.close(descriptor)


def listening(host: str, port: int) -> socket.socket:
    """A TCP socket bound to this port of this host, either version of IP.

    Raises:
        BenchError: it cannot be had; says what can.
    """
    where = f"port {port} of {host or 'every address of this machine'}"
    if not 0 <= port <= 65535:
        raise BenchError(f"{where} is none; allowed: 0 (any that is free) to 65535")
    problem = ""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BenchError(f"{where} cannot be listened on: {error.strerror or error}") from None
    for family, kind, number, _, address in found:
        made = socket.socket(family, kind, number)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier run end slowly
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host not in ("", "::")))
            made.bind(address)
            return made
        except OSError as error:
            made.close()
            allowed = "one that is free; 0 takes any"
            if error.errno == errno.EADDRINUSE:
                problem = problem or f"{where} is taken by another program; allowed: {allowed}"
            elif error.errno == errno.EADDRNOTAVAIL:
                problem = problem or f"{where}: this machine has no such address; allowed: its own, or 0.0.0.0 for all"
            else:
                problem = problem or f"{where} cannot be listened on: {error.strerror or error}; allowed: {allowed}"
    raise BenchError(problem)


def pending_limit() -> int:
    """How many may be at the door at once: a part of the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return PENDING if soft == resource.RLIM_INFINITY else max(1, min(PENDING, soft // _SHARE))


def peer(connected: socket.socket) -> tuple[int | None, int | None]:
    """Process and user at the other end, where the system says so (Linux, SO_PEERCRED)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None, None
    size = struct.calcsize("3i")
    pid, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, user


def _send(connected: socket.socket, answer: bytes) -> None:
    """Send what fits into the empty buffer of any socket: under 400 bytes in a whole handshake."""
    if answer and connected.send(answer) != len(answer):
        raise StrangerError("closed early", "it takes nothing")
