"""How step times are spread, arm by arm, and how they stand to the baseline's: the two figures of each group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary
from bench.report.drawing import FAINT, INK, Drawing, drawing, even_ticks
from bench.report.row_figure import HALF, PLACE, ArmStyles, draw_upright, row_figure
from bench.report.units import quantity, ratio, scale
from bench.stats.intervals import Interval

# The slowest turns, stalls of tens of milliseconds, would squeeze all others into a line.
_SHOWN = (0.005, 0.985)
# Of more turns the shape is made of so many, equally far apart in the order of their times.
THINNED_TO = 1000
_GRID = 60


@dataclass(frozen=True)
class StepSpread:
    """The step times of one cell, seconds.

    Attributes:
        turns: of each turn, in ascending order.
        launches: the mean step of each launch.
        mean, low, high: what the table says of it; None where it says nothing.
    """

    cell: str
    turns: Sequence[float]
    launches: Sequence[float]
    mean: float | None
    low: float | None
    high: float | None

    def beyond(self, low: float, high: float) -> int:
        """How many of its turns lie outside of these."""
        return sum(not low <= turn <= high for turn in self.turns)


def spreads_of(cells: Sequence[CellSummary], turns: pd.DataFrame, launches: pd.DataFrame) -> list[StepSpread]:
    """Of the cells of one group that have turns, in their order.

    Args:
        turns: those of the group, as `frames` makes them, of launches that are measured.
        launches: the step times of its launches.
    """
    by_cell = {str(cell): np.sort(own.to_numpy()) for cell, own in turns.groupby("cell", sort=False)["step_time"]}
    means = {str(cell): own.tolist() for cell, own in launches.groupby("cell", sort=False)["value"]}
    found = []
    for cell in cells:
        if cell.id in by_cell:
            step = cell.metrics.get("step_time")
            told = (step.estimate, step.low, step.high) if step else (None, None, None)
            found.append(StepSpread(cell.id, by_cell[cell.id].tolist(), means.get(cell.id, []), *told))
    return found


def frame_of(spreads: Sequence[StepSpread]) -> tuple[float, float]:
    """From where to where they are drawn: nearly all turns, and every mean."""
    everything = np.concatenate([spread.turns for spread in spreads])
    low, high = (float(end) for end in np.quantile(everything, _SHOWN))
    means = [mean for spread in spreads for mean in (*spread.launches, spread.mean) if mean is not None]
    low, high = min([low, *means]), max([high, *means])
    margin = 0.04 * (high - low) or 0.05 * high
    return low - margin, high + margin


def draw_spreads(group: str, spreads: Sequence[StepSpread], style: ArmStyles) -> Drawing:
    """The figure of one group, of one spread or more."""
    low, high = frame_of(spreads)
    factor, unit = scale(high, "s")
    beyond = [spread.beyond(low, high) for spread in spreads]
    figure, panel = row_figure(
        [style.names[spread.cell] for spread in spreads],
        [_words(spread, count) for spread, count in zip(spreads, beyond, strict=True)],
        f"step time, {unit}",
    )
    for row, spread in enumerate(spreads):
        name = style.names[spread.cell]
        colour = style.colours[name]
        seen = [turn for turn in spread.turns if low <= turn <= high]
        at, dense = density(seen)
        middle = row + PLACE
        if len(at):
            low_edge, high_edge = middle - HALF * dense, middle + HALF * dense
            panel.fill_between(
                at / factor, low_edge, high_edge, facecolor=to_rgba(colour, 0.35), edgecolor=colour, linewidth=0.8
            )
        dots = [mean / factor for mean in spread.launches]
        panel.plot(dots, [middle] * len(dots), style.marks[name], color=colour, markersize=4, markeredgecolor=INK,
                   markeredgewidth=0.5, linestyle="none")  # fmt: skip
        if spread.mean is not None:
            panel.plot([spread.mean / factor] * 2, [middle - HALF, middle + HALF], color=INK, linewidth=1.6)
    panel.set_xlim(low / factor, high / factor)
    even_ticks(panel)
    thinned = max(len(spread.turns) for spread in spreads) > THINNED_TO
    return drawing(
        figure,
        f"distribution-{borders.file_name(group)}",
        style.titled("Step time", group),
        "Shape: the turns of all launches. Marks: the mean step of each launch, from which the intervals come. Upright "
        "line: the mean step, as at the right. Beyond: so many turns, stalls mostly, lie outside of what is shown; all "
        f"figures use them.{f' Shapes are made of {THINNED_TO} turns each.' * thinned}",
        "distributions",
    )


def _words(spread: StepSpread, beyond: int) -> str:
    text = "" if spread.mean is None else quantity(spread.mean, "s", spread.low, spread.high)
    return "; ".join(part for part in (text, f"{beyond} beyond" if beyond else "") if part)


def density(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Where a kernel estimate of the density was made, and what it is there, at most 1; nothing of fewer than 3 values.

    Gaussian kernels, as wide as Silverman's rule has it, of the smaller of two spreads.
    """
    taken = np.asarray(values, dtype=float)
    if len(taken) > THINNED_TO:
        taken = taken[np.linspace(0, len(taken) - 1, THINNED_TO).round().astype(int)]
    if len(taken) < 3 or taken[0] == taken[-1]:
        return np.empty(0), np.empty(0)
    quartiles = np.quantile(taken, (0.25, 0.75))
    width = min(float(taken.std()), float(quartiles[1] - quartiles[0]) / 1.34) or float(taken.std())
    width = max(0.9 * width * len(taken) ** -0.2, (taken[-1] - taken[0]) / _GRID)
    at = np.linspace(taken[0], taken[-1], _GRID)
    dense = np.exp(-0.5 * ((at[:, None] - taken[None, :]) / width) ** 2).sum(axis=1)
    return at, dense / dense.max()


@dataclass(frozen=True)
class RatioRow:
    """The ratio of one cell to its baseline, and that of each of its launches."""

    cell: str
    ratio: Interval
    launches: Sequence[float]


def ratio_rows(cells: Sequence[CellSummary], pairs: pd.DataFrame) -> list[RatioRow]:
    """Of the cells of one group that have a ratio.

    Args:
        pairs: those of the group, as `frames` makes them.
    """
    by_cell = {str(cell): np.exp(own.to_numpy()).tolist() for cell, own in pairs.groupby("cell")["log_ratio"]}
    return [RatioRow(cell.id, cell.versus.ratio, by_cell.get(cell.id, [])) for cell in cells if cell.versus is not None]


def draw_ratios(group: str, rows: Sequence[RatioRow], summary: Summary, style: ArmStyles) -> Drawing:
    """The figure of one group, of one row or more."""
    figure, panel = row_figure(
        [style.names[row.cell] for row in rows],
        [ratio(row.ratio.estimate, row.ratio.low, row.ratio.high) for row in rows],
        "step time over the baseline's",
    )
    twin = summary.twin.ratio if summary.twin else None
    if twin and twin.low is not None and twin.high is not None:
        panel.axvspan(twin.low, twin.high, color=FAINT, alpha=0.25, linewidth=0)
    draw_upright(panel, 1, len(rows))
    for place, row in enumerate(rows):
        name = style.names[row.cell]
        colour, middle = style.colours[name], place + PLACE
        # A quarter of a row below the bar; random jitter would make every page another.
        panel.plot(row.launches, [middle + 0.2] * len(row.launches), ".", color=colour, markersize=5, alpha=0.8)
        panel.plot([row.ratio.estimate], [middle], style.marks[name], color=colour, markersize=6, zorder=5)
        if row.ratio.low is not None and row.ratio.high is not None:
            ends = [row.ratio.low, row.ratio.high]
            panel.plot(ends, [middle] * 2, color=colour, linewidth=2.4, solid_capstyle="butt", zorder=4)
    panel.set_xlim(*_ratio_frame(rows, twin))
    even_ticks(panel)
    return drawing(
        figure,
        f"ratios-{borders.file_name(group)}",
        style.titled("Ratio to the baseline", group),
        "Large mark and bar: estimate and 95 % interval over launches, as at the right. Dots: each launch. Grey band: "
        "the interval of the twin, the same code as the baseline, over all groups.",
        "distributions",
    )


def _ratio_frame(rows: Sequence[RatioRow], twin: Interval | None) -> tuple[float, float]:
    """Every launch and every estimate; of intervals, as two launches may have them, no more than thrice as much."""
    core = [1.0, *(value for row in rows for value in (row.ratio.estimate, *row.launches))]
    low, high = min(core), max(core)
    reach = 3 * (high - low) or 0.01
    bounds = [*(row.ratio for row in rows), *([twin] if twin else [])]
    ends = [end for one in bounds for end in (one.low, one.high) if end is not None and math.isfinite(end)]
    low = min([low, *(max(end, low - reach) for end in ends)])
    high = max([high, *(min(end, high + reach) for end in ends)])
    margin = 0.04 * (high - low) or 0.005
    return low - margin, high + margin
