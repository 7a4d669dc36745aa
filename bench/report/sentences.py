"""The sentences that people want: what each arm costs a step, and how much of that may be noise.

What may be said is decided by `bench.analysis.claims` alone; here it is only worded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analysis import claims
from bench.analysis.costs import REACH, Cost, impossible
from bench.analysis.estimates import CellSummary
from bench.analysis.findings import Finding
from bench.analysis.summary import Summary
from bench.report import findings
from bench.report.compared_values import compared_values
from bench.report.convergence import across_sentences, goal_sentences
from bench.report.ladder import ladder_sentences
from bench.report.searches import search_sentences
from bench.report.tables import by_group_of_cells, label, varying_axes
from bench.report.units import chosen_quantity, percent, quantity, span
from bench.results.forms import RANK_AXES
from bench.stats.intervals import Interval

# Groups without a ratio that a sentence names; of more it says how many.
NAMED_GROUPS = 3


def headlines(summary: Summary) -> list[str]:
    """One sentence per arm and twin, from `summary.costs`; then those of suites without step lengths.

    A sentence names only what differs within the page; `tables.shared` says the rest once.
    """
    several = isinstance(summary.suite, list)
    groups = by_group_of_cells(summary)
    sentences = cost_sentences(summary)
    told_of = {cost.suite for cost in summary.costs}
    of_suites: dict[str, list[Sequence[CellSummary]]] = {}
    for cells in groups.values():
        of_suites.setdefault(cells[0].suite, []).append(cells)
    answers: dict[str, list[Finding]] = {}
    for answer in summary.answers:
        answers.setdefault(answer.group, []).append(answer)
    for suite, own in of_suites.items():
        if suite not in told_of:
            texts = _choices(summary, summary.compare[suite], own, answers)
            sentences += [f"{suite}: {text}" if several else text for text in texts]
    return [*sentences, *across_sentences(summary)]


def cost_sentences(summary: Summary, wheres: Sequence[str] | None = None) -> list[str]:
    """One sentence for each of `summary.costs`, at the step that it is stated for.

    Args:
        wheres: what each is told apart by, where they are some of more; None: `places` of them.
    """
    several = isinstance(summary.suite, list)
    groups = by_group_of_cells(summary) if any(cost.figure is None for cost in summary.costs) else {}
    twins = _twins_of(summary.costs)
    sentences = []
    wheres = places(summary.costs) if wheres is None else wheres
    for cost, where, word in zip(summary.costs, wheres, words(summary.costs), strict=True):
        prefix = (f"{cost.suite}: " if several else "") + (f"{where}: " if where else "")
        why = _why_none(cost, groups) if cost.figure is None else _why_not(word, cost, twins.get(claim_place(cost), ()))
        sentences.append(prefix + _sentence(cost, word, why))
    return sentences


def places(costs: Sequence[Cost]) -> list[str]:
    """Where each cost was measured, by the axes that differ between the costs of its suite; "" where none does."""
    by_suite: dict[str, list[Mapping[str, Any]]] = {}
    for cost in costs:
        by_suite.setdefault(cost.suite, []).append(cost.where)
    axes = {suite: varying_axes(wheres) for suite, wheres in by_suite.items()}
    return [", ".join(label(axis, cost.where.get(axis)) for axis in axes[cost.suite]) for cost in costs]


_Twins = Mapping[tuple[Any, ...], Sequence[Cost]]


def claim_place(cost: Cost) -> tuple[Any, ...]:
    """The suite and the axes of a cost: what it has in common with the twin that it is held against."""
    return (cost.suite, *sorted((axis, str(value)) for axis, value in cost.where.items()))


def _twins_of(costs: Sequence[Cost]) -> _Twins:
    found: dict[tuple[Any, ...], list[Cost]] = {}
    for cost in costs:
        if cost.twin:
            found.setdefault(claim_place(cost), []).append(cost)
    return found


def words(costs: Sequence[Cost]) -> list[claims.ClaimWord]:
    """What may be claimed of each cost, with the twin of its own place as control; of a twin, against nothing."""
    twins = _twins_of(costs)
    found = []
    for cost in costs:
        figure = cost.figure
        beside = (
            [] if cost.twin else [one.figure[0] if one.figure else None for one in twins.get(claim_place(cost), ())]
        )
        found.append(claims.claim(figure[0], beside, least=-figure[1]) if figure else claims.claim(None))
    return found


def _sentence(cost: Cost, word: claims.ClaimWord, why: str) -> str:
    base = label(cost.axis, cost.baseline)
    name = f"The twin of {base}, the same code," if cost.twin else label(cost.axis, cost.value)
    figure = cost.figure
    if figure is None:
        return f"{name} has no figure: {why}."
    amount = _a_step(figure[0])
    if cost.twin:
        if word == "told":
            return f"{name} reads {amount}, which excludes zero: a cost of this size may be noise."
        if word == "zero":
            return f"{name} reads {amount}: that is the noise floor."
        return f"{name} tells nothing of the noise: {why}."
    if word not in ("told", "zero"):
        return f"No cost of {name} can be told: {why}."
    zero = ", which cannot be told from zero" if word == "zero" else ""
    if not cost.stated or cost.relative is None:
        at = quantity(figure[1], "s")
        return f"{name} costs {amount} over {base}{zero}, as measured at steps of {at}; {_unstated(cost)}."
    share = percent(cost.relative.estimate, cost.relative.low, cost.relative.high)
    return (
        f"{name} costs {amount} over {base}{zero}; on your {chosen_quantity(cost.reference_step, 's')} step "
        f"expect {share}{_notes(cost)}."
    )


def _a_step(cost: Interval) -> str:
    amount = quantity(cost.estimate, "s", cost.low, cost.high, signed=True)
    return amount.replace(" [", " a step [") if " [" in amount else f"{amount} a step"


def _unstated(cost: Cost) -> str:
    """Why nothing is said of the step that was asked for."""
    asked = chosen_quantity(cost.reference_step, "s")
    if cost.outside and cost.shortest is not None and cost.longest is not None:
        return (
            f"your {asked} step is outside of what was measured, {_measured_steps(cost)}, by more than "
            f"{REACH:g} times, so nothing is said of it"
        )
    return f"what follows from that for your {asked} step is no time that a step can take, so nothing is said of it"


def _measured_steps(cost: Cost) -> str:
    shortest, longest = cost.shortest or 0.0, cost.longest or 0.0
    return quantity(shortest, "s") if len(cost.groups) == 1 else span(shortest, longest, "s")


def _why_not(word: claims.ClaimWord, cost: Cost, twins: Sequence[Cost]) -> str:
    """Why no cost may be claimed, "" where one may."""
    if word == "one-launch":
        return "one launch gives no interval"
    if word == "too-wide":
        return "its interval is wider than the step itself"
    if word == "no-twin":
        return "the twin, the same code, has no interval, and nothing tells a cost from noise"
    if word == "as-twin" and cost.figure is not None:
        read = [_read(*twin.figure) for twin in twins if twin.figure is not None]
        return f"it reads {_a_step(cost.figure[0])}, and the twin, the same code, {' and '.join(read)}"
    return ""


def _read(twin: Interval, step: float) -> str:
    # What cannot be is not printed, of the twin neither.
    return "has an interval wider than the step itself" if impossible(twin, step) else f"reads {_a_step(twin)}"


def _notes(cost: Cost) -> str:
    notes = []
    if not cost.fitted and cost.shortest is not None:
        one = "one step length only, " if len(cost.groups) == 1 else "step lengths that hardly differ, "
        notes.append(f"no fit: measured at {one}{_measured_steps(cost)}, and taken as constant")
    elif cost.extrapolated and cost.shortest is not None and cost.longest is not None:
        notes.append(f"extrapolated: measured steps were {span(cost.shortest, cost.longest, 's')}")
    if cost.left_out:
        more = f" and {len(cost.left_out) - NAMED_GROUPS} more groups" if len(cost.left_out) > NAMED_GROUPS else ""
        notes.append(f"without {', '.join(cost.left_out[:NAMED_GROUPS])}{more}, where it has no ratio")
    return f" ({'; '.join(notes)})" if notes else ""


def _why_none(cost: Cost, groups: Mapping[str, Sequence[CellSummary]]) -> str:
    for group in cost.left_out:
        for cell in groups.get(group, ()):
            arm = cell.twin if cost.twin else not cell.twin and cell.point.get(cost.axis) in (cost.value, cost.baseline)
            if arm and cell.outcome not in ("ok", "noisy"):
                return f"{cell.id} is {cell.outcome} ({cell.reason})"
    return "no launch has enough rounds of both it and the baseline"


def _choices(
    summary: Summary, axis: str, groups: Sequence[Sequence[CellSummary]], answers: Mapping[str, Sequence[Finding]]
) -> list[str]:
    """For a suite without step lengths: how much slower or faster each value of the compared axis is, by groups."""
    axes = [name for name in varying_axes(cells[0].point for cells in groups) if name != axis]
    sentences = []
    for cells in groups:
        where = ", ".join(label(name, cells[0].point.get(name)) for name in axes)
        group = cells[0].group
        asked = [*goal_sentences(summary, group), *ladder_sentences(summary, group)]
        # Trainings for a goal have answered already; of few epochs there is no ratio of steps, and no word of that.
        steps = any(cell.versus for cell in cells) or summary.convergence is None or not asked
        told = compared_values(axis, cells, summary.fastest.get(group)) if steps else []
        own = [*search_sentences(summary, group), *_answers(axis, cells, answers.get(group, ()))]
        texts = [*asked, *told, *own]
        sentences += [(f"{where}: " if where else "") + text for text in texts]
    return sentences


def _answers(axis: str, cells: Sequence[CellSummary], own: Sequence[Finding]) -> list[str]:
    """What a suite was asked besides."""
    by_id = {cell.id: cell for cell in cells}
    if axis in RANK_AXES:
        return findings.scaling_answers(own, by_id, axis)
    return findings.compile_answers(own, by_id) if axis == "compile" else findings.loader_answers(own, by_id, axis)
