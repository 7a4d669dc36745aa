"""What an arm costs more than another, apart by step and by epoch, where a turn is an epoch of the loop's own. Pure.

A whole epoch of n steps is taken to be n mean steps and what the epoch as a whole costs besides: its beginning, its
end, whatever the loop does once. The two must not be mixed up: of an epoch of 48 steps a checkpoint of 5 ms is no
0.1 ms a step. So the mean step is that of the steps within, as `step_times` has it, without the first ones, which the
beginning makes longer, and without the last one, which holds the epoch's end. What these few take longer than as many
mean steps is the epoch's. By that, n mean steps and the epoch's cost are the whole turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.results.turns import Turns
from bench.stats.periods import Period, periods_of
from bench.stats.step_columns import StepColumns
from bench.stats.step_times import folded, kept_rounds, longest_counted, machine_of_pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# The first steps of a turn are the epoch's for so long: after a pause caches are cold for about 15 ms
# (`bench.engine.launch.COLD_SECONDS`), and pauses come between epochs here. At most a third of the steps, so that
# enough are left to know the mean step by.
BEGINNING = 0.015
LARGEST_BEGINNING = 3
SHORTEST_EPOCH = 6  # of an epoch; of fewer there is no telling its steps from its edges

# What an epoch costs is the mean over rounds, without stalls: what lies more than so many sd (by the median deviation)
# above the middle one counts as if it lay there, unless one arm has more of it than chance gives. Epochs are few: of 48
# a side, an event in every 5th is found by this chance in 9 of 10 cases, and by `step_times.OWN_EVENTS` in 3. Where it
# is taken for an event by mistake stalls count in full, which is only noise.
FAR = 4.0
OWN_EPOCHS = 0.05
SD_OF_DEVIATION = 1.4826  # of Gaussian values, the sd over their median deviation


@dataclass(frozen=True)
class EpochPrice:
    """An arm less another in one launch.

    Attributes:
        step: seconds that a mean step takes longer.
        epoch: seconds that an epoch takes longer besides its steps.
        own_step, own_epoch: the arm's mean step, and what an epoch of it costs besides.
        length: steps of an epoch.
    """

    step: float
    epoch: float
    own_step: float
    own_epoch: float
    length: int

    @property
    def whole(self) -> float:
        """Seconds that a whole epoch takes longer."""
        return self.length * self.step + self.epoch


def beginning_of(launches: Sequence[Turns]) -> int:
    """How many steps of an epoch are its beginning, for arms that stand beside each other: as the fastest has it."""
    import numpy as np

    middles = [float(np.median([second for turn in turns.seconds for second in turn])) for turns in launches]
    length = min(min(turns.lengths) for turns in launches)
    return max(1, min(math.ceil(BEGINNING / min(middles)), length // LARGEST_BEGINNING))


def steps_within(turns: Turns, beginning: int) -> Turns:
    """The steps of each epoch but the last, as turns of steps: the first ones find cold caches."""
    return replace(
        turns,
        seconds=tuple(turn[:-1] for turn in turns.seconds),
        cold=beginning,
        whole=False,
        real=False,
        spread=(),
        fetching=(),
        gap=(),
        end=(),
    )


def has_epochs(turns: Turns | None) -> bool:
    """Whether these are epochs of the loop's own, of steps enough, and known step by step."""
    return (
        turns is not None
        and turns.real
        and bool(turns.seconds)
        and min(turns.lengths) == max(turns.lengths) >= SHORTEST_EPOCH
    )


def epoch_prices(
    pairs: Sequence[tuple[Turns, Turns]],
    beginning: int,
    periods: tuple[Sequence[Period], Sequence[Period]] | None = None,
) -> list[EpochPrice]:
    """An arm over another, launch by launch; what is told of single steps and epochs is known from all launches.

    Args:
        pairs: the turns of both in each launch; `has_epochs` of all.
        beginning: as `beginning_of` has it.
        periods: of both, within their epochs, where they are known already.

    Raises:
        ValueError: the two have no round of a launch in common.
    """
    within = [(steps_within(one, beginning), steps_within(other, beginning)) for one, other in pairs]
    arms, others = [one for one, _ in within], [other for _, other in within]
    known = periods or (periods_of(arms), periods_of(others))
    most = longest_counted(arms, others, known)
    launches = [
        _launch(pair, (one, other), beginning, known, most) for pair, (one, other) in zip(pairs, within, strict=True)
    ]
    far = _farthest([mine.excess for mine, _ in launches], [theirs.excess for _, theirs in launches])
    found = []
    for (arm, _), (mine, theirs) in zip(pairs, launches, strict=True):
        epochs = _mean_epoch(mine.excess, far), _mean_epoch(theirs.excess, far)
        found.append(EpochPrice(mine.step - theirs.step, epochs[0] - epochs[1], mine.step, epochs[0], arm.lengths[0]))
    return found


@dataclass(frozen=True)
class _Epochs:
    """One arm in one launch: its mean step, seconds, and what each epoch took besides its steps."""

    step: float
    excess: Floats


def _launch(
    pair: tuple[Turns, Turns],
    within: tuple[Turns, Turns],
    beginning: int,
    periods: tuple[Sequence[Period], Sequence[Period]],
    most: float,
) -> tuple[_Epochs, _Epochs]:
    """Both arms of one launch, relative to what the machine did to the rounds that both took."""
    both = sorted(set(pair[0].round) & set(pair[1].round))
    if not both:
        raise ValueError("prices need rounds that both arms took; there is none")
    rounds, _ = kept_rounds(both, pair)
    columns = [StepColumns(turns, rounds) for turns in within]
    machine, _ = machine_of_pair(columns)
    mine, theirs = (
        _epochs(turns, rounds, steps, machine, beginning, own, most)
        for turns, steps, own in zip(pair, columns, periods, strict=True)
    )
    return mine, theirs


def _epochs(
    turns: Turns,
    rounds: Sequence[int],
    steps: StepColumns,
    machine: Floats,
    beginning: int,
    periods: Sequence[Period],
    most: float,
) -> _Epochs:
    import numpy as np

    typical, relative = steps.relative(machine)
    rest, extras = folded(steps, relative, periods, most)
    shares = [extra * len(period.phases) / period.every for extra, period in zip(extras, periods, strict=True)]
    places = {number: place for place, number in enumerate(turns.round)}
    excess = []
    for number, slowed in zip(rounds, machine, strict=True):
        seconds, began = turns.seconds[places[number]], turns.began[places[number]] if turns.began else 0
        edges = [*range(beginning), len(seconds) - 1]
        # What comes back every so many steps is in the mean step, wherever in an epoch it falls.
        back = sum(
            extra * sum((began + place) % period.every in period.phases for place in edges)
            for extra, period in zip(extras, periods, strict=True)
        )
        taken = math.fsum(seconds[place] for place in edges) / slowed
        excess.append(taken - typical * (back + len(edges) * rest))
    return _Epochs(typical * (rest + sum(shares)), np.asarray(excess))


def _farthest(arms: Sequence[Floats], others: Sequence[Floats]) -> float:
    """How many sd above the middle an epoch counts for: FAR, or as far as it lies (infinity).

    As with long steps: where one arm has more far ones than chance gives it, they are what it does.
    """
    from scipy.special import betainc

    (many, epochs), (few, beside) = (
        (sum(int((own > _edge(own, FAR)).sum()) for own in launches), sum(map(len, launches)))
        for launches in (arms, others)
    )
    if many * beside < few * epochs:
        many, epochs, few, beside = few, beside, many, epochs
    if not many:
        return FAR
    chance = 2 * float(betainc(many, few + 1, epochs / (epochs + beside)))
    return math.inf if chance < OWN_EPOCHS else FAR


def _edge(excess: Floats, far: float) -> float:
    import numpy as np

    middle = float(np.median(excess))
    return middle + far * SD_OF_DEVIATION * float(np.median(np.abs(excess - middle))) if far < math.inf else math.inf


def _mean_epoch(excess: Floats, far: float) -> float:
    import numpy as np

    return float(np.minimum(excess, _edge(excess, far)).mean())
