"""A table as CSV that reads back as it was: every float to its last bit, and a missing value is no empty text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.borders import csv_exact
from bench.report.exported_table import ColumnType, ExportedTable


def write_csv(table: ExportedTable, path: Path) -> int:
    """RFC 4180, in UTF-8, with LF; texts are quoted and nothing else is, so that `""` is a text and nothing is none."""
    rows = 0
    with open(path, "x", encoding="utf-8", newline="") as file:
        file.write(",".join(csv_exact(column.name) for column in table.columns) + "\n")
        for part in table.parts:
            written = [
                _entries(values, column.type) for values, column in zip(table.values(part), table.columns, strict=True)
            ]
            file.writelines(",".join(row) + "\n" for row in zip(*written, strict=True))
            rows += len(part)
    return rows


def _entries(values: Sequence[Any], kind: ColumnType) -> list[str]:
    if kind == "text":
        known = {value: csv_exact(value) for value in set(values) - {None}}  # few texts, in many rows
        return ["" if value is None else known[value] for value in values]
    if kind == "bool":
        return ["" if value is None else "true" if value else "false" for value in values]
    return ["" if value is None else repr(value) for value in values]
