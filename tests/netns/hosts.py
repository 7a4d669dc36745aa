"""Two hosts on one machine: network namespaces of their own, joined by a cable that can be cut. Root, and iproute2."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("alpha", "beta")
NETWORK = "10.77.13"


def lacking() -> str:
    """What is missing on this machine, as a sentence; "" where nothing is."""
    if os.geteuid() != 0:
        return "network namespaces are root's to make"
    absent = [program for program in ("ip", "unshare", "hostname") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not found; run as root: apt-get install iproute2" if absent else ""


@dataclass
class Host:
    """A namespace with a name and an address of its own, and what runs in it."""

    name: str
    space: str
    address: str
    names: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, words: Sequence[str], environ: Mapping[str, str], **named: Any) -> subprocess.Popen[str]:
        """Run a program there; the host's own name is its name, and it knows the other one's."""
        become = f'hostname {self.name} && mount --bind {self.names} /etc/hosts && exec "$@"'
        inside = ["unshare", "--uts", "--mount", "sh", "-c", become, "sh", *words]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, *inside], env=dict(environ), text=True, start_new_session=True, **named
        )
        self.started.append(process)
        return process

    def cut(self) -> None:
        """Take its cable away: no word goes out any more, and no end of a connection."""
        _ip("-n", self.space, "link", "set", "cable", "down")

    def pids(self) -> list[int]:
        """What runs in it."""
        done = subprocess.run(["ip", "netns", "pids", self.space], capture_output=True, text=True, check=False)
        return [int(word) for word in done.stdout.split()]

    def kill(self) -> None:
        """End all that runs in it, with no word."""
        deadline = time.monotonic() + 10.0
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for process in self.started:
            process.wait()


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other, and nobody else.

    Args:
        folder: for the file that tells them their names.
    """
    tag, names = f"lm{os.getpid()}", folder / "hosts"
    first, second = (
        Host(name, f"{tag}{name[0]}", f"{NETWORK}.{number}", names) for number, name in enumerate(NAMES, start=1)
    )
    lines = ("127.0.0.1 localhost", *(f"{host.address} {host.name}" for host in (first, second)))
    names.write_text("".join(f"{line}\n" for line in lines))
    made = []
    try:
        for host in (first, second):
            _ip("netns", "add", host.space)
            made.append(host)
        _ip("-n", first.space, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second.space)
        for host in (first, second):
            _ip("-n", host.space, "address", "add", f"{host.address}/24", "dev", "cable")
            for link in ("lo", "cable"):
                _ip("-n", host.space, "link", "set", link, "up")
        yield first, second
    finally:
        for host in made:
            host.kill()
            _ip("netns", "delete", host.space)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
