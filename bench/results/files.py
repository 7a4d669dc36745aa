"""Files that are whole or not there: written aside, synced, renamed; appended by one write or not at all; locked.

A full disk, a kill or a second process finds the old file or the new one, never a part. All errors are `RunError`s
that name the path and the system's reason.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from bench.errors import RunError

POLL = 0.1  # seconds between two tries to get a lock: flock(2) has no time limit of its own


def unwritable(path: Path, error: OSError) -> RunError:
    """What is said where a path cannot be written."""
    return RunError(f"{path}: cannot be written: {error.strerror or error}")


def cache_folder() -> Path:
    """The program's folder in the user's cache: `loopmark` in XDG_CACHE_HOME or ~/.cache.

    A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification wants it.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()) / "loopmark"


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; nothing else is waited for.

    Raises:
        RunError: it cannot be read, or is a folder, a pipe or a device, which might not end.
    """
    try:
        with _opened(path) as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
            raise RunError(f"{path}: not readable: it is {what}, not a file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError | ValueError) -> RunError:
    return RunError(f"{path}: not readable: {getattr(error, 'strerror', None) or error}")  # ValueError: it has a NUL


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a regular file, each with its end, one after the other; as `read_bytes` else."""
    try:
        with _opened(path) as file:
            yield from file
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def ends_whole(path: Path) -> bool:
    """Whether the last line of a regular file has its end, or there is none; as `read_bytes` else."""
    try:
        with _opened(path) as file:
            if not file.seek(0, os.SEEK_END):
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def write_aside(path: Path, content: str | bytes) -> None:
    """Put a file of this content into the place of what is there; what is there is kept if anything fails.

    Raises:
        RunError: it cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path = path.resolve()  # the file that a link leads to is replaced, and the link stays
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with open(path, "wb") as stream:  # a device or a pipe, /dev/stdout say: nothing to keep, nothing to rename
                stream.write(data)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{secrets.token_hex(8)}.part"
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def filled_aside(path: Path) -> Iterator[Path]:
    """A path to be written to, bit by bit; it takes the place of `path` when it is whole, and is gone if that fails.

    Raises:
        RunError: it cannot be written.
    """
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{secrets.token_hex(8)}.part"
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None


def append(path: Path, content: str) -> None:
    """Append lines with one write, and wait until they are on the disk; where that fails, the file is as it was.

    Raises:
        RunError: it cannot be written.
    """
    data = memoryview(content.encode("utf-8"))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
                if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a terminal has no disk
                    os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to be filled, under another name; it gets its own when it is whole, and is gone when anything fails.

    Raises:
        RunError: the name is taken, or nothing can be written there.
    """
    aside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.mkdir()
        except OSError as error:
            raise unwritable(path, error) from None
        yield aside
        with lock(path.parent / ".lock"):
            if path.exists():
                raise RunError(f"{path}: is there already")
            try:
                aside.rename(path)
                sync_folder(path.parent)
            except OSError as error:
                raise unwritable(path, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # nothing is left of it under this name where it is whole


@contextmanager
def lock(path: Path, patience: float = 60.0) -> Iterator[None]:
    """Hold a lock file; whoever else wants it waits.

    Args:
        patience: seconds to wait for another process to let go.

    Raises:
        RunError: it cannot be made, or another process held it all the time.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        deadline = time.monotonic() + patience
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise RunError(f"{path}: another process has held it for {patience:g} s; wait for it or end it")
            time.sleep(POLL)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether the open file could be locked now (flock(2)); it is let go when the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can."""
    with suppress(OSError):  # network file systems and macOS have folders that cannot be opened or synced
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def discard(stream: TextIO) -> None:
    """Send what a stream still has in its buffer, and all that follows, nowhere: its file cannot be written any more.

    The interpreter flushes the standard streams when it ends, and would end with a code of its own (120) otherwise.
    """
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
