"""`knock HOW`: a stranger at the conductor's door; HOW says what it does there. It goes when `bench` does.

The door is the AF_UNIX socket that listens below TMPDIR, or anywhere by a name of ours, as /proc/net/unix tells.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Client
from pathlib import Path


def doors() -> list[str]:
    """Addresses that listen, our own ones first."""
    home = os.environ["TMPDIR"]
    paths = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if "00010000" in line]
    near = [path for path in paths if path.startswith(home)]
    return near or [path for path in paths if "bench-" in path or "loopmark" in path]


def main(how: str) -> None:
    deadline = time.monotonic() + 60
    while not (found := doors()):
        if time.monotonic() > deadline:
            sys.exit("knock: no door")
        time.sleep(0.05)
    parent = Path("/proc") / os.environ["BENCH_PID"]
    if how == "wrong-key":
        with suppress(Exception):
            Client(found[0], authkey=b"guessed")
        return
    if how == "many":
        kept = []
        for _ in range(100):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(2.0)
            with suppress(OSError):
                one.connect(found[0])
            kept.append(one)
        while parent.exists():
            time.sleep(0.05)
        return
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(found[0])
        with suppress(OSError):
            if how == "garbage":
                door.sendall(os.urandom(4096))
            elif how == "zeros":
                door.sendall(b"\0" * 4096)
            elif how == "huge-frame":
                door.sendall(struct.pack("!i", 2**31 - 1) + b"x" * 1024)
            elif how == "huge-frame-64":
                door.sendall(struct.pack("!i", -1) + struct.pack("!Q", 2**62) + b"x" * 1024)
            elif how == "half-header":
                door.sendall(b"\0\0")
            elif how == "http":
                door.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            elif how == "silent":
                pass
            elif how == "hang-up":
                return
        while parent.exists():
            time.sleep(0.05)


main(sys.argv[1])
