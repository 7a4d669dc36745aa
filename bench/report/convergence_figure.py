"""The picture of trainings for a goal: validation loss over time on the left and over samples on the right."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.convergence import Curve, GoalCell
from bench.analysis.summary import Summary
from bench.report.drawing import FIGURE_WIDTH, INK, STYLE, Drawing, figure_text, svg
from bench.report.tables import titles
from bench.report.units import scale

_FAINT = "#8a8f98"
CURVES_TITLE = "Validation loss over time and over samples"
# Lines of loops that train alike lie on each other over samples: each is drawn thinner than the one below it.
_WIDEST, _THINNEST = 5.0, 1.4


def draw_curves(summary: Summary, most: int) -> list[Drawing]:
    """A picture for each group with trainings, of the first `most`."""
    if summary.convergence is None:
        return []
    named = titles(summary)
    groups: dict[str, list[GoalCell]] = {}
    for cell in summary.convergence.cells:
        if cell.attempts:
            groups.setdefault(cell.group, []).append(cell)
    with matplotlib.rc_context(STYLE):
        return [
            _curves(cells, named[group] if len(groups) > 1 else "", group)
            for group, cells in list(groups.items())[:most]
        ]


def _curves(cells: Sequence[GoalCell], title: str, group: str) -> Drawing:
    figure = Figure(figsize=(FIGURE_WIDTH, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    arms = [cell.value for cell in cells if not cell.twin]
    palette = dict(zip(arms, sns.color_palette("colorblind", max(1, len(arms))).as_hex(), strict=False))
    longest = max(attempt.curve.seconds[-1] for cell in cells for attempt in cell.attempts)
    factor, unit = scale(longest, "s")
    for panel, name, divide in ((left, "seconds", factor), (right, "samples", 1.0)):
        for number, cell in enumerate(sorted(cells, key=lambda cell: cell.twin)):
            width = _WIDEST + (_THINNEST - _WIDEST) * number / max(1, len(cells) - 1)
            _cell(panel, cell, name, divide, palette.get(cell.value, _FAINT), width if name == "samples" else 1.8)
        panel.axhline(cells[0].target, color=INK, linewidth=0.8, linestyle=":")
        panel.set_xlim(left=0)
        panel.grid(axis="y")
    losses = [loss for cell in cells for attempt in cell.attempts for loss in attempt.curve.losses if loss is not None]
    if losses and min(losses) > 0 and cells[0].target > 0:
        left.set_yscale("log")
        ticks = _ticks(min([*losses, cells[0].target]), max(losses))
        left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        left.minorticks_off()
    left.set(xlabel=f"time, {unit}", ylabel="validation loss")
    right.set_xlabel("samples")
    left.annotate(
        f"target {cells[0].target:g}", (0, cells[0].target), xytext=(4, 3), textcoords="offset points", fontsize=9
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=6, handlelength=1.6)
    return Drawing(
        f"{CURVES_TITLE}{f' ({title})' if title else ''}",
        "Lines: the median over seeds, epoch by epoch. Bands: all seeds, from the lowest loss to the highest; one that "
        "is not finite is above all others. Dotted line: the target. Diamonds: where the median training gets there. "
        "Dashes: the twin, the same code as the baseline. Over samples, loops that train alike lie on each other; each "
        "is drawn thinner than the one below.",
        svg(figure, f"curves-{borders.file_name(group)}"),
        "goal",
    )


def _cell(panel: Axes, cell: GoalCell, name: str, divide: float, colour: str, width: float) -> None:
    points = points_of(cell, name)
    if not points:
        return
    at = [place / divide for place, _, _, _ in points]
    colour = _FAINT if cell.twin else colour
    ends = [low for _, low, _, _ in points], [high for _, _, _, high in points]
    panel.fill_between(at, *ends, color=colour, alpha=0.13, linewidth=0)
    panel.plot(
        at,
        [middle for _, _, middle, _ in points],
        color=colour,
        linewidth=1.2 if cell.twin else width,
        linestyle="--" if cell.twin else "-",
        label=figure_text(f"{cell.value}{' (twin)' if cell.twin else ''}"),
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


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten; every one of a span that has few of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(one / 20 for one in range(20, 200))):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [float(f"{tick:.3g}") for tick in ticks if low * 0.98 <= tick <= high * 1.02]
        if len(ticks) >= 3:
            return ticks[:: max(1, len(ticks) // 6)]
    return [low, high]
