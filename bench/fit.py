"""What an arm costs a step, from groups that differ only in the length of their steps. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.intervals import Interval, interval_of_differences


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
        groups: the groups that it rests on; with one only, the difference is taken as it is and share is None.
        left_out: groups in which the arm has no ratio.
        reference_step: seconds.
        cost: seconds at the reference step. None, with all that follow, if the arm has no ratio anywhere.
        relative: cost over reference_step.
        fixed: seconds a step whatever its length.
        share: part of the step's own length.
        shortest, longest: seconds, the measured baseline steps; beyond these the cost is extrapolated.
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

    @property
    def extrapolated(self) -> bool:
        """Whether the reference step lies outside the measured ones."""
        return (
            self.shortest is not None
            and self.longest is not None
            and not 0.8 * self.shortest <= self.reference_step <= 1.25 * self.longest
        )


def costs(plan: Mapping[str, Any], pairs: pd.DataFrame, reference_step: float) -> list[Cost]:
    """The cost of every arm and twin of every suite with a length axis, arms first.

    Args:
        plan: run.json's plan.
        pairs: `frame.pairs`.
        reference_step: seconds.
    """
    found = []
    for name, suite in plan["suites"].items():
        if suite["length_axis"] is None:
            continue
        series: dict[tuple[Any, ...], dict[str, str]] = {}
        for cell in plan["cells"]:
            own = cell["suite"] == name
            if own and (cell["twin"] or cell["point"][suite["compare"]] != suite["baseline"]):
                where = {
                    axis: value
                    for axis, value in cell["point"].items()
                    if axis not in (suite["compare"], suite["length_axis"])
                }
                key = (cell["twin"], cell["point"][suite["compare"]], tuple(where.items()))
                series.setdefault(key, {})[cell["group"]] = cell["id"]
        for twin, value, where_items in sorted(series, key=lambda key: key[0]):
            cells = series[twin, value, where_items]
            rows = pairs[pairs["cell"].isin(list(cells.values()))]
            used = [group for group in cells if group in set(rows["group"])]
            cost = Cost(
                name,
                suite["compare"],
                value,
                suite["baseline"],
                twin,
                dict(where_items),
                used,
                [group for group in cells if group not in used],
                reference_step,
            )
            found.append(_fitted(cost, rows) if used else cost)
    return found


def _fitted(cost: Cost, rows: pd.DataFrame) -> Cost:
    step = cost.reference_step
    fixed: list[float] = []
    share: list[float] = []
    for _, sweep in rows.groupby("launch", sort=True):
        # A sweep without one of the groups would fit another curve: groups that stopped early end the sweeps.
        if len(sweep) < len(cost.groups):
            continue
        if len(cost.groups) == 1:
            fixed.append(float(sweep["difference"].iloc[0]))
            share.append(0.0)
            continue
        slope, intercept = line(
            [1 / seconds for seconds in sweep["baseline_step_time"]], [math.expm1(log) for log in sweep["log_ratio"]]
        )
        fixed.append(slope)
        share.append(intercept)
    steps = rows.groupby("group")["baseline_step_time"].median()
    values = {**vars(cost), "shortest": float(steps.min()), "longest": float(steps.max())}
    if not fixed:
        return Cost(**{**values, "left_out": [*cost.left_out, *cost.groups], "groups": []})
    whole = [a + b * step for a, b in zip(fixed, share, strict=True)]
    return Cost(
        **{
            **values,
            "cost": interval_of_differences(whole),
            "relative": interval_of_differences([seconds / step for seconds in whole]),
            "fixed": interval_of_differences(fixed),
            "share": interval_of_differences(share) if len(cost.groups) > 1 else None,
        }
    )


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept of the least-squares line; through the mean, level, where all x are the same."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((item - mean_x) ** 2 for item in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread if spread else 0.0
    return slope, mean_y - slope * mean_x
