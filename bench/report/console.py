"""The summary as plain text for a terminal of 120 columns: a table per group, then the sentences."""

from __future__ import annotations

import itertools
import textwrap

from bench.analysis.summary import Summary
from bench.borders import line
from bench.report import tables
from bench.report.sentences import headlines
from bench.report.units import unbroken

WIDTH = 120
# Ratio and difference are what people look for; with them the table fits. The rest is in `--format json` and the page.
COLUMNS = ("step time", "ratio", "difference", "throughput", "launches")


def render(summary: Summary) -> str:
    """The table and the sentences, in lines of at most WIDTH characters."""
    shown = [column for column in COLUMNS if column in tables.columns(summary)]
    groups = tables.by_group(tables.rows(summary))
    table = [["", "outcome", *shown]]
    for row in (row for rows in groups.values() for row in rows):
        name = f"{row.cell.point[summary.compare[row.cell.suite]]}{' (twin)' if row.cell.twin else ''}"
        table.append([line(name), line(row.cell.outcome), *(line(row.entries[column].text) for column in shown)])
    header, *body = _aligned(table)
    lines = [header]
    rest = iter(body)
    for group, rows in groups.items():
        lines += [line(group)[:WIDTH], *itertools.islice(rest, len(rows)), ""]
    lines += _looked(summary)
    notes = [f"{cell.id}: {cell.outcome}: {cell.reason}" for cell in summary.cells if cell.reason]
    for title, sentences in (("Not ok:", notes), ("Warnings:", summary.warnings)):
        if sentences:
            lines += [title, *(part for text in sentences for part in wrapped(text, "  - "))]
            lines.append("")
    sentences = [*headlines(summary), *tables.shared(summary)]
    lines += [part for sentence in sentences for part in wrapped(sentence, "")]
    return "\n".join(lines).rstrip() + "\n"


def _looked(summary: Summary) -> list[str]:
    """What wholes are made of, a line for each cell; the other metrics are in the page and the other formats."""
    lines: list[str] = []
    seen = tables.looked(summary)
    for whole, names in tables.parts(summary).items():
        groups = {table.group: table for table in seen}
        table = [["", *map(line, tables.short([*names, whole]))]]
        for group in groups.values():
            rows = {metric.name: entries for metric, entries in group.rows}
            for place, arm in enumerate(group.arms):
                texts = [rows[name][place].text.partition(" [")[0] if name in rows else "" for name in (*names, whole)]
                table.append([line(arm), *map(line, texts)])
        header, *body = _aligned(table, left=1)
        lines += [f"{tables.LOOKED}:", header]
        rest = iter(body)
        for group in groups.values():
            lines += [line(group.group)[:WIDTH], *itertools.islice(rest, len(group.arms))]
        lines.append("")
    return lines


def _aligned(table: list[list[str]], left: int = 2) -> list[str]:
    # Where all columns do not fit, the last go first: launches, then throughput.
    while True:
        widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))]
        if 2 + sum(widths) + 2 * (len(widths) - 1) <= WIDTH or len(widths) <= 3:
            break
        table = [row[:-1] for row in table]
    return [
        (
            "  "
            + "  ".join(
                text.ljust(width) if index < left else text.rjust(width)
                for index, (text, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()[:WIDTH]
        for row in table
    ]


def wrapped(text: str, start: str) -> list[str]:
    """The text in lines of the console's width, those after the first indented."""
    lines = textwrap.wrap(
        unbroken(line(text)), WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
    )
    return [part.replace("\u00a0", " ") for part in lines]
