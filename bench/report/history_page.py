"""A history as one self-contained page: each series drawn as paths, what a point is told on hover and by keys.

All of it stands there without the script, which zooms, filters, and says which commit a point is. Coordinates of a
drawing are places of runs across and thousandths of its height down, so that zooming is another viewBox.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import markupsafe
from matplotlib.ticker import MaxNLocator

import bench.borders as borders
from bench.analysis.history import History, HistoryRun, MetricSeries, suspects
from bench.analysis.history_points import RATIO
from bench.errors import RunError
from bench.report.history import boundaries, by_machine, change_sentences, remarks, short_commit, value_words
from bench.report.html import template_environment
from bench.report.index_page import relative_link
from bench.report.units import percent, scale
from bench.results import report_places, store
from bench.stats import change_points

_HEIGHT = 1000  # of a drawing, in its own unit; there are no finer ones
_DIGITS = 6  # of figures in the page: far more than a launch's noise leaves of them
_MARGIN = 0.06
_TICKS = 8
_REMARKS = 8  # that are not folded
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class AxisLabel:
    """A text at a place: from 0 to 1 across, or down."""

    at: float
    text: str
    kind: str = ""
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """A series as it is drawn.

    Attributes:
        number: of the series in the page's data.
        dots, bars, levels: of points, their standard errors, and the levels between changes.
        uprights: of changes by state, and of boundaries.
        rows, columns: labels of the axes.
        changes: labels at changes.
        title: what the drawing shows, for those who do not see it.
    """

    number: int
    series: MetricSeries
    count: int
    dots: str
    bars: str
    levels: str
    uprights: Mapping[str, str]
    rows: Sequence[AxisLabel]
    columns: Sequence[AxisLabel]
    changes: Sequence[AxisLabel]
    title: str


def history_page(history: History, links: Mapping[str, str] | None = None, commit_page: str = "") -> str:
    """The page.

    Args:
        links: addresses of runs' pages as seen from this one, by the run's id.
        commit_page: the address of a commit, with `{commit}` in place of its hash; "": there is none.
    """
    machines = by_machine(history)
    numbers = {id(own): number for number, own in enumerate(history.series)}
    places = {machine: _places(history, members) for machine, members in machines.items()}
    rows = [(own, change) for members in suspects(history).values() for own, change in members]
    return (
        template_environment()
        .get_template("history.html.jinja")
        .render(
            history=history,
            sentences=change_sentences(history),
            remarks=remarks(history),
            rows=rows,
            percent=percent,
            short=short_commit,
            value=value_words,
            shown_remarks=_REMARKS,
            height=_HEIGHT,
            ticks=_TICKS,
            boundaries=boundaries(history),
            machines=[
                (machine, [panel(own, numbers[id(own)], places[machine], history.runs) for own in members])
                for machine, members in machines.items()
            ],
            links=links or {},
            commit_link=lambda commit: commit_link(commit_page, commit),
            harmless=percent(change_points.HARMLESS, signed=False),
            data=_embedded(history, machines, places, links or {}, commit_page),
        )
    )


def commit_link(commit_page: str, commit: str) -> str:
    """The address of a commit, or "" where there is none."""
    return commit_page.replace("{commit}", commit) if commit_page and _HASH.fullmatch(commit) else ""


def page_links(out: Path, page: Path) -> dict[str, str]:
    """The addresses of the pages that runs under `out` have, as seen from a page at that path, by the runs' names."""
    try:
        folders = store.every(out)
    except RunError:
        return {}
    found = {folder.name: report_places.page_there(folder) for folder in folders}
    return {name: relative_link(where, page.parent) for name, where in found.items() if where.is_file()}


def _places(history: History, members: Sequence[MetricSeries]) -> dict[str, int]:
    """The place of each run of a machine across its drawings."""
    own = {point.run for series in members for point in series.points}
    return {run.run: place for place, run in enumerate(run for run in history.runs if run.run in own)}


def panel(own: MetricSeries, number: int, places: Mapping[str, int], runs: Sequence[HistoryRun]) -> Panel:
    """The drawing of a series."""
    across = [places[point.run] for point in own.points]
    ends = [end for point in own.points for end in (point.low, point.value, point.high) if end is not None]
    down = _Scale.of(min(ends), max(ends))
    dots = "".join(f"M{x} {down(point.value)}h0" for x, point in zip(across, own.points, strict=True))
    bars = "".join(
        f"M{x} {down(point.low)}V{down(point.high)}"
        for x, point in zip(across, own.points, strict=True)
        if point.low is not None and point.high is not None
    )
    levels = "".join(
        f"M{across[start] - 0.4:g} {down(level)}H{across[end - 1] + 0.4:g}" for start, end, level in own.levels
    )
    uprights: dict[str, str] = {}
    for kind, index in [
        *(("boundary", boundary.index) for boundary in own.boundaries),
        *((change.state.replace(" ", "-"), change.index) for change in own.changes),
    ]:
        uprights[kind] = uprights.get(kind, "") + f"M{_before(across, index):g} 0V{_HEIGHT}"
    commits = {places[run.run]: run.commit for run in runs if run.run in places}
    count = len(places)
    step = max(1, math.ceil(count / _TICKS))
    highest = max(abs(end) for end in ends)
    factor, unit = (1.0, "") if own.metric == RATIO else scale(highest, own.unit)
    title = f"{own.cell}: {len(own.points)} points, first {value_words(own, own.points[0].value)}, "
    title += f"last {value_words(own, own.points[-1].value)}"
    title += "".join(
        f"; {percent(change.relative)} at {short_commit(change.after)}, {change.state}" for change in own.changes
    )
    return Panel(
        number,
        own,
        count,
        dots,
        bars,
        levels,
        uprights,
        [
            AxisLabel(down(tick) / _HEIGHT, f"{tick / factor:.{_DIGITS}g}{' ' if unit else ''}{unit}")
            for tick in down.ticks(factor)
        ],
        [
            AxisLabel((place + 0.5) / count, short_commit(commits[place]), "", place)
            for place in range(0, count, step)
            if place + 0.5 <= 0.92 * count or not place
        ],
        [
            AxisLabel(
                (_before(across, change.index) + 0.5) / count,
                percent(change.relative),
                change.state.replace(" ", "-"),
                change.index,
            )
            for change in own.changes
        ],
        title,
    )


def _before(across: Sequence[int], index: int) -> float:
    """Between a point and the one before it."""
    return (across[index - 1] + across[index]) / 2 if index else across[0] - 0.5


@dataclass(frozen=True)
class _Scale:
    """Values to places down a drawing."""

    low: float
    high: float

    @staticmethod
    def of(low: float, high: float) -> _Scale:
        margin = (high - low) * _MARGIN or abs(high) * 0.01 or 1.0
        return _Scale(low - margin, high + margin)

    def __call__(self, value: float) -> int:
        return round(_HEIGHT * (self.high - value) / (self.high - self.low))

    def ticks(self, factor: float) -> list[float]:
        """Round values within, in units of the factor."""
        found = MaxNLocator(nbins=4).tick_values(self.low / factor, self.high / factor)
        return [float(tick) * factor for tick in found if self.low <= tick * factor <= self.high]


def _embedded(
    history: History,
    machines: Mapping[str, Sequence[MetricSeries]],
    places: Mapping[str, Mapping[str, int]],
    links: Mapping[str, str],
    commit_page: str,
) -> markupsafe.Markup:
    """All figures as JSON that may stand in a script element: each run once, points as columns of numbers."""
    numbers = {run.run: number for number, run in enumerate(history.runs)}
    names = list(machines)
    data = {
        "metric": history.metric,
        "ordered_by": history.ordered_by,
        "method": history.method,
        "left_out": list(history.left_out),
        "commit_page": commit_page,
        "runs": [
            [*map(borders.one_line, (run.run, run.commit, run.started)), links.get(run.run, "")] for run in history.runs
        ],
        "machines": [{"name": name, "runs": [numbers[run] for run in places[name]]} for name in names],
        "series": [_columns(own, names.index(own.machine), places[own.machine]) for own in history.series],
    }
    return markupsafe.Markup(borders.json_text(data).replace("<", "\\u003c"))  # no `<` is left in it


def _columns(own: MetricSeries, machine: int, places: Mapping[str, int]) -> dict[str, Any]:
    across = [places[point.run] for point in own.points]
    whole = across == list(range(len(across)))
    return {
        **{name: getattr(own, name) for name in ("suite", "group", "cell", "metric", "unit", "better", "note")},
        "machine": machine,
        "places": None if whole else across,  # all from the first on
        "values": [_rounded(point.value) for point in own.points],
        "low": [_rounded(point.low) for point in own.points],
        "high": [_rounded(point.high) for point in own.points],
        "launches": [point.launches for point in own.points],
        "changes": [asdict(change) for change in own.changes],
        "boundaries": [asdict(boundary) for boundary in own.boundaries],
        "levels": [[start, end, _rounded(level)] for start, end, level in own.levels],
        "newest": asdict(own.newest),
        "edited": list(own.edited),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
