"""The single steps of an arm's turns as columns: number in the loop, place in the turn, seconds. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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
            cold = ~self.settled
            place = self.place[cold]
            level[cold] -= (grouped_medians(level[cold], place, self.cold) - 1)[place]
        return typical, level


def median_of(values: Floats) -> float:
    """What np.median gives of numbers, in a fifth of its time for some dozens of them."""
    import numpy as np

    return middle_of_sorted(np.sort(values))


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
