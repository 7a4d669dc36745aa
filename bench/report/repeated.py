"""What comes back every so many steps, as sentences: a log flush, a collection, a checkpoint that a median hides."""

from __future__ import annotations

from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary
from bench.report.tables import label, varying_axes
from bench.report.units import percent, quantity
from bench.stats.periods import Period

# What adds less to the mean step is left unsaid: of a cell in a hundred such a period is chance.
LEAST_SHARE = 0.002

# Cells that are named; of more it is said how many.
TOLD_CELLS = 8


def repeated(summary: Summary) -> list[str]:
    """One sentence a cell that has something periodic worth telling; twins, of their baselines' code, are left out."""
    told = {
        cell: [period for period in periods if period.share >= LEAST_SHARE] for cell, periods in summary.periods.items()
    }
    cells = [cell for cell in summary.cells if told.get(cell.id) and not cell.twin]
    found = []
    for cell in cells[:TOLD_CELLS]:
        axis = summary.compare[cell.suite]
        own = [other.point for other in summary.cells if other.suite == cell.suite]
        place = [f"{name} {cell.point.get(name)}" for name in varying_axes(own) if name != axis]
        where = f" ({', '.join(place)})" if place else ""
        events = [_event(period, cell) for period in told[cell.id]]
        found.append(f"{label(axis, cell.point[axis])}{where}: {'; '.join(events)}")
    if len(cells) > TOLD_CELLS:
        found.append(f"{len(cells) - TOLD_CELLS} more cells have steps that are longer every so many")
    return found


def _event(period: Period, cell: CellSummary) -> str:
    typical = cell.metrics.get("typical_step_time")
    more = percent(period.extra) if typical is None else f"+{quantity(period.extra * typical.estimate, 's')}"
    count = len(period.phases)
    steps = f"every {ordinal(period.every)} step takes" if count == 1 else f"{count} of every {period.every} steps take"
    return f"{steps} {more}, {percent(period.share)} of the typical step on each"


def ordinal(number: int) -> str:
    """`1st`, `22nd`, `50th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
