"""The picture of trainings for a goal: validation loss over time and, below, over samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.convergence import Curve, GoalCell
from bench.analysis.summary import Summary
from bench.report.drawing import (
    FAINT,
    INK,
    NARROW,
    STYLE,
    TEXT,
    Drawing,
    decade_ticks,
    drawing,
    even_ticks,
    figure_text,
)
from bench.report.row_figure import ArmStyles
from bench.report.units import scale

CURVES_TITLE = "Validation loss over time and over samples"
# Lines of loops that train alike lie on each other over samples: each is drawn thinner than the one below it.
_WIDEST, _THINNEST = 5.0, 1.4


def draw_curves(summary: Summary, groups: Collection[str], style: ArmStyles) -> list[Drawing]:
    """A picture for each of these groups that has trainings."""
    if summary.convergence is None:
        return []
    found: dict[str, list[GoalCell]] = {}
    for cell in summary.convergence.cells:
        if cell.attempts and cell.group in groups:
            found.setdefault(cell.group, []).append(cell)
    with matplotlib.rc_context(STYLE):
        return [_curves(cells, group, style) for group, cells in found.items()]


def _curves(cells: Sequence[GoalCell], group: str, style: ArmStyles) -> Drawing:
    legend = 0.21 * -(-len(cells) // 2)
    height = 5.0 + legend
    figure = Figure(figsize=(NARROW, height))
    first = figure.add_axes((0.135, 2.85 / height, 0.825, 2.05 / height))
    second = figure.add_axes((0.135, 0.45 / height, 0.825, 1.9 / height), sharey=first)
    colours = {cell.cell: style.colours[style.names[cell.cell]] for cell in cells}
    longest = max(attempt.curve.seconds[-1] for cell in cells for attempt in cell.attempts)
    factor, unit = scale(longest, "s")
    for panel, name, divide in ((first, "seconds", factor), (second, "samples", 1.0)):
        for number, cell in enumerate(sorted(cells, key=lambda cell: cell.twin)):
            width = _WIDEST + (_THINNEST - _WIDEST) * number / max(1, len(cells) - 1)
            _cell(panel, cell, name, divide, colours[cell.cell], width if name == "samples" else 1.8)
        panel.axhline(cells[0].target, color=INK, linewidth=0.8, linestyle=":")
        panel.set_xlim(left=0)
        panel.grid(axis="y")
        even_ticks(panel)
        panel.set_ylabel("validation loss")
    losses = [loss for cell in cells for attempt in cell.attempts for loss in attempt.curve.losses if loss is not None]
    if losses and min(losses) > 0 and cells[0].target > 0:
        first.set_yscale("log")
        ticks = decade_ticks(min([*losses, cells[0].target]), max(losses))
        for panel in (first, second):
            panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.minorticks_off()
    else:
        even_ticks(first, "y")
    first.set_xlabel(f"time, {unit}")
    second.set_xlabel("samples")
    first.annotate(
        f"target {cells[0].target:g}", (0, cells[0].target), xytext=(4, 3), textcoords="offset points", fontsize=TEXT
    )
    figure.legend(*first.get_legend_handles_labels(), loc="upper left", ncols=2, handlelength=1.6, labelspacing=0.25,
                  borderaxespad=0.1)  # fmt: skip
    return drawing(
        figure,
        f"curves-{borders.file_name(group)}",
        style.titled(CURVES_TITLE, group),
        "Lines: the median over seeds, epoch by epoch. Bands: all seeds, from the lowest loss to the highest; one that "
        "is not finite is above all others. Dotted line: the target. Diamonds: where the median training gets there. "
        "Dashes: the twin, the same code as the baseline. Over samples, loops that train alike lie on each other; each "
        "is drawn thinner than the one below.",
        "goal",
    )


def _cell(panel: Axes, cell: GoalCell, name: str, divide: float, colour: str, width: float) -> None:
    points = points_of(cell, name)
    if not points:
        return
    at = [place / divide for place, _, _, _ in points]
    colour = FAINT if cell.twin else colour
    ends = [low for _, low, _, _ in points], [high for _, _, _, high in points]
    panel.fill_between(at, *ends, color=colour, alpha=0.13, linewidth=0)
    panel.plot(
        at,
        [middle for _, _, middle, _ in points],
        color=colour,
        linewidth=1.2 if cell.twin else width,
        linestyle="--" if cell.twin else "-",
        label=figure_text(f"{cell.value}{' (twin)' if cell.twin else ''}", 24),
    )
    median = {"seconds": cell.seconds, "samples": cell.samples}[name]
    if median is not None and median.estimate is not None and not cell.twin:
        panel.plot([median.estimate / divide], [cell.target], "D", color=colour, markersize=5, zorder=5)


def points_of(cell: GoalCell, name: str) -> list[tuple[float, float, float, float]]:
    """After each epoch where it was, and the lowest, middle and highest finite loss of the seeds.

    A loss that is not finite is above all others: a line that left its seed out would look better than the cell is.
    Where it is the middle one the line ends. Seeds are as far in samples, and nearly so in time: the median of both
    tells where their epoch was.
    """
    by_epoch: dict[int, list[tuple[float, float]]] = {}
    for attempt in cell.attempts:
        for number, (place, loss) in enumerate(_along(attempt.curve, name)):
            by_epoch.setdefault(number, []).append((place, loss))
    found = []
    for own in by_epoch.values():
        middle = statistics.median(loss for _, loss in own)
        if math.isfinite(middle):
            where = statistics.median(place for place, _ in own)
            losses = [loss for _, loss in own if math.isfinite(loss)]
            found.append((where, min(losses), middle, max(losses)))
    return found


def _along(curve: Curve, name: str) -> list[tuple[float, float]]:
    places: Sequence[float] = getattr(curve, name)
    return [(place, math.inf if loss is None else loss) for place, loss in zip(places, curve.losses, strict=True)]
