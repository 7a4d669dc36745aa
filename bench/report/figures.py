"""The report's figures, drawn by seaborn and given as inline SVG that takes its text colour from the page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis import costs
from bench.analysis.estimates import LOOKED_AT_MOST
from bench.analysis.frames import Frames, frames_of
from bench.analysis.pairs import MEASURED
from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.convergence_figure import draw_curves
from bench.report.drawing import FIGURE_WIDTH, INK, STYLE, TITLE_LETTERS, Drawing, figure_text, svg
from bench.report.ladder_figure import draw_ladders
from bench.report.sentences import places
from bench.report.tables import label
from bench.report.units import chosen_quantity
from bench.results.store import StoredRun
from bench.stats.rounding import percent_of

_TWIN = "#8a8f98"
# Groups, and lines of cost, that are drawn: a page of 250 groups took 155 s and nobody looks at the two hundredth.
DRAWN = 12
# The slowest turns, stalls of tens of milliseconds, would squeeze all others into a line.
_SHOWN = (0.005, 0.985)


def draw_run(run: StoredRun, summary: Summary, frames: Frames | None = None) -> list[Drawing]:
    """The figures of a run, those left out for which there is no data; of the first DRAWN groups."""
    frames = frames or frames_of(run)
    groups = list(tables.by_group_of_cells(summary))[:DRAWN]
    turns = frames.turns[frames.turns["outcome"].isin(list(MEASURED)) & frames.turns["group"].isin(groups)]
    pairs = frames.pairs[frames.pairs["group"].isin(groups)]
    style = _Style.of(summary)
    drawings = []
    with matplotlib.rc_context(STYLE):
        if len(turns):
            drawings.append(_distribution(summary, style, turns, frames.launches))
        if len(pairs):
            drawings.append(_ratios(summary, style, pairs))
        models = costs.models(run.info["plan"], frames.pairs)
        for name in run.info["plan"]["suites"]:
            known = [index for index, cost in enumerate(summary.costs) if cost.suite == name and cost.figure]
            if known:
                drawings.append(_cost(summary, style, known, models, pairs[pairs["suite"] == name]))
        drawings = [*draw_curves(summary, DRAWN), *draw_ladders(summary, DRAWN), *drawings]
        wholes = [_parts(summary, style, whole, names) for whole, names in tables.parts(summary).items()]
        drawings += [one for one in wholes if one is not None]
    return [replace(drawing, caption=drawing.caption + _left_out(summary)) for drawing in drawings]


def _left_out(summary: Summary) -> str:
    groups = len(tables.by_group_of_cells(summary))
    return f" Only the first {DRAWN} of {groups} groups are drawn; the tables have all." if groups > DRAWN else ""


@dataclass(frozen=True)
class _Style:
    """How cells are called and coloured in all figures of a page.

    Attributes:
        names: of each cell, by its id; different values have different names, though they may be shown alike.
        colours: by name.
        titles: of each group.
    """

    names: Mapping[str, str]
    colours: Mapping[str, Any]
    titles: Mapping[str, str]

    @staticmethod
    def of(summary: Summary) -> _Style:
        taken: dict[str, str] = {}
        names: dict[str, str] = {}
        used: set[str] = set()
        twins: set[str] = set()
        for cell in summary.cells:
            raw = f"{cell.point[summary.compare[cell.suite]]}{' (twin)' if cell.twin else ''}"
            if raw not in taken:
                name = figure_text(raw)
                taken[raw] = name if name not in used else f"{name} ({len(used) + 1})"
                used.add(taken[raw])
            names[cell.id] = taken[raw]
            if cell.twin:
                twins.add(taken[raw])
        arms = [name for name in taken.values() if name not in twins]
        colours = dict(zip(arms, sns.color_palette("colorblind", max(len(arms), 1)).as_hex(), strict=False))
        return _Style(names, {**colours, **dict.fromkeys(twins, _TWIN)}, tables.titles(summary))


def _panels(arms: Mapping[str, Sequence[str]], style: _Style) -> tuple[Figure, dict[str, Axes]]:
    """One panel per group, as high as its arms need."""
    groups = list(arms)
    heights = [len(arms[group]) + 1.2 for group in groups]
    figure = Figure(figsize=(FIGURE_WIDTH, 0.34 * sum(heights) + 0.45 * len(groups) + 0.2), layout="constrained")
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.set(h_pad=0.1)  # type: ignore[call-arg]
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for group, panel in zip(groups, axes, strict=True):
        panel.set_title(figure_text(style.titles[group], TITLE_LETTERS))
    return figure, dict(zip(groups, axes, strict=True))


def _arms(summary: Summary, style: _Style, data: pd.DataFrame) -> dict[str, list[str]]:
    """The arms of each group that are in the data, in the plan's order."""
    present = set(data["cell"])
    arms: dict[str, list[str]] = {}
    for cell in summary.cells:
        if cell.id in present:
            arms.setdefault(cell.group, []).append(style.names[cell.id])
    return arms


def _named(style: _Style, data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(arm=data["cell"].map(style.names))


def _distribution(summary: Summary, style: _Style, turns: pd.DataFrame, launches: pd.DataFrame) -> Drawing:
    turns = _named(style, turns).assign(ms=turns["step_time"] * 1e3)
    of_steps = launches[(launches["metric"] == "step_time") & ~launches["instrumented"]]
    means = _named(style, of_steps).assign(ms=of_steps["value"] * 1e3)
    palette = style.colours
    arms = _arms(summary, style, turns)
    figure, panels = _panels(arms, style)
    outside = 0
    for group, panel in panels.items():
        own = turns[turns["group"] == group]
        low, high = own["ms"].quantile(list(_SHOWN))
        margin = 0.04 * (high - low) or 0.05 * high
        seen = own[own["ms"].between(low - margin, high + margin)]
        outside += len(own) - len(seen)
        order = arms[group]
        sns.violinplot(
            seen,
            x="ms",
            y="arm",
            order=order,
            hue="arm",
            palette=palette,
            legend=False,
            inner=None,
            cut=0,
            density_norm="width",
            width=0.85,
            linewidth=0,
            alpha=0.4,
            gridsize=80,
            ax=panel,
        )
        sns.stripplot(
            means[means["group"] == group],
            x="ms",
            y="arm",
            order=order,
            hue="arm",
            palette=palette,
            legend=False,
            jitter=False,
            size=4.5,
            linewidth=0.7,
            edgecolor=INK,
            ax=panel,
        )
        panel.set(xlim=(low - margin, high + margin), xlabel="", ylabel="")
    list(panels.values())[-1].set_xlabel("step time, ms")
    share = outside / len(turns)
    return Drawing(
        "Step time",
        "Shape: the turns of all launches. Dots: the mean step of each launch, from which the "
        f"intervals come. Each group has its own scale. {percent_of(share, 1)} of the turns lie outside of "
        "what is shown; all figures use them.",
        svg(figure, "distribution"),
        "distributions",
    )


def _ratios(summary: Summary, style: _Style, pairs: pd.DataFrame) -> Drawing:
    pairs = _named(style, pairs).assign(percent=np.expm1(pairs["log_ratio"]) * 100)
    palette = style.colours
    arms = _arms(summary, style, pairs)
    figure, panels = _panels(arms, style)
    groups = tables.by_group_of_cells(summary)
    for group, panel in panels.items():
        cells = {style.names[cell.id]: cell.versus for cell in groups[group] if cell.versus}
        order = arms[group]
        own = pairs[pairs["group"] == group]
        # A quarter of a line below the bar; random jitter would make every page another.
        own = own.assign(place=own["arm"].map(order.index) + 0.25)
        twin = summary.twin.ratio if summary.twin else None
        if twin and twin.low is not None and twin.high is not None:
            panel.axvspan((twin.low - 1) * 100, (twin.high - 1) * 100, color=_TWIN, alpha=0.22, linewidth=0)
        panel.axvline(0, color=INK, linewidth=0.8)
        sns.scatterplot(
            own,
            x="percent",
            y="place",
            hue="arm",
            palette=palette,
            legend=False,
            s=14,
            alpha=0.7,
            linewidth=0,
            ax=panel,
        )
        for place, arm in enumerate(order):
            versus = cells[arm]
            assert versus is not None
            ratio = versus.ratio
            panel.plot([(ratio.estimate - 1) * 100], [place], "D", color=palette[arm], markersize=5, zorder=5)
            if ratio.low is not None and ratio.high is not None:
                panel.plot(
                    [(ratio.low - 1) * 100, (ratio.high - 1) * 100],
                    [place] * 2,
                    color=palette[arm],
                    linewidth=2.4,
                    solid_capstyle="butt",
                    zorder=4,
                )
        panel.set(xlabel="", ylabel="", ylim=(len(order) - 0.4, -0.6))
        panel.set_yticks(range(len(order)), order)
    list(panels.values())[-1].set_xlabel("step time against the baseline, %")
    return Drawing(
        "Ratio to the baseline",
        "Diamond and bar: estimate and 95 % interval over launches. Dots: each "
        "launch. Grey band: the interval of the twin, the same code as the baseline, over all groups.",
        svg(figure, "ratios"),
        "distributions",
    )


def _cost(
    summary: Summary, style: _Style, known: Sequence[int], models: Sequence[costs.Model], pairs: pd.DataFrame
) -> Drawing:
    """Cost against step length of one suite: `known` are the places of its costs in the summary and in `models`."""
    own = _named(style, pairs).assign(ms=pairs["baseline_step_time"] * 1e3, us=pairs["difference"] * 1e6)
    palette = style.colours
    suite = summary.costs[known[0]].suite
    wheres = places(summary.costs)
    styles = dict(zip(dict.fromkeys(wheres[index] for index in known), itertools.cycle(("-", "-.", ":")), strict=False))
    groups = tables.by_group_of_cells(summary)
    figure = Figure(figsize=(FIGURE_WIDTH, 4.2), layout="constrained")
    panel = figure.subplots()
    reference = summary.reference_step
    there = set(own["group"])
    drawn = [index for index in known if not there.isdisjoint(summary.costs[index].groups)]
    edges = [*own["baseline_step_time"].tolist(), *(step for index in drawn for step in models[index].steps.values())]
    # Where no cost may be stated for the user's step, the figure does not reach it.
    reaches = any(summary.costs[index].stated for index in drawn)
    edges += [reference] if reaches else []
    # The fit is drawn at 24 steps, by stating the cost for each of them; where it may not be stated there is no line.
    grid = np.geomspace(min(edges) * 0.9, max(edges) * 1.1, 24)
    for index in drawn[:DRAWN]:
        cost = summary.costs[index]
        arm = next(
            style.names[cell.id]
            for cell in groups[cost.groups[0]]
            if cell.twin == cost.twin and cell.point[cost.axis] == cost.value
        )
        name = f"twin of {label(cost.axis, cost.baseline)}" if cost.twin else label(cost.axis, cost.value)
        name += f" ({wheres[index]})" if wheres[index] else ""
        line = [(step, at.cost) for step in grid if (at := models[index].at(float(step))).stated]
        told = [(step, at) for step, at in line if at is not None and at.low is not None]
        if not told:
            continue
        steps = [float(step) * 1e3 for step, _ in told]
        panel.plot(
            steps,
            [at.estimate * 1e6 for _, at in told],
            color=palette[arm],
            linewidth=1.6,
            label=figure_text(name),
            linestyle="--" if cost.twin else styles[wheres[index]],
        )
        panel.fill_between(
            steps,
            [(at.low or 0.0) * 1e6 for _, at in told],
            [(at.high or 0.0) * 1e6 for _, at in told],
            color=palette[arm],
            alpha=0.15,
            linewidth=0,
        )
    sns.scatterplot(
        own, x="ms", y="us", hue="arm", palette=palette, s=22, alpha=0.75, linewidth=0, legend=False, ax=panel
    )
    panel.axhline(0, color=INK, linewidth=0.8)
    if reaches:
        panel.axvline(reference * 1e3, color=INK, linewidth=0.8, linestyle=":")
        panel.annotate(
            f"your step, {chosen_quantity(reference, 's')}",
            (reference * 1e3, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
        )
    panel.set(xscale="log", xlabel="step time of the baseline, ms", ylabel="cost a step, µs")
    ticks = [
        tick
        for tick in (m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5))
        if grid[0] * 1e3 <= tick <= grid[-1] * 1e3
    ]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.grid(axis="y")
    if panel.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=5, handlelength=1.6)
    several = f" ({suite})" if isinstance(summary.suite, list) else ""
    more = f" The first {DRAWN} of {len(drawn)} lines." if len(drawn) > DRAWN else ""
    return Drawing(
        f"Cost against step length{several}",
        "Dots: each launch. Lines: the fit cost = fixed + share × "
        "step, with its 95 % interval over sweeps, one launch of every group each; level where the measured "
        f"steps do not differ enough for a fit, and only where a cost may be stated.{more}",
        svg(figure, f"cost-{borders.file_name(suite)}"),
        "cost",
    )


def _parts(summary: Summary, style: _Style, whole: str, names: Sequence[str]) -> Drawing | None:
    """What a metric of instrumented launches is made of: a bar for each cell, the shares of its parts in a row.

    None where no cell has shares.
    """
    shares = {
        cell.id: [cell.share(name, whole) or 0.0 for name in names]
        for cell in summary.cells
        if any(cell.share(name, whole) is not None for name in names)
    }
    groups = {
        group: [cell for cell in cells if cell.id in shares]
        for group, cells in tables.by_group_of_cells(summary).items()
    }
    groups = {group: groups[group] for group in [group for group, cells in groups.items() if cells][:DRAWN]}
    if not groups:
        return None
    arms = {group: [style.names[cell.id] for cell in cells] for group, cells in groups.items()}
    figure, panels = _panels(arms, style)
    colours = sns.color_palette("colorblind", len(names)).as_hex()
    for group, panel in panels.items():
        cells = groups[group]
        ends = [0.0] * len(cells)
        for place, (words, colour) in enumerate(zip(tables.short_names(names), colours, strict=True)):
            sizes = [100 * shares[cell.id][place] for cell in cells]
            panel.barh(
                range(len(cells)),
                sizes,
                left=ends,
                height=0.62,
                color=colour,
                linewidth=0,
                label=figure_text(words) if group == next(iter(panels)) else None,
            )
            ends = [end + size for end, size in zip(ends, sizes, strict=True)]
        panel.set(xlabel="", ylabel="", ylim=(len(cells) - 0.4, -0.6), xlim=(0, None))
        panel.set_yticks(range(len(cells)), arms[group])
    words = whole.replace("_", " ")
    list(panels.values())[-1].set_xlabel(figure_text(f"share of {words}, %"))
    figure.legend(loc="outside upper left", ncols=len(names), handlelength=1.2)
    return Drawing(
        "Where a step's time goes" if summary.declared[whole].unit == "s" else f"What {words} is made of",
        f"From instrumented launches: callbacks were on, arms ran one after the other, and nothing is compared. "
        f"Whole bar: {summary.declared[whole].description}. A cell whose step took over {LOOKED_AT_MOST} times the "
        "timed one there has no bar.",
        svg(figure, f"parts-{borders.file_name(whole)}"),
        "phases",
    )
