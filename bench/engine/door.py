"""Where children knock: the listening socket, and a handshake for each arrival that nobody else has to wait for.

Only processes of this user are heard, and of these only those that know the run's key. Whoever says nothing, or what is
no hello, is closed and written down.
"""

from __future__ import annotations

import os
import queue
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import cast

import bench.protocol as protocol
from bench.engine.channel import Channel
from bench.errors import BenchError
from bench.protocol import ArmHello, ForkServerHello

HANDSHAKE = 10.0  # seconds that each step of a handshake may take; a child's takes under a millisecond
AT_ONCE = 128  # handshakes; who comes then waits in the socket's queue
_QUEUE = 1024


class Door:
    """Takes in children while it is open.

    Args:
        home: a folder of the run's own, for the socket where the system has no others.
        strangers: told of everyone who is not let in, in a sentence.

    Raises:
        BenchError: no socket can be made.
    """

    def __init__(self, home: Path, strangers: Callable[[str], None]) -> None:
        self.key = secrets.token_bytes(32)
        self._strangers = strangers
        self._arrivals: queue.SimpleQueue[tuple[Channel, ForkServerHello | ArmHello]] = queue.SimpleQueue()
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._open = True
        self.refused = ""  # why the system lets nobody in now
        # An abstract name (unix(7)) has no path, which might be too long, or be removed while the run goes on.
        self.address = f"\0loopmark-{secrets.token_hex(16)}" if sys.platform == "linux" else str(home / "door")
        try:
            self.bell, self._ringer = os.pipe()
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(self.address)
            self._socket.listen(_QUEUE)
            self._waiter = threading.Thread(target=self._accept, daemon=True, name="bench-door")
            self._waiter.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            raise BenchError(f"no processes can be started here: {error}") from None

    @property
    def waiting(self) -> int:
        """How many have come in and were not asked for yet."""
        return self._arrivals.qsize()

    def arrived(self) -> list[tuple[Channel, ForkServerHello | ArmHello]]:
        """Those that came in since it was last asked; `bell` can be read from when there are any."""
        os.read(self.bell, 4096)
        came: list[tuple[Channel, ForkServerHello | ArmHello]] = []
        with suppress(queue.Empty):
            while True:
                came.append(self._arrivals.get_nowait())
        return came

    def _accept(self) -> None:
        while self._open:
            self._slots.acquire()
            try:
                connected, _ = self._socket.accept()
                if not self._open:
                    connected.close()
                    return
                threading.Thread(target=self._meet, args=(connected,), daemon=True, name="bench-handshake").start()
                self.refused = ""
            except (OSError, RuntimeError) as error:
                self._slots.release()
                self.refused = getattr(error, "strerror", None) or str(error)
                time.sleep(0.05)  # out of descriptors or threads: some may come back

    def _meet(self, connected: socket.socket) -> None:
        channel = Channel(connected, HANDSHAKE)
        try:
            hello = self._handshake(connected, channel)
        # Whatever goes wrong between us and a stranger is that stranger's end, and nobody else's.
        except Exception as error:
            channel.close()
            self._strangers(f"a connection was closed: {type(error).__name__}: {error}")
        else:
            self._arrivals.put((channel, hello))
            with suppress(OSError):
                os.write(self._ringer, b"x")
        finally:
            self._slots.release()

    def _handshake(self, connected: socket.socket, channel: Channel) -> ForkServerHello | ArmHello:
        pid, user = peer(connected)
        if user not in (None, os.geteuid()):
            raise PermissionError(f"it is of user {user}")
        # They ask of a connection only what a channel has too.
        deliver_challenge(cast(Connection, channel), self.key)
        answer_challenge(cast(Connection, channel), self.key)
        hello: ForkServerHello | ArmHello = protocol.decode_message(protocol.ARRIVALS, channel.recv_bytes())
        if pid not in (None, 0, hello.pid):  # 0: of another namespace of processes
            raise PermissionError(f"process {pid} says that it is process {hello.pid}")
        return hello

    def close(self) -> None:
        """Let nobody in any more."""
        self._open = False
        with suppress(OSError), socket.socket(socket.AF_UNIX) as knock:  # wakes the thread that sleeps in accept()
            knock.setblocking(False)
            knock.connect(self.address)
        self._waiter.join(5.0)
        self._socket.close()
        for channel, _ in self._drained():
            channel.close()
        for descriptor in (self.bell, self._ringer):
            os.close(descriptor)

    def _drained(self) -> list[tuple[Channel, ForkServerHello | ArmHello]]:
        with suppress(OSError):
            os.write(self._ringer, b"x")
        return self.arrived()


def peer(connected: socket.socket) -> tuple[int | None, int | None]:
    """Process and user at the other end, where the system says so (Linux, SO_PEERCRED)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None, None
    size = struct.calcsize("3i")
    pid, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, user
