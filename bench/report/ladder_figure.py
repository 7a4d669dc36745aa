"""The figure of a ladder, a waterfall: each rung's price begins where the rung below it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib

import bench.borders as borders
from bench.analysis.summary import Summary
from bench.report.drawing import COLOURS, FAINT, INK, STYLE, Drawing, drawing, even_ticks, figure_text
from bench.report.ladder import COLUMNS, LADDER_TITLE, LadderRow, ladder_tables
from bench.report.row_figure import HALF, PLACE, ArmStyles, draw_upright, row_figure
from bench.report.units import scale
from bench.stats.intervals import Interval

_OF = ("a step", "an epoch, besides its steps")


@dataclass(frozen=True)
class WaterfallBar:
    """One rung.

    Attributes:
        name: of the rung, and of the one that it is priced over.
        start, end: seconds over the lowest rung: of the one below, and its own.
        low, high: the interval of its price, from `start` on; None where it has none.
        text: of its price, as the table writes it.
        told: whether the price may be told.
        twin: whether it is the twin's, which is no rung.
        below: the place of the bar that it begins at the end of; None where that has none.
    """

    name: str
    start: float
    end: float
    low: float | None
    high: float | None
    text: str
    told: bool
    twin: bool
    below: int | None


def waterfall_of(rows: Sequence[LadderRow], place: int) -> list[WaterfallBar]:
    """The bars of one group, those that have a price.

    Args:
        rows: as `ladder_tables` has them.
        place: 0 for prices of a step, 1 for those of an epoch.
    """
    found: list[WaterfallBar] = []
    levels: dict[str, float] = {}
    bars: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: row.price.twin):  # what the twin reads is no rung's price
        figure: Interval | None = (row.price.step, row.price.epoch)[place]
        if figure is None:
            continue
        start = levels.get(row.price.over, 0.0) if not row.price.twin else 0.0
        told = (row.price.step_word, row.price.epoch_word)[place] == "told"
        known = figure.low is not None and figure.high is not None
        low, high = (start + (figure.low or 0.0), start + (figure.high or 0.0)) if known else (None, None)
        name = row.name if row.price.twin else f"{row.name} over {row.price.over}"
        text = row.entries[COLUMNS[place]].text
        below = None if row.price.twin else bars.get(row.price.over)
        found.append(WaterfallBar(name, start, start + figure.estimate, low, high, text, told, row.price.twin, below))
        if not row.price.twin:
            levels[row.price.value] = start + figure.estimate
            bars[row.price.value] = len(found) - 1
    return found


def draw_ladders(summary: Summary, groups: Sequence[str], style: ArmStyles) -> list[Drawing]:
    """Two figures for each of these groups that has a ladder with prices: of a step, and of an epoch."""
    found = []
    tables = {group: rows for group, rows in ladder_tables(summary).items() if group in groups}
    with matplotlib.rc_context(STYLE):
        for group, rows in tables.items():
            for place in (0, 1):
                if bars := waterfall_of(rows, place):
                    found.append(_waterfall(group, bars, place, style))
    return found


def _waterfall(group: str, bars: Sequence[WaterfallBar], place: int, style: ArmStyles) -> Drawing:
    ends = [end for bar in bars for end in (bar.start, bar.end)]
    factor, unit = scale(max(abs(end) for end in ends), "s")
    figure, panel = row_figure(
        [figure_text(bar.name) for bar in bars],
        [bar.text for bar in bars],
        f"{unit} {_OF[place]}, over the lowest rung",
    )
    span = (max([0.0, *ends]) - min([0.0, *ends])) or 1e-6
    for row, bar in enumerate(bars):
        middle = row + PLACE
        colour = COLOURS[place] if bar.told else FAINT
        size = (bar.end - bar.start) / factor
        panel.barh(middle, size, left=bar.start / factor, height=2 * HALF, color=colour, alpha=0.45, linewidth=0)
        panel.plot([bar.end / factor] * 2, [middle - HALF, middle + HALF], color=colour, linewidth=2)
        if bar.below is not None:
            panel.plot([bar.start / factor] * 2, [bar.below + PLACE, middle], color=INK, linewidth=0.6, linestyle=":")
        if bar.low is not None and bar.high is not None:
            # One that is wider than all that is drawn would leave no place for the bars.
            seen = [max(bar.low, min(ends) - span), min(bar.high, max(ends) + span)]
            panel.plot([end / factor for end in seen], [middle] * 2, color=INK, linewidth=1.4, solid_capstyle="butt")
    draw_upright(panel, 0, len(bars))
    even_ticks(panel)
    return drawing(
        figure,
        f"ladder-{('step', 'epoch')[place]}-{borders.file_name(group)}",
        style.titled(f"{LADDER_TITLE}, {_OF[place]}", group),
        "Bars: what the rung costs over the one below, from that rung's end on, so that where a bar ends is what all "
        "rungs to it cost; with its 95 % interval over launches, and at the right as in the table. Grey: within noise. "
        "The twin, the same code as the lowest rung, stands for itself.",
        "ladder",
    )
