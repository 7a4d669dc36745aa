"""What each arm costs an epoch, as sentences, for suites whose turns are the loops' own epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.analysis import claims
from bench.analysis.estimates import CellSummary
from bench.report.compared_values import beside, twins
from bench.report.units import quantity, ratio


def has_epochs(cells: Sequence[CellSummary]) -> bool:
    """Whether the turns of a group are the loops' own epochs."""
    return any("epoch_time" in cell.metrics for cell in cells)


def epoch_answers(cells: Sequence[CellSummary], name: Callable[[CellSummary], str]) -> list[str]:
    """One sentence for each arm of a group but the baseline.

    Args:
        name: what an arm is called.
    """
    others = [cell for cell in cells if not cell.twin]
    base = next((cell for cell in others if cell.versus is None and "epoch_time" in cell.metrics), None)
    if base is None:
        return ["No cost of an epoch can be told: the baseline has none."]
    epoch, step = (base.metrics[metric].estimate for metric in ("epoch_time", "step_time"))
    what = f"{name(base)}: {{}} of its {quantity(epoch, 's')}"
    return [_told(cell, name(cell), what, round(epoch / step), cells) for cell in others if cell is not base]


def _told(cell: CellSummary, name: str, what: str, steps: int, cells: Sequence[CellSummary]) -> str:
    none = f"No cost an epoch of {name} can be told"
    if cell.versus is None or cell.outcome not in ("ok", "noisy"):
        return f"{none}: it is {cell.outcome} ({cell.reason})."
    r, d = cell.versus.ratio, cell.versus.difference
    word = claims.of_ratio(r, twins(cells))
    if word == "one-launch" or d.low is None or d.high is None:
        return f"{none}: one launch gives no interval."
    amount = quantity(steps * d.estimate, "s", steps * d.low, steps * d.high, signed=True)
    text = f"{amount} an epoch of {steps} steps over {what.format(ratio(r.estimate, r.low, r.high))}"
    if word in ("as-twin", "no-twin"):
        return f"{none}: it reads {text}, and {beside(cells)}."
    zero = "" if word == "told" else ", which cannot be told from zero"
    return f"{name} costs {text}{zero}."
