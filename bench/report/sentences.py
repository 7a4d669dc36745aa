"""The sentences that people want: what each arm costs a step, and how much of that may be noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.fit import Cost
from bench.plan import SIDES
from bench.report import told
from bench.report.units import given, percent, quantity, ratio, span
from bench.stats import Cell, Summary

# How people call the loops; every other value is called by its name.
LABELS: Mapping[str, str] = {
    "plain": "plain PyTorch", "fabric": "Fabric", "trainer-barebones": "Trainer(barebones=True)", "trainer": "Trainer"}


def label(axis: str, value: Any) -> str:
    """What an arm is called in a sentence, e.g. `plain PyTorch`, or `precision 16-mixed` for other axes."""
    return LABELS.get(value, str(value)) if axis == "loop" else f"{axis} {value}"


def headlines(summary: Summary) -> list[str]:
    """One sentence per arm, then the noise floor of the twin, from `summary.costs`."""
    several = isinstance(summary.suite, list)
    places = {tuple(cost.where.items()) for cost in summary.costs if not cost.twin}
    reasons = {cell.group: cell for cell in summary.cells if cell.outcome not in ("ok", "noisy")}
    sentences = []
    for cost in summary.costs:
        prefix = f"{cost.suite}: " if several else ""
        if len(places) > 1:
            prefix += ", ".join(f"{axis} {value}" for axis, value in cost.where.items()) + ": "
        sentences.append(prefix + _sentence(cost, summary, reasons))
    told = {cost.suite for cost in summary.costs}
    for suite in summary.compare:
        if suite not in told:
            sentences += _choices(suite, summary)
    return sentences


def _choices(suite: str, summary: Summary) -> list[str]:
    """For a suite without step lengths: the fastest value of the compared axis, group by group."""
    axis = summary.compare[suite]
    groups: dict[str, list[Cell]] = {}
    for cell in summary.cells:
        if cell.suite == suite:
            groups.setdefault(cell.group, []).append(cell)
    varying = [
        name
        for name in next(iter(groups.values()))[0].point
        if name != axis and len({cells[0].point.get(name) for cells in groups.values()}) > 1
    ]
    sentences = []
    for cells in groups.values():
        where = ", ".join(label(name, cells[0].point[name]) for name in varying)
        sentences += [(f"{where}: " if where else "") + text for text in _answers(axis, cells, summary)]
    return sentences


def _answers(axis: str, cells: Sequence[Cell], summary: Summary) -> list[str]:
    own = [answer for answer in summary.answers if answer.group == cells[0].group]
    by_id = {cell.id: cell for cell in cells}
    if axis == SIDES:
        return told.sides(cells, axis)
    if axis == "devices":
        return told.scaling(own, by_id) or [_choice(axis, cells)]
    more = told.compiling(own, by_id) if axis == "compile" else told.loading(own, by_id, axis)
    if axis == "compile" and more and all(answer.estimate is None for answer in own):
        return more  # that none is faster is said there, with what it costs
    return [_choice(axis, cells), *more]


def _choice(axis: str, cells: Sequence[Cell]) -> str:
    base = next((cell.point[axis] for cell in cells if cell.twin), "the baseline")
    raced = sorted(
        (cell.versus.ratio.estimate, index, cell.versus.ratio)
        for index, cell in enumerate(cells)
        if not cell.twin and cell.versus is not None and cell.outcome in ("ok", "noisy")
    )
    if not raced:
        return f"no {axis} but {base} ran and did equal work."
    estimate, index, best = raced[0]
    value = cells[index].point[axis]
    span = ratio(best.estimate, best.low, best.high)
    if best.high is None or best.low is None:
        return f"one launch, no interval: {axis} {value} takes {ratio(estimate)} of {base}'s step."
    if cells[index].outcome == "noisy":
        return f"too noisy to tell: {axis} {value}, the fastest seen, takes {span} of {base}'s step."
    if best.high >= 1:
        return f"no {axis} that does equal work is told to be faster than {base}."
    # A winner is compared with the runner-up: the baseline is not the only one it may be confused with.
    close = [str(cells[other].point[axis]) for _, other, interval in raced[1:] if interval.overlaps(best)]
    tie = f" (not told apart from {', '.join(close)})" if close else ""
    return (
        f"{axis} {value} is the fastest that does equal work{tie}: "
        f"{span} of {base}'s step."
    )


def _sentence(cost: Cost, summary: Summary, reasons: Mapping[str, Cell]) -> str:
    base = label(cost.axis, cost.baseline)
    name = f"The twin of {base}, the same code," if cost.twin else label(cost.axis, cost.value)
    if cost.cost is None or cost.relative is None:
        return f"{name} has no figure: {_why_none(cost, summary, reasons)}."
    amount = quantity(cost.cost.estimate, "s", cost.cost.low, cost.cost.high, signed=True)
    amount = amount.replace(" [", " a step [") if " [" in amount else f"{amount} a step (one launch: no interval)"
    if cost.twin:
        if cost.cost.contains(0.0):
            return f"{name} reads {amount}: that is the noise floor."
        return f"{name} reads {amount}, which excludes zero: a cost of this size may be noise."
    zero = ", which cannot be told from zero" if cost.cost.low is not None and cost.cost.contains(0.0) else ""
    share = percent(cost.relative.estimate, cost.relative.low, cost.relative.high)
    return (f"{name} costs {amount} over {base}{zero}; on your {given(cost.reference_step, 's')} step "
            f"expect {share}{_notes(cost)}.")


def _notes(cost: Cost) -> str:
    notes = []
    if len(cost.groups) == 1 and cost.shortest is not None:
        notes.append(f"no fit: measured at one step length only, {quantity(cost.shortest, 's')}, and taken as constant")
    elif cost.extrapolated and cost.shortest is not None and cost.longest is not None:
        notes.append(f"extrapolated: measured steps were {span(cost.shortest, cost.longest, 's')}")
    if cost.left_out:
        notes.append(f"without {', '.join(cost.left_out)}, where it has no ratio")
    return f" ({'; '.join(notes)})" if notes else ""


def _why_none(cost: Cost, summary: Summary, reasons: Mapping[str, Cell]) -> str:
    for cell in summary.cells:
        arm = cell.twin if cost.twin else not cell.twin and cell.point.get(cost.axis) in (cost.value, cost.baseline)
        if cell.suite == cost.suite and cell.group in cost.left_out and arm and cell.group in reasons \
                and cell.outcome not in ("ok", "noisy"):
            return f"{cell.id} is {cell.outcome} ({cell.reason})"
    return "no launch has enough rounds of both it and the baseline"
