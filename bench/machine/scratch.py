"""Temporary folders that outlive no run: each holds a lock as long as its process lives, and the next one sweeps.

A process that is killed cannot clean up. Its folders are found by their lock, which nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import BenchError
from bench.machine.git import git
from bench.results.files import try_lock

PREFIX = "bench-"
HOME_LOCK = "lock"
CHECKOUTS = "checkouts"  # a file that names the repository whose git worktrees are in the folder
# Children put sockets into folders below ours (multiprocessing: `pymp-xxxxxxxx/listener-xxxxxxxx`), and the path of one
# may have 107 bytes (unix(7)). Ours adds 30 to this, theirs 31.
_LONGEST = 44
_SHORT = ("/tmp", "/var/tmp")


class Home:
    """A folder of our own, until it is closed.

    Raises:
        BenchError: there is no place for temporary files.
    """

    def __init__(self, kind: str = "") -> None:
        try:
            base = place()
            sweep(base)
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}", dir=base))
            # Locked before it has the name that sweepers look for.
            self._lock = os.open(self.path / f".{HOME_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            (self.path / f".{HOME_LOCK}").rename(self.path / HOME_LOCK)
        except OSError as error:
            raise BenchError(f"temporary files cannot be written: {error.strerror or error}; set TMPDIR") from None

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def place() -> Path:
    """The folder for temporary files, or another one where its path is too long for sockets within."""
    given = tempfile.gettempdir()
    if len(os.fsencode(given)) <= _LONGEST:
        return Path(given)
    short = next((folder for folder in _SHORT if os.access(folder, os.W_OK | os.X_OK)), given)
    return Path(short)


def sweep(base: Path) -> list[Path]:
    """Remove our folders whose process is gone; gives those that were removed."""
    swept = []
    for folder in sorted(base.glob(f"{PREFIX}*")):
        with suppress(OSError):  # another sweeps here too, or it is none of this user's
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(folder / HOME_LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if try_lock(descriptor):
                    _forget_checkouts(folder)
                    shutil.rmtree(folder, ignore_errors=True)
                    swept.append(folder)
            finally:
                os.close(descriptor)
    return swept


def _forget_checkouts(folder: Path) -> None:
    """Take the folder's git worktrees out of the list that their repository has of them."""
    if not (folder / CHECKOUTS).is_file():
        return
    repository = (folder / CHECKOUTS).read_text(encoding="utf-8", errors="surrogateescape").strip()
    for checkout in (path for path in folder.iterdir() if (path / ".git").exists() and not path.is_symlink()):
        git("worktree", "remove", "--force", str(checkout), repository=Path(repository), timeout=60)


@contextmanager
def scratch_folder(kind: str = "") -> Iterator[Path]:
    """A folder of our own for a while."""
    with Home(kind) as made:
        yield made.path
