"""What a step costs whoever trains, from the steps of turns: the mean, robustly, and beside it the typical step. Pure.

Users pay for the mean step: a loop whose every 20th step takes ten times as long is 45 % slower, and its median does
not move. But a mean of single steps is moved by whatever the machine does to some of them. So, of each arm of a launch:

- Rounds are taken relative to what the machine did in them, which is what both arms of a pair rose by.
- The first steps of a turn find cold caches. Each is taken relative to the usual step at its place in a turn, so that
  it tells of what hits certain steps, and nothing of the level. Levels are those of settled steps.
- What comes back every so many steps is found by its step numbers (`periods_of`), and has the median that its steps
  have.
- What remains is the mean with every step of more than two typical ones taken as two.

docs/methodology.md has the simulations; the arms of a launch are treated alike, so nothing here knows a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.results.record import Turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

# A launch of fewer rounds stays in the files but is not used: the median of 8 pairs has a standard error of 0.44 of
# their sd, that of the 2 or 3 pairs of a launch which was cut off would add more noise than the launch adds knowledge.
LEAST_ROUNDS = 8

# Settled steps of one arm that tell how its level drifts: where turns have fewer, some that follow each other are taken
# together.
BLOCK_STEPS = 12

# Steps that are not of a period count as this many typical ones at most.
WINSOR = 2.0

# Periods that are looked for, the share of steps that is called slow, and how often one may be found where there is
# none. Half of that is for 50 steps alone, after which Trainer logs (`log_every_n_steps`).
LONGEST_PERIOD = 100
USUAL_PERIOD = 50
SLOW = 0.1
CHANCE = 0.01
MOST_PERIODS = 3

# A turn in which the arm had less than this share of the processor that it usually has, and was pushed off it by force
# or robbed of it by the hypervisor, was disturbed from outside. Its round is left out, of all arms, unless more than
# MOST_CONTENDED of the rounds are such: then that is the machine, and they all count.
CONTENDED_SHARE = 0.9
MOST_CONTENDED = 0.25


@dataclass(frozen=True)
class Period:
    """What comes back in an arm.

    Attributes:
        every: steps.
        phases: the numbers of the steps, modulo `every`, that take longer.
        extra: how much longer each takes, over a typical step, the median.
    """

    every: int
    phases: tuple[int, ...]
    extra: float

    @property
    def share(self) -> float:
        """What it adds to the mean step, over a typical one."""
        return self.extra * len(self.phases) / self.every


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


class _Steps:
    """The steps of an arm's turns as columns."""

    def __init__(self, turns: Turns, rounds: Sequence[int] | None = None) -> None:
        import numpy as np

        kept = [n for n, number in enumerate(turns.round) if rounds is None or number in rounds]
        kept.sort(key=lambda n: turns.round[n])
        if turns.seconds and not (turns.whole or turns.behind):
            cold = turns.cold
            columns = [turns.seconds[n] for n in kept]
        else:  # of sums, and where only sums tell, all steps of a turn are alike
            cold = 0
            lengths, settled = turns.lengths, turns.settled
            columns = [(settled[n] / lengths[n],) * (1 if turns.whole else lengths[n]) for n in kept]
        began = turns.began or [turns.round[n] * count for n, count in enumerate(turns.taken)]
        counts = [len(column) for column in columns]
        place = [np.arange(count) for count in counts]
        self.block: Whole = np.repeat(np.arange(len(kept)), counts)
        self.place: Whole = np.concatenate(place)
        self.number: Whole = np.concatenate([began[n] + own for n, own in zip(kept, place, strict=True)])
        self.seconds: Floats = np.concatenate([np.asarray(column, dtype=np.float64) for column in columns])
        self.settled = self.place >= cold
        self.cold = cold
        self.turns = len(kept)

    def levels(self, blocks: Whole) -> Floats:
        """The median of the settled steps of each block of turns."""

        of_steps = blocks[self.block][self.settled]
        return _grouped_medians(self.seconds[self.settled], of_steps, int(blocks[-1]) + 1)

    def relative(self, machine: Floats) -> tuple[float, Floats]:
        """The typical step, seconds, and every step over the usual one at its place.

        Args:
            machine: of each turn, by what the machine made it longer.
        """
        import numpy as np

        level = self.seconds / machine[self.block]
        typical = float(np.median(level[self.settled]))
        level /= typical
        for place in range(self.cold):
            there = self.place == place
            level[there] /= np.median(level[there])
        return typical, level


def _grouped_medians(values: Floats, groups: Whole, count: int) -> Floats:
    """The median of the values of each group; groups are numbered from 0, in order, and none is empty."""
    import numpy as np

    order = np.lexsort((values, groups))
    ordered = values[order]
    ends = np.searchsorted(groups[order], np.arange(count + 1))
    sizes = np.diff(ends)
    low, high = ends[:-1] + (sizes - 1) // 2, ends[:-1] + sizes // 2
    middle: Floats = (ordered[low] + ordered[high]) / 2
    return middle


def _blocks(counts: Sequence[int]) -> Any:
    """Numbers of blocks of consecutive turns, of BLOCK_STEPS settled steps or more each."""
    import numpy as np

    numbers, block, filled = [], 0, 0
    for count in counts:
        numbers.append(block)
        filled += count
        if filled >= BLOCK_STEPS:
            block, filled = block + 1, 0
    if filled and block:  # the rest is too short to be one of its own
        numbers = [min(number, block - 1) for number in numbers]
    return np.asarray(numbers, dtype=np.int64)


def _machine(pair: Sequence[_Steps]) -> tuple[Floats, Sequence[Floats]]:
    """What the machine did to each round that a pair of arms took, and the level of each arm in each.

    What it does, it does to both, so it is the less of what their levels rose by: an event of one of them, which takes
    up half of a turn of two steps, is not taken for the machine's.
    """
    import numpy as np

    levels = [arm.levels(np.arange(arm.turns)) for arm in pair]
    rose: Floats = np.min([level / np.median(level) for level in levels], axis=0)
    return rose / np.median(rose), levels


def _own_drift(steps: _Steps) -> Floats:
    """The same of one arm alone: how the level of BLOCK_STEPS of its steps changes, which events do not move."""
    import numpy as np

    counts = np.bincount(steps.block[steps.settled], minlength=steps.turns)
    blocks = _blocks(counts.tolist())
    levels = steps.levels(blocks)
    relative: Floats = (levels / np.median(levels))[blocks]
    return relative


def contended_rounds(turns: Turns) -> frozenset[int]:
    """The rounds in which this arm was pushed off its processor; see CONTENDED_SHARE."""
    import numpy as np

    if not turns.round:
        return frozenset()
    share = np.asarray(turns.cpu, dtype=np.float64) / np.asarray(turns.entire)
    pushed = np.asarray(turns.involuntary, dtype=np.float64)
    outside = (pushed > np.median(pushed)) | (np.asarray(turns.stolen) > 0)
    found = (share < CONTENDED_SHARE * np.median(share)) & outside
    return frozenset(np.asarray(turns.round)[found].tolist())


def _kept(rounds: Sequence[int], arms: Sequence[Turns]) -> tuple[list[int], float]:
    """The rounds that count, and the share that was disturbed from outside."""
    bad = frozenset[int]().union(*(contended_rounds(turns) for turns in arms))
    hit = [number for number in rounds if number in bad]
    share = len(hit) / len(rounds) if rounds else 0.0
    left = [number for number in rounds if number not in bad]
    return (left if share <= MOST_CONTENDED and len(left) >= LEAST_ROUNDS else list(rounds)), share


def step_times(turns: Turns, periods: Sequence[Period] = ()) -> StepTimes:
    """What the steps of one arm in one launch took.

    Args:
        periods: of the arm, from all its launches.

    Raises:
        ValueError: there is no turn.
    """
    import numpy as np

    if not turns.round:
        raise ValueError("step times need turns; there is none")
    rounds, contended = _kept(sorted(turns.round), [turns])
    steps = _Steps(turns, rounds)
    typical, relative = steps.relative(np.ones(steps.turns))
    settled = relative[steps.settled]
    p95, p99 = (typical * float(np.quantile(settled, share)) for share in (0.95, 0.99))
    mean = typical * _mean(steps, relative, periods)
    return StepTimes(mean, typical, p95, p99, len(settled), contended)


def launch_ratios(
    arm: Turns, baseline: Turns, periods: tuple[Sequence[Period], Sequence[Period]] = ((), ())
) -> LaunchRatios:
    """An arm over its baseline in one launch, from the rounds that both took.

    Args:
        periods: of the arm and of the baseline, from all launches.

    Raises:
        ValueError: there is no such round.
    """
    import numpy as np

    both = sorted(set(arm.round) & set(baseline.round))
    if not both:
        raise ValueError("a ratio needs rounds that both arms took; there is none")
    rounds, contended = _kept(both, [arm, baseline])
    kept = frozenset(rounds)
    pair = [_Steps(turns, list(kept)) for turns in (arm, baseline)]
    machine, levels = _machine(pair)
    typical, means = [], []
    for steps, own in zip(pair, periods, strict=True):
        level, relative = steps.relative(machine)
        typical.append(math.log(level))
        means.append(math.log(level * _mean(steps, relative, own)))
    apart = np.log(levels[0] / levels[1])
    error = float(np.std(apart, ddof=1) / math.sqrt(len(apart))) if len(apart) > 1 else math.nan
    return LaunchRatios(
        typical=typical[0] - typical[1],
        mean=means[0] - means[1],
        step=math.exp(means[1]),
        error=error,
        unsettled=_unsettled(pair, machine),
        rounds=len(both),
        contended=contended,
    )


def _mean(steps: _Steps, relative: Any, periods: Sequence[Period]) -> float:
    """The mean step over the typical one."""
    import numpy as np

    rest, more = relative.copy(), 0.0
    for period in periods:
        hit = np.isin(steps.number % period.every, period.phases)
        extra = float(np.median(rest[hit])) - 1.0 if hit.any() else period.extra
        rest[hit] -= extra
        more += extra * len(period.phases) / period.every
    return more + float(np.minimum(rest[steps.settled], WINSOR).mean())


def _unsettled(pair: Sequence[_Steps], machine: Any) -> float:
    import numpy as np

    logs = []
    for steps in pair:
        ends = np.bincount(steps.block, minlength=steps.turns)
        middle = (steps.cold + ends[steps.block]) / 2
        level = steps.seconds / machine[steps.block]
        early, late = (level[steps.settled & side] for side in (steps.place < middle, steps.place >= middle))
        if not steps.cold or not len(early) or not len(late):
            return 0.0
        logs.append(math.log(float(np.median(early)) / float(np.median(late))))
    return logs[0] - logs[1]


def periods_of(launches: Sequence[Turns]) -> tuple[Period, ...]:
    """What comes back every so many steps of an arm, from all its launches.

    A tenth of a launch's steps are called slow. Were it left to chance which these are, the slow ones among the steps
    of one phase of one period would be binomial; that is the permutation test's own distribution, so none is permuted.
    The smallest p over all periods and phases is held against CHANCE over their number.
    """
    import numpy as np

    numbers: list[Whole] = []
    values: list[Floats] = []
    for turns in launches:
        if not turns.seconds or turns.whole or turns.behind:
            continue  # sums tell nothing of single steps
        steps = _Steps(turns)
        numbers.append(steps.number)
        values.append(steps.relative(_own_drift(steps))[1])
    if not numbers:
        return ()
    number = np.concatenate(numbers)
    found: list[Period] = []
    free = np.ones(len(number), dtype=bool)  # steps that no period has
    while len(found) < MOST_PERIODS:
        slow = np.zeros(len(number))
        start = 0
        for own in values:
            there = slice(start, start + len(own))
            open_ = own[free[there]]
            if len(open_):
                slow[there] = own > np.quantile(open_, 1 - SLOW)
            start += len(own)
        period = _strongest(number[free], slow[free])
        if period is None:
            break
        every, phases = period
        hit = np.isin(number % every, phases) & free
        extra = float(np.median(np.concatenate(values)[hit])) - 1.0
        if extra > 0:
            found.append(Period(every, phases, extra))
        free &= ~hit
    return tuple(found)


def _strongest(number: Any, slow: Any) -> tuple[int, tuple[int, ...]] | None:
    """The period of the least p, and its phases; None where that may be chance."""
    import numpy as np
    from scipy.special import betainc

    if not len(number):
        return None
    best: tuple[float, int, Any] = (1.0, 0, None)
    longest = min(LONGEST_PERIOD, len(number) // 3)
    rate = float(slow.mean())
    tests = sum(range(2, longest + 1))
    for every in range(2, longest + 1):
        phase = number % every
        there = np.bincount(phase, minlength=every).astype(np.float64)
        hits = np.bincount(phase, weights=slow, minlength=every)
        p = np.where(hits > 0, betainc(np.maximum(hits, 1), there - hits + 1, rate), 1.0)
        allowed = CHANCE / 2 / (every if every == USUAL_PERIOD else tests)
        weighed = float(p.min()) / allowed
        if weighed < best[0]:
            best = (weighed, every, p)
    if not best[1]:
        return None
    _, every, p = best
    chosen = np.flatnonzero(p <= max(float(p.min()), CHANCE / 2 / (every if every == USUAL_PERIOD else tests)))
    return every, tuple(chosen.tolist())
