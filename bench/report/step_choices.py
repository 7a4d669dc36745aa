"""Your step: what each arm costs at every step length that was measured, as sentences and a picture.

Every figure is made here, by what makes the page's first sentences: the page's script only shows the one nearest to
the step that was asked for, and computes none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from bench.analysis.costs import LEAST_SPAN, Cost, Model
from bench.analysis.summary import Summary
from bench.report.sentences import claim_place, cost_sentences, places
from bench.report.tables import arm_name, short_label
from bench.report.units import chosen_quantity, percent, scale, span, unbreakable

# Those of the figures (bench/report/drawing.py), which are not imported for it: matplotlib takes a second.
_COLOURS = ("#2f7fc9", "#c76a15", "#1f8f66", "#b65fb0", "#d6455d", "#9a7440", "#2b8f9e", "#8069d0")
_FAINT = "#7d8590"
# Costs that are followed: more lines than colours tell nobody anything.
MOST_COSTS = len(_COLOURS)
# A step is told to two digits, and between 1 and 2 to a twentieth: neighbours are at most 5 % apart.
_DECADE = [round(1 + 0.05 * number, 2) for number in range(20)] + [round(2 + 0.1 * number, 1) for number in range(80)]
# The picture, in pixels of a telephone. Left of it there is room for `+10000 %`: what is cut off of a `+` is a `-`.
WIDTH, HEIGHT = 360, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 10, 24, 36


@dataclass(frozen=True)
class StepChoices:
    """What can be chosen.

    Attributes:
        document: for the script, as JSON: texts and places, all as they are shown.
        picture: the SVG element, at the step of the page.
        first: the choice that is nearest to the page's step.
        unit: of the field.
        low, high: ends of what was measured, in that unit, as texts.
        costs: which of the summary's costs are followed.
        colours: of each.
    """

    document: dict[str, Any]
    picture: Markup
    first: int
    unit: str
    low: str
    high: str
    costs: Sequence[int]
    colours: Sequence[str]


def steps_between(low: float, high: float) -> list[float]:
    """The steps that can be chosen, seconds, ascending: of two digits, from the first above `low` to the last below."""
    found = []
    for exponent in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        found += [float(f"{mantissa}e{exponent}") for mantissa in _DECADE]
    return [step for step in found if low <= step <= high]


def step_choices(summary: Summary, models: Sequence[Model]) -> StepChoices | None:
    """The choices of a run; None where no cost was measured at steps that differ enough for a choice.

    Args:
        models: those of the summary's costs, in their order.
    """
    followed = _followed(summary.costs)
    if not followed:
        return None
    everywhere = places(summary.costs)
    wheres = [everywhere[index] for index in followed]
    lengths = [length for index in followed for length in (summary.costs[index].shortest, summary.costs[index].longest)]
    known = [length for length in lengths if length is not None]
    shortest, longest = min(known), max(known)
    if not LEAST_SPAN * shortest <= longest:
        return None
    steps = steps_between(shortest, longest)
    asked = summary.reference_step
    if shortest <= asked <= longest:
        steps = sorted({*steps, asked})
    if len(steps) < 2:
        return None
    at_steps = [[models[index].at(step) for index in followed] for step in steps]
    factor, unit = scale(longest, "s")
    first = min(range(len(steps)), key=lambda number: abs(math.log(steps[number] / asked)))
    plot = _Plot.of(steps, at_steps)
    colours = _colours(summary, [summary.costs[index] for index in followed])
    measured = span(shortest, longest, "s")
    outside = f"Measured were steps of {measured}; nothing is said here of others. Shown is"
    said = "The sentences above are for a step of"
    document = {
        "said": said,
        # At first they are for the page's own step, whether it can be chosen or not.
        "start": f"{said} {chosen_quantity(asked, 's')}"
        + ("." if shortest <= asked <= longest else f"; measured were steps of {measured}, which can be chosen here."),
        "costs": followed,
        "near": "Steps are told to two digits. Shown is",
        "outside": outside,
        "choices": [
            {
                "value": float(f"{step / factor:.3g}"),
                "label": chosen_quantity(step, "s"),
                "x": plot.x(step),
                "y": [plot.y(cost) for cost in own],
                "sentences": [unbreakable(text) for text in cost_sentences(replace(summary, costs=own), wheres)],
            }
            for step, own in zip(steps, at_steps, strict=True)
        ],
    }
    ends = [f"{step / factor:.3g}" for step in (steps[0], steps[-1])]
    picture = _picture(plot, at_steps, colours, first, measured)
    return StepChoices(document, picture, first, unit, ends[0], ends[1], followed, colours)


def _followed(costs: Sequence[Cost]) -> list[int]:
    """Those with a fit, and the twins that they are told against; of many places the first."""
    fitted = [index for index, cost in enumerate(costs) if cost.fitted and cost.fixed is not None and not cost.twin]
    if len(fitted) > MOST_COSTS:
        fitted = [index for index in fitted if claim_place(costs[index]) == claim_place(costs[fitted[0]])]
    at = {claim_place(costs[index]) for index in fitted}
    twins = [index for index, cost in enumerate(costs) if cost.twin and claim_place(cost) in at]
    return sorted([*twins, *fitted][: MOST_COSTS + len(at)])


def _colours(summary: Summary, costs: Sequence[Cost]) -> list[str]:
    """As the figures have them: by the place of the arm among all of the run."""
    arms = {arm_name(summary.compare[cell.suite], cell): 0 for cell in summary.cells if not cell.twin}
    places_of = {name: number for number, name in enumerate(arms)}
    names = [short_label(cost.axis, cost.value) for cost in costs]
    return [
        _FAINT if cost.twin else _COLOURS[places_of.get(name, 0) % len(_COLOURS)]
        for cost, name in zip(costs, names, strict=True)
    ]


@dataclass(frozen=True)
class _Plot:
    """Where steps and shares lie in the picture."""

    steps: Sequence[float]
    low: float
    high: float

    @staticmethod
    def of(steps: Sequence[float], at_steps: Sequence[Sequence[Cost]]) -> _Plot:
        shares = [cost.relative for own in at_steps for cost in own if cost.stated and cost.relative is not None]
        values = [0.0, *(share.estimate for share in shares)]
        ends = [end for share in shares for end in (share.low, share.high) if end is not None]
        # A wide interval at one end would flatten all lines.
        reach = 2 * max(max(values) - min(values), 1e-3)
        low = max(min([*values, *ends]), min(values) - reach)
        high = min(max([*values, *ends]), max(values) + reach)
        return _Plot(steps, low, high if high > low else low + 1e-3)

    def x(self, step: float) -> float:
        start, end = math.log(self.steps[0]), math.log(self.steps[-1])
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (math.log(step) - start) / (end - start), 1)

    def height(self, share: float) -> float:
        inside = min(max(share, self.low), self.high)
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (inside - self.low) / (self.high - self.low), 1)

    def y(self, cost: Cost) -> float | None:
        return None if cost.relative is None or not cost.stated else self.height(cost.relative.estimate)


def _picture(
    plot: _Plot, at_steps: Sequence[Sequence[Cost]], colours: Sequence[str], first: int, measured: str
) -> Markup:
    """What a step costs more, in percent of it, over the length of the step; bands are intervals."""
    parts = [_axes(plot)]
    for number, colour in enumerate(colours):
        own = [(plot.x(step), costs[number]) for step, costs in zip(plot.steps, at_steps, strict=True)]
        own = [(x, cost) for x, cost in own if cost.stated and cost.relative is not None]
        bounds = [
            (x, plot.height(cost.relative.low), plot.height(cost.relative.high))
            for x, cost in own
            if cost.relative is not None and cost.relative.low is not None and cost.relative.high is not None
        ]
        if bounds:
            there = [f"{x},{high}" for x, _, high in bounds] + [f"{x},{low}" for x, low, _ in reversed(bounds)]
            parts.append(f'<polygon points="{" ".join(there)}" fill="{colour}" fill-opacity="0.18"/>')
        line = [f"{x},{plot.y(cost)}" for x, cost in own]
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    x = plot.x(plot.steps[first])
    parts.append(
        f'<line id="step-line" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" stroke="currentColor" '
        'stroke-dasharray="3 3"/>'
    )
    for number, colour in enumerate(colours):
        y = plot.y(at_steps[first][number])
        hidden = ' visibility="hidden"' if y is None else ""
        parts.append(f'<circle id="step-dot-{number}" cx="{x}" cy="{y or 0}" r="3.6" fill="{colour}"{hidden}/>')
    said = f"What each arm adds to a step, in percent of it, for steps of {measured}; the sentences say it in words"
    return Markup(  # made of numbers and of this file's own texts
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" font-size="11" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def _axes(plot: _Plot) -> str:
    """The frame with round numbers at its sides."""
    bottom = HEIGHT - _BOTTOM
    parts = [f'<text x="2" y="12">a step takes more by</text><text x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" ']
    parts.append('text-anchor="end">length of the baseline\'s step</text>')
    for share in _round_numbers(plot.low, plot.high):
        y = plot.height(share)
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="currentColor" '
            f'stroke-opacity="{0.5 if share == 0 else 0.15}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4}" text-anchor="end">{percent(share)}</text>'
        )
    taken = -math.inf
    for step in plot.steps:
        x, mantissa = plot.x(step), f"{step:.2e}"[:4]
        if mantissa in ("1.00", "2.00", "5.00") and x > taken + 44 and x < WIDTH - _RIGHT - 8:
            taken = x
            parts.append(f'<text x="{x}" y="{bottom + 15}" text-anchor="middle">{chosen_quantity(step, "s")}</text>')
    return "".join(parts)


def _round_numbers(low: float, high: float) -> list[float]:
    """Some 4 round numbers within."""
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    apart = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    return [round(apart * number, 12) for number in range(math.ceil(low / apart), math.floor(high / apart) + 1)]
