"""Steps that change within a launch: slopes of time and memory over the loop's own steps, and when they matter. Pure.

A launch gives one slope (Theil-Sen: the median of the slopes of all pairs, which spikes do not move, nor does a jump in
part of the launch), launches give its interval, and steps drift when that would change a figure with the budget.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bench.results.turns import Turns
from bench.stats.intervals import Interval, interval_of_differences
from bench.stats.step_columns import median_of
from bench.stats.step_times import LEAST_ROUNDS

# A launch's turns are put into so many blocks of consecutive ones, each by its medians: 496 pairs, however long it is.
BLOCKS = 32

# Points of a launch that tells of its steps' time: turns, or up to PARTS parts of turns, of PART counted steps or more
# each. In a tenth of a second, a dozen short turns, what settles after the warm-up looks like what goes on.
DRIFT_POINTS = 12
PARTS, PART = 3, 2

# Launches that tell of it. Of 2 the interval is narrow by luck in one of a hundred, and a gate asks after each launch:
# one of three arms alike was `drifting` after 2, in 10 gates of launches of 0.7 s.
DRIFT_LAUNCHES = 3

# What is claimed spoils a cell, and of a baseline its whole group, so it takes more than the interval that is printed:
# with 95 % one group in 20 of two launches would be spoiled on a machine that drifts by itself.
SURE = 0.99

# A step time that changes by less within a whole launch is not known better than that on most machines.
MATERIAL_TIME = 0.02

# Memory that grows by this share of all that a process has, in the seconds of a launch, has doubled in minutes. Sound
# training grew by 0.01 % of it in launches of a hundred steps, on the machine tried.
MATERIAL_MEMORY = 0.01

# What levels off, as caches, clocks and allocators do, has no slope that a longer launch would go on with: at its end a
# launch must change at half its pace or more. Approach by an exponential of a third of the launch has 0.4 of it.
GOES_ON = 0.5

# Relative to the baseline an arm's steps scatter as both do. Where that is twice as much as by themselves, it is the
# baseline's noise that would be told as the arm's, and the arm is judged by itself.
OWN_SCATTER = 0.5

PER = 100  # steps, for which slopes of time are told


@dataclass(frozen=True)
class LaunchSlope:
    """What changed within one launch.

    Attributes:
        slope: change a step.
        pace: the same over the whole launch, or over what `slope` is of where that is more.
        later: the same at its end: over the later half of what `slope` is of.
        level: what it was in the middle, the median over the turns.
        steps: from the first turn to the last.
        scatter: how far values lie from the line, as a share of the level, the median.
    """

    slope: float
    pace: float
    later: float
    level: float
    steps: int
    scatter: float = 0.0


@dataclass(frozen=True)
class Drift:
    """What changes within launches, over all of them.

    Attributes:
        unit: of the slope, for one step.
        estimate, low, high: change a step, with its 95 % interval over launches.
        launches: how many it rests on.
        level: what it is in the middle of a launch.
        steps: of a launch, from its first turn to its last.
        material: whether it surely goes on and would change the level by more than is told of nothing.
    """

    unit: str
    estimate: float
    low: float | None
    high: float | None
    launches: int
    level: float
    steps: float
    material: bool


def theil_sen(places: Sequence[float], values: Sequence[float]) -> float:
    """The median of the slopes of all pairs; 0 where there is no pair."""
    import numpy as np

    if min(values, default=0) == max(values, default=0):
        return 0.0
    place, value = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    first, second = _pairs(len(place))
    apart, more = place[second] - place[first], value[second] - value[first]
    if not apart.all():
        apart, more = apart[apart != 0], more[apart != 0]
    return median_of(more / apart) if len(apart) else 0.0


@cache
def _pairs(count: int) -> Any:
    """The numbers of all pairs of so many points."""
    import numpy as np

    return np.triu_indices(count, 1)


def in_blocks(values: Sequence[float]) -> list[float]:
    """Medians of at most BLOCKS runs of consecutive values, of nearly equal length."""
    if len(values) <= BLOCKS:
        return list(values)
    count = BLOCKS
    ends = [round(number * len(values) / count) for number in range(count + 1)]
    return [_median(values[start:end]) for start, end in itertools.pairwise(ends)]


_Points = dict[tuple[int, int], tuple[float, float]]


def time_slope(
    turns: Turns, baseline: Turns | None = None, known: dict[int, _Points] | None = None
) -> LaunchSlope | None:
    """How an arm's step time changes within a launch, in seconds a step as its turns took them; None of too few rounds.

    Args:
        baseline: the turns of a baseline that does not drift: each round is then taken relative to it, which takes out
            what the machine did to both.
        known: points of turns, by their identity; those that are made are put there.
    """
    known = {} if known is None else known
    for one in filter(None, (turns, baseline)):
        if id(one) not in known:
            known[id(one)] = _points(one)
    points = known[id(turns)]
    if baseline is None:
        chosen = list(points.values())
    else:
        base = {part: level for part, (_, level) in known[id(baseline)].items()}
        middle = _median([*base.values()]) if base else 0.0
        chosen = [(at, level * middle / base[part]) for part, (at, level) in points.items() if base.get(part)]
    if len(chosen) < DRIFT_POINTS:
        return None
    places, values = in_blocks([at for at, _ in chosen]), in_blocks([level for _, level in chosen])
    half, slope = len(values) // 2, theil_sen(places, values)
    level = _median(values)
    above = [value - slope * place for place, value in zip(places, values, strict=True)]
    start = _median(above)
    return LaunchSlope(
        slope,
        slope,
        theil_sen(places[half:], values[half:]),
        level,
        round(chosen[-1][0] - chosen[0][0]),
        _median(abs(value - start) for value in above) / level,
    )


def memory_slope(turns: Turns, column: Sequence[int]) -> LaunchSlope | None:
    """By how much memory grows within a launch, in bytes a step; None where it was not read, or in too few rounds.

    Two things grow without leaking. What is collected from time to time falls back, so growth is that of the least that
    is held from a turn on, and of the most that was held up to it, whichever is less. And allocators fill up at first,
    so only the later half of the launch is asked.
    """
    if len(column) < LEAST_ROUNDS or not any(column):
        return None
    least = list(itertools.accumulate(reversed(column), min))[::-1]
    most = list(itertools.accumulate(column, max))
    # Memory is read after a turn.
    began = [start + taken for start, taken in zip(_began(turns), turns.taken, strict=True)]
    starts = (len(column) * quarter // 4 for quarter in (0, 2, 3))
    whole, slope, later = (min(_slope_from(start, began, edge) for edge in (least, most)) for start in starts)
    return LaunchSlope(slope, max(whole, slope), later, _median(column), round(began[-1] - began[0]))


def _slope_from(start: int, places: Sequence[float], values: Sequence[float]) -> float:
    return theil_sen(in_blocks(places[start:]), in_blocks(values[start:]))


def _began(turns: Turns) -> Sequence[float]:
    """Steps before each turn; older records have none, and there the first turn is at 0, which moves no slope."""
    return turns.began or [number * taken for number, taken in zip(turns.round, turns.taken, strict=True)]


def _points(turns: Turns) -> _Points:
    """The steps before each turn and the seconds of its counted steps, by round and part: turns of many steps have
    several parts, so that a launch of few long turns tells as much as one of many short ones."""
    found: _Points = {}
    began, settled, lengths = _began(turns), turns.settled, turns.lengths
    for number, round_ in enumerate(turns.round):
        parts = min(PARTS, lengths[number] // PART)
        if parts < 2 or not turns.seconds or turns.whole or turns.behind:
            found[round_, 0] = began[number], settled[number] / lengths[number]
            continue
        steps = turns.seconds[number][turns.cold :]
        ends = [round(part * len(steps) / parts) for part in range(parts + 1)]
        for part, (start, end) in enumerate(itertools.pairwise(ends)):
            found[round_, part] = began[number] + start, _median(steps[start:end])
    return found


def _median(values: Iterable[float]) -> float:
    """What statistics.median gives of a handful, in half of its time."""
    ordered = sorted(values)
    count = len(ordered)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def drift_of_launches(slopes: Sequence[LaunchSlope | None], unit: str, least: float) -> Drift | None:
    """What the launches' slopes come to; None of none.

    Args:
        least: the share of the level by which a launch must surely change it, to be material.
    """
    known = [slope for slope in slopes if slope is not None]
    if not known:
        return None
    values = [slope.slope for slope in known]
    shown = interval_of_differences(values)
    level = _median(slope.level for slope in known)
    steps = _median(slope.steps for slope in known)
    pace, later = (_median(column) for column in zip(*((one.pace, one.later) for one in known), strict=True))
    goes_on = later * shown.estimate > 0 and abs(later) >= GOES_ON * abs(pace)
    material = goes_on and surely(interval_of_differences(values, SURE)) * steps > least * level
    return Drift(unit, shown.estimate, shown.low, shown.high, shown.launches, level, steps, material)


def surely(interval: Interval) -> float:
    """How far from 0 all of the interval lies; 0 where it holds 0, or is none."""
    if interval.low is None or interval.high is None or interval.contains(0.0):
        return 0.0
    return min(abs(interval.low), abs(interval.high))


def drifts_of_group(
    launches: Sequence[tuple[Turns | None, Turns | None]], *, steady: bool, known: dict[int, _Points] | None = None
) -> Drift | None:
    """How the step time of a cell changes, from its launches.

    Args:
        launches: the turns of the cell and of its baseline in each.
        steady: whether the baseline does not drift. Then only what the cell does otherwise is its own; else, and for
            the baseline itself, its own time is judged: a machine that changes does so otherwise in each launch.
        known: as `time_slope` takes it, for the group's other cells.
    """
    known = {} if known is None else known
    alone = [time_slope(turns, None, known) for turns, _ in launches if turns is not None]
    paired = [
        time_slope(turns, base, known) for turns, base in launches if steady and turns is not None and base is not None
    ]
    one, other = ([slope.scatter for slope in slopes if slope is not None] for slopes in (alone, paired))
    best = paired if other and _median(one) > OWN_SCATTER * _median(other) else alone
    found = drift_of_launches(best, "s", MATERIAL_TIME)
    return found and replace(found, material=found.material and found.launches >= DRIFT_LAUNCHES)


def drift_reason(drift: Drift) -> str:
    """Why there is no ratio, as a clause; percentages are of the step time."""
    share = 100 * PER / drift.level
    ends = [end for end in (drift.low, drift.high) if end is not None]
    low, high = sorted(ends) if len(ends) == 2 else (drift.estimate, drift.estimate)
    word = "slower" if drift.estimate > 0 else "faster"
    return (
        f"its steps get {word}: {share * drift.estimate:+.2g} % [{share * low:.2g}, {share * high:.2g}] every {PER} "
        "steps, so a ratio would depend on how long one measures"
    )
