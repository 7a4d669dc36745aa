"""Temporary folders that outlive no run: locked while their process lives, swept by the next one when it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

from bench.errors import BenchError
from bench.machine import scratch

HOLDER = """
import sys, time
from bench.machine import scratch
print(scratch.Home(sys.argv[1]).path, flush=True)
time.sleep(600)
"""


@contextmanager
def holder(folder: Path, kind: str = "") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


@pytest.fixture
def place() -> Iterator[Path]:
    # pytest's own folders have paths that are too long for sockets, so that another place would be taken.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


def test_the_folder_of_a_killed_process_is_swept_and_that_of_a_live_one_is_not(place: Path) -> None:
    with holder(place) as (process, home):
        (home / "scratch").mkdir()
        other = place / "bench-other"  # none of ours: it has no lock
        other.mkdir()
        assert scratch.sweep(place) == []
        process.kill()
        process.wait()
        assert scratch.sweep(place) == [home]
        assert sorted(place.iterdir()) == [other]


def test_worktrees_of_a_killed_process_are_taken_out_of_their_repository(place: Path) -> None:
    def git(*arguments: str) -> str:
        named = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(repository), *named, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    repository = place / "repository"
    repository.mkdir()
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    git("worktree", "add", "-q", "--detach", str(place / "mine"))
    with holder(place, "sides-") as (_, home):
        (home / scratch.CHECKOUTS).write_text(str(repository))
        git("worktree", "add", "-q", "--detach", str(home / "side00"))
    assert scratch.sweep(place) == [home]
    assert "side00" not in git("worktree", "list")
    assert "mine" in git("worktree", "list")


def test_a_long_place_is_exchanged_for_a_short_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with scratch.Home() as home:
        assert len(os.fsencode(home.path)) < 60
    assert not home.path.exists()


def test_no_place_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(scratch, "_LONGEST", 1000)
    with pytest.raises(BenchError, match="temporary files cannot be written: No such file or directory; set TMPDIR"):
        scratch.Home()
