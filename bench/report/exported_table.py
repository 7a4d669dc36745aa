"""A table on its way to another program: its columns, and its parts as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd

from bench.borders import encodable

ColumnType = Literal["text", "int64", "float64", "bool"]
EXPORT_FORM = "loopmark tables 1"


@dataclass(frozen=True)
class ExportedColumn:
    """A column as other programs find it; each may have missing values."""

    name: str
    type: ColumnType
    unit: str
    meaning: str


@dataclass(frozen=True)
class ExportedTable:
    """A table that is to be written: its parts are made when they are asked for."""

    name: str
    run: str
    columns: Sequence[ExportedColumn]
    parts: Iterator[pd.DataFrame]

    def values(self, part: pd.DataFrame) -> Iterator[list[Any]]:
        """Each column of a part as plain values, None where there is none."""
        for column in self.columns:
            yield _plain(part[column.name], column.type)


class TableWriter(Protocol):
    """Writes a table to a path, and gives the number of its rows."""

    def __call__(self, table: ExportedTable, path: Path) -> int: ...


def _plain(series: pd.Series, kind: ColumnType) -> list[Any]:
    values = series.tolist()
    if kind == "float64":
        return [None if value is None or value != value else float(value) for value in values]
    if kind == "text":
        return [None if _is_missing(value) else encodable(_text(value)) for value in values]
    return [None if _is_missing(value) else value for value in values]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
