"""What a whole that instrumented launches saw is made of: a bar for each cell, the shares of its parts in a row.

The shares and their texts are the table's, which stands beside the figure: they are made in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.patches import Patch

import bench.borders as borders
from bench.analysis.estimates import LOOKED_AT_MOST, CellSummary
from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.drawing import COLOURS, INK, NARROW, TEXT, Drawing, drawing, figure_text
from bench.report.row_figure import HALF, PLACE, ROW, ArmStyles, row_figure
from bench.report.units import percent

# A share that is narrower has no place for its text; the table beside has it.
_LETTER = 2.1  # percent of the bar's length that a letter takes


@dataclass(frozen=True)
class PartShare:
    """One part of one cell.

    Attributes:
        name: in words.
        share: of the whole.
        text: as the table writes it.
    """

    name: str
    share: float
    text: str


@dataclass(frozen=True)
class Shares:
    """A bar: one cell and its parts, in the order of their declaration."""

    cell: str
    parts: Sequence[PartShare]


def shares_of(cells: Sequence[CellSummary], whole: str, names: Sequence[str]) -> list[Shares]:
    """The bars of one group: of the cells that have a share of any part.

    A part that was not seen in a cell has no share there, which is not a share of 0.
    """
    found = []
    for cell in cells:
        known = [(word, cell.share(name, whole)) for word, name in zip(tables.short_names(names), names, strict=True)]
        parts = [PartShare(word, share, percent(share, signed=False)) for word, share in known if share is not None]
        if parts:
            found.append(Shares(cell.id, parts))
    return found


def draw_shares(group: str, bars: Sequence[Shares], whole: str, summary: Summary, style: ArmStyles) -> Drawing:
    """The figure of one group, of one bar or more."""
    words = list(dict.fromkeys(part.name for bar in bars for part in bar.parts))
    colours = {word: COLOURS[number % len(COLOURS)] for number, word in enumerate(words)}
    seconds = summary.declared[whole].unit == "s"
    figure, panel = row_figure(
        [style.names[bar.cell] for bar in bars],
        ["" for _ in bars],
        figure_text(f"share of {'the step' if seconds else whole.replace('_', ' ')}, %", 50),
    )
    longest = 100.0
    for row, bar in enumerate(bars):
        end = 0.0
        for part in bar.parts:
            size = 100 * part.share
            panel.barh(row + PLACE, size, left=end, height=2 * HALF, color=colours[part.name], linewidth=0, alpha=0.45)
            # What tells a part from the next is the line between them, not only the colour.
            panel.plot([end + size] * 2, [row + PLACE - HALF, row + PLACE + HALF], color=INK, linewidth=0.8)
            if size >= _LETTER * len(part.text) + 1:
                panel.text(end + size / 2, row + PLACE, part.text, ha="center", va="center", fontsize=TEXT)
            end += size
        longest = max(longest, end)
    panel.set_xlim(0, longest)
    panel.grid(visible=False)
    above = 0.22 * -(-len(words) // 3) + 0.08
    height = figure.get_figheight() + above
    figure.set_size_inches(NARROW, height)
    box = panel.get_position()
    panel.set_position((box.x0, 0.48 / height, box.width, ROW * len(bars) / height))
    figure.legend(
        handles=[Patch(color=colours[word], alpha=0.45, label=figure_text(word, 16)) for word in words],
        loc="upper left",
        ncols=3,
        handlelength=1.0,
        columnspacing=1.2,
        borderaxespad=0.1,
    )
    return drawing(
        figure,
        f"parts-{borders.file_name(whole)}-{borders.file_name(group)}",
        style.titled("Where a step's time goes" if seconds else f"What {whole.replace('_', ' ')} is made of", group),
        "From instrumented launches: callbacks were on, arms ran one after the other, and nothing is compared. Whole "
        f"bar: {summary.declared[whole].description}. Parts stand in the order of the legend, with the shares of the "
        f"table. A cell whose step took over {LOOKED_AT_MOST} times the timed one there has no bar.",
        "phases",
    )
