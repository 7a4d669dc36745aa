"""Whole files or none: full disks, limits, second processes. Real files throughout."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.errors import RunError
from bench.results import files


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: writes fail as on a full disk, with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    files.write_aside(page, "old")
    files.write_aside(page, "new")
    assert page.read_text() == "new"
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_what_does_not_fit_leaves_the_older_file(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    files.write_aside(page, "old")
    with largest_file(1000), pytest.raises(RunError, match=r"page.html: cannot be written: File too large"):
        files.write_aside(page, "x" * 5000)
    assert page.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_lines_are_appended_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    lines = tmp_path / "records.jsonl"
    files.append(lines, "one\n")
    with largest_file(1000), pytest.raises(RunError, match="cannot be written"):
        files.append(lines, "x" * 5000 + "\n")
    files.append(lines, "two\n")
    assert lines.read_text() == "one\ntwo\n"


def test_a_link_is_followed_and_a_device_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    files.write_aside(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    files.write_aside(Path(os.devnull), "gone")


@pytest.mark.parametrize("name", ["x" * 300, "there/below"])
def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").write_text("a file")
    with pytest.raises(RunError, match="cannot be written"):
        files.write_aside(tmp_path / name, "text")


def test_a_folder_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    def cut_off() -> None:
        with files.new_folder(tmp_path / "name") as aside:
            (aside / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert not [path for path in tmp_path.iterdir() if path.name != ".lock"]
    with files.new_folder(tmp_path / "name") as aside:
        (aside / "whole").write_text("x")
    assert (tmp_path / "name" / "whole").is_file()
    with pytest.raises(RunError, match="is there already"), files.new_folder(tmp_path / "name"):
        pass


def test_two_processes_do_not_hold_a_lock_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = f"import pathlib\nfrom bench.results import files\nwith files.lock(pathlib.Path({str(path)!r}), 0.2): pass"
    command = [sys.executable, "-c", code]
    with files.lock(path):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "another process has held it for 0.2 s" in done.stderr
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
