"""The table of cells, as text entries that HTML, Markdown and console lay out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.record import METRICS
from bench.report.units import quantity, ratio
from bench.stats import Cell, Summary


@dataclass(frozen=True)
class Entry:
    """One entry of the table.

    Attributes:
        text: as it is read; empty where there is nothing to say.
        figure: the path in the summary of the figures that it shows, e.g. `cells/<id>/versus/ratio`.
    """

    text: str
    figure: str


@dataclass(frozen=True)
class Row:
    """A cell and its entries by column."""

    cell: Cell
    entries: dict[str, Entry]


def axes(summary: Summary) -> list[str]:
    """The axes along which the run's cells differ; ids show them all."""
    names = dict.fromkeys(axis for cell in summary.cells for axis in cell.point)
    return [axis for axis in names if len({str(cell.point.get(axis)) for cell in summary.cells}) > 1]


def metric_names(summary: Summary) -> list[str]:
    """The metrics that any cell has, in the registry's order."""
    return [name for name in METRICS if any(name in cell.metrics for cell in summary.cells)]


def columns(summary: Summary) -> list[str]:
    """The table's columns of figures, as words."""
    names = [name.replace("_", " ") for name in metric_names(summary)]
    return ["step time", "ratio", "difference", *(name for name in names if name != "step time"), "launches", "samples"]


def rows(summary: Summary) -> list[Row]:
    """Every cell, in the plan's order."""
    found = []
    for cell in summary.cells:
        path = f"cells/{cell.id}"
        entries = {column: Entry("", "") for column in columns(summary)}
        for name, metric in cell.metrics.items():
            text = quantity(metric.estimate, metric.unit, metric.low, metric.high)
            entries[name.replace("_", " ")] = Entry(text, f"{path}/metrics/{name}")
        if cell.versus is not None:
            r, d = cell.versus.ratio, cell.versus.difference
            entries["ratio"] = Entry(ratio(r.estimate, r.low, r.high), f"{path}/versus/ratio")
            entries["difference"] = Entry(quantity(d.estimate, d.unit, d.low, d.high, signed=True),
                                          f"{path}/versus/difference")
        if "step_time" in cell.metrics:
            step = cell.metrics["step_time"]
            entries["launches"] = Entry(str(step.launches), f"{path}/metrics/step_time/launches")
            entries["samples"] = Entry(str(step.samples), f"{path}/metrics/step_time/samples")
        found.append(Row(cell, entries))
    return found


def by_group(table: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each group, groups in the plan's order."""
    groups: dict[str, list[Row]] = {}
    for row in table:
        groups.setdefault(row.cell.group, []).append(row)
    return groups
