"""The summary as Markdown: headlines, a table of every cell, warnings."""

from __future__ import annotations

from bench.analysis.summary import Summary
from bench.borders import markdown_code
from bench.borders import markdown_text as safe
from bench.report import tables
from bench.report.convergence import GOAL_COLUMNS, GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import COLUMNS, LADDER_NOTE, LADDER_TITLE, ladder_tables
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines


def render(summary: Summary) -> str:
    """A section that can be pasted into an issue or a pull request."""
    columns = tables.columns(summary)
    lines = [f"## {safe(summary.run)}", ""]
    lines += [f"- {safe(sentence)}" for sentence in headlines(summary)]
    told = (repeated, script_differences, all_hold, tables.equal_work, tables.shared_axes)
    lines += [f"\n{safe(sentence)}" for tell in told for sentence in tell(summary)]
    lines += [
        "",
        "| " + " | ".join(["cell", "outcome", *map(safe, columns), "reason"]) + " |",
        "|" + " --- |" * 2 + " ---: |" * len(columns) + " --- |",
    ]
    for row in tables.cell_rows(summary):
        entries = [safe(row.entries[column].text) for column in columns]
        name, outcome, reason = markdown_code(row.cell.id), safe(row.cell.outcome), safe(row.cell.reason)
        lines.append("| " + " | ".join([name, outcome, *entries, reason]) + " |")
    titles = tables.titles(summary)
    for group, trainings in goal_tables(summary).items():
        header = ["arm", *GOAL_COLUMNS, "final losses"]
        lines += ["", f"{GOAL_TITLE}: {safe(titles[group])}", "", "| " + " | ".join(header) + " |"]
        lines += ["| --- |" + " ---: |" * len(GOAL_COLUMNS) + " --- |"]
        for training in trainings:
            texts = [training.name, *(training.entries[name].text for name in GOAL_COLUMNS), training.said]
            lines.append("| " + " | ".join(map(safe, texts)) + " |")
        lines += ["", safe(goal_note(summary))]
    for group, rungs in ladder_tables(summary).items():
        header = ["rung", "over", "a step", "", "an epoch besides", "", *COLUMNS[2:], "what it is"]
        lines += [
            "",
            f"{LADDER_TITLE}: {safe(titles[group])}",
            "",
            "| " + " | ".join(header) + " |",
            "| --- | --- |" + " ---: | --- |" * 2 + " ---: |" * len(COLUMNS[2:]) + " --- |",
        ]
        for rung in rungs:
            step, epoch, *rest = (rung.entries[column].text for column in COLUMNS)
            said = rung.said[0] or rung.price.reason, rung.said[1]
            texts = [rung.name, rung.price.over, step, said[0], epoch, said[1], *rest, rung.adds]
            lines.append("| " + " | ".join(map(safe, texts)) + " |")
        lines += ["", safe(LADDER_NOTE)]
    for table in tables.instrumented_tables(summary):
        header = ["metric", *map(safe, table.arms)]
        lines += [
            "",
            f"{tables.INSTRUMENTED_TITLE}: {safe(titles[table.group])}",
            "",
            "| " + " | ".join(header) + " |",
            "| --- |" + " ---: |" * len(table.arms),
        ]
        for metric, seen in table.rows:
            texts = [metric.name.replace("_", " "), *(entry.text for entry in seen)]
            lines.append("| " + " | ".join(map(safe, texts)) + " |")
    if summary.conditions:
        lines += ["", tables.CONDITIONS_TITLE, "", *(f"- {safe(one.sentence)}" for one in summary.conditions)]
    if summary.declared:
        lines += ["", safe(tables.SHARES)]
    if summary.warnings:
        lines += ["", "Warnings:", "", *(f"- {safe(warning)}" for warning in summary.warnings)]
    return "\n".join(lines) + "\n"
