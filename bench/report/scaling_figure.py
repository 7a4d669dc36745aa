"""What more devices bring: throughput beside the line of as many single ones, and the efficiency that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.estimates import CellSummary, MetricEstimate
from bench.analysis.findings import Finding
from bench.report.drawing import COLOURS, INK, NARROW, TEXT, Drawing, drawing, even_ticks
from bench.report.row_figure import ArmStyles
from bench.report.units import percent, scale


@dataclass(frozen=True)
class ScalingPoint:
    """One cell.

    Attributes:
        devices: its value of the compared axis.
        throughput: samples/s of all of them.
        ideal: samples/s of as many as it, were each as fast as those of the baseline.
        efficiency: as it is told; None of the baseline.
    """

    cell: str
    devices: int
    throughput: MetricEstimate
    ideal: float
    efficiency: Finding | None


def scaling_points(cells: Sequence[CellSummary], axis: str, answers: Sequence[Finding]) -> list[ScalingPoint]:
    """The points of one group, by the number of devices; none where not two of them have a throughput.

    Args:
        axis: the compared one, `devices` or `num_nodes`.
        answers: the summary's.
    """
    told = {answer.cell: answer for answer in answers if answer.kind == "efficiency"}
    known = [cell for cell in cells if not cell.twin and "throughput" in cell.metrics]
    base = next((cell for cell in known if cell.versus is None and cell.id not in told), None)
    kept = [cell for cell in known if cell is base or cell.id in told]
    if base is None or len(kept) < 2:
        return []
    each = base.metrics["throughput"].estimate / int(base.point[axis])
    points = [
        ScalingPoint(
            cell.id, int(cell.point[axis]), cell.metrics["throughput"], each * int(cell.point[axis]), told.get(cell.id)
        )
        for cell in kept
    ]
    return sorted(points, key=lambda point: point.devices)


def draw_scaling(group: str, points: Sequence[ScalingPoint], axis: str, style: ArmStyles) -> Drawing:
    """The figure of one group, of two points or more."""
    figure = Figure(figsize=(NARROW, 3.7))
    above = figure.add_axes((0.135, 0.53, 0.825, 0.42))
    below = figure.add_axes((0.135, 0.125, 0.825, 0.3), sharex=above)
    factor, unit = scale(max(max(point.throughput.estimate, point.ideal) for point in points), "samples/s")
    devices = [point.devices for point in points]
    above.plot([0, *devices], [0.0, *(point.ideal / factor for point in points)], "--", color=INK, linewidth=1)
    above.annotate("ideal", (devices[-1], points[-1].ideal / factor), xytext=(-6, -2), textcoords="offset points",
                   ha="right", fontsize=TEXT)  # fmt: skip
    for point in points:
        figures = point.throughput
        above.plot([point.devices], [figures.estimate / factor], "o", color=COLOURS[0], markersize=6)
        if figures.low is not None and figures.high is not None:
            above.plot(
                [point.devices] * 2, [figures.low / factor, figures.high / factor], color=COLOURS[0], linewidth=2
            )
    above.plot(devices, [point.throughput.estimate / factor for point in points], color=COLOURS[0], linewidth=1.2)
    below.axhline(100, color=INK, linewidth=1, linestyle="--")
    right = max(devices)
    for number, point in enumerate(points):
        told = point.efficiency
        if told is None or told.estimate is None:
            continue
        below.plot([point.devices], [100 * told.estimate], "s", color=COLOURS[1], markersize=6)
        if told.low is not None and told.high is not None:
            below.plot([point.devices] * 2, [100 * told.low, 100 * told.high], color=COLOURS[1], linewidth=2)
        if len(points) <= 4:
            # Neighbours may be near each other: one above its mark, the next below.
            below.annotate(
                efficiency_words(told),
                (point.devices, 100 * told.estimate),
                xytext=(5 if point.devices == right else 0, 8 if number % 2 else -8),
                textcoords="offset points",
                ha="right" if point.devices == right else "center",
                va="bottom" if number % 2 else "top",
                fontsize=TEXT,
            )
    above.set(xlim=(0, right * 1.06), ylabel=f"throughput, {unit}")
    above.set_ylim(bottom=0)
    below.set(ylabel="efficiency, %", xlabel=axis.replace("_", " "))
    below.set_ylim(0, max([125, *(120 * point.efficiency.estimate for point in points
                                  if point.efficiency and point.efficiency.estimate)]))  # fmt: skip
    for panel in (above, below):
        even_ticks(panel, "y", count=4)
        panel.grid(axis="y")
    below.set_xticks(
        devices[:: max(1, -(-len(devices) // 8))], [str(one) for one in devices][:: max(1, -(-len(devices) // 8))]
    )
    above.tick_params(labelbottom=False)
    return drawing(
        figure,
        f"scaling-{borders.file_name(group)}",
        style.titled(f"Throughput by {axis.replace('_', ' ')}", group),
        "Above: samples a second of all together, with 95 % intervals over launches; dashes: as many as the "
        "baseline's, each as fast. Below: the efficiency that is told, from paired launches, with its interval.",
        "scaling",
    )


def efficiency_words(told: Finding) -> str:
    """As much as a figure has place for: `80 % [78, 82]`."""
    return "" if told.estimate is None else percent(told.estimate, told.low, told.high, signed=False)
