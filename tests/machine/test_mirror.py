"""Scratch copies of working folders: all can be read, and nothing that is done in one reaches the user's own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples

from bench.machine import mirror as mirrors
from bench.machine.mirror import LIMITS, FileToMirror, Limits, Mirror, files_to_copy, make_mirror
from bench.machine.write_guard import _version

HOSTILE = Path(__file__).parent / "hostile.py"
SMALL = Limits(small=100, code=400, total=1000, written=900, everything=2000, entries=40, folder=6)


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def kinds(copy: Mirror) -> dict[str, str]:
    """What the copy has, by path: `folder`, `copy`, or `link` if it leads out of it."""
    found = {}
    for top, folders, files in os.walk(copy.root):
        for name in (*folders, *files):
            path = Path(top, name)
            inside = path.resolve().is_relative_to(copy.root.resolve())
            kind = ("within" if inside else "link") if path.is_symlink() else "folder" if path.is_dir() else "copy"
            found[os.path.relpath(path, copy.root)] = kind
    return found


def state(folder: Path) -> dict[str, object]:
    """Every name below a folder, with its type and bytes or what it says."""
    found: dict[str, object] = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(top, name)
            mode = os.lstat(path).st_mode
            content: object = os.readlink(path) if stat.S_ISLNK(mode) else None
            if stat.S_ISREG(mode):
                content = Path(path).read_bytes()
            found[os.path.relpath(path, folder)] = stat.S_IFMT(mode), content
    return found


# --- what becomes of what


def test_code_and_small_files_are_copies_and_data_are_links(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "project",
        {
            "train.py": "print()",
            "package/model.py": "x = 1\n" * 60,  # larger than what is small
            "data/train.bin.gz": b"d" * 5000,
            "data/labels.csv": "1,2\n",
            "runs/last.ckpt": b"w" * 500,
            "empty.txt": b"",
        },
    )
    (folder / "checkpoints").mkdir()
    copy = make_mirror(folder, tmp_path / "copy", limits=SMALL)
    found = kinds(copy)
    assert {name for name, kind in found.items() if kind == "folder"} == {"package", "data", "runs", "checkpoints"}
    assert {name for name, kind in found.items() if kind == "link"} == {"data/train.bin.gz"}
    assert (copy.copied, copy.linked, copy.left_out, copy.whole, copy.outside) == (5, 1, 0, (), ())
    assert copy.copied_bytes == 7 + 360 + 4 + 500
    assert copy.mirrored(folder / "package" / "model.py") == copy.root / "package" / "model.py"
    assert copy.mirrored(folder) == copy.root
    assert copy.mirrored(Path("/usr/lib")) == Path("/usr/lib")


def test_a_copy_has_the_mode_and_the_time_of_its_file(tmp_path: Path) -> None:
    """By its time and size Python knows whether what it compiled earlier is of this file."""
    folder = write(tmp_path / "project", {"run.sh": "exit", "read_only.py": "x = 1"})
    (folder / "run.sh").chmod(0o755)
    (folder / "read_only.py").chmod(0o444)
    os.utime(folder / "run.sh", ns=(10**18 + 1, 10**18 + 1))
    copy = make_mirror(folder, tmp_path / "copy")
    assert (copy.root / "run.sh").stat().st_mtime_ns == 10**18 + 1
    assert (copy.root / "run.sh").stat().st_mode & 0o111
    with (copy.root / "read_only.py").open("a") as file:  # in the copy it may be written
        file.write("y = 2")


def test_what_is_no_part_of_a_training_is_a_link_or_left_out(tmp_path: Path) -> None:
    files = {
        ".git/config": "x",
        "__pycache__/a.pyc": "x",
        "node_modules/a/b.js": "x",
        "venv/pyvenv.cfg": "x",
        "conda/conda-meta/history": "x",
        "results/20260101-run/run.json": "{}",
        "results/20260101-run/records.jsonl": "",
        "results/20260102-run/run.json": "{}",
        "results/20260102-run/logs/a.log": "",
        "results/gate/gate.json": "{}",
        "results/gate/screen/run.json": "{}",
        "results/own.csv": "1",
        "bench-scratch/lock": "",
        "other/lock": "",
    }
    folder = write(tmp_path / "project", files)
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("socket")
        os.mkfifo("pipe")
        copy = make_mirror(folder, tmp_path / "copy")
    aside = {".git", "__pycache__", "node_modules", "venv", "conda"}
    found = kinds(copy)
    assert {name for name, kind in found.items() if kind == "link"} == aside
    assert set(found) == aside | {"results", "results/own.csv", "other", "other/lock"}
    assert (copy.left_out, copy.whole) == (6, ())
    fewer = make_mirror(folder, tmp_path / "fewer", copies=True)
    assert set(kinds(fewer)) == {"results", "results/own.csv", "other", "other/lock"}
    assert fewer.left_out == 6 + len(aside)


def test_a_folder_of_data_and_what_is_beyond_the_limit_are_links_as_a_whole(tmp_path: Path) -> None:
    files = {f"images/{number}.jpg": "x" for number in range(7)}
    files |= {f"runs/{number}/{name}.txt": "x" for number in range(6) for name in "abcde"}
    files |= {f"{number}.txt": "x" for number in range(8)}  # the working folder itself is never a link
    folder = write(tmp_path / "project", files)
    copy = make_mirror(folder, tmp_path / "copy", limits=SMALL)
    found = kinds(copy)
    assert found["images"] == "link"
    assert [found[f"runs/{number}"] for number in range(6)] == ["folder"] * 4 + ["link"] * 2
    assert copy.whole == ("images", "runs/4", "runs/5")
    assert len([name for name in found if "/" not in name]) == 10
    assert sorted(os.listdir(copy.root / "images")) == sorted(os.listdir(folder / "images"))


def test_links_within_stay_within_and_folders_elsewhere_become_folders(tmp_path: Path) -> None:
    elsewhere = write(
        tmp_path / "disk", {"ckpt/last.pt": b"w" * 50, "ckpt/big.bin.gz": b"d" * 500, "one/data.gz": b"d" * 500}
    )
    folder = write(tmp_path / "project", {"train.py": "x", "sub/a.txt": "a"})
    (elsewhere / "ckpt" / "up").symlink_to("..")  # a circle, by way of what lies outside
    for name, target in {
        "absolute": folder / "train.py",
        "relative": Path("sub/a.txt"),
        "again": Path("sub"),
        "self": Path("self"),
        "nowhere": Path("gone/away"),
        "later": folder / "made-later",
        "unmade": elsewhere / "ckpt" / "new" / "a.pt",
        "up": Path(".."),
        "ckpt": elsewhere / "ckpt",
        "same": elsewhere / "ckpt",
        "data.gz": elsewhere / "one" / "data.gz",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "sub" / "round").symlink_to("..")
    copy = make_mirror(folder, tmp_path / "copy", limits=SMALL)
    root = copy.root
    for name, target in {"absolute": "train.py", "relative": "sub/a.txt", "again": "sub", "sub/round": "."}.items():
        assert (root / name).resolve() == (root / target).resolve(), name
    for name, target in {"self": "self", "nowhere": "gone/away", "later": "made-later"}.items():
        assert os.readlink(root / name) == str(root / target)
    assert os.readlink(root / "unmade") == str(elsewhere / "ckpt" / "new" / "a.pt")
    assert (root / "up").resolve() == tmp_path  # above the folder: as it is
    assert not (root / "ckpt").is_symlink()
    assert (root / "ckpt" / "last.pt").read_bytes() == b"w" * 50
    assert not (root / "ckpt" / "last.pt").is_symlink()
    assert (root / "ckpt" / "big.bin.gz").resolve() == elsewhere / "ckpt" / "big.bin.gz"
    assert (root / "same").resolve() == (root / "ckpt").resolve()
    assert (root / "data.gz").resolve() == elsewhere / "one" / "data.gz"
    # `up` of the folder elsewhere leads above it, to a place of its own, which is copied in its turn.
    assert set(copy.outside) == {elsewhere / "ckpt", elsewhere, elsewhere / "one"}
    assert (root / "ckpt" / "up" / "ckpt").is_dir()


def test_the_copy_may_lie_in_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "project", {"train.py": "x", "tmp/a.txt": "a"})
    copy = make_mirror(folder, folder / "tmp" / "copy")
    assert set(kinds(copy)) == {"train.py", "tmp", "tmp/a.txt"}


def test_of_the_home_folder_hidden_folders_are_links_and_above_it_all_folders_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write(tmp_path / "home" / "me", {".cache/x": "x", "thesis/train.py": "x", "train.py": "x", ".netrc": "x"})
    write(home.parent, {"you/a": "x", "motd": "x"})
    monkeypatch.setenv("HOME", str(home))
    assert {name for name, kind in kinds(make_mirror(home, tmp_path / "1")).items() if kind == "link"} == {".cache"}
    above = make_mirror(home.parent, tmp_path / "2")
    assert kinds(above) == {"me": "link", "you": "link", "motd": "copy"}
    assert above.whole == ("me", "you")
    monkeypatch.undo()
    whole = make_mirror(Path("/"), tmp_path / "3")
    assert (whole.root / "dev").resolve() == Path("/dev")
    assert "folder" not in kinds_at_top(whole)


def kinds_at_top(copy: Mirror) -> set[str]:
    return {"folder" for entry in os.scandir(copy.root) if entry.is_dir(follow_symlinks=False)}


def test_what_may_not_be_read_is_told_and_is_a_link(tmp_path: Path, processes: None) -> None:
    """Root may read everything: there, another user looks."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = write(Path(name, "project"), {"secret.py": "x", "closed/a": "x", "train.py": "x"})
        (folder / "secret.py").chmod(0)
        (folder / "closed").chmod(0)
        Path(name).chmod(0o777)
        code = (
            "import os, json, sys; from pathlib import Path; from bench.machine.mirror import make_mirror\n"
            "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "made = make_mirror(Path(sys.argv[1]), Path(sys.argv[2]))\n"
            "print(json.dumps([made.unreadable, made.whole, made.copied, sorted(os.listdir(made.root))]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, folder, Path(name, "copy")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        (folder / "closed").chmod(0o700)
        if "Permission denied" in done.stderr and "import" in done.stderr:
            pytest.skip("another user cannot read the program either")
        unreadable, whole, copied, entries = json.loads(done.stdout)
    assert (sorted(unreadable), whole, copied) == (["closed", "secret.py"], ["closed"], 1)
    assert entries == ["closed", "secret.py", "train.py"]


def test_a_file_that_vanishes_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "project", {"a.py": "x", "b.py": "x"})
    copy = mirrors._copy

    def slow_copy(file: FileToMirror, place: str) -> int:
        Path(folder / "b.py").unlink(missing_ok=True)
        return copy(file, place)

    monkeypatch.setattr(mirrors, "_copy", slow_copy)
    made = make_mirror(folder, tmp_path / "copy")
    assert (made.copied, made.left_out, kinds(made)) == (1, 1, {"a.py": "copy"})


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_mirror(tmp_path / "gone", tmp_path / "copy")


@pytest.mark.parametrize(
    ("protection", "words"),
    [
        ("landlock", ("can change no file of it (landlock)", "1 file and 0 folders of it are links in the copy")),
        ("", ("this system has no Landlock", "absolute paths, and 1 file and 0 folders of it that are links")),
    ],
)
def test_what_is_not_covered_is_said_in_one_sentence(tmp_path: Path, protection: str, words: tuple[str, ...]) -> None:
    folder = write(tmp_path / "caf\udce9", {"a.gz": b"x" * (LIMITS.small + 1)})
    text = make_mirror(folder, tmp_path / "copy").not_covered(protection)
    text.encode()
    assert "\n" not in text
    for word in words:
        assert word in text


# --- which files are copies


NAMED = st.builds(
    FileToMirror,
    path=st.builds(
        "/".join, st.lists(st.sampled_from(["a", "b", "c.py", "d.pt", "e.gz", "f.CKPT"]), min_size=1, max_size=3)
    ),
    real=st.just("/x"),
    size=st.integers(0, 1200),
    time=st.integers(0, 5),
)


@given(st.lists(NAMED, max_size=30, unique_by=lambda file: file.path), st.booleans())
def test_copies_keep_to_their_limits_and_code_comes_first(files: Sequence[FileToMirror], copies: bool) -> None:
    chosen = files_to_copy(files, SMALL, copies=copies)
    assert chosen <= set(files)
    code = {file for file in files if file.path.endswith(".py") and file.size <= SMALL.code}
    small = {file for file in files if file.size <= SMALL.small}
    assert sum(file.size for file in chosen) <= SMALL.total + (SMALL.everything if copies else SMALL.written)
    if not copies:
        assert all(file.path.lower().endswith((".pt", ".ckpt")) or file in code | small for file in chosen)
    if sum(file.size for file in code) <= SMALL.total:
        assert code <= chosen


def test_the_newest_of_larger_files_are_copied(tmp_path: Path) -> None:
    files = [FileToMirror(f"{number}.pt", "", 400, time=number) for number in range(4)]
    assert {file.path for file in files_to_copy(files, SMALL)} == {"2.pt", "3.pt"}


# --- any tree, and a process that does all the harm it can

NAMES = ["a", "b c", "train.py", "last.ckpt", "data.gz", "new\nline", "caf\udce9", "-rf", ".hidden", "__pycache__"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
TARGETS = st.one_of(PATHS, st.sampled_from([".", "..", "../disk", "../disk/big", "../disk/deep", "../disk/gone"]))
ENTRIES = st.one_of(
    st.tuples(st.just("file"), PATHS, st.sampled_from([0, 1, 90, 300, 800])),
    st.tuples(st.sampled_from(["folder", "pipe"]), PATHS, st.just(0)),
    st.tuples(st.sampled_from(["link", "absolute link"]), PATHS, TARGETS),
)


def plant(folder: Path, entries: Sequence[tuple[str, str, int | str]]) -> None:
    """Make these entries in a folder, links last; what has its place taken by another is left out."""
    for number, (kind, name, what) in enumerate(sorted(entries, key=lambda entry: "link" in entry[0])):
        path = folder / name
        if os.path.lexists(path) or any(above.is_symlink() or above.is_file() for above in path.parents):
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # a pipe has its place
            continue
        if kind == "file":
            path.write_bytes(bytes([number]) * int(what))
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            if "__pycache__" in name:  # as there
                continue
            target = os.path.normpath(folder / str(what))
            path.symlink_to(os.path.relpath(target, path.parent) if kind == "link" else target)


def ravage(top: Path, *options: str) -> dict[str, Any]:
    """Let the hostile program loose: digests of what it `read` through the copy, and what it `made` there."""
    scratch = Path(tempfile.mkdtemp(dir="/var/tmp"))
    limits = [f"{name}={value}" for name, value in asdict(SMALL).items()]
    try:
        done = subprocess.run(
            [sys.executable, HOSTILE, top / "project", scratch, *options, *limits],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said
    finally:
        shutil.rmtree(scratch)


@pytest.mark.skipif(_version() < 3, reason="needs Linux 6.2 or later, where Landlock keeps from truncate(2), too")
@settings(max_examples=examples(12), deadline=None)
@given(st.lists(ENTRIES, max_size=14))
def test_all_can_be_read_in_the_copy_and_nothing_that_is_done_reaches_the_folder(
    entries: Sequence[tuple[str, str, int | str]],
) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        top = Path(name).resolve()
        write(top / "disk", {"big": b"b" * 900, "small.csv": "1,2", "deep/er/last.pt": b"w" * 50})
        (top / "project").mkdir()
        plant(top / "project", entries)
        before = state(top / "project"), state(top / "disk")
        said = ravage(top)
        assert state(top / "project") == before[0]
        if not said["whole"]:  # in those links are not looked for, and may lead to what nobody protects
            assert state(top / "disk") == before[1]
        files = {name for name in before[0] if (top / "project" / name).is_file()}
        assert said["read"] == {
            name: hashlib.sha256((top / "project" / name).read_bytes()).hexdigest() for name in files
        }
        assert said["made"]  # in the copy itself, at least


def test_the_hostile_program_would_do_harm(tmp_path: Path, processes: None) -> None:
    """So that the test above can fail."""
    files = {"train.py": "x", "data.gz": b"d" * 900, "sub/a.txt": "a"}
    before = state(write(tmp_path / "project", files))
    ravage(tmp_path, "free")
    after = state(tmp_path / "project") if (tmp_path / "project").exists() else {}
    assert all(before[name] != after.get(name) for name in before if name != "sub")
