"""The history of all series: for the console, and as one self-contained page that needs no network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bench.borders as borders
from bench.analysis.history import RATIO, Change, History, MetricSeries, suspects
from bench.report.drawing import FIGURE_WIDTH, INK, STYLE, TITLE_LETTERS, Drawing, figure_text, svg
from bench.report.html import template_environment
from bench.report.text_layout import align_rows, wrap_text
from bench.report.units import percent, quantity, ratio, scale
from bench.stats import change_points

_COLOURS = {"suspected": "#9a6200", "confirmed": "#b3261e", "not confirmed": "#8a8f98"}
_LINES = {"suspected": "--", "confirmed": "-", "not confirmed": ":"}
_TICKS = 12


def short_commit(commit: str) -> str:
    return commit[:8]


def value(series: MetricSeries, number: float) -> str:
    return ratio(number) if series.metric == RATIO else quantity(number, series.unit)


def change_sentences(history: History) -> list[str]:
    """What changed, one sentence for each pair of commits; then alarms of newest points."""
    found = [between(before, after, members) for (before, after), members in suspects(history).items()]
    return found + alarms(history)


def alarms(history: History) -> list[str]:
    """One sentence for each newest point that lies further off than points do."""
    found = []
    for own in history.series:
        newest = own.newest
        if newest.fired and newest.difference is not None and newest.limit is not None:
            before, after = own.points[-2].commit, own.points[-1].commit
            found.append(
                f"newest point of {own.cell}: {percent(math.expm1(newest.difference))} from the one before, ordinary "
                f"is up to {percent(math.expm1(newest.limit), signed=False)}. An alarm and no finding: "
                f"bench versions git:{short_commit(before)} git:{short_commit(after)}."
            )
    return found


def between(before: str, after: str, members: Sequence[tuple[MetricSeries, Change]]) -> str:
    """One sentence on what changed between two commits, in however many cells."""
    by_state: dict[str, list[Change]] = {}
    for _, change in members:
        by_state.setdefault(change.state, []).append(change)
    parts = []
    for state, own in by_state.items():
        low, high = (percent(edge(change.relative for change in own)) for edge in (min, max))
        cells = f"{len(own)} cells" if len(own) > 1 else "1 cell"
        parts.append(f"{state} in {cells}: {low if low == high else f'{low} to {high}'}")
    race = (
        f". Not raced yet: bench confirm {short_commit(before)} {short_commit(after)}"
        if "suspected" in by_state
        else ""
    )
    return f"between {short_commit(before)} and {short_commit(after)}, {'; '.join(parts)}{race}."


def boundaries(history: History) -> list[tuple[str, str, int]]:
    """The first commit after each boundary, what changed, and in how many series."""
    found: dict[tuple[str, str], int] = {}
    for own in history.series:
        for boundary in own.boundaries:
            key = (own.points[boundary.index].commit, ", ".join(boundary.what))
            found[key] = found.get(key, 0) + 1
    return [(commit, what, count) for (commit, what), count in found.items()]


def remarks(history: History) -> list[str]:
    """What a reader must know of what is not shown."""
    found = [
        f"Change points are found by {history.method}; points are in the order of their "
        + ("commits." if history.ordered_by == "commit" else "time, as git does not know all of their commits.")
    ]
    notes: dict[str, int] = {}
    for own in history.series:
        if own.note:
            notes[own.note] = notes.get(own.note, 0) + 1
    found += [f"{count} of {len(history.series)} series: {note}." for note, count in notes.items()]
    edits: dict[tuple[str, str], int] = {}
    for own in history.series:
        for index in own.edited:
            key = (own.suite, own.points[index].commit)
            edits[key] = edits.get(key, 0) + 1
    found += [
        f"From {short_commit(commit)} on, the files of suite {suite} are others than before, in {count} series: "
        "a change there may be the workload's."
        for (suite, commit), count in edits.items()
    ]
    return found + [f"Left out: {text}" for text in history.left_out]


def console(history: History) -> str:
    """All series as a table, and what changed in them."""
    lines = wrap_text(f"history of {history.metric.replace('_', ' ')}")
    for machine, members in _by_machine(history).items():
        lines += ["", *wrap_text(machine), *align_rows([_row(own) for own in members], left=range(9), headed=False)]
    lines += [""]
    for commit, what, count in boundaries(history):
        lines += wrap_text(
            f"from {short_commit(commit)} on, {what}: a boundary in {count} series, compared across by nothing", "| "
        )
    for (before, after), changed in suspects(history).items():
        lines += wrap_text(between(before, after, changed), "* ")
        lines += align_rows([_change(own, change) for own, change in changed], left=range(9), headed=False)
    lines += [part for text in alarms(history) for part in wrap_text(text, "! ")]
    if not suspects(history):
        lines.append("no change point" + ("" if all(own.note for own in history.series) else " found"))
    return "\n".join([*lines, "", *(part for text in remarks(history) for part in wrap_text(text, ""))]) + "\n"


def _row(own: MetricSeries) -> list[str]:
    first, last = value(own, own.points[0].value), value(own, own.points[-1].value)
    return [own.cell, f"{len(own.points)} points", f"first {first}", f"last {last}", f"{len(own.changes)} changes"]


def _change(own: MetricSeries, change: Change) -> list[str]:
    direction = "worse" if change.worse else "better"
    points = f"{change.left} and {change.right} points"
    return [own.cell, percent(change.relative), direction, change.state, f"p {change.p:.2g}", points, change.race]


def _by_machine(history: History) -> dict[str, list[MetricSeries]]:
    found: dict[str, list[MetricSeries]] = {}
    for own in history.series:
        found.setdefault(own.machine, []).append(own)
    return found


def page(history: History) -> str:
    """One self-contained HTML page: no script that runs, nothing fetched."""
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
            boundaries=boundaries(history),
            drawings=draw_history(history),
            harmless=percent(change_points.HARMLESS, signed=False),
            data=borders.json_text(history.to_json(), indent=1).replace("<", "\\u003c"),
        )
    )


def draw_history(history: History) -> list[Drawing]:
    """A figure for each group and machine, a panel for each cell."""
    groups: dict[tuple[str, str], list[MetricSeries]] = {}
    for own in history.series:
        groups.setdefault((own.group, own.machine), []).append(own)
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "y"}):
        return [
            _drawing(number, group, machine, members)
            for number, ((group, machine), members) in enumerate(groups.items())
        ]


def _drawing(number: int, group: str, machine: str, members: Sequence[MetricSeries]) -> Drawing:
    figure = Figure(figsize=(FIGURE_WIDTH, 1.9 * len(members) + 0.4), layout="constrained")
    panels: list[Axes] = list(figure.subplots(len(members), 1, squeeze=False)[:, 0])
    colour = sns.color_palette("colorblind").as_hex()[0]
    for panel, own in zip(panels, members, strict=True):
        _panel(panel, own, colour)
    return Drawing(
        group,
        f"{machine}. Dots: runs, in the order of commits; bars: one standard error over launches; lines: levels. "
        "Upright lines: changes, dashed while suspected, solid once a race of the two commits has confirmed them, "
        "dotted where it has not. Grey: the environment or the workload changed.",
        svg(figure, f"history-{number}"),
    )


def _panel(panel: Axes, own: MetricSeries, colour: str) -> None:
    highest = max(point.high or point.value for point in own.points)
    factor, prefixed = (1.0, "") if own.metric == RATIO else scale(highest, own.unit)
    places = range(len(own.points))
    panel.plot(places, [point.value / factor for point in own.points], ".", color=colour, markersize=5, zorder=3)
    for place, point in zip(places, own.points, strict=True):
        if point.low is not None and point.high is not None:
            panel.plot(
                [place, place], [point.low / factor, point.high / factor], color=colour, linewidth=0.9, alpha=0.5
            )
    for start, end, level in own.levels:
        panel.plot([start - 0.4, end - 0.6], [level / factor] * 2, color=INK, linewidth=1.2)
    for boundary in own.boundaries:
        panel.axvline(boundary.index - 0.5, color=_COLOURS["not confirmed"], linewidth=4, alpha=0.35)
    for change in own.changes:
        panel.axvline(change.index - 0.5, color=_COLOURS[change.state], linestyle=_LINES[change.state], linewidth=1.3)
        panel.annotate(
            percent(change.relative),
            (change.index - 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            color=_COLOURS[change.state],
        )
    step = max(1, math.ceil(len(own.points) / _TICKS))
    ticks = list(itertools.islice(places, 0, None, step))
    panel.set_xticks(ticks, [figure_text(short_commit(own.points[tick].commit)) for tick in ticks], fontsize=8)
    words = f"{own.metric.replace('_', ' ')}{', ' if prefixed else ''}{prefixed}"
    panel.set(title=figure_text(own.cell, TITLE_LETTERS), xlabel="", ylabel=figure_text(words))
