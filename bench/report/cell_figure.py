"""The figure of one cell: its turns as they came, how its steps drift, and which arm of its group had which turn."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.pairs import MEASURED
from bench.report.drawing import FAINT, INK, NARROW, TEXT, Drawing, drawing, even_ticks, figure_text
from bench.report.row_figure import ArmStyles
from bench.report.units import percent, scale
from bench.results.record import Record
from bench.results.turns import Turns
from bench.stats.drift import PER, Drift

# Points of a cell; of more turns each is the median of several that follow each other within a launch.
POINTS = 240
# Rounds of the first launch whose order is drawn.
ORDER = 16
# Arms whose turns are drawn beside those of the cell.
ARMS = 12
_GAP = 0.02  # of the whole, between two launches


@dataclass(frozen=True)
class LaunchSamples:
    """The turns of one launch of a cell.

    Attributes:
        places: steps of the loop, counted from its first turn on, in the middle of each turn.
        seconds: of a counted step of it, the mean.
        steps: of the launch, in its turns.
    """

    launch: int
    places: Sequence[float]
    seconds: Sequence[float]
    steps: int


@dataclass(frozen=True)
class CellSamples:
    """All that is drawn of one cell.

    Attributes:
        launches: one after the other.
        block: turns that one point is the median of.
        drift: as the summary has it.
        order: of the first launch, in the order of the rounds: the cells in the order of their turns.
    """

    cell: str
    launches: Sequence[LaunchSamples]
    block: int
    drift: Drift | None
    order: Sequence[Sequence[str]]


def cell_samples(
    records: Iterable[Record], order: Sequence[Sequence[str]], cell: str, drift: Drift | None
) -> CellSamples | None:
    """Of one cell; None where no launch measured it.

    Args:
        records: its own.
        order: of its group, as `turn_order` has it.
    """
    taken = [
        (record.launch, record.turns)
        for record in sorted(records, key=lambda record: record.launch)
        if record.turns is not None and record.outcome in MEASURED and record.turns.round
    ]
    if not taken:
        return None
    block = max(1, math.ceil(sum(len(turns.round) for _, turns in taken) / POINTS))
    return CellSamples(cell, [_samples(launch, turns, block) for launch, turns in taken], block, drift, order)


def _samples(launch: int, turns: Turns, block: int) -> LaunchSamples:
    ends = list(itertools.accumulate(turns.taken))
    middles = [end - count / 2 for end, count in zip(ends, turns.taken, strict=True)]
    steps = [whole / count for whole, count in zip(turns.settled, turns.lengths, strict=True)]
    starts = range(0, len(steps), block)
    return LaunchSamples(
        launch,
        [statistics.fmean(middles[start : start + block]) for start in starts],
        [statistics.median(steps[start : start + block]) for start in starts],
        ends[-1],
    )


def turn_order(records: Iterable[Record]) -> list[list[str]]:
    """Of a group's first measured launch: the cells of each round in the order of their turns.

    Args:
        records: the group's.
    """
    measured = [record for record in records if record.turns is not None and record.outcome in MEASURED]
    first = min((record.launch for record in measured), default=-1)
    rounds: dict[int, list[tuple[int, str]]] = {}
    for record in measured:
        if record.launch == first and record.turns is not None:
            for number, position in zip(record.turns.round, record.turns.position, strict=True):
                rounds.setdefault(number, []).append((position, record.cell))
    return [[cell for _, cell in sorted(rounds[number])] for number in sorted(rounds)[:ORDER]]


def drift_lines(samples: CellSamples) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Of each launch, from the first step to the last: steps and seconds of the line that its drift says.

    It goes through the median of the launch, at the middle of its turns.
    """
    if samples.drift is None:
        return []
    found = []
    for launch in samples.launches:
        level, middle = statistics.median(launch.seconds), statistics.median(launch.places)
        ends = (0.0, float(launch.steps))
        first, last = (level + samples.drift.estimate * (end - middle) for end in ends)
        found.append((ends, (first, last)))
    return found


def drift_words(drift: Drift | None) -> str:
    """What is said of it: the change in a hundred steps, as a share of the step."""
    if drift is None or drift.level <= 0:
        return "drift within a launch: not known"
    values = (drift.estimate, *((drift.low, drift.high) if drift.low is not None and drift.high is not None else ()))
    shares = [PER * value / drift.level for value in values]
    said = "" if drift.material else ", not material"
    return f"drift in {PER} steps: {percent(*shares)}{said}"


def draw_cell(samples: CellSamples, style: ArmStyles) -> Drawing:
    """The figure."""
    present = {cell for one in samples.order for cell in one}
    others = [cell for cell in style.names if cell in present and cell != samples.cell][: ARMS - 1]
    arms = [cell for cell in style.names if cell in others or (cell in present and cell == samples.cell)]
    rows = 0.19 * len(arms)
    height = 2.5 + rows
    figure = Figure(figsize=(NARROW, height))
    panel = figure.add_axes((0.135, 1 - 1.45 / height, 0.835, 1.2 / height))
    name = style.names[samples.cell]
    colour = style.colours.get(name, FAINT)
    everything = [value for launch in samples.launches for value in launch.seconds]
    factor, unit = scale(_upper(everything), "s")
    gap = _GAP * sum(launch.steps for launch in samples.launches)
    start, starts = 0.0, []
    lines = drift_lines(samples)
    for number, launch in enumerate(samples.launches):
        starts.append(start)
        places = [start + place for place in launch.places]
        panel.plot(places, [value / factor for value in launch.seconds], ".", color=colour, markersize=4)
        if lines:
            ends, values = lines[number]
            panel.plot([start + end for end in ends], [value / factor for value in values], color=INK, linewidth=1.4)
        start += launch.steps + gap
        if number + 1 < len(samples.launches):
            panel.axvline(start - gap / 2, color=INK, linewidth=0.5, alpha=0.4)
    low, high = min(everything), _upper(everything)
    margin = 0.06 * (high - low) or 0.05 * high
    panel.set(xlim=(-gap, start), ylim=((low - margin) / factor, (high + margin) / factor))
    even_ticks(panel)
    even_ticks(panel, "y", count=4)
    panel.grid(axis="y")
    panel.set_xlabel("steps of its turns, launch after launch")
    panel.set_title(f"{unit} a step; {drift_words(samples.drift)}", fontsize=TEXT, pad=4)
    if arms:
        _draw_order(figure, samples, arms, style, (height, rows))
    beyond = sum(value > high for value in everything)
    more = f" {len(present) - len(arms)} more arms had turns between them." if len(present) > len(arms) else ""
    of_turns = "each turn" if samples.block == 1 else f"the median of {samples.block} turns that follow each other"
    return drawing(
        figure,
        f"samples-{borders.file_name(samples.cell)}",
        borders.one_line(f"Turns of {samples.cell}"),
        f"Points: {of_turns}, a mean step. Line: how the step drifts within a launch; upright lines are between "
        f"launches.{f' {beyond} points lie above.' * (beyond > 0)} Below: the turns of the first rounds in the order "
        f"in which they were taken, those of this cell thick.{more}",
        "cell",
        samples.cell,
    )


def _upper(values: Sequence[float]) -> float:
    """Up to where points are drawn: a stall of a second would make a line of all others."""
    ordered = sorted(values)
    usual = ordered[min(len(ordered) - 1, int(0.985 * len(ordered)))]
    return min(ordered[-1], 2 * usual)


def _draw_order(
    figure: Figure, samples: CellSamples, arms: Sequence[str], style: ArmStyles, sizes: tuple[float, float]
) -> None:
    height, rows = sizes
    panel = figure.add_axes((0.36, 0.48 / height, 0.61, rows / height))
    places: Mapping[str, list[int]] = {arm: [] for arm in arms}
    for place, cell in enumerate(cell for one in samples.order for cell in one):
        if cell in places:
            places[cell].append(place)
    for row, arm in enumerate(arms):
        own = arm == samples.cell
        x = [value for place in places[arm] for value in (place, place, math.nan)]
        y = [value for _ in places[arm] for value in (row - 0.36, row + 0.36, math.nan)]
        colour = style.colours.get(style.names[arm], FAINT) if own else INK
        panel.plot(x, y, color=colour, linewidth=2.6 if own else 1.2)
    panel.set(ylim=(len(arms) - 0.4, -0.6), yticks=[], xlim=(-1, sum(map(len, samples.order))))
    for row, arm in enumerate(arms):
        panel.text(-0.02, row, figure_text(style.names[arm].replace(r"\$", "$"), 20), ha="right", va="center",
                   transform=panel.get_yaxis_transform(), fontsize=TEXT)  # fmt: skip
    even_ticks(panel)
    panel.grid(visible=False)
    panel.set_xlabel("turns of the first launch")
