"""What a step costs whoever trains, from the steps of turns: the mean, robustly, and beside it the typical step. Pure.

Users pay for the mean step: a loop whose every 20th step takes ten times as long is 45 % slower, and its median does
not move. But a mean of single steps is moved by whatever the machine does to some of them. So, of each arm of a launch:

- Rounds are taken relative to what the machine did in them, which is what both arms of a pair rose by.
- The first steps of a turn find cold caches. Of each, what the usual step at its place in a turn takes longer is taken
  off, so that it tells of what hits certain steps, and nothing of the level. Levels are those of settled steps.
- What comes back every so many steps is found by its step numbers (`periods_of`), and has the median that its steps
  have.
- What remains is the mean with every step of more than two typical ones taken as two, unless one arm has more of them
  than chance gives it (`longest_counted`).

docs/methodology.md has the simulations; the arms of a launch are treated alike, so nothing here knows a baseline.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.results.turns import Turns
from bench.stats.periods import Period, periods_of
from bench.stats.step_columns import StepColumns, columns_of, mean_of, median_of, quantile_of_sorted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A launch of fewer rounds stays in the files but is not used: rounds of some dozen steps each have a standard error of
# their middle of 0.5 of their sd at 6; that of the 2 or 3 pairs of a launch which was cut off would add more noise than
# the launch adds knowledge. 6 rounds are one balanced block of three arms.
LEAST_ROUNDS = 6

# Steps that are not of a period count as this many typical ones at most.
WINSOR = 2.0

# How often chance may give one arm so many more long steps than the other that they are taken for its own.
OWN_EVENTS = 0.001

# A turn in which the arm had less than this share of the processor that it usually has, and was pushed off it by force
# or robbed of it by the hypervisor, was disturbed from outside. Its round is left out, of all arms, unless more than
# MOST_CONTENDED of the rounds are such: then that is the machine, and they all count.
CONTENDED_SHARE = 0.9
MOST_CONTENDED = 0.25


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The steps of one arm in one launch, seconds.

    Attributes:
        mean, typical: the mean and the median step.
        p95, p99: that so many of 100 steps are not longer than.
        steps: how many settled ones it rests on.
        contended: share of its rounds that were disturbed from outside.
    """

    mean: float
    typical: float
    p95: float
    p99: float
    steps: int
    contended: float


@dataclass(frozen=True, slots=True)
class LaunchRatios:
    """An arm over another in one launch, as logs.

    Attributes:
        typical, mean: of the median and of the mean step.
        step: seconds of the baseline's mean step, relative to what the machine did as `mean` is.
        error: standard error of `typical` within the launch, from its rounds.
        unsettled: what the ratio of the first half of the settled steps of turns is over that of the second half: how
            far they may not be settled. 0 where turns are too short to tell.
        rounds: that both took.
        contended: share of these that was disturbed from outside.
    """

    typical: float
    mean: float
    step: float
    error: float
    unsettled: float
    rounds: int
    contended: float

    @property
    def difference(self) -> float:
        """Seconds by which the arm's mean step is longer."""
        return self.step * math.expm1(self.mean)


def machine_of_pair(pair: Sequence[StepColumns]) -> tuple[Floats, Sequence[Floats]]:
    """What the machine did to each round that a pair of arms took, and the level of each arm in each.

    What it does, it does to both, so it is the less of what their levels rose by: an event of one of them, which takes
    up half of a turn of two steps, is not taken for the machine's.
    """
    import numpy as np

    levels = [arm.levels_of_turns for arm in pair]
    rose: Floats = np.min([level / median_of(level) for level in levels], axis=0)
    return rose / median_of(rose), levels


def contended_rounds(turns: Turns) -> frozenset[int]:
    """The rounds in which this arm was pushed off its processor; see CONTENDED_SHARE."""
    if not turns.round:
        return frozenset()
    columns = columns_of(turns)
    if columns.contended is None:
        columns.contended = _contended(turns)
    return columns.contended


def _contended(turns: Turns) -> frozenset[int]:
    share = [cpu / entire for cpu, entire in zip(turns.cpu, turns.entire, strict=True)]
    least, usual = CONTENDED_SHARE * statistics.median(share), statistics.median(turns.involuntary)
    columns = zip(turns.round, share, turns.involuntary, turns.stolen, strict=True)
    return frozenset(
        number for number, own, pushed, stolen in columns if own < least and (pushed > usual or stolen > 0)
    )


def kept_rounds(rounds: Sequence[int], arms: Sequence[Turns]) -> tuple[list[int], float]:
    """The rounds that count, and the share that was disturbed from outside."""
    bad = frozenset[int]().union(*(contended_rounds(turns) for turns in arms))
    hit = [number for number in rounds if number in bad]
    share = len(hit) / len(rounds) if rounds else 0.0
    left = [number for number in rounds if number not in bad]
    return (left if share <= MOST_CONTENDED and len(left) >= LEAST_ROUNDS else list(rounds)), share


def step_times(turns: Turns, periods: Sequence[Period] = (), *, most: float = WINSOR) -> StepTimes:
    """What the steps of one arm in one launch took.

    Args:
        periods: of the arm, from all its launches.
        most: typical steps that one which is of no period counts for; `longest_counted` tells.

    Raises:
        ValueError: there is no turn.
    """
    import numpy as np

    if not turns.round:
        raise ValueError("step times need turns; there is none")
    rounds, contended = kept_rounds(sorted(turns.round), [turns])
    steps = columns_of(turns, rounds)
    typical, relative = steps.as_taken
    settled = relative[steps.settled]
    ordered = np.sort(settled)
    p95, p99 = (typical * quantile_of_sorted(ordered, share) for share in (0.95, 0.99))
    mean = typical * _mean(steps, relative, periods, most)
    return StepTimes(mean, typical, p95, p99, len(settled), contended)


def launch_ratios(
    arm: Turns,
    baseline: Turns,
    periods: tuple[Sequence[Period], Sequence[Period]] = ((), ()),
    *,
    most: float = WINSOR,
) -> LaunchRatios:
    """An arm over its baseline in one launch, from the rounds that both took.

    Args:
        periods: of the arm and of the baseline, from all launches.
        most: typical steps that one which is of no period counts for, in both arms.

    Raises:
        ValueError: there is no such round.
    """
    import numpy as np

    both = sorted(arm.round if arm.round == baseline.round else set(arm.round) & set(baseline.round))
    if not both:
        raise ValueError("a ratio needs rounds that both arms took; there is none")
    rounds, contended = kept_rounds(both, [arm, baseline])
    kept = frozenset(rounds)
    pair = [columns_of(turns, list(kept)) for turns in (arm, baseline)]
    machine, levels = machine_of_pair(pair)
    typical, means = [], []
    for steps, own in zip(pair, periods, strict=True):
        level, relative = steps.relative(machine)
        typical.append(math.log(level))
        means.append(math.log(level * _mean(steps, relative, own, most)))
    apart = np.log(levels[0] / levels[1])
    error = _sd(apart) / math.sqrt(len(apart)) if len(apart) > 1 else math.nan
    return LaunchRatios(
        typical=typical[0] - typical[1],
        mean=means[0] - means[1],
        step=math.exp(means[1]),
        error=error,
        unsettled=_unsettled(pair, machine),
        rounds=len(both),
        contended=contended,
    )


@dataclass(frozen=True)
class PairRatios:
    """An arm over its baseline in all launches.

    Attributes:
        launches: of each pair of turns, in their order.
        most: typical steps that one which is of no period counts for; see `longest_counted`.
    """

    launches: tuple[LaunchRatios, ...]
    most: float


def pair_ratios(
    pairs: Sequence[tuple[Turns, Turns]], periods: tuple[Sequence[Period], Sequence[Period]] | None = None
) -> PairRatios:
    """An arm over its baseline, launch by launch; what is told of single steps is known from all launches.

    Args:
        pairs: the arm's and the baseline's turns in each launch.
        periods: of both, where they are known already.
    """
    arms, bases = [one for one, _ in pairs], [other for _, other in pairs]
    known = periods or (periods_of(arms), periods_of(bases))
    most = longest_counted(arms, bases, known)
    return PairRatios(tuple(launch_ratios(one, other, known, most=most) for one, other in pairs), most)


def longest_counted(
    arms: Sequence[Turns], bases: Sequence[Turns], periods: tuple[Sequence[Period], Sequence[Period]] = ((), ())
) -> float:
    """Typical steps that a long step of no period counts for: WINSOR, or all that it took (infinity).

    Long steps that both arms have are the machine's, and their number is luck. Where one arm has more of them than
    chance gives it, they are what it does, and whoever trains with it pays for them. Long steps in a row are one event.
    """
    one, other = (long_events(own, known) for own, known in zip((arms, bases), periods, strict=True))
    return longest_of_events(one, other)


def longest_of_events(one: tuple[int, int], other: tuple[int, int]) -> float:
    """The same of two arms' `long_events`."""
    from scipy.special import betainc

    (many, steps), (few, others) = one, other
    if many * others < few * steps:
        many, steps, few, others = few, others, many, steps
    if not many:
        return WINSOR
    chance = 2 * float(betainc(many, few + 1, steps / (steps + others)))
    return math.inf if chance < OWN_EVENTS else WINSOR


def long_events(launches: Sequence[Turns], periods: Sequence[Period]) -> tuple[int, int]:
    """Runs of settled steps beyond WINSOR that are of no period, and settled steps in all."""
    import numpy as np

    events = counted = 0
    for turns in launches:
        if not turns.round:
            continue
        steps = columns_of(turns)
        _, relative = steps.as_taken
        free = steps.settled.copy()
        for period in periods:
            free &= ~np.isin(steps.number % period.every, period.phases)
        long = free & (relative > WINSOR)
        events += int(np.count_nonzero(long[1:] & ~long[:-1])) + int(long[0])
        counted += int(np.count_nonzero(free))
    return events, counted


def _sd(values: Floats) -> float:
    """What np.std gives of a sample, bit for bit, in a third of its time for a dozen values."""
    import numpy as np

    apart = values - np.add.reduce(values) / len(values)
    return math.sqrt(np.add.reduce(apart * apart) / (len(values) - 1))


def _mean(steps: StepColumns, relative: Any, periods: Sequence[Period], most: float) -> float:
    """The mean step over the typical one."""
    rest, extras = folded(steps, relative, periods, most)
    return rest + sum(extra * len(period.phases) / period.every for extra, period in zip(extras, periods, strict=True))


def folded(
    steps: StepColumns, relative: Any, periods: Sequence[Period], most: float
) -> tuple[float, tuple[float, ...]]:
    """The mean step without what comes back, over the typical one, and how much longer each that comes back takes."""
    import numpy as np

    if not periods:
        return mean_of(np.minimum(relative[steps.settled], most)), ()
    rest, extras = relative.copy(), []
    for period in periods:
        hit = np.isin(steps.number % period.every, period.phases)
        extras.append(median_of(rest[hit]) - 1.0 if hit.any() else period.extra)
        rest[hit] -= extras[-1]
    return float(np.minimum(rest[steps.settled], most).mean()), tuple(extras)


def _unsettled(pair: Sequence[StepColumns], machine: Any) -> float:

    logs = []
    for steps in pair:
        level = steps.seconds / machine[steps.block]
        early, late = (level[side] for side in steps.halves)
        if not steps.cold or not len(early) or not len(late):
            return 0.0
        logs.append(math.log(median_of(early) / median_of(late)))
    return logs[0] - logs[1]
