"""A user's folder that must be in the end what it was, with no process left of those that were started for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

MARK = "LOOPMARK_UNHARMED"  # in the environment of all that a test starts


@contextmanager
def unharmed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails where a file of the folder was changed, made or removed meanwhile, or a process is left."""
    before = digests(folder)
    monkeypatch.setenv(MARK, str(folder))
    yield
    assert digests(folder) == before
    assert marked(folder) == []


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def marked(folder: Path) -> list[int]:
    """Processes, but this one, that began with the folder's mark in their environment."""
    wanted = f"{MARK}={folder}".encode()
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if wanted in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                found.append(int(name))
        except OSError:  # it is gone, or another user's
            continue
    return [pid for pid in found if pid != os.getpid()]
