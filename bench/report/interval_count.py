"""How many intervals a page shows, and how often all hold: one sentence, so that nobody takes 95 % for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis.summary import Summary
from bench.report import tables
from bench.report.convergence import goal_levels
from bench.report.ladder import ladder_tables
from bench.report.units import percent
from bench.stats.intervals import CONFIDENCE


def shown_intervals(summary: Summary, table: Sequence[tables.Row] | None = None) -> int:
    """The intervals at 95 % that a page of this summary shows: those of its tables, its costs, and its answers.

    A cost and its percentage are one interval in two units, and one that has no width claims no chance.

    Args:
        table: `tables.cell_rows` of the summary, if they are made already.
    """
    rows = [entry.text for row in table or tables.cell_rows(summary) for entry in row.entries.values()]
    rows += [
        entry.text for table in tables.instrumented_tables(summary) for _, entries in table.rows for entry in entries
    ]
    rows += [entry.text for rungs in ladder_tables(summary).values() for row in rungs for entry in row.entries.values()]
    in_tables = sum("[" in text and "," in text for text in rows)
    in_tables += sum(level >= CONFIDENCE for level in goal_levels(summary))
    figures = [cost.figure[0] for cost in summary.costs if cost.figure is not None]
    lows = [*(one.low for one in figures), *(one.low for one in summary.answers)]
    lows += [search.seconds.low for search in summary.searches if search.seconds is not None]
    return in_tables + sum(low is not None for low in lows)


def all_hold(summary: Summary, table: Sequence[tables.Row] | None = None) -> list[str]:
    """The sentence; none where there is one interval or less.

    Intervals that share a baseline or a launch miss together, so that all of them hold more often than if each were by
    itself; so long as they are 95 %, at least as often as Bonferroni's bound has it.
    """
    count = shown_intervals(summary, table)
    others = [level for level in goal_levels(summary) if level < CONFIDENCE]
    if count + len(others) < 2:
        return []
    sure, misses = CONFIDENCE**count, (1 - CONFIDENCE) * count
    sure, misses = sure * math.prod(others), misses + sum(1 - level for level in others)
    beside = f" and {len(others)} of less, as is said," if others else ""
    often = "less than 1 % of runs" if sure < 0.01 else f"{percent(sure, signed=False)} of runs"
    told = (
        "now and then one misses"
        if misses < 0.75
        else "about one misses"
        if misses < 1.5
        else f"about {misses:.0f} miss"
    )
    shown = f"{count} intervals of {percent(CONFIDENCE, signed=False)}{beside} are shown"
    return [
        f"{shown}, each for itself: {told} the truth, and all hold in {often} if they miss independently, in more "
        "where they share a baseline."
    ]
