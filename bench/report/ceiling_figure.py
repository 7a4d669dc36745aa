"""How much of what the machine can do each arm does: its rate of arithmetic under the ceiling measured there.

The ceiling is no published figure. An arm tells what share of the measured one its step reaches, which, with its rate,
gives the ceiling of its mix of arithmetic. Bytes moved are not counted, so there is no slope of bandwidth below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.report.drawing import FAINT, INK, NARROW, TEXT, Drawing, decade_ticks, drawing, even_ticks, figure_text
from bench.report.row_figure import HALF, PLACE, ArmStyles, row_figure
from bench.report.units import chosen_quantity, percent, quantity, scale

# Figures further apart, from the lowest rate to the highest ceiling, need a logarithmic scale.
_WIDE = 20.0
# Steps whose arithmetic differs by less do as much.
_SAME_WORK = 1.2


@dataclass(frozen=True)
class CeilingRow:
    """One cell: FLOP of a step, FLOP/s that it reaches, and the share of its ceiling, where that is known."""

    cell: str
    flops: float
    rate: float
    share: float | None

    @property
    def ceiling(self) -> float | None:
        """FLOP/s that arithmetic as this cell's could reach, were there nothing else."""
        return self.rate / self.share if self.share else None


def ceiling_rows(cells: Sequence[CellSummary]) -> list[CeilingRow]:
    """Of the cells of one group whose operations were counted."""
    found = []
    for cell in cells:
        flops, rate, share = (cell.instrumented.get(name) for name in ("flops_per_step", "flop_rate", "ceiling_share"))
        if flops is not None and rate is not None and flops.estimate > 0 and rate.estimate > 0:
            known = share.estimate if share is not None and share.estimate > 0 else None
            found.append(CeilingRow(cell.id, flops.estimate, rate.estimate, known))
    return found


def draw_ceilings(group: str, rows: Sequence[CeilingRow], style: ArmStyles) -> Drawing:
    """The figure of one group, of one row or more."""
    everything = [value for row in rows for value in (row.rate, row.ceiling) if value is not None]
    factor, unit = scale(max(everything), "FLOP/s")
    figure, panel = row_figure(
        [style.names[row.cell] for row in rows], [ceiling_words(row) for row in rows], f"arithmetic, {unit}"
    )
    wide = max(everything) > _WIDE * min(everything)
    low, high = min(everything) / factor / 1.6 if wide else 0.0, max(everything) / factor * (1.3 if wide else 1.05)
    for place, row in enumerate(rows):
        colour, middle = style.colours[style.names[row.cell]], place + PLACE
        rate = row.rate / factor
        panel.barh(middle, rate - low, left=low, height=2 * HALF, color=colour, alpha=0.45, linewidth=0)
        panel.plot([rate] * 2, [middle - HALF, middle + HALF], color=colour, linewidth=2)
        if row.ceiling is not None:
            roof = row.ceiling / factor
            panel.plot([roof] * 2, [middle - 1.3 * HALF, middle + 1.1 * HALF], color=INK, linewidth=2)
            panel.plot([rate, roof], [middle] * 2, color=FAINT, linewidth=0.8, linestyle=":")
    panel.set(xscale="log" if wide else "linear", xlim=(low, high))
    if wide:
        ticks = decade_ticks(low, high)
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
    else:
        even_ticks(panel)
    known = any(row.share for row in rows)
    return drawing(
        figure,
        f"ceilings-{borders.file_name(group)}",
        style.titled("Arithmetic under its ceiling", group),
        "Bars: products, convolutions and attention of a step over its time, in instrumented "
        f"launches{', on a logarithmic scale' * wide}. "
        + ("Upright lines: what this machine was measured to reach with the same mix of arithmetic and nothing else."
           if known else "No ceiling of this machine was known: `bench env --calibrate` measures it.")
        + " Bytes moved are not counted, so there is no roof of bandwidth.",
        "ceilings",
    )  # fmt: skip


@dataclass(frozen=True)
class RoofPoint:
    """One cell under its roof: `flops` a step across, `rate` and `ceiling` upwards, FLOP/s."""

    arm: str
    flops: float
    rate: float
    ceiling: float | None


def roof_points(rows: Sequence[CeilingRow], style: ArmStyles) -> list[RoofPoint]:
    """By work a step; none where all steps do as much, since then there is no roof but a point of it."""
    points = sorted((RoofPoint(style.names[row.cell], row.flops, row.rate, row.ceiling) for row in rows),
                    key=lambda point: point.flops)  # fmt: skip
    return points if points and points[-1].flops > _SAME_WORK * points[0].flops else []


def draw_roof(suite: str, points: Sequence[RoofPoint], title: str, style: ArmStyles) -> Drawing:
    """The figure of one suite, of points that differ in their work."""
    arms = list(dict.fromkeys(point.arm for point in points))
    rates = [value for point in points for value in (point.rate, point.ceiling) if value is not None]
    (wide, wide_unit), (factor, unit) = scale(points[-1].flops, "FLOP"), scale(max(rates), "FLOP/s")
    height = 2.9 + 0.21 * -(-len(arms) // 2)
    figure = Figure(figsize=(NARROW, height))
    panel = figure.add_axes((0.155, 0.5 / height, 0.81, 2.1 / height))
    low, high = points[0].flops / wide / 1.4, points[-1].flops / wide * 1.4
    for arm in arms:
        own = [point for point in points if point.arm == arm]
        panel.plot([point.flops / wide for point in own], [point.rate / factor for point in own],
                   style.marks[arm], linestyle="-", color=style.colours[arm], markersize=5, linewidth=1.2,
                   label=figure_text(arm.replace(r"\$", "$"), 24))  # fmt: skip
    roofs = {point.flops: point.ceiling for point in points if point.ceiling is not None}
    panel.plot([flops / wide for flops in roofs], [roof / factor for roof in roofs.values()], "--", color=INK)
    bottom, top = min(rates) / factor / 1.6, max(rates) / factor * 1.6
    # Steps of equal length: what starts no arithmetic until so much time has passed stays below such a line.
    for power in range(-7, 3):
        ends = [low, high]
        heights = [end * wide / 10.0**power / factor for end in ends]
        if min(heights) < top and max(heights) > bottom:
            panel.plot(ends, heights, color=FAINT, linewidth=0.7, linestyle=":")
            at = min(max(1.15 * bottom * factor * 10.0**power / wide, low * 1.03), high)
            where = at * wide / 10.0**power / factor
            if bottom < where < top and at < high / 1.5:
                panel.text(at, where, chosen_quantity(10.0**power, "s"), fontsize=TEXT, va="bottom", color=INK)
    panel.set(
        xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top), xlabel=f"arithmetic a step, {wide_unit}"
    )
    panel.set_title(f"arithmetic a second, {unit}", fontsize=TEXT, pad=4)
    ticks = decade_ticks(low, high)
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ticks = decade_ticks(bottom, top)
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.grid(visible=False)
    figure.legend(*panel.get_legend_handles_labels(), loc="upper left", ncols=2, handlelength=1.6, labelspacing=0.25,
                  borderaxespad=0.1)  # fmt: skip
    return drawing(
        figure,
        f"roof-{borders.file_name(suite)}",
        title,
        "Marks: each cell, by the arithmetic that its step has. "
        + ("Dashes: what this machine was measured to reach with the same arithmetic and nothing else. " if roofs
           else "No ceiling of this machine was known. ")
        + "Dotted: steps of equal length. An arm that follows a dotted line spends its step on other things than "
        "arithmetic; one that levels off is at its roof.",
        "ceilings",
    )  # fmt: skip


def ceiling_words(row: CeilingRow) -> str:
    """What stands beside a bar: the rate, and the share of the ceiling."""
    rate = quantity(row.rate, "FLOP/s")
    return rate if row.share is None else f"{rate}, {percent(row.share, signed=False)} of the ceiling"
