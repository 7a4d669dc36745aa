"""What a history needs of each run, kept from one call to the next: reading a thousand runs takes minutes.

Kept in the user's cache and not beside the runs, so that nobody who gives away a run's folder can give figures along
that are not those of its records. A file is named by the digest of all that the run says and lies in a folder named by
the digest of the code that read it: what is changed is read anew, and a file that is spoilt, too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.borders import json_text
from bench.errors import RunError
from bench.results import decoding, files, store

if TYPE_CHECKING:
    from bench.analysis.history_points import RunPoints

WINGS = ("analysis", "axes", "machine", "plan", "results", "stats")
# Folders of code that nobody has used for so many seconds are cleared away.
FORGOTTEN = 30 * 86400.0


def cached_points(folder: Path, digest: str | None = None) -> RunPoints:
    """The points of the run in that folder.

    Args:
        digest: of its content, where that is known already.

    Raises:
        RunError: it cannot be read, or is not as it was written.
    """
    from bench.analysis.history_points import points_of_run

    digest = digest or content_digest(folder)
    place = kept_place(digest)
    kept = _kept(place)
    if kept is not None:
        return kept
    found = points_of_run(store.intact(store.read_run(folder)))
    if content_digest(folder) == digest:  # else it is being written
        _keep(place, found)
    return found


def content_digest(folder: Path) -> str:
    """SHA-256 of all that a run says.

    Raises:
        RunError: it cannot be read.
    """
    found = hashlib.sha256()
    for name in (store.RUN, store.RECORDS, store.ANCHOR):
        path = folder / name
        own = hashlib.sha256()
        if os.path.lexists(path) or name == store.RUN:
            for line in files.read_lines(path):
                own.update(line)
        found.update(own.digest())
    return found.hexdigest()


def kept_place(digest: str) -> Path:
    """Where the points of a run of that content are kept."""
    return cache_of_code() / f"{digest}.json.z"


def cache_of_code() -> Path:
    """The folder of what this code has read."""
    return files.cache_folder() / "history" / code_digest()


@cache
def code_digest() -> str:
    """Of the wings that make points of records, and of the packages that count."""
    found = hashlib.sha256("".join(f"{name} {version(name)} " for name in ("numpy", "pandas", "scipy")).encode())
    root = Path(__file__).parent.parent
    for wing in WINGS:
        for path in sorted((root / wing).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _kept(place: Path) -> RunPoints | None:
    """What is kept there, if it is as it was written."""
    from bench.analysis.history_points import RunPoints

    try:
        checksum, _, packed = files.read_bytes(place).partition(b"\n")
        if hashlib.sha256(packed).hexdigest().encode() != checksum:
            return None
        return decoding.decode(RunPoints, zlib.decompress(packed), place, whole=True)
    except (RunError, zlib.error):
        return None


def _keep(place: Path, found: RunPoints) -> None:
    """Keep it, where that is possible; a history needs no cache."""
    packed = zlib.compress(json_text(asdict(found)).encode(), 1)
    with suppress(RunError, OSError):
        if not place.parent.exists():
            _forget(place.parent.parent)
        files.write_aside(place, hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed)


def _forget(caches: Path) -> None:
    """Clear away what code read that is used no more."""
    limit = time.time() - FORGOTTEN
    for folder in caches.iterdir() if caches.is_dir() else ():
        if folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
