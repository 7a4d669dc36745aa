"""The summary as Markdown: headlines, a table of every cell, warnings."""

from __future__ import annotations

from bench.report import tables
from bench.report.sentences import headlines
from bench.stats import Summary


def render(summary: Summary) -> str:
    """A section that can be pasted into an issue or a pull request."""
    columns = tables.columns(summary)
    lines = [f"## {summary.run}", ""]
    lines += [f"- {_safe(sentence)}" for sentence in headlines(summary)]
    lines += ["", "| " + " | ".join(["cell", "outcome", *columns, "reason"]) + " |",
              "|" + " --- |" * 2 + " ---: |" * len(columns) + " --- |"]
    for row in tables.rows(summary):
        entries = [row.entries[column].text for column in columns]
        lines.append("| " + " | ".join([f"`{row.cell.id}`", row.cell.outcome, *entries, _safe(row.cell.reason)]) + " |")
    for table in tables.looked(summary):
        lines += ["", f"{tables.LOOKED}: `{table.group}`", "", "| " + " | ".join(["metric", *table.arms]) + " |",
                  "| --- |" + " ---: |" * len(table.arms)]
        lines += ["| " + " | ".join([metric.name.replace("_", " "), *(entry.text for entry in entries)]) + " |"
                  for metric, entries in table.rows]
    if summary.warnings:
        lines += ["", "Warnings:", "", *(f"- {_safe(warning)}" for warning in summary.warnings)]
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    # A line break or a bar in a reason would break the table.
    return " ".join(text.split()).replace("|", "\\|")
