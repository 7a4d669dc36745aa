"""The history of all series in words, and for the console."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis.history import Change, History, MetricSeries, suspects
from bench.analysis.history_points import RATIO
from bench.report.text_layout import align_rows, wrap_text
from bench.report.units import percent, quantity, ratio


def short_commit(commit: str) -> str:
    """As much of a hash as people read."""
    return commit[:8]


def value_words(series: MetricSeries, number: float) -> str:
    """A point's value, with its unit."""
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
    for machine, members in by_machine(history).items():
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
    first, last = value_words(own, own.points[0].value), value_words(own, own.points[-1].value)
    return [own.cell, f"{len(own.points)} points", f"first {first}", f"last {last}", f"{len(own.changes)} changes"]


def _change(own: MetricSeries, change: Change) -> list[str]:
    direction = "worse" if change.worse else "better"
    points = f"{change.left} and {change.right} points"
    return [own.cell, percent(change.relative), direction, change.state, f"p {change.p:.2g}", points, change.race]


def by_machine(history: History) -> dict[str, list[MetricSeries]]:
    """The series of each machine."""
    found: dict[str, list[MetricSeries]] = {}
    for own in history.series:
        found.setdefault(own.machine, []).append(own)
    return found
