"""What a suite trains for: a validation loss, within so many epochs. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.axes.engine_axes import Point
from bench.errors import quote

LONGEST_TRAINING = 10_000  # epochs, and seeds


@dataclass(frozen=True)
class Goal:
    """A launch of a suite with a goal trains every arm for `epochs` whole epochs, from fresh weights.

    Attributes:
        target: the validation loss that is to be reached: the mean over the samples of the workload's `validation`.
        epochs: that each arm trains, whether it reaches the target or not.
        seeds: launches, each from a seed of its own, which all arms of a group share.
        margin: relative; final losses within it, up or down, are as good as each other.

    A suite's axes of the names `target` and `epochs` say both for a point.
    """

    target: float
    epochs: int
    seeds: int = 5
    margin: float = 0.02

    def at(self, point: Point) -> Goal:
        """The goal of a point."""
        target, epochs = point.get("target", self.target), point.get("epochs", self.epochs)
        return replace(self, target=float(target), epochs=int(epochs))


def goal_mistakes(goal: Any, epochs: bool | str, axes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a suite's goal, as sentences."""
    if goal is None:
        return
    if not isinstance(goal, Goal):
        yield f"goal: {quote(goal)} is not possible; allowed: bench.Goal, or None"
        return
    if epochs != "real":
        yield f"goal: with epochs={epochs!r}; who trains for a goal trains real epochs; allowed: epochs='real'"
    if not _is_number(goal.target):
        yield f"goal: target {quote(goal.target)}; allowed: a finite number"
    for name, value, most in (("epochs", goal.epochs, LONGEST_TRAINING), ("seeds", goal.seeds, LONGEST_TRAINING)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            yield f"goal: {name} {quote(value)}; allowed: a whole number from 1 to {most}"
    if not _is_number(goal.margin) or not 0 < goal.margin < 1:
        yield f"goal: margin {quote(goal.margin)}; allowed: a number above 0 and below 1, as 0.02"
    for axis, kinds in (("target", (int, float)), ("epochs", (int,))):
        values = axes.get(axis, ())
        if not isinstance(values, str) and any(isinstance(one, bool) or not isinstance(one, kinds) for one in values):
            yield f"axis {axis!r}: {quote(list(values))} is of the suite's goal; allowed: numbers"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
