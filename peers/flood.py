"""Strangers at a door, of all kinds, as many as one likes; and a genuine handshake recorded, to be played back there.

`python -m peers.flood` is one that reads addresses and their number from standard input, for `peers.scale`.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from bench.machine.knock import MAGIC, NONCE, PROOF, Address, frame

# What each says, and whether it then stays on the line. Of the door's words for them (`bench.engine.door_handshake`)
# "wrong secret" is also that for who plays back what a genuine process once said.
FIRST_WORDS: Mapping[str, Callable[[], bytes]] = {
    "wrong secret": lambda: frame(MAGIC + os.urandom(NONCE)) + frame(os.urandom(PROOF)),
    "garbage": lambda: frame(os.urandom(len(MAGIC) + NONCE)),
    "another protocol": lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a message": lambda: frame(MAGIC + os.urandom(NONCE))[:20],
    "silence": lambda: b"",
    "2 GiB announced": lambda: struct.pack("!i", 2**31 - 1) + b"x" * 1024,
    "hangs up": lambda: b"",
    "replay": lambda: b"",
}


class Flood:
    """Sends one stranger after another, each kind in its turn, to each address in its turn.

    Args:
        addresses: of a door.
        recorded: what a genuine process has said there.
    """

    def __init__(self, addresses: Sequence[Address], recorded: bytes) -> None:
        self._addresses = tuple(addresses)
        self._recorded = recorded
        self._on_the_line: list[socket.socket] = []
        self.sent = dict.fromkeys(FIRST_WORDS, 0)

    def one(self) -> None:
        """The next one; it stays on the line as long as the door lets it."""
        number = sum(self.sent.values())
        kind = list(FIRST_WORDS)[number % len(FIRST_WORDS)]
        stranger = called(self._addresses[number // len(FIRST_WORDS) % len(self._addresses)])
        with suppress(OSError):  # the door is closed to it before it has said it all
            stranger.sendall(self._recorded if kind == "replay" else FIRST_WORDS[kind]())
        if kind == "hangs up":
            stranger.close()
        else:
            self._on_the_line.append(stranger)
        self.sent[kind] += 1

    def tidy(self) -> int:
        """Forget those that the door has closed; gives how many stay."""
        poll = select.poll()
        by_number = {one.fileno(): one for one in self._on_the_line}
        for number in by_number:
            poll.register(number, select.POLLIN | select.POLLHUP)
        for number, _ in poll.poll(0):
            if _closed(by_number[number]):
                by_number.pop(number).close()
        self._on_the_line = list(by_number.values())
        return len(self._on_the_line)

    def close(self) -> None:
        for one in self._on_the_line:
            one.close()
        self._on_the_line.clear()


def _closed(one: socket.socket) -> bool:
    """Whether the other end is gone; what it has said is passed over."""
    try:
        while one.recv(4096, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def called(address: Address) -> socket.socket:
    """A socket that is connected to this address."""
    if not isinstance(address, str):
        return socket.create_connection((str(address[0]), int(address[1])), 20.0)
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(20.0)
    one.connect(address)
    return one


@contextmanager
def recorder(address: tuple[str, int]) -> Iterator[tuple[tuple[str, int], bytearray]]:
    """Between a process and a door: the address to knock at instead, and what is said to the door by who does."""
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as between:

        def relay() -> None:
            knocker, _ = between.accept()
            with knocker, socket.create_connection(address) as there, suppress(OSError):
                while True:
                    for one in select.select([knocker, there], [], [])[0]:
                        if not (data := one.recv(2**16)):
                            return
                        if one is knocker:
                            said.extend(data)
                        (there if one is knocker else knocker).sendall(data)

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        host, port = between.getsockname()[:2]
        yield (str(host), int(port)), said
        thread.join(10.0)


def main() -> None:
    """Send so many strangers, at a steady pace; then stay on the line until standard input ends."""
    asked = json.loads(sys.stdin.readline())
    flood = Flood(asked["addresses"], bytes.fromhex(asked["recorded"]))
    began = time.monotonic()
    for number in range(asked["count"]):
        flood.one()
        if number % 256 == 255:
            flood.tidy()
        time.sleep(max(0.0, began + number * asked["seconds"] / asked["count"] - time.monotonic()))
    print(json.dumps({"sent": flood.sent, "seconds": time.monotonic() - began}), flush=True)
    sys.stdin.read()
    flood.close()


if __name__ == "__main__":
    main()
