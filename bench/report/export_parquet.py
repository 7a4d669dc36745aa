"""A table as Parquet: a row group a part, each column with its unit and meaning in the schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.borders import encodable, json_text
from bench.errors import SpecError
from bench.report.exported_table import EXPORT_FORM, ExportedTable
from bench.results.version import __version__

if TYPE_CHECKING:
    import pyarrow

# Marks a schema as ours; the same key holds what the table is of.
SCHEMA_KEY = "loopmark"


def write_parquet(table: ExportedTable, path: Path) -> int:
    """Missing values are null, in columns of floats too, where no statistics of another program has to know of NaN.

    Raises:
        SpecError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    schema = schema_of(table)
    rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in table.parts:
            arrays = [arrow.array(values, field.type) for values, field in zip(table.values(part), schema, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema), row_group_size=max(len(part), 1))
            rows += len(part)
    return rows


def schema_of(table: ExportedTable) -> pyarrow.Schema:
    """Names, types, and as metadata units and meanings; of the whole, the run and the table."""
    arrow, _ = _pyarrow()
    types = {"text": arrow.string(), "int64": arrow.int64(), "float64": arrow.float64(), "bool": arrow.bool_()}
    fields = []
    for one in table.columns:
        told = {"unit": one.unit, "description": encodable(one.meaning)}
        fields.append(arrow.field(encodable(one.name), types[one.type], metadata=told))
    said = {"format": EXPORT_FORM, "loopmark": __version__, "run": table.run, "table": table.name}
    return arrow.schema(fields, metadata={SCHEMA_KEY: json_text(said)})


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SpecError(
            'Parquet is written by pyarrow, which is not installed; run: pip install "loopmark[parquet]", or export csv'
        ) from None
    return pyarrow, pyarrow.parquet
