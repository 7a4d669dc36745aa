"""The summary as plain text for a terminal: a table per group, then the sentences."""

from __future__ import annotations

from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.convergence import GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import LADDER_NOTE, LADDER_TITLE, compact_rows, ladder_tables
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines
from bench.report.text_layout import align_groups, titled_list, wrap_text

# Ratio and difference are what people look for; with them the table fits. The rest is in `--format json` and the page.
SUMMARY_COLUMNS = (
    *("step time", "epoch time", "ratio", tables.RATIO_A_SAMPLE, tables.JOULES_A_SAMPLE, "difference"),
    *("throughput", "launches"),
)
# In a terminal that has no room for all of them; name, outcome and ratio are always there.
LEFT_OUT_FIRST = (
    *("launches", "throughput", "epoch time", tables.JOULES_A_SAMPLE, tables.RATIO_A_SAMPLE, "difference", "step time"),
)

# Cells that are named where many are not ok for one reason.
CELLS_A_REASON = 3


def render(summary: Summary) -> str:
    """The table and the sentences, in lines of the terminal's width."""
    shown = [column for column in SUMMARY_COLUMNS if column in tables.columns(summary)]
    header = ["", "outcome", *shown]
    groups = {
        group: [
            [
                f"{row.cell.point[summary.compare[row.cell.suite]]}{' (twin)' if row.cell.twin else ''}",
                row.cell.outcome,
                *(row.entries[column].text for column in shown),
            ]
            for row in rows
        ]
        for group, rows in tables.by_group(tables.cell_rows(summary)).items()
    }
    lines = align_groups(
        header,
        groups,
        left=(0, 1),
        keep=(0, 1, header.index("ratio")),
        drop=[header.index(column) for column in LEFT_OUT_FIRST if column in header],
        elsewhere="--format csv",
        space=True,
    )
    lines += _goals(summary)
    lines += _ladders(summary)
    lines += _instrumented(summary)
    for title, sentences in (("Not ok:", _reasons(summary)), ("Warnings:", summary.warnings)):
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


def _reasons(summary: Summary) -> list[str]:
    """Why cells are not ok, each reason once, with the first cells that have it; tables have the outcomes of all."""
    fates = tables.by_fate(cell for cell in summary.cells if cell.reason)
    return [f"{tables.first_names(cells, CELLS_A_REASON)}: {fate}" for fate, cells in fates.items()]


def _goals(summary: Summary) -> list[str]:
    """What each cell takes to its target, a line a cell."""
    shown = ("time to target", "epochs", "got there", "time ratio")
    groups = {
        group: [[row.name, *(row.entries[column].text for column in shown), row.said] for row in own]
        for group, own in goal_tables(summary).items()
    }
    if not any(groups.values()):
        return []
    lines = align_groups(["", *shown, "over the baseline's"], groups, left=(0, len(shown) + 1), keep=(0, 1, 4))
    return [*wrap_text(f"{GOAL_TITLE}:"), *lines, *wrap_text(goal_note(summary)), ""]


def _ladders(summary: Summary) -> list[str]:
    """What each rung costs over the one below, a line a rung."""
    groups = {group: compact_rows(own) for group, own in ladder_tables(summary).items()}
    if not any(groups.values()):
        return []
    lines = align_groups(["", "over", "a step", "an epoch besides"], groups, left=(0, 1), keep=(0, 1, 2))
    note = wrap_text(f"{LADDER_NOTE} `bench list` says what each rung is.")
    return [*wrap_text(f"{LADDER_TITLE}:"), *lines, *note, ""]


def _instrumented(summary: Summary) -> list[str]:
    """What wholes are made of, a line for each cell; the other metrics are in the page and the other formats."""
    lines: list[str] = []
    seen = tables.instrumented_tables(summary)
    for whole, names in tables.parts(summary).items():
        groups: dict[str, list[list[str]]] = {}
        for group in {table.group: table for table in seen}.values():
            rows = {metric.name: entries for metric, entries in group.rows}
            groups[group.group] = [
                [
                    arm,
                    *(
                        rows[name][place].text.partition(" [")[0].replace(" times the timed step", " ×")
                        if name in rows
                        else ""
                        for name in (*names, whole)
                    ),
                ]
                for place, arm in enumerate(group.arms)
            ]
        lines += wrap_text(f"{tables.INSTRUMENTED_TITLE}:")
        lines += align_groups(["", *tables.short_names([*names, whole])], groups)
        lines += [*wrap_text(tables.SHARES), ""]
    return lines
