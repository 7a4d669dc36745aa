"""What each launch of a cell gave, by the launch's number, for claims that pair more than a cell and its baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

STARTS = ("time_to_first_step", "time_to_first_step_cold", "time_to_first_step_warm")


@dataclass
class LaunchValues:
    """One cell, by launch.

    Attributes:
        log_work: the log of the time for the same work over the baseline's: a step, or a sample where steps have not as
            many of them.
        difference: seconds a step more than the baseline.
        starts: seconds until the first step was done, by metric.
    """

    log_work: dict[int, float] = field(default_factory=dict)
    difference: dict[int, float] = field(default_factory=dict)
    starts: dict[str, dict[int, float]] = field(default_factory=dict)


def by_launch(
    pairs: pd.DataFrame, launches: pd.DataFrame, samples: Mapping[tuple[str, int], float]
) -> dict[str, LaunchValues]:
    """Every cell that has any.

    Args:
        pairs, launches: as `frames` makes them.
        samples: a step, by cell and launch, where they were counted.
    """
    found: dict[str, LaunchValues] = {}
    names = ("cell", "baseline", "launch", "log_ratio", "difference")
    for cell, baseline, launch, log, difference in zip(*(pairs[name].tolist() for name in names), strict=True):
        own = found.setdefault(cell, LaunchValues())
        mine, theirs = samples.get((cell, launch)), samples.get((baseline, launch))
        own.log_work[launch] = log - (math.log(mine / theirs) if mine and theirs else 0.0)
        own.difference[launch] = difference
    starts = launches[~launches["instrumented"] & launches["metric"].isin(STARTS)]
    columns = (starts[name].tolist() for name in ("cell", "metric", "launch", "value"))
    for cell, metric, launch, value in zip(*columns, strict=True):
        found.setdefault(cell, LaunchValues()).starts.setdefault(metric, {})[launch] = value
    return found
