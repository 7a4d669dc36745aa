"""The summary as Markdown for GitHub: the answer first, one table a group, the rest folded up."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.summary import Summary
from bench.borders import markdown_code
from bench.borders import markdown_text as safe
from bench.report import tables
from bench.report.convergence import GOAL_COLUMNS, GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import COLUMNS, LADDER_NOTE, LADDER_TITLE, ladder_tables
from bench.report.markdown_parts import (
    LONGEST_COMMENT,
    Part,
    entry,
    folded_part,
    listed,
    markdown_page,
    table_head,
    table_row,
)
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines

# What is said before any table: so many reasons, each with so many of its cells; of more it says how many.
NAMED_FATES = 8
CELLS_A_FATE = 3


def render(summary: Summary, longest: int = LONGEST_COMMENT) -> str:
    """A section that can be pasted into an issue or a pull request, of `longest` bytes at most."""
    told = (repeated, script_differences, all_hold, tables.equal_work, tables.shared_axes)
    parts = [Part("", [f"## {safe(summary.run)}", ""])]
    parts += listed("", headlines(summary), name="the answer")
    parts += listed(tables.CONDITIONS_TITLE, [one.sentence for one in summary.conditions])
    parts += [Part("what all cells share", (), [f"{safe(text)}\n" for tell in told for text in tell(summary)])]
    parts += _not_ok(summary)
    titles = tables.titles(summary)
    groups = tables.by_group(tables.cell_rows(summary))
    for place, (group, rows) in enumerate(groups.items()):
        table = _group_table(summary, group, rows)
        parts.append(folded_part(_group_name(titles[group], rows), table, unfolded=not place))
    parts += _goals(summary, titles) + _ladders(summary, titles) + _instrumented(summary, titles)
    for warnings in listed("", summary.warnings, name="Warnings"):
        parts.append(folded_part(f"Warnings: {len(summary.warnings)}", warnings))
    run = markdown_code(summary.run)
    return markdown_page(parts, f"All of it: `bench report` and `bench show`, of the run {run}.", longest)


def _not_ok(summary: Summary) -> list[Part]:
    """What has no figures, before those that have: nobody unfolds a table to learn that it is empty."""
    fates = tables.by_fate(cell for cell in summary.cells if cell.outcome != "ok")
    if not fates:
        return []
    items = [
        f"- {tables.first_names([*map(markdown_code, cells)], CELLS_A_FATE)}: {entry(fate)}"
        for fate, cells in list(fates.items())[:NAMED_FATES]
    ]
    if len(fates) > NAMED_FATES:
        items.append(f"- {sum(map(len, list(fates.values())[NAMED_FATES:]))} more, for other reasons")
    title = f"Not ok: {sum(map(len, fates.values()))} of {len(summary.cells)} cells"
    return [Part("cells that are not ok", [f"{title}:", ""], items, [""])]


def _group_name(title: str, rows: Sequence[tables.Row]) -> str:
    lost = sum(row.cell.outcome != "ok" for row in rows)
    return f"{title}: {len(rows)} cells{f', {lost} not ok' if lost else ''}"


def _group_table(summary: Summary, group: str, rows: Sequence[tables.Row]) -> Part:
    """The cells of a group, called by what they differ in; columns that are empty in all of them are left out."""
    axis = summary.compare[rows[0].cell.suite]
    columns = [name for name in tables.columns(summary) if any(row.entries[name].text for row in rows)]
    why = ["reason"] if any(row.cell.reason for row in rows) else []
    header = [safe(axis), "outcome", *map(safe, columns), *why]
    items = []
    for row in rows:
        name = markdown_code(str(row.cell.point[axis])) + (" (twin)" if row.cell.twin else "")
        entries = [safe(row.entries[column].text) for column in columns]
        items.append(table_row([name, safe(row.cell.outcome), *entries, *([entry(row.cell.reason)] if why else [])]))
    head = table_head(header, left=(0, 1, *([len(header) - 1] if why else [])))
    return Part(group, [f"Group {markdown_code(group)}", "", *head], items)


def _goals(summary: Summary, titles: dict[str, str]) -> list[Part]:
    found = []
    for group, trainings in goal_tables(summary).items():
        header = ["arm", *GOAL_COLUMNS, "final losses"]
        items = [
            table_row([*map(entry, (one.name, *(one.entries[name].text for name in GOAL_COLUMNS), one.said))])
            for one in trainings
        ]
        head = table_head(header, left=(0, len(header) - 1))
        part = Part("", head, items, ["", safe(goal_note(summary))])
        found.append(folded_part(f"{GOAL_TITLE}: {titles[group]}", part))
    return found


def _ladders(summary: Summary, titles: dict[str, str]) -> list[Part]:
    found = []
    header = ["rung", "over", "a step", "", "an epoch besides", "", *COLUMNS[2:], "what it is"]
    for group, rungs in ladder_tables(summary).items():
        items = []
        for rung in rungs:
            step, epoch, *rest = (rung.entries[column].text for column in COLUMNS)
            said = rung.said[0] or rung.price.reason, rung.said[1]
            texts = [rung.name, rung.price.over, step, said[0], epoch, said[1], *rest, rung.adds]
            items.append(table_row([*map(entry, texts)]))
        head = table_head(header, left=(0, 1, 3, 5, len(header) - 1))
        found.append(folded_part(f"{LADDER_TITLE}: {titles[group]}", Part("", head, items, ["", safe(LADDER_NOTE)])))
    return found


def _instrumented(summary: Summary, titles: dict[str, str]) -> list[Part]:
    found = []
    for table in tables.instrumented_tables(summary):
        items = [
            table_row([*map(entry, (metric.name.replace("_", " "), *(one.text for one in seen)))])
            for metric, seen in table.rows
        ]
        after = ["", safe(tables.SHARES)] if summary.declared else []
        part = Part("", table_head(["metric", *map(safe, table.arms)]), items, after)
        found.append(folded_part(f"{tables.INSTRUMENTED_TITLE}: {titles[table.group]}", part))
    return found
