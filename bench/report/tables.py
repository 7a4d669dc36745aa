"""The table of cells, as text entries that HTML, Markdown and console lay out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis.estimates import LOOKED_AT_MOST, CellSummary
from bench.analysis.summary import Summary
from bench.report.units import percent, quantity, ratio
from bench.results.record import METRICS, Metric

# Columns that are there only where they say something: where steps have not as many samples, or work was equal in more
# than one way.
RATIO_A_SAMPLE = "ratio a sample"
JOULES_A_SAMPLE = "joules a sample"
EQUAL_WORK = "equal work"

CONDITIONS_TITLE = "What was asked; that any of these answers is wrong has a chance of at most 5 %, over all looks:"
INSTRUMENTED_TITLE = "Where a step's time and memory go; from launches of their own, never compared"
SHARES = (
    "Parts are shares of the step that was looked at; there are none where it took over "
    f"{LOOKED_AT_MOST} times the timed one."
)
NO_SHARE = "–"


# How people call the loops; every other value is called by its name.
LABELS: Mapping[str, str] = {
    "plain": "plain PyTorch",
    "fabric": "Fabric",
    "trainer-barebones": "Trainer(barebones=True)",
    "trainer": "Trainer",
}


def label(axis: str, value: Any) -> str:
    """What an arm is called in a sentence, e.g. `plain PyTorch`, or `precision 16-mixed` for other axes."""
    return LABELS.get(value, str(value)) if axis == "loop" else f"{axis} {value}"


def short_label(axis: str, value: Any) -> str:
    """What an arm is called where its axis stands beside it: in a table, a figure, a list. `label` ends with it."""
    return label(axis, value) if axis == "loop" else str(value)


def arm_name(axis: str, cell: CellSummary) -> str:
    """What the arm of a cell is called in tables and figures, by its suite's compared axis; of twins it says so."""
    return f"{short_label(axis, cell.point[axis])}{' (twin)' if cell.twin else ''}"


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

    cell: CellSummary
    entries: dict[str, Entry]


def metric_names(summary: Summary) -> list[str]:
    """The metrics of timed launches that any cell has: those of the registry in its order, then others."""
    seen = dict.fromkeys(name for cell in summary.cells for name in cell.metrics)
    return [name for name in METRICS if name in seen] + [name for name in seen if name not in METRICS]


def columns(summary: Summary) -> list[str]:
    """The table's columns of figures, as words."""
    names = [name.replace("_", " ") for name in metric_names(summary)]
    own = [RATIO_A_SAMPLE] if any(cell.versus and cell.versus.per_sample for cell in summary.cells) else []
    own += [JOULES_A_SAMPLE] if any(cell.versus and cell.versus.joules for cell in summary.cells) else []
    rest = [*(name for name in names if name != "step time"), "launches", "samples"]
    return ["step time", "ratio", *own, "difference", *rest, *([EQUAL_WORK] if equal_work_differs(summary) else [])]


def cell_rows(summary: Summary) -> list[Row]:
    """Every cell, in the plan's order."""
    found = []
    names = columns(summary)
    steps = {cell.id: cell.metrics["step_time"].estimate for cell in summary.cells if "step_time" in cell.metrics}
    for cell in summary.cells:
        path = f"cells/{cell.id}"
        entries = {column: Entry("", "") for column in names}
        for name, metric in cell.metrics.items():
            text = quantity(metric.estimate, metric.unit, metric.low, metric.high)
            entries[name.replace("_", " ")] = Entry(text, f"{path}/metrics/{name}")
        if cell.versus is not None:
            r, d = cell.versus.ratio, cell.versus.difference
            entries["ratio"] = Entry(ratio(r.estimate, r.low, r.high), f"{path}/versus/ratio")
            text = quantity(d.estimate, d.unit, d.low, d.high, signed=True)
            if d.low is not None and d.low <= -steps.get(cell.versus.baseline, math.inf):
                # A t interval of two launches reaches below a step of no time; such a figure is not printed.
                text = f"{quantity(d.estimate, d.unit, signed=True)} [wider than the step]"
            entries["difference"] = Entry(text, f"{path}/versus/difference")
            if (one := cell.versus.per_sample) is not None:
                entries[RATIO_A_SAMPLE] = Entry(ratio(one.estimate, one.low, one.high), f"{path}/versus/per_sample")
            if (one := cell.versus.joules) is not None:
                entries[JOULES_A_SAMPLE] = Entry(ratio(one.estimate, one.low, one.high), f"{path}/versus/joules")
            if EQUAL_WORK in entries:
                entries[EQUAL_WORK] = Entry(cell.equal, f"{path}/equal")
        if "step_time" in cell.metrics:
            step = cell.metrics["step_time"]
            entries["launches"] = Entry(str(step.launches), f"{path}/metrics/step_time/launches")
            entries["samples"] = Entry(str(step.samples), f"{path}/metrics/step_time/samples")
        found.append(Row(cell, entries))
    return found


@dataclass(frozen=True)
class InstrumentedTable:
    """What the instrumented launches of one group saw: a row for each metric, an entry for each arm."""

    group: str
    arms: Sequence[str]
    rows: Sequence[tuple[Metric, Sequence[Entry]]]


def instrumented_tables(summary: Summary) -> list[InstrumentedTable]:
    """One table a group, of the cells with instrumented launches; metrics are rows, being more than arms."""
    found = []
    for group, cells in by_group_of_cells(summary).items():
        seen = [cell for cell in cells if cell.instrumented]
        rows = []
        for name, metric in summary.declared.items():
            entries = [
                Entry(_looked(summary, cell, metric), f"cells/{cell.id}/instrumented/{name}")
                if name in cell.instrumented
                else Entry("", "")
                for cell in seen
            ]
            if any(entry.text for entry in entries):
                rows.append((metric, entries))
        if rows:
            found.append(InstrumentedTable(group, [arm_name(summary.compare[cell.suite], cell) for cell in seen], rows))
    return found


def _looked(summary: Summary, cell: CellSummary, metric: Metric) -> str:
    """What instrumented launches saw: of a step's parts their share, of the step how much longer it was than timed."""
    value = cell.instrumented[metric.name]
    if value.unit == "s" and metric.part_of in summary.declared:
        share = cell.share(metric.name, metric.part_of)
        return NO_SHARE if share is None else percent(share, signed=False)
    if value.unit == "s" and metric.name in parts(summary):
        over = cell.looked(metric.name)
        return NO_SHARE if over is None else f"{over:.2f} times the timed step"
    return quantity(value.estimate, value.unit, value.low, value.high)


def parts(summary: Summary) -> dict[str, list[str]]:
    """Metrics of instrumented launches that are a whole, each with its parts, in the order of their declaration."""
    found: dict[str, list[str]] = {}
    for name, metric in summary.declared.items():
        if metric.part_of in summary.declared:
            found.setdefault(metric.part_of, []).append(name)
    return found


def short_names(names: Sequence[str]) -> list[str]:
    """Names as words, without what they all begin with: `data` and `forward` of `phase_data` and `phase_forward`."""
    split = [name.split("_") for name in names]
    same = 0
    while len({tuple(words[: same + 1]) for words in split}) == 1 and all(len(words) > same + 1 for words in split):
        same += 1
    return [" ".join(words[same:]) for words in split]


def by_group_of_cells(summary: Summary) -> dict[str, list[CellSummary]]:
    """The cells of each group, in the plan's order."""
    groups: dict[str, list[CellSummary]] = {}
    for cell in summary.cells:
        groups.setdefault(cell.group, []).append(cell)
    return groups


@dataclass(frozen=True)
class OfSuite:
    """The rows of one suite by group, with the axes along which its cells differ and the columns that any has."""

    suite: str
    axes: list[str]
    columns: list[str]
    groups: dict[str, list[Row]]


def by_suite(summary: Summary, table: Sequence[Row] | None = None) -> list[OfSuite]:
    """A table a suite: one for all would have the axes and metrics of each, mostly empty.

    Args:
        table: `cell_rows` of the summary, if they are made already.
    """
    everything, names = table or cell_rows(summary), columns(summary)
    of_suites: dict[str, list[Row]] = {suite: [] for suite in summary.compare}
    for row in everything:
        of_suites[row.cell.suite].append(row)
    found = []
    for suite, own in of_suites.items():
        axes = [axis for axis in varying_axes(row.cell.point for row in own) if axis != summary.compare[suite]]
        used = [column for column in names if any(row.entries[column].text for row in own)]
        found.append(OfSuite(suite, axes, used, by_group(own)))
    return found


def varying_axes(points: Iterable[Mapping[str, Any]]) -> list[str]:
    """The axes that do not have the same value in all points, in their order; one that a point lacks differs there."""
    return [axis for axis, values in _values(points).items() if len(values) > 1]


def _values(points: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The values of each axis, as text, since 1 and True are one key."""
    everything = list(points)
    names = dict.fromkeys(axis for point in everything for axis in point)
    return {axis: {str(point.get(axis, "")) for point in everything} for axis in names}


def titles(summary: Summary) -> dict[str, str]:
    """What each group is called on the page: by what it differs in from the suite's others; the only one by its id."""
    several = len(summary.compare) > 1
    groups = by_group_of_cells(summary)
    points: dict[str, list[Mapping[str, Any]]] = {}
    for cells in groups.values():
        points.setdefault(cells[0].suite, []).append(cells[0].point)
    axes = {
        suite: [axis for axis in varying_axes(own) if axis != summary.compare[suite]] for suite, own in points.items()
    }
    found = {}
    for group, cells in groups.items():
        first = cells[0]
        own = ", ".join(f"{axis} {first.point.get(axis)}" for axis in axes[first.suite])
        found[group] = f"{first.suite}: {own}" if own and several else own or group
    return found


def shared_axes(summary: Summary) -> list[str]:
    """What all cells of a suite have in common, one sentence a suite, and what sets of Trainer's arguments set."""
    points: dict[str, list[Mapping[str, Any]]] = {}
    for cell in summary.cells:
        points.setdefault(cell.suite, []).append(cell.point)
    sentences = []
    for suite, own in points.items():
        same = [axis for axis, values in _values(own).items() if len(values) == 1 and axis != summary.compare[suite]]
        if same:
            start = f"{suite}: all" if len(points) > 1 else "All"
            sentences.append(f"{start} with {', '.join(f'{axis} {own[0][axis]}' for axis in same)}.")
    for suite, sets in summary.trainers.items():
        if any(price.suite == suite for price in summary.ladder):
            continue  # a ladder's table says what each of its rungs is
        start = f"{suite}: trainer" if len(points) > 1 else "Trainer"
        sentences += [f"{start} {name}: {words}." for name, words in sets.items()]
    return sentences


def equal_work(summary: Summary) -> list[str]:
    """What was equal wherever there is a ratio: one sentence a suite or, where it differs, one for each kind."""
    found = []
    for suite in summary.compare:
        of_texts = _equal(summary, suite)
        start = f"Equal work{f' of {suite}' if len(summary.compare) > 1 else ''}"
        for text, cells in of_texts.items():
            of = f", {_named_cells(cells, summary.compare[suite], of_texts)}" if len(of_texts) > 1 else ""
            found.append(f"{start}{of}: {text or 'as the ledger has it'}.")
    return found if any(cell.equal for cell in summary.cells) else []


def equal_work_differs(summary: Summary) -> bool:
    """Whether it was equal in different ways within a suite."""
    return any(len(_equal(summary, suite)) > 1 for suite in summary.compare)


def _equal(summary: Summary, suite: str) -> dict[str, list[CellSummary]]:
    """The cells of a suite that have a ratio, but for twins, by what was equal."""
    found: dict[str, list[CellSummary]] = {}
    for cell in summary.cells:
        if cell.suite == suite and cell.versus is not None and not cell.twin:
            found.setdefault(cell.equal, []).append(cell)
    return found


# Cells that a sentence of equal work names; of more it says how many.
NAMED_CELLS = 8


def _named_cells(cells: Sequence[CellSummary], axis: str, of_texts: Mapping[str, Sequence[CellSummary]]) -> str:
    """By their values where these tell them from the others, else by their ids."""
    values = [{str(cell.point[axis]) for cell in own} for own in of_texts.values()]
    told = sum(map(len, values)) == len(set().union(*values))
    names = list(dict.fromkeys(str(cell.point[axis]) if told else cell.id for cell in cells))
    return first_names(names, NAMED_CELLS)


def first_names(names: Sequence[str], most: int) -> str:
    """So many of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def by_fate(cells: Iterable[CellSummary]) -> dict[str, list[str]]:
    """Ids of cells by what became of them, outcome and reason: of hundreds that failed of one thing, one line."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        found.setdefault(f"{cell.outcome}: {cell.reason}" if cell.reason else cell.outcome, []).append(cell.id)
    return found


def by_group(table: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each group, groups in the plan's order."""
    groups: dict[str, list[Row]] = {}
    for row in table:
        groups.setdefault(row.cell.group, []).append(row)
    return groups
