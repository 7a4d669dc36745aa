"""How a process of a run comes to its conductor: the handshake at the door, from the side of who knocks. No torch.

Both ends prove that they know the run's key, and neither says it: each makes a nonce, and each sends the HMAC-SHA256
of both nonces after a word for its own direction. So nothing that was recorded opens a door again, and what a door has
said proves nothing when it is said back to one. What follows is neither secret nor signed: the network is trusted with
figures, not with who may give orders.

    knocker   "loopmark-knock-1", nonce         48 bytes
    door      nonce, proof                      64
    knocker   proof                             32
    knocker   hello                             up to 64 KiB
    door      "welcome", or "no: " and why      up to 256

Every line is a frame of `multiprocessing.connection`: four bytes of length, the most significant first, then the
message. What comes after them is such a connection. Theirs is another handshake: it differs between Python 3.11 (MD5)
and 3.12, it lets a stranger announce any length, and its client cannot know whether it was let in.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

Address = str | Sequence[str | int]  # the path or abstract name of a socket of this machine, or host and port
Words = bytes | Callable[[socket.socket], bytes]

MAGIC = b"loopmark-knock-1"
NONCE = 32
PROOF = 32
OPENING = len(MAGIC) + NONCE
ANSWER = NONCE + PROOF
LONGEST_HELLO = 2**16
LONGEST_ANSWER = 256
WELCOME = b"welcome"
REFUSAL = b"no: "
PATIENCE = 300.0  # seconds to come in; an arm's door is there already, a node's may still be on its way
CONNECT = 3.0  # seconds for one address to answer where there are others, or to be tried afresh
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.25  # seconds between tries, each twice the last one, give or take a half
# A machine that loses its power says nothing. It is missed after 5 s of silence, asked 3 times, 2 s apart, and given up
# after 11 s, also with something under way to it. A process that is stopped does not count: its kernel answers for it.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPALIVE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 11_000}


class KnockError(ConnectionError):
    """Nobody let us in: which address, and why."""


class _Refused(KnockError):
    """It is no use to try again."""


def knock(addresses: Sequence[Address], key: bytes, hello: Words, patience: float = PATIENCE) -> Connection:
    """A connection to the conductor, which knows this process by its hello; see `find_door`."""
    return find_door(addresses, key, hello, patience)[0]


def find_door(
    addresses: Sequence[Address], key: bytes, hello: Words, patience: float = PATIENCE
) -> tuple[Connection, Address]:
    """Knock at these addresses of one door, one after another, until it is opened; says at which it was, too.

    A door that is closed in the middle of the handshake, as it is to make room, is tried again. On a socket of this
    machine its answer is waited for as long as it takes: a conductor that was stopped (Ctrl-Z) goes on some time.

    Args:
        hello: who we are; or a function that says it, of the connected socket, where that tells of ourselves.
        patience: seconds until it is given up.

    Raises:
        KnockError: nobody opened; or who did does not know the key, or does not want us.
    """
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        errors: list[OSError | EOFError] = []
        for address in addresses:
            try:
                return _enter(address, key, hello, deadline, alone=len(addresses) == 1), address
            except (OSError, EOFError) as error:
                errors.append(error)
        refused = [error for error in errors if isinstance(error, _Refused)]
        left = deadline - time.monotonic()
        if len(refused) == len(errors) or left <= 0:
            tried = (f"{name(address)}: {error}" for address, error in zip(addresses, errors, strict=True))
            raise KnockError(f"the conductor did not let this process in; {'; '.join(tried)}") from None
        # Of system randomness: an arm's own generators are its training's.
        time.sleep(min(left, pause * (0.5 + int.from_bytes(os.urandom(2), "big") / 2**16)))
        pause = min(2 * pause, _LAST_PAUSE)


def _enter(address: Address, key: bytes, hello: Words, deadline: float, *, alone: bool) -> Connection:
    left = max(0.1, deadline - time.monotonic())
    with _connected(address, left) as connected:
        if isinstance(address, str):
            connected.settimeout(None)
        else:
            connected.settimeout(left if alone else min(left, 10.0))
        ours = secrets.token_bytes(NONCE)
        connected.sendall(frame(MAGIC + ours))
        answer = _receive(connected, ANSWER)
        theirs = answer[:NONCE]
        if not hmac.compare_digest(answer[NONCE:], proof(key, b"door", ours, theirs)):
            with suppress(OSError):  # so that the other end knows, too
                connected.sendall(frame(proof(key, b"knock", ours, theirs)))
            raise _Refused("who answers there does not know the key of this run")
        words = hello if isinstance(hello, bytes) else hello(connected)
        connected.sendall(frame(proof(key, b"knock", ours, theirs)) + frame(words))
        verdict = _receive(connected, LONGEST_ANSWER)
        if verdict != WELCOME:
            raise _Refused(verdict.removeprefix(REFUSAL).decode(errors="replace"))
        connected.settimeout(None)  # a Connection reads and writes the descriptor itself, and must wait there
        return Connection(connected.detach())


def _connected(address: Address, left: float) -> socket.socket:
    if not isinstance(address, str):
        host, port = address
        connected = socket.create_connection((str(host), int(port)), min(left, CONNECT))
        keep_alive(connected)
        return connected
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.connect(address)  # waits while the queue is full
    except OSError as error:
        connected.close()
        # Such a socket is there before anybody is told of it: nobody will listen at it any more.
        raise _Refused(error.strerror or str(error)) from None
    return connected


def _receive(connected: socket.socket, longest: int) -> bytes:
    (length,) = struct.unpack("!i", _read(connected, 4))
    if not 0 <= length <= longest:
        raise _Refused(f"who answers there is no conductor of this version: a message of {length} bytes")
    return _read(connected, length)


def _read(connected: socket.socket, size: int) -> bytes:
    """So many bytes and no more: what comes after them is the connection's."""
    came = bytearray()
    while len(came) < size:
        more = connected.recv(size - len(came))
        if not more:
            raise EOFError("the connection was closed")
        came += more
    return bytes(came)


def frame(message: bytes) -> bytes:
    """A message of a handshake as it travels."""
    return struct.pack("!i", len(message)) + message


def proof(key: bytes, direction: bytes, knocker: bytes, door: bytes) -> bytes:
    """That who sends it, `door` or `knock`, knows the key, in the conversation of these two nonces."""
    return hmac.digest(key, MAGIC + direction.ljust(16, b"\0") + knocker + door, "sha256")


def keep_alive(connected: socket.socket) -> None:
    """Have a TCP connection send at once what it is given, and end when the other machine is gone."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if option == "TCP_KEEPALIVE" and sys.platform == "linux":  # macOS' name of TCP_KEEPIDLE
            continue
        if (number := getattr(socket, option, None)) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, number, value)


def name(address: Address) -> str:
    """An address as messages have it."""
    if isinstance(address, str):
        return address.lstrip("\0")
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
