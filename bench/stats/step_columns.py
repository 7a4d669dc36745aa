"""The single steps of an arm's turns as columns: number in the loop, place in the turn, seconds. Pure."""

from __future__ import annotations

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
        return grouped_medians(self.seconds[self.settled], of_steps, int(blocks[-1]) + 1)

    def relative(self, machine: Floats) -> tuple[float, Floats]:
        """The typical step, seconds, and every step over it, less what the usual one at its place takes longer.

        Args:
            machine: of each turn, by what the machine made it longer.
        """
        import numpy as np

        level = self.seconds / machine[self.block]
        typical = float(np.median(level[self.settled]))
        level /= typical
        for place in range(self.cold):
            there = self.place == place
            level[there] -= np.median(level[there]) - 1
        return typical, level


def grouped_medians(values: Floats, groups: Whole, count: int) -> Floats:
    """The median of the values of each group; groups are numbered from 0, in order, and none is empty."""
    import numpy as np

    order = np.lexsort((values, groups))
    ordered = values[order]
    ends = np.searchsorted(groups[order], np.arange(count + 1))
    sizes = np.diff(ends)
    low, high = ends[:-1] + (sizes - 1) // 2, ends[:-1] + sizes // 2
    middle: Floats = (ordered[low] + ordered[high]) / 2
    return middle
