"""What is kept of runs for histories: read once, made anew when anything changed, no word lost of a spoilt file."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest
from histories import run_of, save
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import PLAIN, cell_id

from bench.analysis import history_points
from bench.analysis.history_points import RunPoints, points_of_run
from bench.commands import history_cache
from bench.commands.history_cache import cache_of_code, cached_points, code_digest, content_digest
from bench.errors import RunError
from bench.results import store

A = "a" * 40
SHORT = {"launches": 2, "rounds": 8}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "loopmark" / "history"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The runs that are read."""
    seen: list[Path] = []
    plain = store.read_run
    monkeypatch.setattr(store, "read_run", lambda folder: seen.append(folder) or plain(folder))
    return seen


def test_a_run_is_read_once_and_comes_back_as_it_was(tmp_path: Path, read: list[Path]) -> None:
    folder = save(run_of(0, A, failures={("fabric", 32, 1): ("crashed", "fell")}, **SHORT), tmp_path / "results")
    first = cached_points(folder)
    assert first == points_of_run(store.read_run(folder))
    assert {own.cell for own in first.cells} == {cell_id(loop, 256) for loop in (PLAIN, "fabric", "trainer")} | {
        cell_id(PLAIN, 32),
        cell_id("trainer", 32),
    }
    read.clear()
    assert cached_points(folder) == first
    assert read == []
    shutil.move(folder, tmp_path / "elsewhere")
    assert cached_points(tmp_path / "elsewhere") == first
    assert read == [], "it goes by what the run says, and not by where it lies"


def test_why_a_run_is_in_no_history_is_kept_too(tmp_path: Path, read: list[Path]) -> None:
    folder = save(run_of(0, f"{A}-dirty", **SHORT), tmp_path / "results")
    for _ in range(2):
        assert "differ from commit aaaaaaaa" in cached_points(folder).error
    assert len(read) == 1


@pytest.mark.parametrize("name", [store.RUN, store.RECORDS, store.ANCHOR])
def test_whatever_changes_in_a_run_is_seen(name: str, tmp_path: Path, read: list[Path]) -> None:
    folder = save(run_of(0, A, **SHORT), tmp_path / "results")
    cached_points(folder)
    before = content_digest(folder)
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("0", "1", 1))
    assert content_digest(folder) != before
    read.clear()
    with suppress(RunError):  # as its chain is broken
        cached_points(folder)
    assert read == [folder]
    (folder / name).write_text(text)
    assert cached_points(folder).error == ""


def test_a_run_that_goes_on_has_its_new_points(tmp_path: Path) -> None:
    out = tmp_path / "results"
    short, long = (run_of(0, A, launches=launches, rounds=8) for launches in (2, 4))
    folder = save(short, out)
    assert {own.metrics["step_time"].launches for own in cached_points(folder).cells} == {2}
    shutil.rmtree(folder)
    folder = save(long, out)
    assert {own.metrics["step_time"].launches for own in cached_points(folder).cells} == {4}


def test_other_code_reads_anew(tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(run_of(0, A, **SHORT), tmp_path / "results")
    cached_points(folder)
    monkeypatch.setattr(history_cache, "code_digest", lambda: "another")
    cached_points(folder)
    assert len(read) == 2
    assert code_digest.__wrapped__() == code_digest()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_spoilt_file_is_made_anew_with_no_word_lost(tmp_path: Path, data: st.DataObject) -> None:
    """Cut, flipped, or of something else: the points are those of the records. All examples spoil one file."""
    folder = tmp_path / "results"
    (run,) = folder.iterdir() if folder.exists() else (save(run_of(0, A, **SHORT), folder),)
    expected = cached_points(run)
    (place,) = cache_of_code().glob("*.json.z")
    whole = place.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "flipped", "other"]))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    place.write_bytes({"cut": whole[:at], "flipped": flipped, "other": data.draw(st.binary(max_size=50))}[kind])
    assert cached_points(run) == expected
    assert place.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = save(run_of(0, A, **SHORT), tmp_path / "results")
    assert cached_points(folder) == points_of_run(store.read_run(folder))


def test_what_old_code_read_is_cleared_away(tmp_path: Path, cache: Path) -> None:
    old, young = cache / "old", cache / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "x.json.z").touch()
    past = time.time() - 2 * history_cache.FORGOTTEN
    os.utime(old, (past, past))
    cached_points(save(run_of(0, A, **SHORT), tmp_path / "results"))
    assert not old.exists()
    assert young.exists()
    assert cache_of_code().exists()


def test_a_run_that_is_written_meanwhile_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(run_of(0, A, **SHORT), tmp_path / "results")

    def going_on(run: store.StoredRun) -> RunPoints:
        found = points_of_run(run)
        with (folder / store.RECORDS).open("a") as file:
            file.write("\n")
        return found

    monkeypatch.setattr(history_points, "points_of_run", going_on)
    cached_points(folder)
    assert not cache_of_code().exists()
