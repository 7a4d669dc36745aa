"""What an arm costs a step, from groups that differ only in the length of their steps. Pure.

A model is not asked beyond its data: see LEAST_SPAN and REACH. Where it may not answer, what was measured is told.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from bench.analysis.pairs import columns_by_cell, shared_sets
from bench.stats.intervals import LAYOUT_SD, Interval, interval_of_differences

# A line through step lengths that hardly differ has any slope: lengths of 1.4 and 1.6 ms gave +9.9 ms at 12 ms where
# +1.1 ms was measured at both. With a factor of 2 the noise of the fit at the measured steps is that of the ratios.
LEAST_SPAN = 2.0

# Beyond so many times the measured steps the fit's interval says nothing: it holds the noise, and not that the model is
# another there, as a loop that waits for its device hides costs which it showed at short steps.
REACH = 5.0


@dataclass(frozen=True)
class Cost:
    """Seconds that an arm adds to a step, stated for a step of `reference_step`.

    The model: arm - baseline = fixed + share * step. It is fitted once per sweep, the launches of the same number of
    all groups, as (ratio - 1) = fixed / step + share by least squares, since the noise of a ratio hardly depends on
    the step while that of a difference grows with it. Intervals are over sweeps.

    Attributes:
        suite, axis: the suite and its compared axis.
        value, baseline: the arm's value on that axis and the one it is compared with.
        twin: whether this is the baseline's twin, whose cost is noise.
        where: the axes that the fitted groups have in common.
        groups: the groups that it rests on.
        left_out: groups in which the arm has no ratio.
        reference_step: seconds.
        cost: seconds at the reference step. None where there is none to state: the arm has no ratio anywhere, the step
            is `outside`, or the fit gives there what cannot be, as a saving of the whole step.
        relative: cost over reference_step; None where that is.
        fixed: seconds a step whatever its length; without a fit, the difference as measured, the mean over groups.
        share: part of the step's own length; None where there is no fit, or none that can be.
        shortest, longest: seconds, the measured baseline steps; beyond these the cost is extrapolated.
        measured: the difference, seconds, of the group whose steps are nearest to the reference step, as measured.
        measured_step: seconds, that group's baseline step.
    """

    suite: str
    axis: str
    value: Any
    baseline: Any
    twin: bool
    where: Mapping[str, Any]
    groups: Sequence[str]
    left_out: Sequence[str]
    reference_step: float
    cost: Interval | None = None
    relative: Interval | None = None
    fixed: Interval | None = None
    share: Interval | None = None
    shortest: float | None = None
    longest: float | None = None

    measured: Interval | None = None
    measured_step: float | None = None

    @property
    def fitted(self) -> bool:
        """Whether the measured steps differ enough for a fit; else the difference is taken as the same everywhere."""
        return len(self.groups) > 1 and self.longest is not None and self.longest >= LEAST_SPAN * (self.shortest or 0.0)

    @property
    def extrapolated(self) -> bool:
        """Whether the reference step lies outside the measured ones."""
        return self._beyond(1.25)

    @property
    def outside(self) -> bool:
        """Whether it lies so far outside that nothing is said of it."""
        return self._beyond(REACH)

    @property
    def stated(self) -> bool:
        """Whether there is a cost for the reference step that may be stated and that can be."""
        return (
            self.cost is not None
            and self.relative is not None
            and not self.outside
            and not impossible(self.cost, self.reference_step)
            and not impossible(self.relative, 1.0)
        )

    @property
    def figure(self) -> tuple[Interval, float] | None:
        """What is told of it, seconds, and at which step: the cost at the reference step, or else as measured."""
        if self.stated and self.cost is not None:
            return self.cost, self.reference_step
        if self.measured is not None and self.measured_step is not None:
            return self.measured, self.measured_step
        return None

    def _beyond(self, factor: float) -> bool:
        return (
            self.shortest is not None
            and self.longest is not None
            and not self.shortest / factor <= self.reference_step <= factor * self.longest
        )


@dataclass(frozen=True)
class Model:
    """What one arm cost in each sweep, from which its cost at any step follows.

    Attributes:
        arm: the cost without figures, as `Cost` has them.
        fixed, share: of each sweep; shares are 0 without a fit.
        steps: seconds, the median baseline step of each group, by group.
        measured: the interval of the difference of each group.
        sets: of interpreters, of each sweep, where what it reads hangs on them; see `pairs.shared_sets`.
    """

    arm: Cost
    fixed: Sequence[float] = ()
    share: Sequence[float] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, Interval] = field(default_factory=dict)
    sets: Sequence[int] | None = None

    def at(self, step: float) -> Cost:
        """The cost at a step of so many seconds, as far as it may be stated."""
        if not self.fixed:
            return replace(self.arm, reference_step=step)
        shortest, longest = min(self.steps.values()), max(self.steps.values())
        near = min(self.steps, key=lambda group: abs(math.log(self.steps[group]) - math.log(step)))
        cost = replace(
            self.arm,
            reference_step=step,
            shortest=shortest,
            longest=longest,
            measured=self.measured[near],
            measured_step=self.steps[near],
        )
        share = interval_of_differences(self.share, sets=self.sets)
        if any(impossible(self._at(length), length) for length in (shortest, longest)):
            return cost  # the fit does not even hold where it was measured
        cost = replace(
            cost,
            fixed=interval_of_differences(
                self.fixed, sets=self.sets, layout=LAYOUT_SD * (shortest + abs(statistics.fmean(self.fixed)))
            ),
            share=share if cost.fitted and not impossible(share, 1.0) else None,
        )
        if cost.outside:
            return cost
        there = self._at(step)
        if impossible(there, step):
            return cost
        return replace(cost, cost=there, relative=self._at(step, over=step))

    def _at(self, step: float, *, over: float = 1.0) -> Interval:
        values = [(a + b * step) / over for a, b in zip(self.fixed, self.share, strict=True)]
        own = step / over + statistics.fmean(values)  # the arm's step
        return interval_of_differences(values, sets=self.sets, layout=LAYOUT_SD * abs(own))


def impossible(cost: Interval, step: float) -> bool:
    """Whether a cost says that a step of `step` seconds takes no time or less."""
    ends = (cost.estimate, cost.low, cost.high)
    return any(end is not None and end <= -step for end in ends)


def costs(plan: Mapping[str, Any], pairs: pd.DataFrame, reference_step: float) -> list[Cost]:
    """The cost of every arm and twin of every suite with a length axis, arms first.

    Args:
        plan: run.json's plan.
        pairs: `frame.pairs`.
        reference_step: seconds.
    """
    return [model.at(reference_step) for model in models(plan, pairs)]


# Launch, log ratio, difference and baseline step of one pair, and the set of interpreters that it hangs on, if it does.
_Row = tuple[int, float, float, float, int | None]


def models(plan: Mapping[str, Any], pairs: pd.DataFrame) -> list[Model]:
    """What `costs` are stated from, in the same order."""
    rows: dict[str, list[_Row]] = {}
    names = ("launch", "log_ratio", "difference", "baseline_step_time")
    for cell, columns in columns_by_cell(pairs, *names, "crossed", "set").items():
        sets: Sequence[int | None] = shared_sets(columns["crossed"], columns["set"]) or [None] * len(columns["set"])
        rows[cell] = list(zip(*(columns[name] for name in names), sets, strict=True))
    series: dict[str, dict[tuple[Any, ...], dict[str, str]]] = {
        name: {} for name, suite in plan["suites"].items() if suite["length_axis"] is not None
    }
    for cell in plan["cells"]:
        suite = plan["suites"][cell["suite"]]
        own = cell["suite"] in series and (cell["twin"] or cell["point"][suite["compare"]] != suite["baseline"])
        if own:
            axes = (suite["compare"], suite["length_axis"])
            where = tuple((axis, value) for axis, value in cell["point"].items() if axis not in axes)
            key = (cell["twin"], cell["point"][suite["compare"]], where)
            series[cell["suite"]].setdefault(key, {})[cell["group"]] = cell["id"]
    found = []
    for name, arms in series.items():
        suite = plan["suites"][name]
        for (twin, value, where), cells in sorted(arms.items(), key=lambda item: item[0][0]):
            used = {group: rows[cell] for group, cell in cells.items() if cell in rows}
            left_out = [group for group in cells if group not in used]
            arm = Cost(name, suite["compare"], value, suite["baseline"], twin, dict(where), list(used), left_out, 0.0)
            found.append(_model(arm, used) if used else Model(arm))
    return found


def _model(arm: Cost, rows: Mapping[str, Sequence[_Row]]) -> Model:
    steps = {group: statistics.median(row[3] for row in own) for group, own in rows.items()}
    measured = {
        group: interval_of_differences(
            [row[2] for row in own],
            sets=_sets([row[4] for row in own]),
            layout=LAYOUT_SD * statistics.median(row[3] + row[2] for row in own),  # of the arm's own step
        )
        for group, own in rows.items()
    }
    arm = replace(arm, shortest=min(steps.values()), longest=max(steps.values()))
    sweeps: dict[int, list[_Row]] = {}
    for own in rows.values():
        for row in own:
            sweeps.setdefault(row[0], []).append(row)
    # A sweep without one of the groups would fit another curve: groups that stopped early end the sweeps.
    whole = [sweeps[launch] for launch in sorted(sweeps) if len(sweeps[launch]) == len(rows)]
    if not whole:
        return Model(replace(arm, left_out=[*arm.left_out, *arm.groups], groups=[]))
    if arm.fitted:
        lines = [fitted_line([1 / row[3] for row in sweep], [math.expm1(row[1]) for row in sweep]) for sweep in whole]
    else:
        lines = [(statistics.fmean(row[2] for row in sweep), 0.0) for sweep in whole]
    sets = _sets([sweep[0][4] for sweep in whole])
    return Model(arm, [slope for slope, _ in lines], [level for _, level in lines], steps, measured, sets)


def _sets(numbers: Sequence[int | None]) -> list[int] | None:
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else None


def fitted_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept of the least-squares line; through the mean, level, where all x are the same."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((item - mean_x) ** 2 for item in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0
    return slope, mean_y - slope * mean_x
