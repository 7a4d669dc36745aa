"""Tables as Parquet, read back by pyarrow, by pandas and by polars: the same values, with units and meanings.

Apart from the other tests, since pandas 3 keeps texts in pyarrow where that is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import ROOT
from exported import REASON, RUN, plain_rows, read_csv
from synthetic import make

from bench import cli
from bench.analysis.run import Run
from bench.report import export_tables
from bench.report.export_tables import EXPORTED_TABLES, write_tables

TABLES = [name for name in EXPORTED_TABLES if name not in ("ladder", "curves")]


@pytest.mark.parametrize("name", TABLES)
def test_parquet_reads_back_equal_in_three_readers(name: str, tmp_path: Path) -> None:
    path, _ = write_tables(RUN, "parquet", tmp_path, [name])
    wanted = plain_rows(getattr(RUN, name))
    assert pyarrow.parquet.read_table(path).to_pylist() == wanted
    assert polars.read_parquet(path).to_dicts() == wanted
    whole = plain_rows(pd.read_parquet(path))
    assert [{key: None if pd.isna(value) else value for key, value in row.items()} for row in whole] == wanted


@pytest.mark.parametrize("name", TABLES)
def test_csv_reads_back_equal_in_a_reader_that_tells_nothing_from_an_empty_text(name: str, tmp_path: Path) -> None:
    path, _ = write_tables(RUN, "csv", tmp_path, [name])
    wanted = read_csv(path)
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    arrow = pyarrow.csv.read_csv(
        path, convert_options=options, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    ).to_pylist()
    assert any("" in row.values() for row in wanted) == (name == "cells")
    # An apostrophe that guards is taken away, as docs/export.md says.
    unguarded = [
        {key: value[1:] if isinstance(value, str) and value[:1] == "'" else value for key, value in row.items()}
        for row in arrow
    ]
    assert unguarded == wanted


def test_the_schema_says_what_columns_are_and_of_which_run(tmp_path: Path) -> None:
    for name in EXPORTED_TABLES:
        path, described = write_tables(RUN, "parquet", tmp_path, [name])
        schema = pyarrow.parquet.read_schema(path)
        entries = json.loads(described.read_text())["tables"][name]["columns"]
        assert [field.name for field in schema] == [entry["name"] for entry in entries]
        for field, entry in zip(schema, entries, strict=True):
            said = {key.decode(): value.decode() for key, value in field.metadata.items() if b":" not in key}
            assert said == {"unit": entry["unit"], "description": entry["meaning"]}
            assert str(field.type) == {"text": "string", "float64": "double"}.get(entry["type"], entry["type"])
        said = json.loads(schema.metadata[b"loopmark"])
        assert (said["run"], said["table"], said["format"]) == (RUN.id, name, "loopmark tables 1")
    assert {"s", "bytes", "1"} <= {column.unit for table in EXPORTED_TABLES.values() for column in table}


def test_row_groups_are_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_tables, "PART_ROWS", 50)
    path, _ = write_tables(RUN, "parquet", tmp_path, ["turns"])
    read = pyarrow.parquet.ParquetFile(path)
    assert read.num_row_groups > 3
    assert read.read().to_pylist() == plain_rows(RUN.turns)


def test_analysis_does_not_mind_pyarrow() -> None:
    assert str(RUN.cells.dtypes["cell"]) == "object"
    assert any(REASON in reason for reason in RUN.cells["reason"])


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from histories import save

    folder = save(make(launches=2), tmp_path / "results")
    assert cli.exit_code(["export", "parquet", str(folder), "--into", str(tmp_path / "out")]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert pyarrow.parquet.read_table(first).num_rows == len(Run(make(launches=2)).cells)


SCRIPT = """
import resource, sys
from synthetic import make
from bench.analysis.run import Run
from bench.report.export_tables import write_tables
run = Run(make(lengths={size: 1e-3 for size in range(8, 8 + 40)}, launches=25, rounds=60))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_tables(run, sys.argv[1], sys.argv[2], ["turns"])
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(sum(len(one.turns.round) for one in run.stored.records), more)
"""


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_turns_are_written_in_bounded_memory(form: str, tmp_path: Path) -> None:
    """240,000 turns, which as one table take 60 MB, and 300 MB as rows of text."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:" + ":".join(sys.path), "PATH": "/usr/bin:/bin"},
    )
    rows, more = map(int, done.stdout.split())
    assert rows == 240_000
    assert more * (1024 if sys.platform == "linux" else 1) < 250 * 2**20, f"{more / 1024:.0f} MB"
