"""What a notebook shows of a value that is the last line of a cell: the answer, then a table of few rows, escaped.

No script and no style sheet: JupyterLab, VS Code and GitHub each take these away or add their own. Text has the colour
that the notebook has, lines are grey that is seen on white and on black.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.analysis.merge_values import Merge
from bench.analysis.run import Run
from bench.borders import one_line
from bench.commands.compare import Comparison
from bench.commands.gate_judgement import Gate
from bench.report import comparison, gate, merge, tables
from bench.report.sentences import headlines

# Rows of a table, sentences before it, and letters of an entry; whoever wants more has tables and `bench report`.
MOST_ROWS = 24
MOST_SENTENCES = 8
_LETTERS = 160
_LINE = "1px solid rgba(128, 128, 128, 0.45)"
_FRAME = "max-width: 60em; overflow-x: auto; line-height: 1.4"
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums; color: inherit; background: none"


def run_html(run: Run) -> str:
    """A run: its sentences, then its cells, with what they differ in."""
    summary = run.summary
    compared = list(dict.fromkeys(summary.compare.values()))
    varying = tables.varying_axes(cell.point for cell in summary.cells)
    axes = [*compared, *(axis for axis in varying if axis not in compared)]
    header = [*axes, "outcome", "step time", "ratio", "difference"]
    if several := len(summary.compare) > 1:
        header = ["suite", *header]
    rows = []
    for row in tables.cell_rows(summary)[:MOST_ROWS]:
        cell = row.cell
        twin = {summary.compare[cell.suite]: " (twin)"} if cell.twin else {}
        values = [f"{cell.point.get(axis, '')}{twin.get(axis, '')}" for axis in axes]
        outcome = f"{cell.outcome}: {cell.reason}" if cell.reason else cell.outcome
        figures = [row.entries[column].text for column in ("step time", "ratio", "difference")]
        rows.append([*([cell.suite] if several else []), *values, outcome, *figures])
    left = "" if run.finished else "not finished"
    return _block(f"run {run.id}", left, headlines(summary), header, rows, len(summary.cells), "run.cells")


def gate_html(found: Gate) -> str:
    """A gate: its verdict, why, and the cells that were judged."""
    rows = [gate.decision_row(one) for one in found.decisions[:MOST_ROWS]]
    said = [*found.reasons, *found.differences, *gate.exact_lines(found)]
    return _block(gate.headline(found), "", said, gate.GATE_COLUMNS, rows, len(found.decisions), "gate.decisions")


def comparison_html(found: Comparison) -> str:
    """A comparison of two runs: what differs around them, then the ratios."""
    said = [f"invalid: {found.invalid}"] if found.invalid else []
    said += [f"{title} {'; '.join(texts)}" for title, texts in comparison.difference_lists(found) if texts]
    cells = () if found.invalid else found.cells
    rows = [comparison.comparison_row(one) for one in cells[:MOST_ROWS]]
    title = f"{found.b} against {found.a}"
    return _block(title, "", said, comparison.COMPARISON_COLUMNS, rows, len(cells), "comparison.cells")


def merge_html(found: Merge) -> str:
    """A merge of runs of several machines: what may be said, then each work's rows."""
    said = [f"invalid: {found.invalid}"] if found.invalid else list(merge.claims_of_merge(found))
    rows = [[work.name, row.name, merge.ratio_entry(row)] for work in found.works for row in work.rows]
    shown = [] if found.invalid else rows
    title = f"machines {', '.join(one.name for one in found.machines)}"
    header = ("work", "", "over the baseline's")
    return _block(title, "", said, header, shown[:MOST_ROWS], len(shown), "merge.works")


def _block(
    title: str,
    more: str,
    said: Sequence[str],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    count: int,
    where: str,
) -> str:
    parts = [f'<div style="{_FRAME}">', f"<p><b>{_text(title)}</b>{f', {_text(more)}' if more else ''}</p>"]
    if said:
        parts += ["<ul>", *(f"<li>{_text(text, 600)}</li>" for text in said[:MOST_SENTENCES]), "</ul>"]
    if len(said) > MOST_SENTENCES:
        parts.append(f"<p>{len(said) - MOST_SENTENCES:,} more sentences.</p>")
    if rows:
        parts.append(f'<table style="{_TABLE}"><thead><tr>')
        parts += [
            f'<th scope="col" style="{_cell(place, header)}">{_text(name)}</th>' for place, name in enumerate(header)
        ]
        parts.append("</tr></thead><tbody>")
        for row in rows:
            entries = [f'<td style="{_cell(place, header)}">{_text(entry)}</td>' for place, entry in enumerate(row)]
            parts.append(f"<tr>{''.join(entries)}</tr>")
        parts.append("</tbody></table>")
    if count > len(rows):
        parts.append(f"<p>{count - len(rows):,} more rows: <code>{where}</code>.</p>")
    return "\n".join([*parts, "</div>"])


def _cell(place: int, header: Sequence[str]) -> str:
    side = "left" if place == 0 or header[place] in ("outcome", "why", "verdict", "reason", "") else "right"
    return f"text-align: {side}; padding: 0.2em 0.7em; border: 0; border-bottom: {_LINE}"


def _text(text: str, letters: int = _LETTERS) -> str:
    text = one_line(text)
    return escape(text if len(text) <= letters else text[: letters - 1] + "…", quote=True)
