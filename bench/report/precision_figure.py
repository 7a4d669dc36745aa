"""What a precision saves and what it does to the loss: time a sample beside the loss that it ends with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.report.drawing import INK, NARROW, TEXT, Drawing, drawing, even_ticks, figure_text
from bench.report.row_figure import ArmStyles
from bench.report.units import percent, quantity, scale
from bench.results.record import Record


@dataclass(frozen=True)
class PrecisionPoint:
    """One cell.

    Attributes:
        seconds, low, high: a sample; the ends None where there is no interval.
        gap: by how much its last loss is above the baseline's of the same launch, as a share: the median of launches;
            None where none is finite.
        least, most: of all launches.
        lost: launches whose last loss is not finite.
    """

    cell: str
    seconds: float
    low: float | None
    high: float | None
    gap: float | None
    least: float
    most: float
    lost: int


def last_losses(records: Iterable[Record]) -> dict[str, dict[int, float]]:
    """By cell and launch: the last loss that the ledger has, of validation where it was seen."""
    found: dict[str, dict[int, float]] = {}
    for record in records:
        losses = record.ledger.get("validation_losses") or record.ledger.get("losses") or ()
        if record.turns is not None and losses:
            found.setdefault(record.cell, {})[record.launch] = float(losses[-1])
    return found


def precision_points(cells: Sequence[CellSummary], losses: Mapping[str, Mapping[int, float]]) -> list[PrecisionPoint]:
    """The points of one group, in the order of its cells; the baseline's gap is 0.

    Args:
        losses: of these cells, as `last_losses` gives them.
    """
    found = []
    for cell in cells:
        step, own = cell.metrics.get("step_time"), losses.get(cell.id, {})
        base = losses.get(cell.id if cell.versus is None else cell.versus.baseline, {})
        both = [(own[launch], base[launch]) for launch in own if launch in base and base[launch] != 0]
        if step is None or cell.twin or cell.samples_per_step <= 0 or not both:
            continue
        every = [mine / theirs - 1 for mine, theirs in both]
        gaps = [gap for gap in every if math.isfinite(gap)]
        count = cell.samples_per_step
        low, high = (None if end is None else end / count for end in (step.low, step.high))
        gap = statistics.median(gaps) if gaps else None
        least, most = (min(gaps), max(gaps)) if gaps else (0.0, 0.0)
        found.append(
            PrecisionPoint(cell.id, step.estimate / count, low, high, gap, least, most, len(every) - len(gaps))
        )
    return found


def draw_precision(group: str, points: Sequence[PrecisionPoint], style: ArmStyles) -> Drawing:
    """The figure of one group, of two points or more with a gap."""
    drawn = [point for point in points if point.gap is not None]
    height = 2.9 + 0.2 * len(points)
    figure = Figure(figsize=(NARROW, height))
    panel = figure.add_axes((0.155, 0.5 / height, 0.81, 2.1 / height))
    factor, unit = scale(max(point.seconds for point in points), "s")
    panel.axhline(0, color=INK, linewidth=0.8)
    for point in drawn:
        name = style.names[point.cell]
        colour = style.colours[name]
        x, y = point.seconds / factor, 100 * (point.gap or 0.0)
        panel.plot([x], [y], style.marks[name], color=colour, markersize=7, label=f"{name}: {point_words(point)}")
        if point.low is not None and point.high is not None:
            panel.plot([point.low / factor, point.high / factor], [y, y], color=colour, linewidth=1.6)
        panel.plot([x, x], [100 * point.least, 100 * point.most], color=colour, linewidth=1.6)
    panel.set_xlabel(f"time a sample, {unit}")
    panel.set_title("loss over the baseline's, %", fontsize=TEXT, pad=4)
    panel.margins(0.08)
    even_ticks(panel)
    even_ticks(panel, "y")
    panel.grid(axis="y")
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, [figure_text(label.replace(r"\$", "$"), 58) for label in labels], loc="upper left",
                  handlelength=1.0, labelspacing=0.25, borderaxespad=0.1, fontsize=TEXT)  # fmt: skip
    lost = sum(point.lost for point in points)
    return drawing(
        figure,
        f"precision-{borders.file_name(group)}",
        style.titled("Time a sample and loss, by precision", group),
        "Lower left is better. Marks: time a sample, with its 95 % interval over launches, and the median of launches' "
        "last losses over the baseline's of the same launch; upright bars: all launches. The loss is that of the steps "
        f"that were looked at, or of validation where there is one.{f' {lost} losses are not finite.' * (lost > 0)}",
        "precision",
    )


def point_words(point: PrecisionPoint) -> str:
    """What stands beside a mark: time a sample and gap."""
    gap = "no finite loss" if point.gap is None else f"loss {percent(point.gap)}"
    return f"{quantity(point.seconds, 's')}, {gap}"
