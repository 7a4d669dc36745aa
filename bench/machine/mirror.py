"""A scratch copy of a working folder, in which a training may write as if it were in the user's own.

Folders are real ones, so that anything can be made in them. Code and small files are copies; larger ones, as data are,
are links to the user's. Of those that a training may write over in place, such as its last checkpoint, the newest are
copies, too. Links can be written through unless `bench.machine.write_guard` protects what they lead to; where it
cannot, `copies` leaves fewer of them.

Each arm makes its own, in milliseconds: 2 for 30 files, 60 for 1,000.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bench.machine.scratch import HOME_LOCK, PREFIX

_KIB, _MIB = 2**10, 2**20
# No code and no data of a training, and maybe large: links that are read and not written, or left out with `copies`.
_ASIDE = frozenset(
    {
        *(".git", ".hg", ".svn", ".tox", ".nox", ".eggs", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".ipynb_checkpoints", "__pycache__", "__pypackages__", "site-packages", "node_modules"),
    }
)
_ENVIRONMENTS = frozenset({"pyvenv.cfg", "conda-meta"})  # what the folder of a Python environment has one of
# Folders of our own results have these; that of the run that goes on has no records yet.
_RUNS = (frozenset({"run.json", "records.jsonl"}), frozenset({"run.json", "logs"}), frozenset({"gate.json", "screen"}))
# A script is run, and finds modules, where it really is: links to code would lead back into the user's folder.
_CODE = frozenset({".py", ".pyi", ".ipynb", ".so", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini"})
# What trainings write again under the same name.
_WRITTEN = frozenset(
    {
        *(".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".onnx"),
        *(".csv", ".tsv", ".json", ".jsonl", ".parquet", ".db", ".sqlite", ".sqlite3", ".txt", ".log", ".out", ".err"),
    }
)


@dataclass(frozen=True)
class Limits:
    """How much of a folder is copied, and how far it is looked into.

    Args:
        small: bytes that a file may have to be copied, unless it is code: that may have `code`.
        total: bytes of all these. What is beyond is a link.
        written: bytes of all larger files together that are copied since trainings write such again, the newest first.
        everything: the same for larger files of every kind, with `copies`.
        entries: files, folders and links that are made. Folders beyond are links as a whole.
        folder: entries of one folder; one with more is data, and a link as a whole.
    """

    small: int = 256 * _KIB
    code: int = 8 * _MIB
    total: int = 32 * _MIB
    written: int = 64 * _MIB
    everything: int = 1024 * _MIB
    entries: int = 5_000
    folder: int = 1_000


LIMITS = Limits()


@dataclass(frozen=True)
class Mirror:
    """A scratch copy of a folder.

    Args:
        folder: the user's, as a real path.
        root: its copy.
        copied: how many files are copies, and of how many bytes.
        linked: how many are links to the user's.
        whole: folders that are links as a whole, by their paths in `folder`, so that nothing can be made in them; but
            not those that are no part of a training, such as .git and environments.
        left_out: how many sockets, pipes, devices, folders of our own results; and files that vanished meanwhile.
        unreadable: what this process may not read, by its path in `folder`; a link all the same.
        outside: real folders and files elsewhere that links in the folder lead to, to be protected with it.
    """

    folder: Path
    root: Path
    copied: int = 0
    copied_bytes: int = 0
    linked: int = 0
    whole: tuple[str, ...] = ()
    left_out: int = 0
    unreadable: tuple[str, ...] = ()
    outside: tuple[Path, ...] = ()

    def mirrored(self, path: Path) -> Path:
        """Where the copy has what lies at `path` in the user's folder; a path elsewhere as it is."""
        given = os.path.abspath(path)
        by_name = os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
        for one in map(Path, (given, by_name, os.path.realpath(given))):
            if one.is_relative_to(self.folder):
                return self.root / one.relative_to(self.folder)
        return path

    def not_covered(self, protection: str) -> str:
        """A sentence for the user: what a script can change all the same, and what it cannot do.

        Args:
            protection: what `bench.machine.write_guard.protect` returned.
        """
        links = f"{_count(self.linked, 'file')} and {_count(len(self.whole), 'folder')} of it"
        linked = self.linked or self.whole
        if protection:
            read = f"; {links} are links in the copy, to be read and not written" if linked else ""
            text = f"scripts run in a copy of {str(self.folder)!r} and can change no file of it ({protection}){read}; "
            return text + "not covered: its files' permissions and times, and files elsewhere that scripts name"
        through = f", and {links} that are links in the copy" if linked else ""
        return (
            f"scripts run in a copy of {str(self.folder)!r}, and this system has no Landlock to keep them there; "
            f"not covered: files that scripts name by absolute paths{through}"
        )


def make_mirror(folder: Path, into: Path, *, copies: bool = False, limits: Limits = LIMITS) -> Mirror:
    """Make the folder `into`, which may lie in `folder`, a scratch copy of it.

    Links within the folder stay within the copy. A folder elsewhere that one leads to is copied like those of the
    folder itself, once; but links in folders that are themselves links as a whole are not looked for. Of `/` and of
    folders above the home folder, which are nobody's working folders, files are taken, and folders are links; of the
    home folder itself, hidden folders are.

    Args:
        copies: copy larger files of every kind, too, and leave out what is no part of a training: for where nothing
            keeps scripts from writing through links.

    Raises:
        OSError: the folder cannot be read, or `into` cannot be written.
    """
    root = Path(os.path.abspath(into))
    root.mkdir(parents=True, exist_ok=True)
    look = _Look(folder.resolve(), root, limits, copies)
    look.at_everything()
    for path in look.folders:
        os.mkdir(os.path.join(root, path))
    chosen = files_to_copy(look.files, limits, copies=copies)
    copied, copied_bytes, linked = 0, 0, 0
    for file in look.files:
        place = os.path.join(root, file.path)
        if file in chosen:
            try:
                copied_bytes += _copy(file, place)
                copied += 1
                continue
            except FileNotFoundError:
                look.left_out += 1
                continue
            except PermissionError:
                look.unreadable.append(file.path)
        os.symlink(file.real, place)
        linked += 1
    for path, target in look.links:
        os.symlink(target, os.path.join(root, path))
    return Mirror(
        folder=look.folder,
        root=root,
        copied=copied,
        copied_bytes=copied_bytes,
        linked=linked,
        whole=tuple(look.whole),
        left_out=look.left_out,
        unreadable=tuple(look.unreadable),
        outside=tuple(sorted(look.outside)),
    )


@dataclass(frozen=True)
class FileToMirror:
    """A file of the user's: its path in the folder and where it really is, bytes, and when it was written (ns)."""

    path: str
    real: str
    size: int
    time: int = 0
    mode: int = 0o644


def files_to_copy(files: Sequence[FileToMirror], limits: Limits, *, copies: bool = False) -> set[FileToMirror]:
    """Those that are copied: code, other small files from the top down, larger ones from the newest on."""
    code = [file for file in files if _suffix(file) in _CODE and file.size <= limits.code]
    chosen = set(_fitting(code, limits.total))
    small = [file for file in files if file.size <= limits.small and file not in chosen]
    room = limits.total - sum(file.size for file in chosen)
    chosen |= set(_fitting(sorted(small, key=lambda file: file.path.count("/")), room))
    rest = sorted((file for file in files if file not in chosen), key=lambda file: -file.time)
    if copies:
        return chosen | set(_fitting(rest, limits.everything))
    return chosen | set(_fitting([file for file in rest if _suffix(file) in _WRITTEN], limits.written))


def _fitting(files: Sequence[FileToMirror], room: int) -> Iterator[FileToMirror]:
    for file in files:
        if file.size <= room:
            room -= file.size
            yield file


def _suffix(file: FileToMirror) -> str:
    return os.path.splitext(file.path)[1].lower()


def _copy(file: FileToMirror, place: str) -> int:
    """Copy content, mode and time, by which Python knows its compiled files; gives the bytes."""
    source = os.open(file.real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        copy = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode & 0o777 | stat.S_IWUSR)
        try:
            size = 0
            while block := os.read(source, _MIB):
                size += os.write(copy, block)
        finally:
            os.close(copy)
    finally:
        os.close(source)
    os.utime(place, ns=(file.time, file.time))
    return size


@dataclass
class _Look:
    """What the user's folder has, and what is to become of it; folders from the top down."""

    folder: Path
    root: Path
    limits: Limits
    copies: bool
    folders: list[str] = field(default_factory=list)
    files: list[FileToMirror] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # their paths, and what they say
    whole: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    outside: set[Path] = field(default_factory=set)
    left_out: int = 0

    def at_everything(self) -> None:
        self._home = Path(os.path.expanduser("~")).resolve()
        self._shallow = self.folder in self._home.parents
        self._root_id = _identity_of(self.root)
        self._entries = 0
        # Folders that are to come, and where the copy has those that were met, by device and inode.
        self._coming: deque[tuple[str, str]] = deque([(str(self.folder), "")])
        self._met: dict[tuple[int, int], str] = {_identity_of(self.folder): ""}
        while self._coming:
            self._into(*self._coming.popleft())

    def _into(self, real: str, path: str) -> None:
        most = self.limits.folder if path else None
        try:
            with os.scandir(real) as found:
                entries = sorted(islice(found, None if most is None else most + 1), key=lambda entry: entry.name)
        except OSError:
            if not path:
                raise
            self.unreadable.append(path)
            self._link_whole(real, path)
            return
        names = {entry.name for entry in entries}
        if path:
            if any(run <= names for run in _RUNS) or (os.path.basename(path).startswith(PREFIX) and HOME_LOCK in names):
                self.left_out += 1
                return
            if names & _ENVIRONMENTS:
                self._put_aside(real, path)
                return
            if len(entries) > self.limits.folder or self._entries + len(entries) > self.limits.entries:
                self._link_whole(real, path)
                return
            self.folders.append(path)
        self._entries += len(entries)
        for entry in entries:
            try:
                self._take(entry, os.path.join(path, entry.name))
            except OSError:
                self.left_out += 1  # it vanished

    def _take(self, entry: os.DirEntry[str], path: str) -> None:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            self._take_link(entry.path, path)
        elif stat.S_ISDIR(status.st_mode):
            self._take_folder(entry.path, path, (status.st_dev, status.st_ino))
        elif stat.S_ISREG(status.st_mode):
            self.files.append(FileToMirror(path, entry.path, status.st_size, status.st_mtime_ns, status.st_mode))
        else:
            self.left_out += 1

    def _take_folder(self, real: str, path: str, identity: tuple[int, int]) -> None:
        if identity == self._root_id:
            return
        if {os.path.basename(real), os.path.basename(path)} & _ASIDE:
            self._put_aside(real, path)
        elif self._shallow or (os.path.dirname(real) == str(self._home) and os.path.basename(real).startswith(".")):
            self._link_whole(real, path)
        else:
            self._met.setdefault(identity, path)
            self._coming.append((real, path))

    def _take_link(self, link: str, path: str) -> None:
        target = Path(os.path.realpath(link))
        try:
            status = os.stat(target)
        except OSError:  # it leads nowhere, or in a circle: the same in the copy
            if not target.is_relative_to(self.folder):
                self._protect(next(above for above in target.parents if above.exists()))
            self.links.append((path, self._place(target)))
            return
        identity = status.st_dev, status.st_ino
        if target.is_relative_to(self.folder):
            self.links.append((path, self._place(target)))
        elif stat.S_ISDIR(status.st_mode):
            if identity in self._met:
                self.links.append((path, str(self.root / self._met[identity])))
            elif self._is_free(target):
                self.links.append((path, str(target)))
            else:
                self._protect(target)
                self._take_folder(str(target), path, identity)
        elif stat.S_ISREG(status.st_mode):
            self._protect(target if self._is_free(target.parent) else target.parent)
            self.files.append(FileToMirror(path, str(target), status.st_size, status.st_mtime_ns, status.st_mode))
        else:
            self.left_out += 1

    def _place(self, target: Path) -> str:
        """Where the copy has a real path; what lies elsewhere has its own."""
        return str(self.root / target.relative_to(self.folder) if target.is_relative_to(self.folder) else target)

    def _protect(self, target: Path) -> None:
        if not self._is_free(target):
            self.outside.add(target)

    def _is_free(self, target: Path) -> bool:
        """Whether a place outside is none of this project: above it or the home folder, or one for caches."""
        above = {*self.folder.parents, *self._home.parents, self._home}
        caches = self._home / ".cache", Path(tempfile.gettempdir()).resolve()
        return target in above or any(
            target.is_relative_to(cache) and not self.folder.is_relative_to(cache) for cache in caches
        )

    def _link_whole(self, real: str, path: str) -> None:
        self.whole.append(path)
        self.links.append((path, real))

    def _put_aside(self, real: str, path: str) -> None:
        if self.copies:
            self.left_out += 1
        else:
            self.links.append((path, real))


def _identity_of(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
