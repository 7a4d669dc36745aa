"""A run's figures as matplotlib has them, one at a time: what `Run.plot` gives to a notebook or a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from bench.analysis.estimates import CellSummary
from bench.analysis.run import Run
from bench.borders import file_name
from bench.errors import RunError, SpecError, one_of, quote
from bench.report import tables
from bench.report.drawing import INK, KeptFigure, figure_text, kept_figures
from bench.report.figures import distance_from_step, draw_run, drawn_groups

_TITLE = 0.34  # inches


class PlotKind(NamedTuple):
    """Which of a page's figures it is: its section, what its name begins with, and what is to be seen in it."""

    section: str
    prefix: str
    shows: str


# By the word that `Run.plot` takes. All but `cost` are of a group, `cell` of a cell.
PLOT_KINDS: Mapping[str, PlotKind] = {
    "ratios": PlotKind("distributions", "ratios-", "step time over the baseline's, with intervals and every launch"),
    "distribution": PlotKind("distributions", "distribution-", "the turns of all launches, each launch's mean step"),
    "cost": PlotKind("cost", "cost-", "what each arm costs a step, against the length of the step; of a suite"),
    "phases": PlotKind("phases", "", "what a step is made of, as shares, from instrumented launches"),
    "memory": PlotKind("memory", "", "the largest resident set, or what the device held"),
    "ceilings": PlotKind("ceilings", "", "arithmetic under what this machine was measured to reach"),
    "precision": PlotKind("precision", "", "time a sample against loss; of suites that compare precisions"),
    "scaling": PlotKind("scaling", "", "throughput by ranks, with the ideal line; of suites that compare these"),
    "compile": PlotKind("compile", "", "when compiling has paid for its start; of suites that compare it"),
    "ladder": PlotKind("ladder", "ladder-step-", "what each feature costs a step over the one below; of ladders"),
    "goal": PlotKind("goal", "", "validation loss over time, epoch by epoch; of suites that train for a goal"),
    "cell": PlotKind("cell", "", "all turns of one cell over time, with drift and the order of turns"),
}


def plot_run(run: Run, kind: str = "ratios", group: str | None = None, cell: str | None = None) -> Figure:
    """A figure of a run, on white paper; `savefig` writes it, a notebook shows it.

    Args:
        kind: a word of PLOT_KINDS.
        group: the id of a group; None: of those that have such a figure the one whose step is nearest to yours.
        cell: of kind `cell`, its id; None: the first one of the group.

    Raises:
        SpecError: there is no such kind, group or cell; says which there are.
        RunError: the run has nothing to draw such a figure from.
    """
    if kind not in PLOT_KINDS:
        raise SpecError(one_of("kind of plot", kind, PLOT_KINDS))
    found = next(iter(_figures(run, kind, group, cell)), None)
    if found is None:
        where = f" of {group or cell}" if group or cell else ""
        raise RunError(f"run {run.id}: nothing{where} to draw {kind!r} from: {PLOT_KINDS[kind].shows}")
    return _by_itself(found.figure, found.drawing.title)


def _by_itself(figure: Figure, title: str) -> Figure:
    """A figure of a page as it stands without the page: on white, and under its title, for which it grows."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + _TITLE)
    share = height / (height + _TITLE)
    for axes in figure.axes:
        place = axes.get_position()
        axes.set_position((place.x0, place.y0 * share, place.width, place.height * share))
        axes.set_facecolor("white")
    for text in figure.texts:
        text.set_y(text.get_position()[1] * share)
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0.0, 0.0, 1.0, share), transform=figure.transFigure)
    figure.set_facecolor("white")
    letters = int(width * 15)
    figure.text(0.02, 1 - 0.1 / (height + _TITLE), figure_text(title, letters), va="top", fontsize=10.5, color=INK)
    return figure


def _figures(run: Run, kind: str, group: str | None, cell: str | None) -> list[KeptFigure]:
    """The figures of this kind of the first group that has any."""
    section, prefix, _ = PLOT_KINDS[kind]
    for only in _groups(run, kind, group, cell):
        with kept_figures() as kept:
            draw_run(run.stored, run.summary, run.frames, only=only)
        ends = tuple(map(file_name, only))
        found = [
            one
            for one in kept
            if one.drawing.section == section
            and one.name.startswith(prefix)
            and (cell is None or one.drawing.cell == cell)
            and (kind in ("cost", "cell") or one.name.endswith(ends))
        ]
        if found:
            return found
    return []


def _groups(run: Run, kind: str, group: str | None, cell: str | None) -> list[Sequence[str]]:
    """The groups that are looked at, one after the other."""
    by_group = tables.by_group_of_cells(run.summary)
    if cell is not None:
        if kind != "cell":
            raise SpecError(f"cell {quote(cell)}: a plot of kind {kind!r} is of a group; give `group`, or kind 'cell'")
        known: dict[str, CellSummary] = {one.id: one for one in run.summary.cells}
        if cell not in known:
            raise SpecError(one_of("cell", cell, known))
        return [[known[cell].group]]
    if group is not None:
        if group not in by_group:
            raise SpecError(one_of("group", group, by_group))
        return [[group]]
    if kind == "cost":
        return [[]]
    step = run.reference_step
    return [[one] for one in sorted(drawn_groups(run.summary), key=lambda one: distance_from_step(by_group[one], step))]
