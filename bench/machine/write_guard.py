"""Folders that a process and all that it starts can read and not change: Landlock (landlock(7), Linux 5.13 and later).

Landlock allows and never forbids, and what it allows holds for all that lies below. So everything is allowed that is
neither a protected folder nor on the way to one: for `/home/me/project` that is all that lies in `/`, `/home` and
`/home/me` but `home`, `me` and `project`. Hence nothing new can be made *directly* in a folder on the way (`/`,
`/home`, `/home/me`), while all that was there can be written to as before: `/tmp`, `/dev`, `/proc`, `~/.cache`. Where
a folder on the way may not be listed (`/home` of many clusters), nothing else in it can be written.

Where the folder to protect is `/`, the home folder or one above it, that would leave nothing to write to. There, what
systems and libraries write to (`_SYSTEM`, and folders of the home folder whose names begin with a dot) stays open, just
as it does for a project elsewhere.

Not covered, since Landlock has no right for it: permissions, owners, times and extended attributes of files; files that
were open before; the same files by way of another mount; what a service is asked to do that runs already. Before
Linux 6.2 truncate(2), too, which empties a file without opening it. Before Linux 5.19 no file can be moved from one
folder to another by rename(2), anywhere: EXDEV, upon which `shutil.move` copies.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from stat import S_ISDIR

from bench.machine.strays import prctl

LANDLOCK = "landlock"
_SYSTEM = ("/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp")
_OF_PROJECTS = frozenset({".git", ".hg", ".svn", ".venv"})  # hidden, too, and the user's
# System calls: the same numbers on all architectures but alpha. And linux/prctl.h: without it only root may do this.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
# linux/landlock.h: a rule's type, and the rights to change something.
_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
_IN_FOLDERS = sum(1 << bit for bit in range(4, 13))  # remove and make folders, files, sockets, pipes, devices, links
_TO_ANOTHER_FOLDER = 1 << 13  # from version 2 of the interface on
_TRUNCATE = 1 << 14  # from version 3 on


def protect(folders: Sequence[Path], keep: Sequence[Path] = ()) -> str:
    """Let this process and its descendants change nothing below `folders`, for ever, but what is below `keep`.

    To be called while the process has one thread: others would go on as they were. Takes milliseconds.

    Args:
        folders: by any of their names; what these lead to is protected.
        keep: folders that are there already, and can be written to even where they lie in one of those.

    Returns:
        What protects: `landlock`; or "" where the kernel has none or a container hides it, and nothing is protected.

    Raises:
        RuntimeError: the process has other threads.
    """
    version = _version()
    if version < 1:
        return ""
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        raise RuntimeError(f"Landlock restricts one thread, and the process has {threads}")
    rights = _WRITE_FILE | _IN_FOLDERS
    rights |= _TO_ANOTHER_FOLDER if version >= 2 else 0
    rights |= _TRUNCATE if version >= 3 else 0
    ruleset = _syscall(_CREATE_RULESET, struct.pack("=Q", rights), 8, 0)
    if ruleset < 0:
        return ""
    try:
        kept = [os.path.realpath(folder) for folder in keep]
        real = _outermost(os.path.realpath(folder) for folder in folders)
        # A folder that is mounted in two places has one set of rights: allowed in one of them, it would be in both.
        shut = {_identity(path) for path in (*real, *_above(real))} - {_identity(path) for path in kept}
        for path in writable_paths(real, kept):
            _allow(ruleset, path, rights, shut)
        prctl(_NO_NEW_PRIVILEGES, 1)
        return LANDLOCK if _syscall(_RESTRICT_SELF, ruleset, 0) == 0 else ""
    finally:
        os.close(ruleset)


def writable_paths(folders: Sequence[str], keep: Sequence[str] = ()) -> Iterator[str]:
    """What is to be allowed, so that all can be written to but `folders` and the folders above them.

    Args:
        folders: real paths, none below another.
        keep: real paths that are to be allowed in any case, but for `folders` that lie in them.
    """
    yield from _beside("/", frozenset(folders))
    for path in (*keep, *_always(folders)):
        yield from _beside(path, frozenset(folder for folder in folders if _lies_in(folder, path)))


def _always(folders: Sequence[str]) -> Iterator[str]:
    """What stays open of folders that hold the whole home folder, or all there is."""
    home = os.path.realpath(os.path.expanduser("~"))
    for folder in folders:
        if folder == home or _lies_in(home, folder):
            places = [os.path.realpath(path) for path in (*_SYSTEM, tempfile.gettempdir())]
            yield from (path for path in places if _lies_in(path, folder))
            hidden = (path for path in _entries(home) if os.path.basename(path).startswith(".") and os.path.isdir(path))
            yield from (path for path in hidden if os.path.basename(path) not in _OF_PROJECTS)


def _beside(top: str, folders: frozenset[str]) -> Iterator[str]:
    """The largest parts of `top` that hold none of these folders and are in none."""
    above = _above(folders)

    def parts(path: str) -> Iterator[str]:
        if path in above:
            for entry in _entries(path):
                yield from parts(entry)
        elif path not in folders:
            yield path

    return iter(()) if top in folders else parts(top)


def _entries(folder: str) -> list[str]:
    """What is in a folder, but links: what they lead to has a place of its own."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if not entry.is_symlink()]
    return []


def _above(paths: Iterable[str]) -> set[str]:
    return {str(above) for path in paths for above in Path(path).parents}


def _lies_in(path: str, folder: str) -> bool:
    return path != folder and os.path.commonpath((path, folder)) == folder


def _outermost(paths: Iterable[str]) -> list[str]:
    found = set(paths)
    return sorted(path for path in found if found.isdisjoint(_above([path])))


def _identity(path: str) -> tuple[int, int]:
    with suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return 0, 0


def _allow(ruleset: int, path: str, rights: int, shut: set[tuple[int, int]]) -> None:
    with suppress(OSError):  # it is gone by now
        # O_PATH opens nothing, and does not mount what is mounted when it is wanted (open(2)).
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) not in shut:
                own = rights if S_ISDIR(status.st_mode) else rights & (_WRITE_FILE | _TRUNCATE)
                _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", own, descriptor), 0)
        finally:
            os.close(descriptor)


def _version() -> int:
    """The version of the kernel's interface, from 1; 0 or less where there is none."""
    return _syscall(_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else 0


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    """What the kernel answers; -1 for every error. Numbers go as longs, bytes as a pointer to them."""
    import ctypes

    made = [ctypes.c_long(value) if isinstance(value, int) else ctypes.c_char_p(value) for value in arguments]
    return int(_function()(ctypes.c_long(number), *made))


@cache
def _function() -> Callable[..., int]:
    """syscall(2)."""
    import ctypes

    function = ctypes.CDLL(None).syscall
    function.restype = ctypes.c_long
    return function
