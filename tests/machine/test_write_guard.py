"""A process that is kept from writing to folders: whatever it does, they are as they were; all else works as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from bench.machine import write_guard
from bench.machine.write_guard import writable_paths

has_landlock = pytest.mark.skipif(write_guard._version() < 1, reason="needs Linux with Landlock")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that is not below that for temporary files, in which nothing could be made otherwise."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder).resolve()


TRY = """
import json, os, sys
from pathlib import Path
from bench.machine.write_guard import protect
folders, keep, tried = json.loads(sys.argv[1])
said = protect([Path(folder) for folder in folders], [Path(folder) for folder in keep])
def works(path):
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, b"x")
        os.close(descriptor)
    except OSError as error:
        return type(error).__name__
    if path.endswith(".gone"):
        os.remove(path)
    return "written"
print(json.dumps([said, *map(works, tried)]))
"""


def tried(folders: list[Path], keep: list[Path], *paths: Path | str, **environment: str) -> list[Any]:
    """What protects, and for each path whether it could be written to; those that end in `.gone` are removed again."""
    words = json.dumps([[*map(str, folders)], [*map(str, keep)], [*map(str, paths)]])
    done = subprocess.run(
        [sys.executable, "-c", TRY, words],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    found: list[Any] = json.loads(done.stdout)
    return found


@has_landlock
def test_folders_are_shut_and_all_beside_them_is_open(place: Path) -> None:
    for name in ("me/project/data", "me/second", "me/other", "me/.cache", "you"):
        (place / name).mkdir(parents=True)
    (place / "me" / "notes.txt").write_text("mine")
    project, second = place / "me" / "project", place / "me" / "second"
    paths = [project / "a", project / "data" / "a", second / "a", place / "me" / "new", place / "new"]
    paths += [place / "me" / name for name in ("other/a", ".cache/a", "../you/a", "notes.txt")]
    others = ["/dev/null", "/dev/shm/bench-try.gone", f"{tempfile.gettempdir()}/bench-try.gone", "/proc/self/comm"]
    said, *found = tried([project, second], [], *paths, *others)
    assert said == "landlock"
    assert found == ["PermissionError"] * 5 + ["written"] * 8
    assert (place / "me" / "notes.txt").read_text() == "minex"


@has_landlock
def test_what_is_kept_can_be_written_and_nothing_else_of_the_folder(place: Path) -> None:
    (place / "project" / "scratch").mkdir(parents=True)
    project = place / "project"
    found = tried([project], [project / "scratch"], project / "scratch" / "a", project / "a")
    assert found == ["landlock", "written", "PermissionError"]
    # Not even by asking to keep what holds it, or by a name that is a link to it.
    (place / "link").symlink_to(project)
    found = tried([place / "link"], [place], project / "b", place / "link" / "b")
    assert found == ["landlock", "PermissionError", "PermissionError"]


@has_landlock
def test_of_the_home_folder_what_libraries_write_to_stays_open(place: Path) -> None:
    for name in (".cache", ".config", ".git", "thesis"):
        (place / name).mkdir()
    paths = [place / ".cache" / "a", place / ".config" / "a", place / ".git" / "a", place / "thesis" / "a", place / "a"]
    shut = "PermissionError"
    for folder in (place, place.parent):
        found = tried([folder], [], *paths, "/dev/null", HOME=str(place), TMPDIR=str(place / ".cache"))
        assert found == ["landlock", "written", "written", shut, shut, shut, "written"]
    executable = Path(sys.executable).resolve().parent / "bench-try.gone"
    found = tried([Path("/")], [], executable, "/dev/null", paths[0], HOME=str(place))
    assert found == ["landlock", shut, "written", "written"]


@has_landlock
def test_a_folder_with_many_beside_it_has_one_rule_for_each(tmp_path: Path) -> None:
    """Rules are for the largest parts: one for each entry of a folder on the way, whatever lies below."""
    for number in range(20):
        (tmp_path / f"n{number}" / "below").mkdir(parents=True)
    own = [path for path in writable_paths([str(tmp_path / "n3")]) if path.startswith(f"{tmp_path}/")]
    assert sorted(own) == sorted(f"{tmp_path}/n{number}" for number in range(20) if number != 3)


@has_landlock
def test_a_folder_that_is_mounted_twice_is_not_opened_by_its_other_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights belong to a folder and not to its path. Only root may mount, so one folder is tried as both."""
    allowed = []
    monkeypatch.setattr(write_guard, "_syscall", lambda number, *rest: allowed.append(number) or 7)
    status = os.stat(tmp_path)
    write_guard._allow(7, str(tmp_path), 0, {(status.st_dev, status.st_ino)})
    assert allowed == []
    write_guard._allow(7, str(tmp_path), 0, set())
    assert allowed == [write_guard._ADD_RULE]


@has_landlock
def test_a_process_with_threads_is_refused(place: Path) -> None:
    code = (
        "import threading, time; from pathlib import Path; from bench.machine.write_guard import protect\n"
        "threading.Thread(target=time.sleep, args=(1,)).start()\n"
        f"protect([Path({str(place)!r})])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "RuntimeError: Landlock restricts one thread, and the process has 2" in done.stderr


def test_where_there_is_no_landlock_nothing_is_said_to_protect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_guard, "_version", lambda: 0)
    assert write_guard.protect([tmp_path]) == ""
    (tmp_path / "file").write_text("can be written")
    monkeypatch.setattr(write_guard, "_version", lambda: 1)  # a container that hides it: the call itself is refused
    monkeypatch.setattr(write_guard, "_syscall", lambda *arguments: -1)
    monkeypatch.setattr(os, "listdir", lambda path: ["1"])
    assert write_guard.protect([tmp_path]) == ""


LOADER = """
import sys, torch
from pathlib import Path
from torch.utils.data import DataLoader, Dataset
from bench.machine.write_guard import protect

folder = Path(sys.argv[1])

class Writer(Dataset):
    def __len__(self): return 2
    def __getitem__(self, index):
        try:
            (folder / "data.bin").write_bytes(b"x")
        except PermissionError:
            return torch.tensor(1)
        return torch.tensor(0)

if __name__ == "__main__":
    torch.zeros(4).sum()
    assert protect([folder]) == "landlock"
    print(sum(int(batch.sum()) for batch in DataLoader(Writer(), num_workers=2)))
    for name in ("data.bin", "new.pt"):
        try:
            torch.save({"a": torch.zeros(3)}, folder / name)
        except (OSError, RuntimeError) as error:
            print(type(error).__name__)
    torch.save({"a": torch.zeros(3)}, folder.parent / "beside" / "new.pt")
"""


@has_landlock
def test_loader_workers_and_torch_are_kept_too(place: Path, processes: None) -> None:
    for name in ("project", "beside"):
        (place / name).mkdir()
    (place / "project" / "data.bin").write_bytes(b"data")
    code = place / "beside" / "loader.py"
    code.write_text(LOADER)
    done = subprocess.run(
        [sys.executable, code, place / "project"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["2", "RuntimeError", "RuntimeError"], "")
    assert [path.name for path in (place / "project").iterdir()] == ["data.bin"]
    assert (place / "project" / "data.bin").read_bytes() == b"data"
    assert (place / "beside" / "new.pt").exists()
