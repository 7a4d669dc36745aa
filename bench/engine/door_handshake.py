"""The door's half of a handshake, as bytes that come and bytes that go: no socket, no clock (`bench.machine.knock`)."""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Callable
from typing import Literal

from bench.machine.knock import (
    LONGEST_ANSWER,
    LONGEST_HELLO,
    MAGIC,
    NONCE,
    OPENING,
    PROOF,
    frame,
    proof,
)

Kind = Literal[
    "another user",
    "garbage",
    "too long",
    "half a message",
    "silence",
    "closed early",
    "wrong secret",
    "no hello",
    "too many at once",
    "not awaited",
]


class StrangerError(Exception):
    """Who is there is not to be let in: of which kind, and what it was in its case."""

    def __init__(self, kind: Kind, detail: str) -> None:
        self.kind: Kind = kind
        self.detail = detail
        super().__init__(f"{kind}: {detail}")


class Handshake:
    """One conversation at the door, up to the hello.

    Attributes:
        proved: whether who is there has shown that it knows the key.
        hello: what it says that it is, once that has come.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._came = bytearray()
        self._nonces = (b"", b"")
        self._next: Callable[[bytes], bytes] = self._opening
        self._shortest, self._longest = OPENING, OPENING
        self.proved = False
        self.hello: bytes | None = None

    @property
    def half(self) -> int:
        """Bytes that came and are no whole message yet."""
        return len(self._came)

    @property
    def wanted(self) -> int:
        """How many bytes to read now at most; those that follow are none of the handshake's."""
        return self._size() - len(self._came)

    def _size(self) -> int:
        if len(self._came) < 4:
            return 4
        (length,) = struct.unpack_from("!i", self._came)
        return 4 + int(length)

    def take(self, data: bytes) -> bytes:
        """Hear `wanted` bytes or less; gives those to be sent in return.

        Raises:
            StrangerError: that is not what is said here. Nothing is kept or waited for.
        """
        self._came += data
        if len(self._came) < 4:
            return b""
        (length,) = struct.unpack_from("!i", self._came)
        if not self._shortest <= length <= self._longest:
            raise self._misfit(length)
        if len(self._came) < 4 + length:
            return b""
        message = bytes(memoryview(self._came)[4:])
        self._came = bytearray()
        return self._next(message)

    def _misfit(self, length: int) -> StrangerError:
        head = bytes(self._came[:4])
        # -1 is how multiprocessing's frames begin that have eight bytes of length. Text is another protocol.
        if (length > max(self._longest, LONGEST_ANSWER) or length == -1) and not all(32 <= byte < 127 for byte in head):
            return StrangerError("too long", f"a message of {length if length > 0 else 'over 2147483647'} bytes")
        return StrangerError("garbage", f"it begins with {head!r}")

    def _opening(self, message: bytes) -> bytes:
        if not message.startswith(MAGIC):
            raise StrangerError("garbage", f"it begins with {message[:16]!r}")
        self._nonces = (message[len(MAGIC) :], secrets.token_bytes(NONCE))
        self._next, self._shortest, self._longest = self._proof, PROOF, PROOF
        return frame(self._nonces[1] + proof(self._key, b"door", *self._nonces))

    def _proof(self, message: bytes) -> bytes:
        if not hmac.compare_digest(message, proof(self._key, b"knock", *self._nonces)):
            raise StrangerError("wrong secret", "it does not know the key of this run")
        self.proved = True
        self._next, self._shortest, self._longest = self._hello, 0, LONGEST_HELLO
        return b""

    def _hello(self, message: bytes) -> bytes:
        self.hello = message
        return b""
