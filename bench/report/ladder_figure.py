"""The picture of a ladder: a bar for each rung, µs a step on the left and ms an epoch on the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.ladder import KNOWN_TO
from bench.analysis.summary import Summary
from bench.report.drawing import FIGURE_WIDTH, INK, STYLE, TITLE_LETTERS, Drawing, figure_text, svg
from bench.report.ladder import LADDER_TITLE, LadderRow, ladder_tables
from bench.report.tables import titles
from bench.stats.intervals import Interval

_FAINT = "#8a8f98"


def draw_ladders(summary: Summary, most: int) -> list[Drawing]:
    """A picture for each group with a ladder that has prices, of the first `most`."""
    named = titles(summary)
    tables = {
        group: [row for row in rows if row.price.step is not None] for group, rows in ladder_tables(summary).items()
    }
    tables = {group: rows for group, rows in tables.items() if rows}
    with matplotlib.rc_context(STYLE):
        return [
            _ladder(rows, named[group] if len(tables) > 1 else "", group) for group, rows in list(tables.items())[:most]
        ]


def _ladder(rows: Sequence[LadderRow], title: str, group: str) -> Drawing:
    figure = Figure(figsize=(FIGURE_WIDTH, 0.34 * len(rows) + 1.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _prices(left, rows, [row.price.step for row in rows], 1e6, 0, "µs a step over the rung below")
    _prices(right, rows, [row.price.epoch for row in rows], 1e3, 1, "ms an epoch, besides its steps")
    names = [figure_text(f"{row.name}  over  {row.price.over}") for row in rows]
    left.set_yticks(range(len(rows)), names)
    left.set(ylim=(len(rows) - 0.4, -0.6))
    if title:
        figure.suptitle(figure_text(title, TITLE_LETTERS), x=0.01, ha="left", fontsize=10)
    return Drawing(
        f"{LADDER_TITLE}{f' ({title})' if title else ''}",
        "Bars: what the rung costs over the one below, with its 95 % interval over launches. Grey: within noise. Grey "
        "band: the interval of the twin, the same code as the lowest rung. Scales are even near zero, up to the first "
        "tick to each side, and logarithmic beyond it.",
        svg(figure, f"ladder-{borders.file_name(group)}"),
        "ladder",
    )


def _prices(
    panel: Axes, rows: Sequence[LadderRow], figures: Sequence[Interval | None], factor: float, place: int, words: str
) -> None:
    colour = sns.color_palette("colorblind", 2).as_hex()[place]
    twins = [figure for row, figure in zip(rows, figures, strict=True) if row.price.twin]
    for twin in twins:
        if twin is not None and twin.low is not None and twin.high is not None:
            panel.axvspan(twin.low * factor, twin.high * factor, color=_FAINT, alpha=0.18, linewidth=0)
    for number, (row, price) in enumerate(zip(rows, figures, strict=True)):
        if price is None:
            continue
        told = (row.price.step_word, row.price.epoch_word)[place] == "told"
        value = price.estimate * factor
        panel.barh(
            number, value, height=0.62, color=colour if told else _FAINT, alpha=0.75 if told else 0.4, linewidth=0
        )
        if price.low is not None and price.high is not None:
            ends = [price.low * factor, price.high * factor]
            panel.plot(ends, [number] * 2, color=INK, linewidth=1.4, solid_capstyle="butt", zorder=4)
    panel.axvline(0, color=INK, linewidth=0.8)
    # From µs to ms: on an even scale a bar of 2 ms would leave no place to see one of 20 µs.
    even = KNOWN_TO * factor if place == 0 else _even_to(figures) * factor
    panel.set_xscale("symlog", linthresh=even, linscale=0.8)
    ticks = _ticks(*panel.get_xlim(), even)
    panel.set_xticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel(words)
    panel.grid(axis="y", visible=False)


def _even_to(figures: Sequence[Interval | None]) -> float:
    """Up to where the scale of epochs is even: about what the middle one of their prices is known to; 1, 2 or 5."""
    widths = sorted(
        (one.high - one.low) / 2 for one in figures if one is not None and one.low is not None and one.high is not None
    )
    wanted = widths[len(widths) // 2] if widths else 1e-3
    nice = [digit * 10.0**power for power in range(-5, 0) for digit in (1, 2, 5)]
    return min(nice, key=lambda one: abs(math.log(one / max(wanted, 1e-9))))


def _ticks(low: float, high: float, even: float) -> list[float]:
    """Zero, where the scale ceases to be even, and from there on powers of ten, those that are within the ends."""
    powers = [10.0**power for power in range(-2, 9) if 10.0**power > 1.9 * even]
    beside = [even, *powers]
    found = [*(-tick for tick in reversed(beside)), 0.0, *beside]
    return [tick for tick in found if low <= tick <= high]
