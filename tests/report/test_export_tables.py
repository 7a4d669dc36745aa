"""Tables of a run as files: what is written is what was measured, to the last bit, and nobody's files are lost."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from convergences import reached_run
from exported import REASON, RUN, odd_floats, plain_rows, read_csv, unquoted
from histories import save
from hypothesis import example, given
from synthetic import FABRIC, PLAIN, make
from test_api import TABLES
from test_borders import hostile

from bench import borders, cli
from bench.analysis.columns import Column
from bench.analysis.run import Run
from bench.errors import BenchError, RunError, SpecError
from bench.report import export_tables
from bench.report.export_tables import EXPORTED_TABLES, tables_of, write_tables
from bench.results import files


@pytest.mark.parametrize("name", [name for name in EXPORTED_TABLES if name not in ("ladder", "curves")])
def test_csv_reads_back_equal_to_the_last_bit(name: str, tmp_path: Path) -> None:
    path, described = write_tables(RUN, "csv", tmp_path, [name])
    assert path == tmp_path / RUN.id / f"{name}.csv"
    table = getattr(RUN, name)
    assert len(table)
    assert read_csv(path) == plain_rows(table)
    entry = json.loads(described.read_text())["tables"][name]
    assert entry["rows"] == len(table)
    assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_floats_keep_every_bit_and_what_is_missing_is_no_empty_text(tmp_path: Path) -> None:
    floats = odd_floats()
    records = tuple(
        replace(one, turns=replace(one.turns, counted=tuple(next(floats) + 5e-3 for _ in one.turns.counted)))
        if one.turns is not None
        else one
        for one in RUN.stored.records
    )
    run = Run(replace(RUN.stored, records=records))
    (path, _) = write_tables(run, "csv", tmp_path, ["turns"])
    told = read_csv(path)
    assert [row["step_time"] for row in told] == run.turns["step_time"].tolist()
    rounded = [float(f"{value:.12g}") for value in run.turns["step_time"]]
    assert rounded != run.turns["step_time"].tolist()  # a writer of twelve digits would not pass
    (path, _) = write_tables(RUN, "csv", tmp_path / "cells", ["cells"])
    reasons = [row["reason"] for row in read_csv(path)]
    assert "" in reasons
    assert any(REASON in (reason or "") for reason in reasons)
    assert {row["batch_size"] for row in read_csv(path)} == {32, 256, 2048, None}


@given(hostile)
@example("'=x")
@example("''")
@example("=x")
def test_any_text_comes_back_and_none_is_a_formula(text: str) -> None:
    entry = borders.csv_exact(text)
    assert unquoted(entry) == borders.encodable(text).replace("\x00", "\\x00")
    ((read,),) = csv.reader(StringIO(entry + "\n", newline=""))
    assert not read.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or math.isfinite(float(read))


def test_pandas_reads_the_figures_as_they_are(tmp_path: Path) -> None:
    path, _ = write_tables(RUN, "csv", tmp_path, ["launches"])
    read = pd.read_csv(path)
    assert read["value"].tolist() == RUN.launches["value"].tolist()
    assert read["cell"].tolist() == RUN.launches["cell"].tolist()
    assert read["instrumented"].dtype == bool


@pytest.mark.parametrize("name", EXPORTED_TABLES)
def test_every_column_of_every_table_is_described(name: str) -> None:
    assert tuple(EXPORTED_TABLES) == tuple(TABLES)
    run = Run(reached_run()) if name == "curves" else RUN
    (table,) = tables_of(run, [name])
    frame = getattr(run, name)
    assert [column.name for column in table.columns] == list(frame.columns)
    known = {column.name: column for column in TABLES[name]}
    for column in table.columns:
        own = known.get(column.name, Column(column.name, "", "", f"axis {column.name}"))
        assert (column.unit, column.meaning) == (own.unit, own.meaning)
        assert column.type == {"object": "text", "": column.type}.get(own.dtype, own.dtype)


def test_a_table_in_parts_is_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also the type of an axis, of which a part may lack some values."""
    (whole, _) = write_tables(RUN, "csv", tmp_path / "whole", ["turns"])
    monkeypatch.setattr(export_tables, "PART_ROWS", 50)
    sizes = [len(part) for part in tables_of(RUN, ["turns"])[0].parts]
    assert sum(sizes) == len(RUN.turns)
    assert len(sizes) > 3
    assert max(sizes) < 50 + 2 * 12
    (parted, _) = write_tables(RUN, "csv", tmp_path / "parted", ["turns"])
    assert parted.read_bytes() == whole.read_bytes()
    assert len(next(tables_of(RUN, ["launches"])[0].parts)) == 50


def test_by_default_all_tables_that_say_something_are_written(tmp_path: Path) -> None:
    names = [path.name for path in write_tables(RUN, "csv", tmp_path)]
    assert names == ["cells.csv", "launches.csv", "turns.csv", "pairs.csv", "tables-csv.json"]
    assert "curves.csv" in [path.name for path in write_tables(Run(reached_run()), "csv", tmp_path / "more")]
    nothing = Run(replace(make(launches=1), records=()))
    assert len(write_tables(nothing, "csv", tmp_path / "nothing", list(EXPORTED_TABLES))) == 7
    assert (tmp_path / "nothing" / nothing.id / "turns.csv").read_text().count("\n") == 1


# --- files of others, and what goes wrong


def test_an_export_replaces_its_own_files_and_nobody_elses(tmp_path: Path) -> None:
    write_tables(RUN, "csv", tmp_path, ["cells"])
    folder = tmp_path / RUN.id
    write_tables(RUN, "csv", tmp_path, ["turns"])
    assert set(json.loads((folder / "tables-csv.json").read_text())["tables"]) == {"cells", "turns"}
    (folder / "cells.csv").write_text("old")
    write_tables(RUN, "csv", tmp_path, ["cells"])
    assert (folder / "cells.csv").read_text() != "old"
    (folder / "pairs.csv").write_text("mine")
    with pytest.raises(RunError, match=r"pairs\.csv: is there, and no export of run .* has written it"):
        write_tables(RUN, "csv", tmp_path)
    assert (folder / "pairs.csv").read_text() == "mine"
    for content in ("not json", "[]", '{"format": "loopmark tables 1", "run": "another", "tables": {}}'):
        (folder / "tables-csv.json").write_text(content)
        with pytest.raises(RunError, match=r"tables-csv\.json: is there, and no export"):
            write_tables(RUN, "csv", tmp_path, ["cells"])
        assert (folder / "tables-csv.json").read_text() == content


def test_an_export_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tables(RUN, "csv", tmp_path, ["turns"])
    folder = tmp_path / RUN.id
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    broken = export_tables.frames.turns

    def failing(stored: Any) -> Any:
        if stored.records[0].launch > 0:
            raise RunError("no more")
        return broken(stored)

    monkeypatch.setattr(export_tables, "PART_ROWS", 50)
    monkeypatch.setattr(export_tables.frames, "turns", failing)
    with pytest.raises(RunError, match="no more"):
        write_tables(RUN, "csv", tmp_path, ["turns"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.filled_aside(path) as aside:
        aside.write_text("x" * (4 // (len(aside.name) - len(aside.name))))
    with pytest.raises(RunError, match="x: cannot be written: No such file"), files.filled_aside(path) as aside:
        (aside / "below").write_text("what the writer meets is told of the file that it is for")
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "old"
    with files.filled_aside(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    with pytest.raises(RunError, match="cannot be written"), files.filled_aside(path / "below"):
        pass


def test_wrong_words_are_told_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"unknown table 'turn'; allowed: cells, launches, turns, "):
        write_tables(RUN, "csv", tmp_path, ["turn", "cells"])
    with pytest.raises(SpecError, match="unknown form 'xls'; allowed: csv, parquet"):
        write_tables(RUN, "xls", tmp_path)  # type: ignore[arg-type]  # what a user may write
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_several_runs_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = (save(make(launches=2), tmp_path / "results" / name) for name in "ab")
    words = ["export", "csv", str(one), str(two), "nowhere", "--what", "cells, turns", "--into", "out"]
    assert cli.exit_code(words) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"out/{folder.name}/{name}" for folder in (one, two) for name in ("cells.csv", "turns.csv", "tables-csv.json")
    ]
    assert "left out: unknown run 'nowhere'" in said.err
    for words, text in (
        (["csv", "--commit", "HEAD"], "--commit: of asv, and not of csv; leave it away"),
        (["asv", "--what", "cells", "--into", "x"], "--what, --into: of csv and parquet, and not of asv"),
        (["csv", str(one), "--what", "cell"], "unknown table 'cell'"),
        (["csv", "nowhere"], "unknown run 'nowhere'"),
    ):
        assert cli.exit_code(["export", *words]) == 2
        assert text in capsys.readouterr().err


def test_without_pyarrow_one_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    folder = save(make(launches=2), tmp_path / "results")
    assert cli.exit_code(["export", "parquet", str(folder), "--into", str(tmp_path / "out")]) == 2
    assert 'pip install "loopmark[parquet]", or export csv' in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.*"))
    assert issubclass(SpecError, BenchError)
    assert {PLAIN, FABRIC} <= set(RUN.cells["loop"])
