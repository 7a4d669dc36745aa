"""How much memory each arm takes at most, and how much of that it had before it trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bench.borders as borders
from bench.analysis.estimates import CellSummary, MetricEstimate
from bench.report.drawing import INK, Drawing, drawing, even_ticks
from bench.report.row_figure import HALF, PLACE, ArmStyles, row_figure
from bench.report.units import quantity, scale

HOST_PEAK, DEVICE_PEAK = "peak_memory_host", "peak_memory_device"


@dataclass(frozen=True)
class MemoryRow:
    """The memory of one cell, bytes: its peak, what it had at the start, and by how much it grows a step."""

    cell: str
    peak: MetricEstimate
    start: float | None
    growth: MetricEstimate | None


def memory_rows(cells: Sequence[CellSummary], starts: Mapping[str, float], name: str) -> list[MemoryRow]:
    """Of the cells of one group whose peak is known.

    Args:
        starts: what each cell had before it trained, bytes, by id, where that is known.
        name: HOST_PEAK, of timed launches, or DEVICE_PEAK, of instrumented ones.
    """
    found = []
    for cell in cells:
        peak = {**cell.instrumented, **cell.metrics}.get(name)
        if peak is not None and peak.estimate > 0:
            growth = cell.metrics.get(f"memory_growth_{'host' if name == HOST_PEAK else 'device'}")
            found.append(MemoryRow(cell.id, peak, starts.get(cell.id), growth))
    return found


def draw_memory(group: str, rows: Sequence[MemoryRow], name: str, style: ArmStyles) -> Drawing:
    """The figure of one group, of one row or more."""
    factor, unit = scale(max(row.peak.estimate for row in rows), "bytes")
    figure, panel = row_figure(
        [style.names[row.cell] for row in rows], [memory_words(row) for row in rows], f"memory at its peak, {unit}"
    )
    for place, row in enumerate(rows):
        colour, middle = style.colours[style.names[row.cell]], place + PLACE
        peak = row.peak.estimate / factor
        panel.barh(middle, peak, height=2 * HALF, color=colour, alpha=0.45, linewidth=0)
        panel.plot([peak] * 2, [middle - HALF, middle + HALF], color=colour, linewidth=2)
        if row.start is not None:
            panel.plot([row.start / factor] * 2, [middle - HALF, middle + HALF], color=INK, linestyle=":")
        if row.peak.low is not None and row.peak.high is not None:
            ends = [row.peak.low / factor, row.peak.high / factor]
            panel.plot(ends, [middle] * 2, color=INK, linewidth=1.2)
    panel.set_xlim(left=0)
    even_ticks(panel)
    host = name == HOST_PEAK
    return drawing(
        figure,
        f"{borders.file_name(name)}-{borders.file_name(group)}",
        style.titled("Main memory" if host else "The device's memory", group),
        ("Bars: the largest resident set of an arm's process, its interpreter included" if host
         else "Bars: the most that an arm's tensors held on its device, in instrumented launches")
        + ", with its 95 % interval over launches. Dotted: what it had before it trained. At the right also what it "
        "grows by a step, where that is not nothing.",
        "memory",
    )  # fmt: skip


def memory_words(row: MemoryRow) -> str:
    """What stands beside a bar: the peak, and the growth that is told from none."""
    peak = quantity(row.peak.estimate, "bytes", row.peak.low, row.peak.high)
    growth = row.growth
    if growth is None or growth.low is None or growth.high is None or growth.low <= 0 <= growth.high:
        return peak
    return f"{peak}; {quantity(growth.estimate, 'bytes', signed=True)} a step"
