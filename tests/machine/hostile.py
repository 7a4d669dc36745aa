"""A program that mirrors a folder, is kept from writing to it, and then does to it all the harm that it can.

`python hostile.py FOLDER SCRATCH [free] [LIMIT=NUMBER ...]`; `free` is not kept. First it reads every file through the
copy and prints what it has. Then it tries to change, rename and remove everything, by its own name and through the
copy, in a thread, in a child and by a shell. Errors are passed over: the test looks at what is left.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.machine.mirror import Limits, make_mirror
from bench.machine.write_guard import protect

SHELL = 'echo x > "$1"; echo x > "$1/new"; mv "$1" "$1.moved"; mv "$1" "$2/moved"; rm -f "$1"; ln -sfn nowhere "$1"'


def paths_in(folder: Path) -> Iterator[Path]:
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(top, name)


def read(path: Path) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read()


def through_mmap(path: Path) -> None:
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0] = 0


def through_descriptor(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open(f"/proc/self/fd/{descriptor}", "wb") as file:
            file.write(b"x")
    finally:
        os.close(descriptor)


def through_hard_link(path: Path, scratch: Path) -> None:
    os.link(path, scratch / "hard")
    try:
        (scratch / "hard").write_bytes(b"x")
    finally:
        (scratch / "hard").unlink()


def with_flags(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o600)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def replace_by(path: Path, scratch: Path, move: Callable[[str, Path], object]) -> None:
    (scratch / "other").write_bytes(b"x")
    move(str(scratch / "other"), path)


def crimes(path: Path, scratch: Path) -> Iterator[Callable[[], object]]:
    yield lambda: path.write_bytes(b"x")
    yield lambda: with_flags(path, os.O_WRONLY | os.O_APPEND)
    yield lambda: with_flags(path, os.O_RDWR)
    yield lambda: with_flags(path, os.O_RDONLY | os.O_TRUNC)
    yield lambda: with_flags(path, os.O_RDWR | os.O_CREAT)
    yield lambda: with_flags(path.with_name("new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    yield lambda: os.truncate(path, 0)
    yield lambda: through_mmap(path)
    yield lambda: through_descriptor(path)
    yield lambda: through_hard_link(path, scratch)
    yield lambda: os.mkdir(path / "new")
    yield lambda: (path / "file").write_bytes(b"x")
    yield lambda: os.mkfifo(path.with_name("pipe"))
    yield lambda: os.mknod(path.with_name("node"))
    yield lambda: os.symlink("nowhere", path.with_name("link"))
    yield lambda: shutil.copy(scratch / "own", path)
    yield lambda: replace_by(path, scratch, os.replace)
    yield lambda: replace_by(path, scratch, os.link)
    yield lambda: replace_by(path, scratch, shutil.move)
    yield lambda: os.rename(path, path.with_name("renamed"))
    yield lambda: shutil.move(path, scratch / "moved")
    yield lambda: os.remove(path)
    yield lambda: os.rmdir(path)


def commit(paths: list[Path], scratch: Path) -> None:
    for path in paths:
        for crime in crimes(path, scratch):
            try:
                crime()
            except (OSError, ValueError, shutil.Error):
                continue


def main() -> None:
    folder, scratch, *rest = sys.argv[1:]
    limits = Limits(**{name: int(value) for name, _, value in (text.partition("=") for text in rest if "=" in text)})
    mirror = make_mirror(Path(folder), Path(scratch, "copy"), limits=limits)
    kept = Path(scratch, "kept")
    kept.mkdir()
    (kept / "own").write_bytes(b"x")
    if "free" not in rest:
        assert protect([mirror.folder, *mirror.outside], [Path(scratch)]) == "landlock"
    real = sorted(paths_in(mirror.folder), reverse=True)
    found = {}
    for path in real:
        copy = mirror.mirrored(path)
        if path.is_file():
            found[str(path.relative_to(mirror.folder))] = (
                hashlib.sha256(read(copy)).hexdigest() if copy.exists() else ""
            )
    copies = [mirror.mirrored(path) for path in real]
    made = []
    for path in [
        mirror.root,
        *filter(os.path.exists, copies),
    ]:  # what a training does in its own folder can be done in the copy
        if not path.resolve().is_relative_to(mirror.root.resolve()):
            continue
        if path.is_dir():
            (path / "new.txt").write_text("new")
            made.append(str(path))
        elif path.is_file() and not path.is_symlink():
            with path.open("ab") as file:
                file.write(b"more")
            made.append(str(path))
    print(json.dumps({"read": found, "made": made, "whole": mirror.whole}))
    sys.stdout.flush()
    targets = [*copies, *real, mirror.folder]
    commit(targets, kept)
    thread = threading.Thread(target=commit, args=(targets, kept))
    thread.start()
    thread.join()
    if (child := os.fork()) == 0:
        commit(targets, kept)
        os._exit(0)
    os.waitpid(child, 0)
    for path in targets[:-1][:: max(1, len(targets) // 4)]:
        subprocess.run(["sh", "-c", SHELL, "sh", path, kept], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(mirror.root, ignore_errors=True)
    shutil.rmtree(mirror.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
