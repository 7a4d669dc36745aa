"""The conductor's end of a connection to a child, and its patience. Nothing here blocks for longer than it was told.

The frames are those of `multiprocessing.connection`, whose other end a child has: four bytes of length, the most
significant first (-1: eight more follow), then the message. What has come of a frame is kept until the rest comes, so a
child that sends half of one keeps nobody waiting.
"""

from __future__ import annotations

import select
import socket
import struct
import time

from bench.protocol import LARGEST_FRAME, GarbledMessage

SLICE = 0.5  # seconds that a wait is asked for at most, so that a longer one is known for what it is
SLEPT = 1.0  # seconds that one may take longer before we call it sleep: the scheduler's delays are under 0.1 s
_SEND = 10.0  # seconds for a child to make room for an order: its buffer takes 100 of them (unix(7): 208 KiB)


class Patience:
    """A time limit that does not run while this process sleeps: stopped (Ctrl-Z), or with its machine (a paused VM).

    Each wait asks for at most SLICE seconds (`ask`), and tells when it is over (`left`). If that was much later than
    asked, it was us who slept, and it does not count.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._seen = time.monotonic()
        self.slept = 0.0

    def left(self) -> float:
        """Seconds that are left, and the clock read; 0.0 when none are."""
        now = time.monotonic()
        gap, self._seen = now - self._seen, now
        if gap > SLICE + SLEPT:
            self.slept += gap - SLICE
            gap = SLICE
        self._left -= gap
        return max(0.0, self._left)

    def ask(self) -> float:
        """Seconds to wait for now."""
        return min(SLICE, self.left())


class Channel:
    """A connected socket, read in frames that may come in parts.

    It can do what the handshake of `multiprocessing.connection` asks of a connection: `send_bytes`, `recv_bytes`.
    """

    def __init__(self, connected: socket.socket, patience: float = _SEND) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self._patience = patience
        self._came = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def half(self) -> int:
        """Bytes that came and are no whole frame yet."""
        return len(self._came)

    @property
    def pending(self) -> bool:
        """Whether a whole frame has come together with an earlier one: no poll of the socket will tell of it."""
        return self._end() is not None

    def take(self) -> bytes | None:
        """The next frame, or None where it has not come whole; never waits.

        Raises:
            EOFError: the other end is gone.
            Garbled: what came is no frame.
        """
        frame = self._cut()
        while frame is None:
            try:
                more = self._socket.recv(2**18)
            except BlockingIOError:
                return None
            except OSError as error:
                raise EOFError(str(error)) from None
            if not more:
                raise EOFError("the connection was closed")
            self._came += more
            frame = self._cut()
        return frame

    def _cut(self) -> bytes | None:
        """The first frame, out of what has come; None where it is not whole."""
        ends = self._end()
        if ends is None:
            return None
        begin, end = ends
        if not 0 <= end - begin <= LARGEST_FRAME:
            head = bytes(self._came[:12])
            raise GarbledMessage(f"bytes that begin with {head!r}, as a message of {end - begin} bytes would")
        frame = bytes(memoryview(self._came)[begin:end])
        del self._came[:end]
        return frame

    def _end(self) -> tuple[int, int] | None:
        """Where the first frame begins and ends in what has come; None where it is not whole. Any end, of no frame."""
        came = self._came
        if len(came) < 4:
            return None
        (length,) = struct.unpack_from("!i", came)
        begin = 4
        if length == -1:
            if len(came) < 12:
                return None
            (length,) = struct.unpack_from("!Q", came, 4)
            begin = 12
        whole = len(came) >= begin + length or not 0 <= length <= LARGEST_FRAME
        return (begin, begin + length) if whole else None

    def readable(self) -> bool:
        """Whether something is there to be taken, were it the end."""
        return bool(self._came or _poll(self._socket, select.POLLIN, 0.0))

    def send_bytes(self, data: bytes) -> None:
        """Send one frame.

        Raises:
            OSError: the other end is gone, or did not make room for it in time.
        """
        rest = memoryview(struct.pack("!i", len(data)) + data)
        patience: Patience | None = None
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                patience = patience or Patience(self._patience)
                if not patience.left():
                    raise TimeoutError("it reads nothing") from None
                _poll(self._socket, select.POLLOUT, patience.ask())
            if not rest:
                return

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Wait for one frame, as long as patience lasts.

        Raises:
            OSError: it did not come, or is longer than `maxlength`.
            EOFError, Garbled: as `take`.
        """
        patience = Patience(self._patience)
        while (frame := self.take()) is None:
            if not patience.left():
                raise TimeoutError("it says nothing")
            _poll(self._socket, select.POLLIN, patience.ask())
        if maxlength is not None and len(frame) > maxlength:
            raise OSError("bad message length")  # as multiprocessing.connection says it
        return frame


def _poll(connected: socket.socket, event: int, seconds: float) -> bool:
    waiter = select.poll()
    waiter.register(connected.fileno(), event)
    return bool(waiter.poll(seconds * 1000))
