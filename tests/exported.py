"""A run whose tables are exported, and what reads them back: shared by the tests of CSV and those of Parquet."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from synthetic import TRAINER, make
from test_api import without_axis

from bench.analysis.run import Run

REASON = "=1+1\r\n\"x\",'y' | $z$ é 漢"


def odd_floats() -> Iterator[float]:
    """Floats that lose bits where they are written with fewer digits than they have."""
    chance = random.Random(0)
    while True:
        yield chance.choice((chance.random() * 10 ** chance.randint(-9, 9), 0.1 + 0.2, 5e-324, 1 / 3, 1e16 + 2))


def exported_run() -> Run:
    """Of every kind: a failure, a text that is markup, instrumented launches, an axis that one suite lacks."""
    made = make(launches=3, instrument=1, failures={(TRAINER, 32, 1): ("crashed", REASON)})
    return Run(without_axis(made))


RUN = exported_run()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """As docs/export.md tells a reader to: nothing is missing, an apostrophe at the beginning is taken away."""
    described = json.loads((path.parent / "tables-csv.json").read_text())["tables"][path.stem]["columns"]
    kinds = {column["name"]: column["type"] for column in described}
    rows = []
    for line in split(path.read_bytes().decode()):
        rows.append([None if entry == "" else unquoted(entry) if entry[0] == '"' else entry for entry in line])
    header, *body = rows
    read = {"int64": int, "float64": float, "bool": lambda text: {"true": True, "false": False}[text], "text": str}
    return [
        {name: None if entry is None else read[kinds[name]](entry) for name, entry in zip(header, row, strict=True)}
        for row in body
    ]


def split(text: str) -> Iterator[list[str]]:
    """The entries of each row as they stand, quotes included."""
    row, entry, within = [], "", False
    for letter in text:
        within ^= letter == '"'
        if within or letter not in ",\n":
            entry += letter
            continue
        row.append(entry)
        entry = ""
        if letter == "\n":
            yield row
            row = []
    assert not row
    assert not entry


def unquoted(entry: str) -> str:
    text = entry[1:-1].replace('""', '"')
    return text[1:] if text.startswith("'") else text


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    def value(one: Any) -> Any:
        return None if one is None or (isinstance(one, float) and math.isnan(one)) else one

    return [{name: value(one) for name, one in row.items()} for row in table.to_dict("records")]
