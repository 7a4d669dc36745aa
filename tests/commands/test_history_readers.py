"""Several processes read a history's runs, each once, and nothing that they do or fail to do changes what it says."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from histories import run_of, save

from bench.analysis.history_points import points_of_run
from bench.commands import history_readers
from bench.commands.history_cache import cached_points, content_digest, kept_place
from bench.commands.history_readers import LEAST_RUNS, read_ahead
from bench.results import store

SHORT = {"launches": 2, "rounds": 8}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [save(run_of(number, f"{number}" * 40, **SHORT), tmp_path / "results") for number in range(5)]


@pytest.mark.usefixtures("processes")
def test_others_read_their_share_and_leave_it_where_it_is_looked_for(runs: list[Path]) -> None:
    spoilt = runs[3] / store.RUN
    spoilt.write_text("{")
    digests = read_ahead(runs, processes=2)
    assert {*digests} == {*runs}
    sound = [folder for folder in runs if folder != runs[3]]
    assert all(kept_place(digests[folder]).exists() for folder in sound)
    for folder in sound:
        assert cached_points(folder, digests[folder]) == points_of_run(store.read_run(folder))


@pytest.mark.usefixtures("processes")
def test_readers_that_die_leave_a_history_as_it_is(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    digests = read_ahead(runs, processes=3)
    expected = [points_of_run(store.read_run(folder)) for folder in runs]
    assert [cached_points(folder, digests[folder]) for folder in runs] == expected


@pytest.mark.usefixtures("processes")
def test_where_nothing_can_be_kept_nothing_is_read_ahead(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    read: list[Path] = []
    plain = store.read_run
    monkeypatch.setattr(store, "read_run", lambda folder: read.append(folder) or plain(folder))
    digests = read_ahead(runs, processes=2)
    assert len(read) == 1
    assert [cached_points(folder, digests[folder]).error for folder in runs] == [""] * len(runs)


@pytest.mark.usefixtures("processes")
def test_none_is_left_where_reading_is_broken_off(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            started.append(self)

    def interrupted(folder: Path, digest: str | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Seen)
    monkeypatch.setattr(history_readers, "cached_points", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_ahead(runs, processes=3)
    assert [one.returncode for one in started] == [-9, -9]


@pytest.mark.parametrize(
    ("cores", "count", "readers"),
    [(8, 2 * LEAST_RUNS - 1, 0), (8, 2 * LEAST_RUNS, 1), (8, 5 * LEAST_RUNS, 4), (2, 9 * LEAST_RUNS, 1)],
)
def test_there_are_as_many_as_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, count: int, readers: int
) -> None:
    """Each of them has runs enough to be worth its imports, and a core."""
    started: list[int] = []
    killed: list[int] = []

    class Reader:
        def __init__(self, *words: Any, **options: Any) -> None:
            self.stdin = io.BytesIO()

        def wait(self) -> None:
            started.append(1)

        def kill(self) -> None:
            killed.append(1)

    monkeypatch.setattr(subprocess, "Popen", Reader)
    monkeypatch.setattr(history_readers, "usable_cores", lambda: [*range(cores)])
    monkeypatch.setattr(history_readers, "cached_points", lambda *_: None)
    folders = [tmp_path / str(number) for number in range(count)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / store.RUN).write_text(f"{number}")
    read_ahead(folders)
    assert len(killed) == readers
    assert len(started) == 2 * readers  # each is waited for, and waited for again on leaving


def test_what_the_cache_has_is_read_by_nobody(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in runs:
        cached_points(folder)
    monkeypatch.setattr(history_readers, "_read", None)
    monkeypatch.setattr(history_readers, "_reader", None)
    assert read_ahead(runs, processes=2) == {folder: content_digest(folder) for folder in runs}
