"""What comes back in an arm every so many steps, found by the numbers of its steps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bench.results.turns import Turns
from bench.stats.step_columns import StepColumns, columns_of, median_of, middle_of_sorted, quantile_of_sorted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

# Settled steps of one arm that tell how its level drifts: where turns have fewer, some that follow each other are taken
# together.
BLOCK_STEPS = 12

# Periods that are looked for, the share of steps that is called slow, and how often one may be found where there is
# none. Half of that is for 50 steps alone, after which Trainer logs (`log_every_n_steps`).
LONGEST_PERIOD = 100
USUAL_PERIOD = 50
SLOW = 0.1
CHANCE = 0.01
MOST_PERIODS = 3


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
        steps = columns_of(turns)
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
            open_ = np.sort(own[free[there]])
            if len(open_):
                edge = quantile_of_sorted(open_, 1 - SLOW)
                slow[there] = own >= edge if edge > middle_of_sorted(open_) else own > edge
            start += len(own)
        period = strongest_period(number[free], slow[free])
        if period is None:
            break
        every, phases = period
        hit = np.isin(number % every, phases) & free
        extra = float(np.median(np.concatenate(values)[hit])) - 1.0
        if extra > 0:
            found.append(Period(every, phases, extra))
        free &= ~hit
    return tuple(found)


def strongest_period(number: Whole, slow: Floats) -> tuple[int, tuple[int, ...]] | None:
    """The period of the least p, and its phases; None where that may be chance.

    Args:
        number: of each step, in its loop.
        slow: 1.0 for each that is called slow, else 0.0.
    """
    import numpy as np
    from scipy.special import betainc

    if not len(number):
        return None
    longest = min(LONGEST_PERIOD, len(number) // 3)
    if longest < 2:
        return None
    rate = float(slow.mean())
    # Launches have the same numbers again and again, and the arms of a group all of them: each is counted once.
    steps = int(number.max()) + 1
    table = _phases_of_steps(steps, longest)
    there = _counts_of_phases(number.tobytes(), steps, longest)
    weights = np.bincount(number, weights=slow, minlength=steps)
    struck = np.flatnonzero(weights)
    hits = np.bincount(
        table.phase[:, struck].ravel(), weights=np.tile(weights[struck], longest - 1), minlength=len(there)
    ).astype(np.int64)
    # Of thousands of phases few differ in their counts, and each count's chance takes a microsecond.
    most = int(hits.max()) + 1
    pairs, place = np.unique(there * most + hits, return_inverse=True)
    there_once, hits_once = np.divmod(pairs, most)
    chance = np.where(hits_once > 0, betainc(np.maximum(hits_once, 1), there_once - hits_once + 1, rate), 1.0)
    p = chance[place]
    allowed = np.full(longest - 1, CHANCE / 2 / sum(range(2, longest + 1)))
    if longest >= USUAL_PERIOD:
        allowed[USUAL_PERIOD - 2] = CHANCE / 2 / USUAL_PERIOD
    least = np.minimum.reduceat(p, table.first[:-1])
    best = int(np.argmin(least / allowed))
    if least[best] / allowed[best] >= 1.0:
        return None
    own = p[table.first[best] : table.first[best + 1]]
    return best + 2, tuple(np.flatnonzero(own <= max(least[best], allowed[best])).tolist())


@dataclass(frozen=True)
class _PhaseTable:
    """The phases of all periods, one after the other.

    Attributes:
        phase: the place of the phase of each step, from 0, in each period, from 2: a row a period.
        first: the first place of each period, and at the end how many places there are.
    """

    phase: Whole
    first: Whole


@lru_cache(maxsize=8)  # 0.3 MB for 400 steps; cells of a run have as many steps as each other, or nearly so
def _phases_of_steps(steps: int, longest: int) -> _PhaseTable:
    import numpy as np

    periods = np.arange(2, longest + 1)
    first = np.concatenate([[0], np.cumsum(periods)])
    return _PhaseTable(np.arange(steps)[np.newaxis, :] % periods[:, np.newaxis] + first[:-1, np.newaxis], first)


@lru_cache(maxsize=8)
def _counts_of_phases(numbers: bytes, steps: int, longest: int) -> Whole:
    """How many steps each place of the table has, of these numbers."""
    import numpy as np

    table = _phases_of_steps(steps, longest)
    counts = np.bincount(np.frombuffer(numbers, np.int64), minlength=steps)
    found = np.bincount(table.phase.ravel(), weights=np.tile(counts, longest - 1), minlength=int(table.first[-1]))
    return found.astype(np.int64)


def _own_drift(steps: StepColumns) -> Floats:
    """The same of one arm alone: how the level of BLOCK_STEPS of its steps changes, which events do not move."""
    import numpy as np

    counts = np.bincount(steps.block[steps.settled], minlength=steps.turns)
    blocks = _blocks(counts.tolist())
    levels = steps.levels(blocks)
    relative: Floats = (levels / median_of(levels))[blocks]
    return relative


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
