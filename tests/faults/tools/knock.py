"""`knock HOW`: a stranger at the conductor's door; HOW says what it does there. It goes when `bench` does.

The door is the AF_UNIX socket on which `bench` listens, as /proc/net/unix tells: a path, or a name that begins with
NUL, which is written as `@` there.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path


def doors() -> list[str]:
    """Addresses on which `bench` itself listens."""
    own = set()
    for descriptor in (Path("/proc") / os.environ["BENCH_PID"] / "fd").glob("*"):
        with suppress(OSError):
            own.add(os.readlink(descriptor))
    found = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[3] == "00010000" and f"socket:[{fields[6]}]" in own:
            found.append("\0" + fields[7][1:] if fields[7].startswith("@") else fields[7])
    return found


def alive(parent: Path) -> bool:
    """Whether `bench` runs; where it has ended, its parent waits for us before it looks."""
    with suppress(OSError):
        return (parent / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def main(how: str) -> None:
    deadline = time.monotonic() + 60
    while not (found := doors()):
        if time.monotonic() > deadline:
            sys.exit("knock: no door")
        time.sleep(0.05)
    parent = Path("/proc") / os.environ["BENCH_PID"]
    if how == "many":
        kept = []
        for _ in range(100):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(2.0)
            with suppress(OSError):
                one.connect(found[0])
            kept.append(one)
        while alive(parent):
            time.sleep(0.05)
        return
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(found[0])
        with suppress(OSError):
            if how == "wrong-key":  # a handshake (`bench.machine.knock`) whose proof is made up
                door.sendall(struct.pack("!i", 48) + b"loopmark-knock-1" + os.urandom(32))
                door.recv(68, socket.MSG_WAITALL)
                door.sendall(struct.pack("!i", 32) + os.urandom(32))
            elif how == "garbage":
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
        while alive(parent):
            time.sleep(0.05)


main(sys.argv[1])
