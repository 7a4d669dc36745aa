"""The figure that the calculator rests on: what each arm costs a step, over the length of the step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import bench.borders as borders
from bench.analysis import costs
from bench.analysis.summary import Summary
from bench.report.drawing import INK, NARROW, TEXT, Drawing, decade_ticks, drawing, even_ticks, figure_text
from bench.report.row_figure import ArmStyles
from bench.report.sentences import places
from bench.report.tables import label
from bench.report.units import chosen_quantity, scale

# The fit is drawn at so many steps, by stating the cost for each of them; where it may not be stated there is no line.
GRID = 24
LINES = 12
# Of more launches so many are drawn, equally far apart in the order of their steps.
DOTS = 400


@dataclass(frozen=True)
class CostLine:
    """What one arm costs at steps of some lengths, seconds, wherever that may be stated."""

    name: str
    arm: str
    twin: bool
    dashes: str
    steps: Sequence[float]
    costs: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]


@dataclass(frozen=True)
class CostDot:
    """What one launch read: the baseline's step and the arm's difference, seconds."""

    arm: str
    step: float
    cost: float


@dataclass(frozen=True)
class CostCurves:
    """All that is drawn of one suite, from `low` to `high`, seconds a step.

    Attributes:
        reaches: whether a cost is stated for the user's step.
        left_out: arms without a line, for want of place.
        launches: how many there are, of which at most DOTS are drawn.
    """

    suite: str
    lines: Sequence[CostLine]
    dots: Sequence[CostDot]
    low: float
    high: float
    reaches: bool
    left_out: int
    launches: int


def cost_curves(
    summary: Summary, style: ArmStyles, suite: str, models: Sequence[costs.Model], pairs: pd.DataFrame
) -> CostCurves | None:
    """Of one suite; None where it has no cost.

    Args:
        models: those of the run, in the order of the summary's costs.
        pairs: those of the suite.
    """
    known = [index for index, cost in enumerate(summary.costs) if cost.suite == suite and cost.figure]
    there = set(pairs["group"])
    drawn = [index for index in known if not there.isdisjoint(summary.costs[index].groups)]
    if not drawn or pairs.empty:
        return None
    wheres = places(summary.costs)
    dashes = dict(zip(dict.fromkeys(wheres[index] for index in drawn), itertools.cycle(("-", "-.", ":")), strict=False))
    reaches = any(summary.costs[index].stated for index in drawn)
    edges = [*pairs["baseline_step_time"].tolist(), *(step for index in drawn for step in models[index].steps.values())]
    # Where no cost may be stated for the user's step, the figure does not reach it.
    edges += [summary.reference_step] if reaches else []
    low, high = min(edges) * 0.9, max(edges) * 1.1
    lines = []
    for index in drawn[:LINES]:
        line = _line(summary, style, index, models[index], wheres[index], dashes[wheres[index]], (low, high))
        if line is not None:
            lines.append(line)
    rows = sorted(
        zip(
            pairs["baseline_step_time"], pairs["difference"], (style.names[cell] for cell in pairs["cell"]), strict=True
        )
    )
    kept = [rows[place] for place in np.linspace(0, len(rows) - 1, min(DOTS, len(rows))).round().astype(int)]
    dots = [CostDot(arm, float(step), float(cost)) for step, cost, arm in kept]
    return CostCurves(suite, lines, dots, low, high, reaches, len(drawn) - len(drawn[:LINES]), len(rows))


def _line(
    summary: Summary,
    style: ArmStyles,
    index: int,
    model: costs.Model,
    where: str,
    dashes: str,
    ends: tuple[float, float],
) -> CostLine | None:
    cost = summary.costs[index]
    arm = next(
        style.names[cell.id]
        for cell in summary.cells
        if cell.group == cost.groups[0] and cell.twin == cost.twin and cell.point[cost.axis] == cost.value
    )
    name = f"twin of {label(cost.axis, cost.baseline)}" if cost.twin else label(cost.axis, cost.value)
    found: list[tuple[float, float, float, float]] = []
    for step in np.geomspace(*ends, GRID).tolist():
        at = model.at(step)
        if at.stated and at.cost is not None and at.cost.low is not None and at.cost.high is not None:
            found.append((step, at.cost.estimate, at.cost.low, at.cost.high))
    if not found:
        return None
    return CostLine(
        name + (f" ({where})" if where else ""),
        arm,
        cost.twin,
        "--" if cost.twin else dashes,
        *([row[place] for row in found] for place in range(4)),
    )


def draw_cost(curves: CostCurves, summary: Summary, style: ArmStyles) -> Drawing:
    """The figure. Its element tells where its axes lie, and from where to where they go, for the mark of a script."""
    legend = 0.21 * len(curves.lines)
    height = 2.9 + legend
    figure = Figure(figsize=(NARROW, height))
    panel = figure.add_axes((0.135, 0.5 / height, 0.835, 2.2 / height))
    largest = max([*(abs(dot.cost) for dot in curves.dots), *(abs(end) for line in curves.lines for end in line.costs)])
    factor, unit = scale(largest, "s")
    wide, wide_unit = scale(curves.high, "s")
    for line in curves.lines:
        steps = [step / wide for step in line.steps]
        colour = style.colours[line.arm]
        panel.plot(steps, [cost / factor for cost in line.costs], color=colour, linewidth=1.6, linestyle=line.dashes,
                   label=figure_text(line.name, 52))  # fmt: skip
        ends = ([end / factor for end in line.lows], [end / factor for end in line.highs])
        panel.fill_between(steps, *ends, color=colour, alpha=0.18, linewidth=0)
    for arm in dict.fromkeys(dot.arm for dot in curves.dots):
        own = [dot for dot in curves.dots if dot.arm == arm]
        panel.plot([dot.step / wide for dot in own], [dot.cost / factor for dot in own], style.marks[arm],
                   color=style.colours[arm], markersize=3.6, alpha=0.85, linestyle="none")  # fmt: skip
    panel.axhline(0, color=INK, linewidth=0.8)
    panel.set(xscale="log", xlim=(curves.low / wide, curves.high / wide))
    panel.set(xlabel=f"step time of the baseline, {wide_unit}", ylabel=f"cost a step, {unit}")
    _your_step(panel, summary.reference_step, wide, shown=curves.reaches)
    ticks = decade_ticks(curves.low / wide, curves.high / wide)
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    even_ticks(panel, "y")
    panel.grid(axis="y")
    if curves.lines:
        figure.legend(*panel.get_legend_handles_labels(), loc="upper left", handlelength=2.4, labelspacing=0.25,
                      borderaxespad=0.1)  # fmt: skip
    several = f" ({curves.suite})" if isinstance(summary.suite, list) else ""
    marks = f"{DOTS} of {curves.launches} launches" if curves.launches > DOTS else "each launch"
    more = f" {curves.left_out} more arms are in the table only." if curves.left_out else ""
    return drawing(
        figure,
        f"cost-{borders.file_name(curves.suite)}",
        f"Cost against step length{several}",
        f"Marks: {marks}. Lines: the fit cost = fixed + share × step, with its 95 % interval over sweeps, one "
        "launch of every group each; level where the measured steps do not differ enough for a fit, and only where a "
        f"cost may be stated. Dashes: the twin, the same code as the baseline.{more}",
        "cost",
        data=_place(panel, wide, factor),
    )


def _your_step(panel: Axes, step: float, wide: float, *, shown: bool) -> None:
    if shown:
        panel.axvline(step / wide, color=INK, linewidth=0.8, linestyle=":")
        low, high = panel.get_xlim()
        right = np.log(step / wide / low) > 0.5 * np.log(high / low)
        panel.annotate(
            f"your step, {chosen_quantity(step, 's')}",
            (step / wide, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if right else 4, -2),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top",
            fontsize=TEXT,
        )


def _place(panel: Axes, wide: float, factor: float) -> Mapping[str, str]:
    """Limits of the axes, seconds, and their box, in the units of the element; the first of them is logarithmic."""
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    width, height = (72 * inches for inches in figure.get_size_inches())
    box = panel.get_position()
    (x0, x1), (y0, y1) = panel.get_xlim(), panel.get_ylim()
    found = {
        **{"x0": x0 * wide, "x1": x1 * wide, "y0": y0 * factor, "y1": y1 * factor},
        **{"left": box.x0 * width, "right": box.x1 * width},
        **{"top": (1 - box.y1) * height, "bottom": (1 - box.y0) * height},
    }
    return {"scale-x": "log", "scale-y": "linear", **{name: f"{value:.9g}" for name, value in found.items()}}
