"""The summary as plain text for a terminal: a table per group, then the sentences."""

from __future__ import annotations

import itertools

from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.convergence import GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import LADDER_NOTE, LADDER_TITLE, compact_rows, ladder_tables
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines
from bench.report.text_layout import align_rows, cut, titled_list, wrap_text

# Ratio and difference are what people look for; with them the table fits. The rest is in `--format json` and the page.
SUMMARY_COLUMNS = (
    *("step time", "epoch time", "ratio", tables.RATIO_A_SAMPLE, tables.JOULES_A_SAMPLE, "difference"),
    *("throughput", "launches"),
)


def render(summary: Summary) -> str:
    """The table and the sentences, in lines of the terminal's width."""
    shown = [column for column in SUMMARY_COLUMNS if column in tables.columns(summary)]
    groups = tables.by_group(tables.cell_rows(summary))
    table = [["", "outcome", *shown]]
    for row in (row for rows in groups.values() for row in rows):
        name = f"{row.cell.point[summary.compare[row.cell.suite]]}{' (twin)' if row.cell.twin else ''}"
        table.append([name, row.cell.outcome, *(row.entries[column].text for column in shown)])
    header, *body = align_rows(table, left=(0, 1))
    lines = [header]
    rest = iter(body)
    for group, rows in groups.items():
        lines += [cut(group), *itertools.islice(rest, len(rows)), ""]
    lines += _goals(summary)
    lines += _ladders(summary)
    lines += _instrumented(summary)
    notes = [f"{cell.id}: {cell.outcome}: {cell.reason}" for cell in summary.cells if cell.reason]
    for title, sentences in (("Not ok:", notes), ("Warnings:", summary.warnings)):
        lines += titled_list(title, sentences)
    lines += titled_list(tables.CONDITIONS_TITLE, [one.sentence for one in summary.conditions])
    sentences = [
        *headlines(summary),
        *repeated(summary),
        *script_differences(summary),
        *all_hold(summary),
        *tables.equal_work(summary),
        *tables.shared_axes(summary),
    ]
    lines += [part for sentence in sentences for part in wrap_text(sentence)]
    return "\n".join(lines).rstrip() + "\n"


def _goals(summary: Summary) -> list[str]:
    """What each cell takes to its target, a line a cell."""
    found = goal_tables(summary)
    shown = ("time to target", "epochs", "got there", "time ratio")
    rows = [
        [row.name, *(row.entries[column].text for column in shown), row.said] for own in found.values() for row in own
    ]
    if not rows:
        return []
    header, *body = align_rows([["", *shown, "over the baseline's"], *rows], left=(0, len(shown) + 1))
    lines = [f"{GOAL_TITLE}:", header]
    rest = iter(body)
    for group, own in found.items():
        lines += [cut(group), *itertools.islice(rest, len(own))]
    return [*lines, *wrap_text(goal_note(summary)), ""]


def _ladders(summary: Summary) -> list[str]:
    """What each rung costs over the one below, a line a rung."""
    found = ladder_tables(summary)
    rows = [row for own in found.values() for row in compact_rows(own)]
    if not rows:
        return []
    header, *body = align_rows([["", "over", "a step", "an epoch besides"], *rows], left=(0, 1))
    lines = [f"{LADDER_TITLE}:", header]
    rest = iter(body)
    for group, own in found.items():
        lines += [cut(group), *itertools.islice(rest, len(own))]
    return [*lines, *wrap_text(f"{LADDER_NOTE} `bench list` says what each rung is."), ""]


def _instrumented(summary: Summary) -> list[str]:
    """What wholes are made of, a line for each cell; the other metrics are in the page and the other formats."""
    lines: list[str] = []
    seen = tables.instrumented_tables(summary)
    for whole, names in tables.parts(summary).items():
        groups = {table.group: table for table in seen}
        table = [["", *tables.short_names([*names, whole])]]
        for group in groups.values():
            rows = {metric.name: entries for metric, entries in group.rows}
            for place, arm in enumerate(group.arms):
                texts = [
                    rows[name][place].text.partition(" [")[0].replace(" times the timed step", " ×")
                    if name in rows
                    else ""
                    for name in (*names, whole)
                ]
                table.append([arm, *texts])
        header, *body = align_rows(table)
        lines += [f"{tables.INSTRUMENTED_TITLE}:", header]
        rest = iter(body)
        for group in groups.values():
            lines += [cut(group.group), *itertools.islice(rest, len(group.arms))]
        lines += [*wrap_text(tables.SHARES), ""]
    return lines
