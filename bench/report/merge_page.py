"""A merge's page: what differs first, one picture of all machines, the tables. One file, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

import bench.borders as borders
from bench.analysis.merge_values import SPREADS, Merge
from bench.report import merge as words
from bench.report.cell_markup import labelled_svg
from bench.report.drawing import COLOURS, NARROW, STYLE, TEXT, Drawing, figure_text, svg
from bench.report.html import template_environment
from bench.report.units import quantity

LEFT_OUT_FROM = 40  # works; a picture of more of them cannot be read


def draw_merge(found: Merge) -> Drawing | None:
    """Throughput of every row of every work, on one axis of logs; None where nothing was measured."""
    works = [work for work in found.works if any("throughput" in row.figures for row in work.rows)][:LEFT_OUT_FROM]
    if not works:
        return None
    names = list(dict.fromkeys(row.name for work in works for row in work.rows if "throughput" in row.figures))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    lines = sum(len(work.rows) for work in works)
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(NARROW, 0.2 * (lines + 1.6 * len(works)) + 1.5), layout="constrained")
        panel = figure.subplots()
        place = 0.0
        for work in works:
            shown = [row for row in work.rows if "throughput" in row.figures]
            # Beside its rows a name would leave them no place on a telephone.
            named: Any = {"transform": panel.get_yaxis_transform(), "va": "center", "fontsize": TEXT}
            panel.text(0, place, figure_text(work.name), **named)
            place += 1
            for row in shown:
                own = row.figures["throughput"]
                marker = "o" if own.spread == "runs" else "D"
                panel.plot([own.estimate], [place], marker, color=colours[row.name], markersize=6, zorder=3)
                if own.low is not None and own.high is not None:
                    style = "-" if own.spread == "runs" else ":"
                    panel.plot([own.low, own.high], [place] * 2, style, color=colours[row.name], linewidth=2)
                place += 1
            place += 0.6
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, "").strip()))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_yticks([])
        panel.invert_yaxis()
        panel.set_xlabel("throughput, samples/s")
        handles = [
            panel.plot([math.nan], [math.nan], "o", color=colour, label=figure_text(name, 22))[0]
            for name, colour in colours.items()
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(2, len(handles)))
    more = len(found.works) - len(works)
    return Drawing(
        "Throughput",
        f"Dots with solid lines: 95 % intervals {SPREADS['runs']}. Diamonds with dotted lines: {SPREADS['launches']}. "
        "The axis is of logs: equal distances are equal ratios."
        + (f" {more} more works are in the tables only." if more else ""),
        svg(figure, "merged", "Throughput of every row of every work"),
    )


def render_merge_page(found: Merge, drawings: Sequence[Drawing] | None = None) -> str:
    """The page of a merge.

    Args:
        drawings: the picture, or none; drawn here if None.
    """
    if drawings is None:
        drawing = draw_merge(found)
        drawings = () if drawing is None else (drawing,)
    works = []
    for work in found.works:
        columns = words.shown_columns(work)
        rows = [(row, words.ratio_entry(row), words.row_entries(row, columns)) for row in work.rows]
        sentences = [*words.no_ratios(work), *words.other_ratios(work)]
        works.append((work, [words.MERGE_COLUMNS[column] for column in columns], rows, sentences))
    nodes = [
        (f"{words.NODES_TITLES[clusters]}: {machine}", [words.node_entries(one) for one in ratios])
        for (machine, clusters), ratios in words.node_tables(found).items()
    ]
    return (
        template_environment()
        .get_template("merge.html.jinja")
        .render(
            found=found,
            differences=[
                (title, words.difference_table(found, kind))
                for title, kind in ((words.COMPARED_TITLE, "compared"), (words.ACCIDENTS_TITLE, "accident"))
            ],
            machines=words.machine_lines(found),
            claims=words.claims_of_merge(found),
            alone=words.alone_sentences(found),
            drawings=drawings,
            labelled_svg=labelled_svg,
            works=works,
            nodes=nodes,
            node_header=words.NODE_HEADER,
            remarks=words.remarks_of_merge(found),
            data=borders.json_text(found.to_json(), indent=1).replace("<", "\\u003c"),
        )
    )
