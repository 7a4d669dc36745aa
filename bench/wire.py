"""The one transport: JSON, never a pickle, over `multiprocessing.connection`, whose handshake keeps strangers out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as it travels: one line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode()


def send(connection: Connection, message: Mapping[str, Any]) -> None:
    """Send one message."""
    connection.send_bytes(encode(message))


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for one message.

    Raises:
        EOFError: the other end is gone.
    """
    try:
        message = json.loads(connection.recv_bytes())
    except ConnectionError as error:
        raise EOFError(str(error)) from None
    if not isinstance(message, dict):
        raise ValueError(f"not a message: {message!r}")
    return message
