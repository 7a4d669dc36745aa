"""The figures of a run: which there are, for which groups and cells, and what is left out. Drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import matplotlib
import pandas as pd

from bench.analysis import costs
from bench.analysis.estimates import CellSummary
from bench.analysis.frames import Frames, frames_of
from bench.analysis.pairs import MEASURED
from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.break_even_figure import break_evens, draw_break_evens
from bench.report.ceiling_figure import ceiling_rows, draw_ceilings, draw_roof, roof_points
from bench.report.cell_figure import cell_samples, draw_cell, turn_order
from bench.report.convergence_figure import draw_curves
from bench.report.cost_figure import cost_curves, draw_cost
from bench.report.distribution_figure import draw_ratios, draw_spreads, ratio_rows, spreads_of
from bench.report.drawing import STYLE, Drawing
from bench.report.flame_figure import draw_flames
from bench.report.ladder_figure import draw_ladders
from bench.report.memory_figure import DEVICE_PEAK, HOST_PEAK, draw_memory, memory_rows
from bench.report.precision_figure import draw_precision, last_losses, precision_points
from bench.report.row_figure import ArmStyles
from bench.report.scaling_figure import draw_scaling, scaling_points
from bench.report.share_figure import draw_shares, shares_of
from bench.results.forms import RANK_AXES
from bench.results.record import Record
from bench.results.store import StoredRun

# Groups of which all is drawn: a page of 250 groups took 155 s and nobody looks at the two hundredth.
DRAWN = 12
# Cells that have a figure of their own: 20 KB and a tenth of a second each.
CELLS_DRAWN = 48


def draw_run(
    run: StoredRun,
    summary: Summary,
    frames: Frames | None = None,
    chosen: Collection[str] = (),
    only: Sequence[str] | None = None,
) -> list[Drawing]:
    """The figures of a run, those left out for which there is no data.

    Args:
        chosen: groups that are drawn whatever their number; of more than DRAWN else only those of the headline are.
        only: the groups that are drawn, and no others.
    """
    frames = frames or frames_of(run)
    groups = drawn_groups(summary, chosen) if only is None else list(only)
    own = _Run.of(run, summary, frames, groups)
    with matplotlib.rc_context(STYLE):
        drawings = [*own.costs()]
        for group in groups:
            drawings += own.group(group)
        drawings += own.roofs()
        drawings += [*draw_curves(summary, groups, own.style), *draw_ladders(summary, groups, own.style)]
        drawings += own.each_cell()
    drawings += draw_flames(run)
    order = list(dict.fromkeys(drawing.section for drawing in sorted(drawings, key=_first)))
    drawings.sort(key=lambda drawing: order.index(drawing.section))
    said = left_out(summary, groups)
    # A suite's cost is of all of its groups, and a comparison of two cells of these.
    whole = ("cost", "flame")
    return [one if one.section in whole else replace(one, caption=one.caption + said) for one in drawings]


# What comes first on a page; all else in the order in which it is made.
_FIRST = (
    "cost",
    "flame",
    "goal",
    "ladder",
    "distributions",
    "precision",
    "scaling",
    "compile",
    "phases",
    "memory",
    "ceilings",
)


def _first(drawing: Drawing) -> int:
    return _FIRST.index(drawing.section) if drawing.section in _FIRST else len(_FIRST)


def drawn_groups(summary: Summary, chosen: Collection[str] = ()) -> list[str]:
    """The groups that are drawn, in the plan's order.

    All where there are few; else of each suite that whose baseline's step is nearest to the user's, of which the
    headline tells, and those that were chosen.
    """
    groups = tables.by_group_of_cells(summary)
    if len(groups) <= DRAWN:
        return list(groups)
    nearest: dict[str, tuple[float, str]] = {}
    for group, cells in groups.items():
        off = distance_from_step(cells, summary.reference_step)
        if cells[0].suite not in nearest or off < nearest[cells[0].suite][0]:
            nearest[cells[0].suite] = (off, group)
    wanted = [group for _, group in nearest.values()][:DRAWN]
    return [group for group in groups if group in wanted or group in chosen]


def distance_from_step(cells: Sequence[CellSummary], step: float) -> float:
    """How far a group's baseline step is from a step, as a log; infinite where it is not known."""
    known = [cell.metrics["step_time"] for cell in cells if cell.versus is None and "step_time" in cell.metrics]
    return min((abs(math.log(one.estimate / step)) for one in known if one.estimate > 0), default=math.inf)


def left_out(summary: Summary, groups: Sequence[str]) -> str:
    """What a caption says of groups that are not drawn; "" where all are."""
    every = len(tables.by_group_of_cells(summary))
    if len(groups) == every:
        return ""
    titles = tables.titles(summary)
    named = "; ".join(titles[group] for group in groups)
    drawn = f"only {len(groups)} are drawn, nearest to your step or chosen: {named}"
    return f" Of {every} groups {drawn}; the tables have all."


@dataclass(frozen=True)
class _Run:
    """What the figures of one run are made of: of its drawn groups, and for costs the pairs of all."""

    summary: Summary
    style: ArmStyles
    cells: Mapping[str, Sequence[CellSummary]]
    records: Mapping[str, Sequence[Record]]
    turns: Mapping[str, pd.DataFrame]
    steps: Mapping[str, pd.DataFrame]
    pairs: pd.DataFrame
    every_pair: pd.DataFrame
    models: Sequence[costs.Model]

    @staticmethod
    def of(run: StoredRun, summary: Summary, frames: Frames, groups: Sequence[str]) -> _Run:
        wanted = set(groups)
        turns = frames.turns[frames.turns["group"].isin(wanted)]
        turns = turns[turns["outcome"].isin(list(MEASURED))]
        launches = frames.launches[frames.launches["group"].isin(wanted)]
        steps = launches[(launches["metric"] == "step_time") & ~launches["instrumented"]]
        pairs = frames.pairs[frames.pairs["group"].isin(wanted)]
        records: dict[str, list[Record]] = {group: [] for group in groups}
        for record in run.records:
            if record.group in wanted:
                records[record.group].append(record)
        by_group = tables.by_group_of_cells(summary)
        return _Run(
            summary,
            ArmStyles.of(summary),
            {group: by_group[group] for group in groups},
            records,
            {str(group): own for group, own in turns.groupby("group", sort=False)},
            {str(group): own for group, own in steps.groupby("group", sort=False)},
            pairs,
            frames.pairs,
            costs.models(run.info["plan"], frames.pairs) if summary.costs else (),
        )

    def costs(self) -> Iterator[Drawing]:
        """Of each suite with a cost."""
        for suite in self.summary.compare:
            own = self.every_pair[self.every_pair["suite"] == suite]
            curves = cost_curves(self.summary, self.style, suite, self.models, own)
            if curves is not None:
                yield draw_cost(curves, self.summary, self.style)

    def group(self, group: str) -> list[Drawing]:
        """Of one group, whatever there is."""
        cells, style, summary = self.cells[group], self.style, self.summary
        axis = summary.compare[cells[0].suite]
        found: list[Drawing] = []
        if group in self.turns:
            steps = self.steps.get(group, pd.DataFrame({"cell": [], "value": []}))
            found.append(draw_spreads(group, spreads_of(cells, self.turns[group], steps), style))
        if ratios := ratio_rows(cells, self.pairs[self.pairs["group"] == group]):
            found.append(draw_ratios(group, ratios, summary, style))
        if axis == "precision":
            points = precision_points(cells, last_losses(self.records[group]))
            if sum(point.gap is not None for point in points) > 1:
                found.append(draw_precision(group, points, style))
        if axis in RANK_AXES and (scaled := scaling_points(cells, axis, summary.answers)):
            found.append(draw_scaling(group, scaled, axis, style))
        if axis == "compile" and (paid := break_evens(cells, axis, summary.answers)):
            found.append(draw_break_evens(group, paid, style))
        for whole, names in tables.parts(summary).items():
            if bars := shares_of(cells, whole, names):
                found.append(draw_shares(group, bars, whole, summary, style))
        starts = {
            record.cell: float(record.memory["start_memory_host"])
            for record in self.records[group]
            if "start_memory_host" in record.memory
        }
        for name in (HOST_PEAK, DEVICE_PEAK):
            if rows := memory_rows(cells, starts if name == HOST_PEAK else {}, name):
                found.append(draw_memory(group, rows, name, style))
        if rates := ceiling_rows(cells):
            found.append(draw_ceilings(group, rates, style))
        return found

    def roofs(self) -> Iterator[Drawing]:
        """Of each suite whose steps differ in their arithmetic; of one with several, over the groups that are drawn."""
        for suite in self.summary.compare:
            cells = [cell for own in self.cells.values() for cell in own if cell.suite == suite]
            if points := roof_points(ceiling_rows(cells), self.style):
                several = f" ({suite})" if len(self.summary.compare) > 1 else ""
                yield draw_roof(suite, points, f"Arithmetic a second by arithmetic a step{several}", self.style)

    def each_cell(self) -> Iterator[Drawing]:
        """Of each cell of the first groups, as many whole groups as have CELLS_DRAWN cells at most."""
        count = 0
        for group, cells in self.cells.items():
            count += len(cells)
            if count > CELLS_DRAWN and count > len(cells):
                return
            by_cell: dict[str, list[Record]] = {}
            for record in self.records[group]:
                by_cell.setdefault(record.cell, []).append(record)
            order = turn_order(self.records[group])
            for cell in cells:
                samples = cell_samples(by_cell.get(cell.id, ()), order, cell.id, cell.drift)
                if samples is not None:
                    yield draw_cell(samples, self.style)
