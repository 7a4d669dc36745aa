"""asv's own files: what in them is read, whether it is asv's, and how they are written. asv 0.6.6, results.py."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.borders import encodable
from bench.errors import RunError
from bench.results import decoding, files

STATS = ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")


def result_rows(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The results that are in a file, by name and column; asv drops what is null at the end of a row."""
    return {
        name: dict(itertools.zip_longest(data["result_columns"], row)) for name, row in data.get("results", {}).items()
    }


@dataclass(frozen=True)
class _Row:
    """A row of a result file, as far as it is read here; statistics are of the same length as `result`."""

    result: tuple[float | None, ...] | None
    params: tuple[tuple[str, ...], ...]
    version: str | None
    samples: tuple[tuple[float, ...] | None, ...] | None = None
    stats_ci_99_a: tuple[float | None, ...] | None = None
    stats_ci_99_b: tuple[float | None, ...] | None = None
    stats_q_25: tuple[float | None, ...] | None = None
    stats_q_75: tuple[float | None, ...] | None = None
    stats_number: tuple[float | None, ...] | None = None
    stats_repeat: tuple[float | None, ...] | None = None


@dataclass(frozen=True)
class _Results:
    """A result file."""

    result_columns: tuple[str, ...]
    results: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class _Known:
    """An entry of benchmarks.json."""

    version: str
    params: tuple[tuple[str, ...], ...] = ()


def check_results(data: Mapping[str, Any], path: Path) -> None:
    """Raises:
    RunError: it is no result file of asv's; names the benchmark.
    """
    found = decoding.convert(_Results, data, path, more=True)
    for name, values in found.results.items():
        where = f"{path}: results: {name}"
        if len(values) > len(found.result_columns):
            raise RunError(f"{where}: {len(values)} values in {len(found.result_columns)} columns")
        row = decoding.convert(_Row, result_rows({**data, "results": {name: values}})[name], where, more=True)
        count = math.prod(map(len, row.params))
        columns = [row.result, row.samples, *(getattr(row, f"stats_{one}") for one in STATS)]
        if any(column and len(column) != count for column in columns):
            raise RunError(f"{where}: columns of other lengths than its {count} combinations of params")


def check_benchmarks(data: Mapping[str, Any], path: Path) -> None:
    """Raises:
    RunError: it is no benchmarks.json of asv's; names the benchmark.
    """
    for name, entry in data.items():
        if name != "version":
            decoding.convert(_Known, entry, f"{path}: {name}", more=True)


def read_results(path: Path, version: int) -> dict[str, Any] | None:
    if not os.path.lexists(path):
        return None
    try:
        data = json.loads(files.read_bytes(path))  # asv's files may hold NaN, which is a skipped benchmark
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as asv's: {error}") from None
    if not isinstance(data, dict) or isinstance(data.get("version"), bool) or data.get("version") != version:
        raise RunError(f"{path}: not asv's version {version} of such a file; choose another --results-dir")
    return data


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Replace the file as a whole. NaN is written as Python's json does, and as asv reads it."""
    files.write_aside(path, encodable(json.dumps(data, indent=1)) + "\n")
