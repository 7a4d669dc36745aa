"""The single steps of an arm's turns as columns: number in the loop, place in the turn, seconds. Pure."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bench.results.turns import Turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]


class StepColumns:
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
        starts = list(itertools.accumulate(counts, initial=0))
        # Arrays of all turns at once: a report of 100,000 records makes half a million of these.
        self.block: Whole = np.repeat(np.arange(len(kept)), counts)
        self.place: Whole = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        self.number: Whole = self.place + np.repeat([began[n] for n in kept], counts)
        self.seconds: Floats = np.fromiter(itertools.chain.from_iterable(columns), np.float64, starts[-1])
        self.settled = self.place >= cold
        self.cold = cold
        self.turns = len(kept)
        self.contended: frozenset[int] | None = None  # what `contended_rounds` found, where it was asked

    @cached_property
    def levels_of_turns(self) -> Floats:
        """The same of each turn."""
        import numpy as np

        return self.levels(np.arange(self.turns))

    @cached_property
    def as_taken(self) -> tuple[float, Floats]:
        """`relative`, where the machine is thought to have done the same to all turns. Not to be written to."""
        import numpy as np

        return self.relative(np.ones(self.turns))

    def levels(self, blocks: Whole) -> Floats:
        """The median of the settled steps of each block of turns."""

        of_steps = blocks[self.block][self.settled]
        return grouped_medians(self.seconds[self.settled], of_steps, int(blocks[-1]) + 1)

    def relative(self, machine: Floats) -> tuple[float, Floats]:
        """The typical step, seconds, and every step over it, less what the usual one at its place takes longer.

        Args:
            machine: of each turn, by what the machine made it longer.
        """
        level = self.seconds / machine[self.block]
        typical = median_of(level[self.settled])
        level /= typical
        if self.cold:
            there = ~self.settled
            cold = level[there].reshape(self.turns, self.cold)  # a turn has more steps than that
            level[there] = (cold - (medians_of_columns(cold) - 1)).ravel()
        return typical, level

    @cached_property
    def halves(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which steps are settled and in the first half of what is settled of their turn, and which in the second."""
        import numpy as np

        ends = np.bincount(self.block, minlength=self.turns)
        middle = (self.cold + ends[self.block]) / 2
        return self.settled & (self.place < middle), self.settled & (self.place >= middle)


# The columns of the last turns that were asked for: whoever goes through a run group by group asks several times.
_RECENT: OrderedDict[int, tuple[Turns, StepColumns]] = OrderedDict()
_MOST_RECENT = 4096  # some 10 kB each


def columns_of(turns: Turns, rounds: Sequence[int] | None = None) -> StepColumns:
    """The steps of these rounds, or of all, as columns; where they are all of them, made once for a while."""
    if rounds is not None and len(rounds) < len(turns.round):
        return StepColumns(turns, rounds)
    kept = _RECENT.get(id(turns))
    if kept is None:
        kept = _RECENT[id(turns)] = turns, StepColumns(turns)  # with the turns, so that nobody else has their id
        if len(_RECENT) > _MOST_RECENT:
            _RECENT.popitem(last=False)
    return kept[1]


def forget_columns() -> None:
    """Free what `columns_of` keeps."""
    _RECENT.clear()


def median_of(values: Floats) -> float:
    """What np.median gives of numbers, in a fifth of its time for some dozens of them."""
    import numpy as np

    return middle_of_sorted(np.sort(values))


def medians_of_columns(values: Floats) -> Floats:
    """The median of each column of a table."""
    import numpy as np

    ordered = np.sort(values, axis=0)
    count = len(ordered)
    middle: Floats = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return middle


def mean_of(values: Floats) -> float:
    """What `values.mean()` gives, bit for bit, in half of its time for some dozens of them."""
    import numpy as np

    return float(np.add.reduce(values) / len(values))


def middle_of_sorted(ordered: Floats) -> float:
    """The median of values in their order."""
    count = len(ordered)
    return float((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


def quantile_of_sorted(ordered: Floats, share: float) -> float:
    """What np.quantile gives of values in their order, bit for bit, in a twentieth of its time."""
    place = (len(ordered) - 1) * share
    before = int(place)
    low, high = float(ordered[before]), float(ordered[min(before + 1, len(ordered) - 1)])
    part = place - before
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def grouped_medians(values: Floats, groups: Whole, count: int) -> Floats:
    """The median of the values of each group; groups are numbered from 0, in order, and none is empty."""
    import numpy as np

    order = np.lexsort((values, groups))
    ordered = values[order]
    ends = np.searchsorted(groups[order], np.arange(count + 1))
    sizes = ends[1:] - ends[:-1]
    low, high = ends[:-1] + (sizes - 1) // 2, ends[:-1] + sizes // 2
    middle: Floats = (ordered[low] + ordered[high]) / 2
    return middle
