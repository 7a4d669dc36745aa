"""A comparison of two runs as text for a terminal, and as Markdown: what differs around them before any ratio."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis import claims
from bench.borders import markdown_code
from bench.borders import markdown_text as safe
from bench.commands.compare import CAUTION, CellRatio, Comparison
from bench.report.markdown_parts import Part, entry, listed, markdown_page, table_head, table_row
from bench.report.text_layout import titled_list, wrap_text
from bench.report.units import quantity, ratio
from bench.stats.intervals import RUNS_THAT_TELL

COMPARISON_COLUMNS = ("cell", "A", "B", "B / A", "launches")


def comparison_row(cell: CellRatio) -> list[str]:
    times = [
        "–" if value is None or cell.ratio is None else quantity(value, "s")
        for value in (cell.a_step_time, cell.b_step_time)
    ]
    told, within = cell.ratio, cell.within
    text = f"no ratio: {cell.reason}" if told is None else ratio(told.estimate, told.low, told.high)
    if claims.of_ratio(told) == "one-launch":
        few = f"{cell.runs} other runs of this machine do not tell how runs differ, {RUNS_THAT_TELL} would"
        text += f", no interval, so nothing is told: {few}"
        if within is not None and within.low is not None and within.high is not None:
            text += f" (launches of the two differ by [{within.low:.3f}, {within.high:.3f}])"
    elif told is not None:
        text += f", as {cell.runs} other runs of this machine differ"
    return [cell.cell, *times, text, f"{cell.a}, {cell.b}"]


def difference_lists(found: Comparison) -> list[tuple[str, Sequence[str]]]:
    """Titled lists: what differs, what only one of them has."""
    allowed = "" if found.invalid else " They differ, and it was asked for ratios all the same."
    return [
        (f"Environments that are not comparable (A against B).{allowed}", found.mismatches),
        ("What else differs in the environment (A against B):", found.differences),
        (f"Only in {found.a}:", found.only_a),
        (f"Only in {found.b}:", found.only_b),
    ]


def console(found: Comparison) -> str:
    """For a terminal."""
    lines = [*wrap_text(f"A: {found.a}"), *wrap_text(f"B: {found.b}"), ""]
    for title, texts in difference_lists(found):
        lines += titled_list(title, texts)
    if found.invalid:
        return "\n".join([*lines, *wrap_text(f"invalid: {found.invalid}")]) + "\n"
    for cell in found.cells:
        name, a, b, told, launches = comparison_row(cell)
        lines += wrap_text(name) + wrap_text(f"A {a}, B {b}, B / A {told} ({launches} launches)", "    ")
    return "\n".join([*lines, "", *wrap_text(CAUTION)]) + "\n"


def markdown(found: Comparison) -> str:
    """A section that can be pasted into an issue or a pull request."""
    parts = [Part("", [f"## {safe(found.b)} against {safe(found.a)}", ""])]
    for title, texts in difference_lists(found):
        parts += listed(safe(title), texts, name=title)
    rest = "All of it: `bench compare`."
    if found.invalid:
        return markdown_page([*parts, Part("why it is invalid", (), [f"**invalid**: {safe(found.invalid)}"])], rest)
    rows = [table_row([markdown_code(name), *map(entry, others)]) for name, *others in map(comparison_row, found.cells)]
    return markdown_page([*parts, Part("cells", table_head(COMPARISON_COLUMNS), rows, ["", CAUTION])], rest)
