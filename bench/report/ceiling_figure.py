"""How much of what the machine can do each arm does: its rate of arithmetic under the ceiling measured there.

The ceiling is no published figure. An arm tells what share of the measured one its step reaches, which, with its rate,
gives the ceiling of its mix of arithmetic. Bytes moved are not counted, so there is no slope of bandwidth below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.report.drawing import FAINT, INK, Drawing, decade_ticks, drawing, even_ticks
from bench.report.row_figure import HALF, PLACE, ArmStyles, row_figure
from bench.report.units import percent, quantity, scale

# Figures further apart, from the lowest rate to the highest ceiling, need a logarithmic scale.
_WIDE = 20.0


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


def ceiling_words(row: CeilingRow) -> str:
    """What stands beside a bar: the rate, and the share of the ceiling."""
    rate = quantity(row.rate, "FLOP/s")
    return rate if row.share is None else f"{rate}, {percent(row.share, signed=False)} of the ceiling"
