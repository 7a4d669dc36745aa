"""A run's tables as files for other programs: `bench export parquet` and `csv`. What is written, and where it may be.

A table goes out in parts, of some launches each, so that 100,000 records are never a table in memory. Beside the tables
of a run stands a file that says what they are: of each its digest, and every column with its type, unit and meaning.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bench.analysis import columns, frames
from bench.analysis.run import Run
from bench.borders import file_name, json_text
from bench.commands.python_arguments import path_of, texts_of
from bench.errors import RunError, SpecError, one_of, quote
from bench.report.exported_table import EXPORT_FORM, ColumnType, ExportedColumn, ExportedTable, TableWriter
from bench.results import files
from bench.results.version import __version__

EXPORTED_TABLES: Mapping[str, Sequence[columns.Column]] = {
    "cells": (*columns.KEY_COLUMNS, *columns.CELL_COLUMNS),
    "launches": columns.LAUNCH_COLUMNS,
    "turns": columns.TURN_COLUMNS,
    "pairs": columns.PAIR_COLUMNS,
    "ladder": columns.LADDER_COLUMNS,
    "curves": columns.CURVE_COLUMNS,
}
ONLY_WHERE_ANY = ("ladder", "curves")  # of few suites; asked for by name they are written without rows, too
WITHOUT_AXES = ("pairs", "ladder", "curves")
PART_ROWS = 100_000  # rows of a part of a table, and of a row group of Parquet


def known_tables(what: Iterable[str]) -> list[str]:
    """The tables of these names, each once.

    Raises:
        SpecError: there is none of this name; says which there are.
    """
    names = list(dict.fromkeys(what))
    if unknown := [name for name in names if name not in EXPORTED_TABLES]:
        raise SpecError("\n".join(one_of("table", name, EXPORTED_TABLES) for name in unknown))
    return names


def tables_of(run: Run, what: Sequence[str] = ()) -> list[ExportedTable]:
    """The tables of a run that are asked for; where none is, all of those that say something of it.

    Raises:
        SpecError: a table of this name is unknown; says which there are.
        RunError: as the run's own tables.
    """
    names = known_tables(what) or [
        name for name in EXPORTED_TABLES if name not in ONLY_WHERE_ANY or len(getattr(run, name))
    ]
    return [ExportedTable(name, run.id, _columns(run, name), _parts(run, name)) for name in names]


def _columns(run: Run, name: str) -> list[ExportedColumn]:
    """The columns of a table in its own order, axes among them where they stand there."""
    known = {column.name: column for column in EXPORTED_TABLES[name]}
    axes = {} if name in WITHOUT_AXES else frames.axis_columns(run.stored, known)
    of_axes = [ExportedColumn(column, _kind_of_axis(run, axis), "", f"axis {axis}") for axis, column in axes.items()]
    own = [ExportedColumn(one.name, _kind(one.dtype), one.unit, one.meaning) for one in known.values()]
    place = len(columns.KEY_COLUMNS) if name == "cells" else len(own)
    return [*own[:place], *of_axes, *own[place:]]


def _kind(dtype: str) -> ColumnType:
    kinds: Mapping[str, ColumnType] = {"object": "text", "int64": "int64", "float64": "float64", "bool": "bool"}
    return kinds[dtype]


def _kind_of_axis(run: Run, axis: str) -> ColumnType:
    """The type of an axis in all parts of a table: from the plan, since a part may have some of its values only."""
    values = [cell["point"].get(axis) for cell in run.info["plan"]["cells"]]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "bool"
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return "int64"
    return "float64" if kinds == {float} else "text"


def _parts(run: Run, name: str) -> Iterator[pd.DataFrame]:
    if name != "turns":
        whole = getattr(run, name)
        for start in range(0, len(whole), PART_ROWS):
            yield whole.iloc[start : start + PART_ROWS]
        return
    part: list[Any] = []
    rows = 0
    for record in run.stored.records:
        if record.turns is None:
            continue
        part.append(record)
        rows += len(record.turns.round)
        if rows >= PART_ROWS:
            yield frames.turns(replace(run.stored, records=tuple(part)))
            part, rows = [], 0
    if part:
        yield frames.turns(replace(run.stored, records=tuple(part)))


def write_tables(
    run: Run, form: Literal["csv", "parquet"] = "csv", folder: Path | str = "exports", what: Sequence[str] = ()
) -> list[Path]:
    """Write tables of a run into `folder`/RUN: `bench export csv` and `bench export parquet`.

    Files of an earlier export of this run are replaced, each at once or not at all.

    Args:
        run: what `bench.run` and `bench.load` give.
        form: `csv` or `parquet`, which needs pyarrow.
        folder: the folder that gets a folder for the run.
        what: `cells`, `launches`, `turns`, `pairs`, `ladder`, `curves`; none: all that have rows.

    Returns:
        The files, that which describes the others last.

    Raises:
        SpecError: an unknown form or table, or pyarrow is missing.
        RunError: a file is there that no export of this run has written, or nothing can be written there.
    """
    if not isinstance(run, Run):
        raise SpecError(f"run: {quote(run)} is not possible; allowed: what bench.run and bench.load give")
    folder, what = path_of("folder", folder), texts_of("what", what)
    suffix, write = form, writer_of(form)
    tables = tables_of(run, what)
    into = folder / file_name(run.id)
    described = into / f"tables-{suffix}.json"
    before = _described(described, run.id)
    paths = {table.name: into / f"{table.name}.{suffix}" for table in tables}
    taken = [path for name, path in paths.items() if path.exists() and name not in before]
    if taken:
        raise RunError("; ".join(f"{path}: is there, and no export of run {run.id} has written it" for path in taken))
    entries: dict[str, Any] = dict(before)
    for table in tables:
        with files.filled_aside(paths[table.name]) as aside:
            rows = write(table, aside)
            with open(aside, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        entries[table.name] = {
            "file": paths[table.name].name,
            "rows": rows,
            "sha256": digest,
            "records": len(run.stored.records) + len(run.stored.instrumented),
            "columns": [asdict(column) for column in table.columns],
        }
        content = {"format": EXPORT_FORM, "loopmark": __version__, "run": run.id, "missing": _MISSING[form]}
        files.write_aside(described, json_text({**content, "tables": entries}, indent=1) + "\n")
    return [*paths.values(), described]


_MISSING = {
    "csv": 'nothing between the separators; an empty text is "". A text that begins with an apostrophe has one more in '
    "front, and so has one that a spreadsheet would compute: take one away from each that begins with it",
    "parquet": "null",
}


def writer_of(form: str) -> TableWriter:
    """The function that writes this form.

    Raises:
        SpecError: there is no such form, or what it needs is not installed.
    """
    if form == "csv":
        from bench.report.export_csv import write_csv

        return write_csv
    if form != "parquet":
        raise SpecError(one_of("form", form, ("csv", "parquet")))
    from bench.report.export_parquet import write_parquet

    return write_parquet


def _described(path: Path, run: str) -> Mapping[str, Any]:
    """The tables that an earlier export of this run has written there; none where there is none.

    Raises:
        RunError: the file is another's.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(files.read_bytes(path))
        if found["format"] == EXPORT_FORM and found["run"] == run:
            tables: Mapping[str, Any] = dict(found["tables"])
            return tables
    except (ValueError, KeyError, TypeError):
        found = None
    raise RunError(f"{path}: is there, and no export of run {run} has written it")
