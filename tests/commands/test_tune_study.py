"""The study of a search in its SQLite file: what it keeps, what opens it, and files that are none or cannot be had."""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import bench.commands.tune_storage as tune_storage
import bench.commands.tune_study as tune_study
from bench.commands.tune_study import SearchStudy, open_study
from bench.errors import RunError, SpecError
from bench.plan.search_space import SearchSpace

optuna = pytest.importorskip("optuna")
event = pytest.importorskip("sqlalchemy").event

SPACE = SearchSpace({"batch_size": (32, 64, 128), "threads": (1, 2)})


def opened(path: Path | None, *, resume: bool = False, name: str = "one", space: SearchSpace = SPACE) -> SearchStudy:
    return open_study(path, name, space, sampler="tpe", seed=0, resume=resume)


def test_what_is_told_is_what_optuna_reads(tmp_path: Path) -> None:
    """With Optuna alone, as its dashboard opens the file."""
    path = tmp_path / "study.db"
    study = opened(path)
    first, second, third, fourth = (label for label, _ in study.propose(4))
    for label in (first, second):
        study.report(label, 2, 1.5, {"label": label, "outcome": "ok", "peak_memory": 10, "lags": [math.inf]})
    study.report(first, 4, 1.75, {"label": first, "outcome": "ok"})
    study.complete(first, 1.75)
    study.prune(second, "its validation loss is not finite", 1.0)
    study.fail(third, "crashed: exit code 1")
    study.spend(12.5)

    read = optuna.load_study(study_name="one", storage=f"sqlite:///{path}")
    states = [trial.state.name for trial in read.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert read.best_value == 1.75
    assert read.trials[0].intermediate_values == {2: 1.5, 4: 1.75}
    assert read.trials[1].user_attrs["reason"] == "its validation loss is not finite"
    assert read.trials[1].constraints == {"broken limit": 1.0}
    assert SPACE.label(read.trials[3].params) == fourth

    again = opened(path, resume=True)
    assert again.spent == 12.5
    assert [(row.label, row.word) for row in again.rows()][1:3] == [(second, "pruned"), (third, "failed")]
    assert again.rows()[1].seen["2"]["lags"] == ["inf"]


def test_what_is_undecided_is_taken_up_and_nothing_is_proposed_twice(tmp_path: Path) -> None:
    study = opened(tmp_path / "study.db")
    first, second = (label for label, _ in study.propose(2))
    study.report(first, 2, 1.5, {"label": first, "outcome": "ok"})
    again = opened(tmp_path / "study.db", resume=True)
    assert [(row.label, dict(row.seen).keys()) for row in again.take_up()] == [(first, {"2"}), (second, set())]
    again.complete(first, 1.5)
    rest = [label for label, _ in again.propose(100)]
    assert sorted([first, second, *rest]) == sorted(SPACE.label(one) for one in SPACE.candidates())


def test_the_default_and_what_is_refused_are_never_proposed() -> None:
    space = SearchSpace(SPACE.axes, {"batch_size=64,threads=2": "too many threads"})
    labels = [label for label, _ in opened(None, space=space).propose(100)]
    assert sorted(labels) == sorted({SPACE.label(one) for one in SPACE.candidates()} - {"batch_size=64,threads=2"})


def test_two_searches_share_a_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        opened(tmp_path / "study.db", name=name).propose(1)
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path / 'study.db'}") == ["one", "two"]


def no_sqlite(path: Path) -> None:
    path.write_text("batch_size,samples_per_second\n" * 100, encoding="utf-8")


def another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened_file, opened_file:
        opened_file.execute("create table tracks (name text)")


def a_study_of_that_name(path: Path) -> None:
    opened(path)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (no_sqlite, "file is not a database; allowed: a new file, or one that Optuna has made"),
        (another_programs, "it is another program's database; allowed: a new file, or one that Optuna has made"),
        (a_study_of_that_name, "it holds a study 'one' already; allowed: --resume, or another --storage"),
        (Path.mkdir, "it is a folder; allowed: a file for the study"),
        (os.mkfifo, "it is a pipe or a device; allowed: a file for the study"),
    ],
)
def test_a_file_that_cannot_be_a_study_is_refused_and_left_as_it_is(tmp_path: Path, make: object, text: str) -> None:
    path = tmp_path / "study.db"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(RunError, match=text):
        opened(path)
    assert before is None or path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the folder is not there or cannot be written; choose another --storage"):
        opened(tmp_path / "nowhere" / "study.db")


def test_a_study_that_is_gone_or_another_searchs_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the study is gone"):
        opened(tmp_path / "gone.db", resume=True)
    opened(tmp_path / "study.db")
    with pytest.raises(RunError, match="holds no study 'two'; there are: one"):
        opened(tmp_path / "study.db", resume=True, name="two")
    with pytest.raises(RunError, match="its study 'one' is of another search"):
        opened(tmp_path / "study.db", resume=True, space=SearchSpace({"batch_size": (1, 2)}))


def test_a_file_that_another_process_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_storage, "LOCK_PATIENCE", 0.1)
    study = opened(tmp_path / "study.db")
    with closing(sqlite3.connect(tmp_path / "study.db")) as holder:
        holder.execute("begin exclusive")
        with pytest.raises(RunError, match=r"database is locked; another process is writing it.*--resume"):
            study.propose(1)
    assert len(study.propose(1)) == 1


def say_first(study: SearchStudy, pragma: str) -> None:
    """To SQLite, on every connection that the study makes from now on."""
    engine = study._study._storage._backend.engine
    engine.dispose()
    event.listen(engine, "connect", lambda connection, record: connection.execute(pragma).close())


def test_a_read_only_file_is_told(tmp_path: Path) -> None:
    """As root every file can be written, so it is SQLite that refuses."""
    study = opened(tmp_path / "study.db")
    say_first(study, "pragma query_only = on")
    with pytest.raises(RunError, match="attempt to write a readonly database; choose another --storage"):
        study.spend(1.0)


def test_a_full_disk_is_told_and_what_was_kept_is_there(tmp_path: Path) -> None:
    """SQLite's own limit of pages, which it answers as it does a full disk."""
    path = tmp_path / "study.db"
    study = opened(path)
    ((label, _),) = study.propose(1)
    say_first(study, "pragma max_page_count = 1")
    with pytest.raises(RunError, match="the disk is full; make room, and go on with --resume"):
        study.report(label, 2, 1.0, {"label": label, "outcome": "ok", "reason": "x" * 2000, "more": ["y" * 1000] * 200})
    assert [row.label for row in opened(path, resume=True).take_up()] == [label]


def test_an_unknown_sampler_and_a_missing_optuna_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="unknown sampler 'gp'; allowed: tpe, random, grid"):
        open_study(None, "one", SPACE, sampler="gp", seed=0)  # type: ignore[arg-type]  # what Python code may give
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r'pip install "loopmark\[tune\]"$'):
        tune_study.require_optuna()
