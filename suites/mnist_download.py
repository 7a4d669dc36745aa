"""torchvision's own download of MNIST, as a program: in a process of its own, which has limits that a library has not.

torchvision 0.28 waits for ever for a mirror that answers nothing or a byte a second, writes whatever a mirror sends,
and unpacks it into memory whole. The kernel ends this process when its time is up, and lets it write no file larger,
and take no more memory, than MNIST's need; the process that asked waits, and says what became of it.

    python -P mnist_download.py '{"root": ..., "seconds": ..., "largest": ..., "mirrors": null, "resources": null}'

The last line that it prints is `null`, or why it failed, as JSON.
"""

from __future__ import annotations

import json
import resource
import signal
import socket
import sys
import zlib
from http.client import HTTPException
from typing import Any

SOCKET_SECONDS = 20.0  # of silence until the next mirror is tried; torchvision has no limit of its own
MEMORY = 2**29  # bytes, over what the imports took; MNIST's largest file unpacked is 47 MB, there twice for a moment


def download(
    root: str, seconds: float, largest: int, mirrors: list[str] | None, resources: list[tuple[str, str]] | None
) -> str | None:
    """Have torchvision put MNIST's files under `root`; gives why it could not.

    Args:
        seconds: after which the kernel ends this process.
        largest: bytes that a file may have.
        mirrors: addresses to try; None: torchvision's own.
        resources: names of files and their MD5 sums; None: torchvision's own.
    """
    from torchvision.datasets import MNIST

    given = {"mirrors": mirrors, "resources": resources}
    own = type("MNIST", (MNIST,), {name: value for name, value in given.items() if value is not None})
    socket.setdefaulttimeout(min(SOCKET_SECONDS, seconds))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _limit(resource.RLIMIT_FSIZE, largest)
    _limit(resource.RLIMIT_DATA, _own_memory() + MEMORY)
    try:
        own(root, download=True)
    # A RuntimeError is made of some failures; what happens while a reply is read or unpacked comes as it is.
    except (RuntimeError, OSError, HTTPException, EOFError, ValueError, zlib.error) as error:
        return f"{' '.join(str(error).split()) or type(error).__name__}"
    except MemoryError:
        return f"what it unpacks to takes more than {MEMORY >> 20} MiB"
    return None


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _own_memory() -> int:
    """Bytes that count against RLIMIT_DATA; where the kernel does not tell them, as many as are never reached."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    except (OSError, StopIteration):
        return 2**50


def main(asked: dict[str, Any]) -> None:
    print(f"\n{json.dumps(download(**asked))}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
