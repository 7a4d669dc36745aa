"""A merge as text for a terminal, as Markdown and as CSV: what differs around the machines before any figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from bench.analysis.merge_figures import MERGED_METRICS
from bench.analysis.merge_nodes import PooledRatio
from bench.analysis.merge_values import SPREADS, MachineFigure, MachineRatio, Merge, MergedRow, MergedWork
from bench.borders import csv_cell, markdown_code
from bench.borders import markdown_text as safe
from bench.report.markdown_parts import Part, entry, listed, markdown_page, table_head, table_row
from bench.report.text_layout import align_rows, titled_list, wrap_text
from bench.report.units import percent, quantity, ratio
from bench.stats.intervals import Interval

COMPARED_TITLE = "What is compared: the machines differ in"
ACCIDENTS_TITLE = "What else differs, by accident, and may be in every figure below:"
UNPAIRED = (
    "Nothing is paired across machines. A figure of a single run has an interval over its launches only, which says "
    "nothing of the next run; a ratio of such figures has what runs were ever seen to differ by (sd of 20 % a run) in "
    "its interval. More runs of the same machines, here or in the folder that they lie in, tell their own spread."
)
INSTRUMENTED_NOTE = (
    "The device's memory and shares of ceilings come from instrumented launches, on either side, and so does energy "
    "that is marked as seen."
)
# Columns of a work's table, by the metric they show.
MERGE_COLUMNS: Mapping[str, str] = {
    "throughput": "throughput",
    "price_per_million": "per million samples",
    "energy": "per joule",
    "memory": "memory",
    "ceiling_share": "of the ceiling",
}
NODES_TITLES: Mapping[str, str] = {
    "nodes": "Paired on each node, over nodes (a random effect)",
    "runs": "Paired in each run, over runs (a random effect; one node, or nodes that are not told)",
}


def figure_words(figure: MachineFigure, metric: str) -> str:
    """A figure with its interval, if that has any width."""
    low, high = figure.low, figure.high
    if low is None or high is None or high - low <= 1e-9 * figure.estimate:
        low = high = None
    if metric == "price_per_million":
        ends = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
        return f"{figure.estimate:.3g}{ends}"
    if metric == "ceiling_share":
        return percent(figure.estimate, low, high, signed=False)
    return quantity(figure.estimate, figure.unit, low, high)


def times_words(found: Interval) -> str:
    """A ratio that may be far from 1, with its interval, which two runs may leave very wide."""
    low, high = found.low, found.high
    if low is not None and high is not None and high > WIDE * low:
        return f"{found.estimate:.3g} [{low:.2g}, {high:.2g}]"
    return quantity(found.estimate, "1", low, high)


# Columns that several metrics share: the first one that a row has is shown.
EITHER: Mapping[str, Sequence[str]] = {
    "energy": ("samples_per_joule", "samples_per_joule_seen"),
    "memory": ("peak_memory_device", "peak_memory_host"),
}


def shown_metric(row: MergedRow, column: str) -> str:
    """The metric that a row has in a column."""
    names = EITHER.get(column, (column,))
    return next((name for name in names if name in row.figures), names[0])


def shown_columns(work: MergedWork) -> list[str]:
    """The columns of its table that any row has something for; one at least, in which outcomes stand."""
    found = [column for column in MERGE_COLUMNS if any(shown_metric(row, column) in row.figures for row in work.rows)]
    return found if "throughput" in found else ["throughput", *found]


def row_entries(row: MergedRow, columns: Sequence[str]) -> list[str]:
    """What stands in a row behind its name: figures, each with its ratio."""
    if row.outcome != "ok":
        return [row.outcome, *[""] * (len(columns) - 1)]
    return [_entry(row, shown_metric(row, column)) for column in columns]


def _entry(row: MergedRow, metric: str) -> str:
    figure = row.figures.get(metric)
    if figure is None:
        return "–"
    host = " (host)" if metric == "peak_memory_host" and row.accelerator not in ("cpu", "xla-cpu") else ""
    seen = " (seen)" if metric == "samples_per_joule_seen" else ""
    return figure_words(figure, metric) + host + seen


def ratio_entry(row: MergedRow, metric: str = "throughput") -> str:
    """A row's ratio, or why it has none."""
    found = row.ratios.get(metric)
    if found is not None:
        return times_words(found.ratio)
    return "no ratio" if row.no_ratio else "" if row.outcome != "ok" else "baseline"


def spread_sentences(found: Merge) -> list[str]:
    """What intervals know of, one sentence for those of throughput and one for those of its ratios."""
    figures: dict[str, dict[str, None]] = {}
    ratios: dict[str, dict[str, None]] = {}
    for row in (row for work in found.works for row in work.rows):
        figure, over = row.figures.get("throughput"), row.ratios.get("throughput")
        if figure is not None:
            told = f" ({figure.known} runs)" if figure.spread == "runs" else ""
            figures.setdefault(SPREADS[figure.spread] + told, {})[row.name] = None
        if over is not None:
            ratios.setdefault(SPREADS[over.spread], {})[row.name] = None
    sentences = []
    for title, own in (("Intervals of throughput", figures), ("Intervals of its ratios", ratios)):
        if own:
            parts = [f"{spread}: {', '.join(names)}" for spread, names in own.items()]
            sentences.append(f"{title}: {'; '.join(parts)}.")
    return sentences


def equal_work_sentences(found: Merge) -> list[str]:
    """What was compared across machines and found equal, with how many rows it is true of."""
    counts: dict[str, int] = {}
    for row in (row for work in found.works for row in work.rows if row.equal):
        counts[row.equal] = counts.get(row.equal, 0) + 1
    return [f"Equal to the baseline's work in {count} rows: {equal}." for equal, count in counts.items()]


def other_ratios(work: MergedWork) -> list[str]:
    """Ratios of the other metrics that have an interval, a sentence a row."""
    sentences = []
    for row in work.rows:
        parts = [
            f"{MERGED_METRICS[metric].name.replace('_', ' ')} {times_words(found.ratio)}"
            for metric, found in row.ratios.items()
            if metric != "throughput" and found.spread != "none"
        ]
        if parts:
            sentences.append(f"{row.name} over {row.over}: {'; '.join(parts)}.")
    return sentences


def no_ratios(work: MergedWork) -> list[str]:
    """Rows that failed and rows without ratio, each with the reason."""
    failed = [f"{row.name}: {row.outcome}: {row.reason}" for row in work.rows if row.outcome != "ok"]
    return failed + [f"{row.name}: no ratio: {row.no_ratio}" for row in work.rows if row.no_ratio]


def claims_of_merge(found: Merge) -> list[str]:
    """One sentence for each two rows that have ratios, over all works."""
    pairs: dict[tuple[str, str], list[MachineRatio]] = {}
    for work in found.works:
        for row in work.rows:
            if "throughput" in row.ratios:
                pairs.setdefault((row.name, row.over), []).append(row.ratios["throughput"])
    sentences = []
    for (name, over), ratios in pairs.items():
        told = [one.ratio for one in ratios if one.claim == "told"]
        if not told:
            sentences.append(f"Between {name} and {over} no difference in speed is told: no interval excludes 1")
            continue
        low, high = (quantity(edge(one.estimate for one in told), "1") for edge in (min, max))
        ends = [end for one in told for end in (one.low, one.high) if end is not None]
        within = quantity(told[0].estimate, "1", min(ends), max(ends)).partition(" ")[2]
        times = f"{low} times" if low == high else f"{low} to {high} times"
        count = "" if len(ratios) == 1 else f", in {len(told)} of {len(ratios)} works"
        sentences.append(f"{name} trains {times} {within} as many samples a second as {over}{count}")
    return sentences


def machine_lines(found: Merge) -> list[str]:
    """One sentence for each machine."""
    sentences = []
    for one in found.machines:
        count = "1 run" if len(one.runs) == 1 else f"{len(one.runs)} runs"
        parts = [f"{one.name}: {count} ({', '.join(one.runs)})"]
        parts += [", ".join(one.devices)] if one.devices else []
        if one.nodes:
            parts.append(f"node{'s' * (len(one.nodes) > 1)} {', '.join(one.nodes)}")
        parts += [f"{one.price:g} an hour and node"] if one.price is not None else []
        sentences.append("; ".join(parts))
    return sentences


def difference_table(found: Merge, kind: str) -> list[list[str]]:
    """A row for each key in which machines differ, with what each of them has."""
    own = [one for one in found.differences if one.kind == kind]
    names = [one.name for one in found.machines]
    return [["", *names], *([one.key, *(one.values[name] for name in names)] for one in own)] if own else []


def alone_sentences(found: Merge) -> list[str]:
    """Works that one machine alone has, a sentence a machine; nothing where there is only one."""
    by_name: dict[str, list[str]] = {}
    for work, name in found.alone.items():
        by_name.setdefault(name, []).append(work)
    if len(found.machines) == 1:
        return []
    return [
        f"{name}: {', '.join(works[:MOST_ALONE])}" + f" and {len(works) - MOST_ALONE} more" * (len(works) > MOST_ALONE)
        for name, works in by_name.items()
    ]


def node_tables(found: Merge) -> dict[tuple[str, str], list[PooledRatio]]:
    """The paired ratios by machine and by what is random."""
    tables: dict[tuple[str, str], list[PooledRatio]] = {}
    for one in found.nodes:
        tables.setdefault((one.machine, one.clusters), []).append(one)
    return tables


WIDE = 100  # times as much: ends of such an interval have digits of their own
MOST_ALONE = 8  # works of one machine that are named
MOST_NODES = 2  # of which each ratio is spelled out
NODE_HEADER = ("", "ratio", "on each", "launches")


def node_entries(one: PooledRatio) -> list[str]:
    """A paired ratio: over nodes, on each of them, from how many launches."""
    told = "" if one.claim == "told" or one.twin else f" ({_NOT_TOLD.get(one.claim, one.claim)})"
    each = ", ".join(f"{name} {value:.3f}" for name, value in one.on.items())
    if len(one.on) > MOST_NODES:
        each = f"{len(one.on)} {one.clusters}, {min(one.on.values()):.3f} to {max(one.on.values()):.3f}"
    return [one.cell, ratio(one.ratio.estimate, one.ratio.low, one.ratio.high) + told, each, str(one.launches)]


_NOT_TOLD = {
    "zero": "not told from 1",
    "as-twin": "as its twin",
    "no-twin": "its twin has no interval",
}


def remarks_of_merge(found: Merge) -> list[str]:
    """What a reader of the tables must know of all figures."""
    return [*spread_sentences(found), *equal_work_sentences(found), UNPAIRED, INSTRUMENTED_NOTE]


def console(found: Merge) -> str:
    """For a terminal."""
    lines: list[str] = []
    for title, kind in ((COMPARED_TITLE, "compared"), (ACCIDENTS_TITLE, "accident")):
        if table := difference_table(found, kind):
            lines += [*wrap_text(title), *align_rows(table, left=range(len(table[0]))), ""]
    lines += titled_list("Machines:", machine_lines(found))
    lines += titled_list("Notes:", found.notes)
    if found.invalid:
        return "\n".join([*lines, *wrap_text(f"invalid: {found.invalid}")]) + "\n"
    for work in found.works:
        lines += [*wrap_text(work.name), *_stacked(work)]
        for sentence in (*no_ratios(work), *other_ratios(work)):
            lines += wrap_text(sentence, "    ")
        lines.append("")
    for (machine, clusters), paired in node_tables(found).items():
        lines += wrap_text(f"{NODES_TITLES[clusters]}: {machine}")
        lines += [*align_rows([list(NODE_HEADER), *map(node_entries, paired)], left=(0, 2)), ""]
    lines += titled_list("On one machine only:", alone_sentences(found))
    for sentence in claims_of_merge(found):
        lines += wrap_text(f"{sentence}.")
    if found.works:
        lines += [line for text in remarks_of_merge(found) for line in wrap_text(text)]
    return "\n".join(lines).rstrip() + "\n"


def _stacked(work: MergedWork) -> list[str]:
    """A work's table in two, one below the other, as a terminal has no room for all columns."""
    columns = shown_columns(work)
    upper = [column for column in columns if column in _UPPER]
    lower = [column for column in columns if column not in _UPPER]
    ratios = ["over the baseline's", *(ratio_entry(row) for row in work.rows)]
    table = [
        ["", *(MERGE_COLUMNS[column] for column in upper)],
        *([row.name, *row_entries(row, upper)] for row in work.rows),
    ]
    stacked = [[*line[:2], over, *line[2:]] for line, over in zip(table, ratios, strict=True)]
    lines = align_rows(stacked, keep=(0, 1, 2))
    sound = [row for row in work.rows if row.outcome == "ok" and row.figures]
    if not lower or not sound:
        return lines
    return [
        *lines,
        *align_rows(
            [
                ["", *(MERGE_COLUMNS[column] for column in lower)],
                *([row.name, *row_entries(row, lower)] for row in sound),
            ]
        ),
    ]


_UPPER = ("throughput", "price_per_million")


def markdown(found: Merge) -> str:
    """A section that can be pasted into an issue or a pull request."""
    parts = [Part("", [f"## {safe(', '.join(one.name for one in found.machines))}", ""])]
    for title, kind in ((COMPARED_TITLE, "compared"), (ACCIDENTS_TITLE, "accident")):
        if table := difference_table(found, kind):
            parts.append(_table_part(title, [title, ""], table))
    parts += listed("Machines:", machine_lines(found)) + listed("Notes:", found.notes)
    rest = "All of it: `bench merge`."
    if found.invalid:
        return markdown_page([*parts, Part("why it is invalid", (), [f"**invalid**: {safe(found.invalid)}"])], rest)
    for work in found.works:
        columns = shown_columns(work)
        table = [["", "over the baseline's", *(MERGE_COLUMNS[column] for column in columns)]]
        table += [[row.name, ratio_entry(row), *row_entries(row, columns)] for row in work.rows]
        parts.append(_table_part(work.name, [f"### {markdown_code(work.name)}", ""], table))
        parts += listed("", (*no_ratios(work), *other_ratios(work)), name=f"sentences of {work.name}")
    for (machine, clusters), paired in node_tables(found).items():
        title = NODES_TITLES[clusters]
        table = [list(NODE_HEADER), *map(node_entries, paired)]
        parts.append(_table_part(title, [f"### {title}: {safe(machine)}", ""], table))
    parts += listed("", (*claims_of_merge(found), *alone_sentences(found)), name="what may be said")
    parts += [Part("remarks", (), [f"{safe(text)}\n" for text in remarks_of_merge(found)])] if found.works else []
    return markdown_page(parts, rest)


def _table_part(name: str, before: Sequence[str], table: Sequence[Sequence[str]]) -> Part:
    header, *rows = table
    return Part(
        name, [*before, *table_head(list(map(safe, header)))], [table_row([*map(entry, row)]) for row in rows], [""]
    )


_WHERE = ("machine", "accelerator", "device", "devices", "num_nodes")
_FIGURE = ("estimate", "low", "high", "spread", "runs", "launches", "known")


def merge_csv(found: Merge) -> str:
    """One line a row of a work, then one a paired ratio of a machine; in SI units without prefixes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ["table", "work", "name", *_WHERE, "cell", "outcome", "reason", "over", "no_ratio", "equal"]
    for metric in MERGED_METRICS:
        header += [f"{metric}_{part}" for part in _FIGURE]
        header += [f"{metric}_ratio{part}" for part in ("", "_low", "_high", "_spread", "_claim")]
    header += ["step_ratio", "step_ratio_low", "step_ratio_high", "step_ratio_clusters", "step_ratio_claim"]
    writer.writerow(header)
    for work in found.works:
        for row in work.rows:
            line: list[object] = ["machines", work.name, row.name, *(getattr(row, name) for name in _WHERE)]
            line += [row.cell, row.outcome, row.reason, row.over, row.no_ratio, row.equal]
            for metric in MERGED_METRICS:
                line += _figure_values(row, metric)
            writer.writerow(map(csv_cell, [*line, *[""] * 5]))
    for one in found.nodes:
        line = ["nodes", one.group, one.machine, one.machine, *[""] * 4, one.cell, "ok", *[""] * 4]
        line += [""] * (len(MERGED_METRICS) * (len(_FIGURE) + 5))
        writer.writerow(
            map(csv_cell, [*line, one.ratio.estimate, one.ratio.low, one.ratio.high, one.clusters, one.claim])
        )
    return out.getvalue()


def _figure_values(row: MergedRow, metric: str) -> list[object]:
    figure, found = row.figures.get(metric), row.ratios.get(metric)
    values: list[object] = [""] * len(_FIGURE) if figure is None else [getattr(figure, name) for name in _FIGURE]
    if found is None:
        return [*values, *[""] * 5]
    return [*values, found.ratio.estimate, found.ratio.low, found.ratio.high, found.spread, found.claim]
