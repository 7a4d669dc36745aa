"""Which interpreter each arm of a launch is forked from: sets that are replaced as launches go on. No torch.

Two interpreters of the same code differ by accident, in memory layout and hash seed: 0.3 to 0.6 % of a step (sd over
interpreters) was measured. So the baseline has an interpreter of its own, no other arm shares it, and its twin least of
all. Arms that import the same come from a second one, and the two change places from launch to launch, so that what
they differ by cancels. Arms that import something else cannot change places; for them, and for all that interpreters
and code do together, sets are replaced: while a launch takes its turns, the next set imports on the conductor's cores.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from bench.engine import budget
from bench.engine.fleet import Fleet
from bench.engine.processes import fork_server_id
from bench.plan.cell import Cell

Preload = tuple[str, ...]
Seat = tuple[Preload, int]  # an interpreter of a set: what it imports, and 1 for a second one of that kind

SEATS = 2  # of one kind in a set, at most
STANDING = 4  # sets at most where no core is free to import others


def seats_of(cells: Sequence[Cell]) -> dict[str, Seat]:
    """The seat of each cell's arm, by id, the baseline's first: it sits alone."""
    base = cells[0].preload if cells else ()
    return {cell.id: (cell.preload, int(number > 0 and cell.preload == base)) for number, cell in enumerate(cells)}


def interpreters_of(groups: Iterable[Sequence[Cell]]) -> tuple[Seat, ...]:
    """The interpreters of a set that serves these groups."""
    return tuple(dict.fromkeys(seat for cells in groups for seat in seats_of(cells).values()))


class InterpreterSets:
    """The sets of a run.

    Args:
        fleet: that has them.
        seed: of their hash seeds.
        most: sets at most.
        beside: whether there are cores on which one set can import while arms from another take turns. Where there are
            none, `standing` sets are started at the beginning and used in turn.
        generator: draws which of two interpreters a launch gives to its baseline.
    """

    def __init__(self, fleet: Fleet, seed: int, most: int, *, beside: bool, generator: random.Random) -> None:
        self._fleet = fleet
        self._seed = seed
        self._most = most
        self.beside = beside
        self._random = generator
        self._swapped: dict[str, bool] = {}  # by group, where the last launch drew it and the next one takes the other
        self.standing = 1

    @property
    def current(self) -> int:
        """The number of the set in use."""
        return self._fleet.set_in_use

    def ensure(self, wanted: Iterable[Seat]) -> None:
        """Have these interpreters of the set in use, and of all that stand.

        Raises:
            BenchError: one does not start.
        """
        sets = range(self.standing) if self.standing > 1 else [self.current]
        seats = list(dict.fromkeys(wanted))
        self._fleet.ensure_fork_servers([(_number(one, seat), own) for one in sets for own, seat in seats], self._seed)

    def begin_launch(self, wanted: Sequence[Seat]) -> None:
        """Change to the next set if it is there; have these interpreters.

        Raises:
            BenchError: as `ensure`.
        """
        fleet = self._fleet
        if self.standing > 1:
            fleet.set_in_use = (self.current + 1) % self.standing
        elif fleet.coming and fleet.arrived(fleet.coming):
            fleet.retire(_number(self.current, seat) for seat in range(SEATS))
            fleet.set_in_use, fleet.coming = self.current + 1, []
        elif any(name not in fleet.fork_servers for name in fleet.coming):
            self.beside, fleet.coming = False, []  # what was there is used on; it would die again
        self.ensure(wanted)

    def prepare_next(self, wanted: Sequence[Seat]) -> None:
        """Let the next set import while a launch takes its turns, where there are cores for it."""
        if self.beside and not self._fleet.coming and self.standing == 1 and self.current + 1 < self._most:
            numbers = [(_number(self.current + 1, seat), own) for own, seat in wanted]
            self._fleet.coming = self._fleet.start_fork_servers(numbers, self._seed)

    def places(self, group: str, cells: Sequence[Cell]) -> dict[str, int]:
        """Which of two interpreters each cell's arm of a launch comes from, by id; drawn, then the other way round."""
        drawn = self._swapped.pop(group, None)
        swap = self._random.random() < 0.5 if drawn is None else not drawn
        if drawn is None:
            self._swapped[group] = swap
        seats = seats_of(cells)
        shared = {own for own, seat in seats.values() if seat}
        return {cell: seat ^ (swap and own in shared) for cell, (own, seat) in seats.items()}

    def number(self, seat: int) -> int:
        """Of the fork server with that seat in the set in use."""
        return _number(self.current, seat)

    def missing(self, wanted: Iterable[Seat], number: int) -> list[Preload]:
        """What is to be imported for set `number`, once for each of its interpreters that is not there."""
        there: Mapping[str, object] = self._fleet.fork_servers
        return [own for own, seat in wanted if fork_server_id(own, _number(number, seat)) not in there]


def _number(set_number: int, seat: int) -> int:
    return SEATS * set_number + seat


def starting_words(missing: Sequence[Preload]) -> str:
    """How many interpreters are started, and what they import: `starting 2 interpreters (torch; torch, lightning)`."""
    what = "; ".join(dict.fromkeys(", ".join(own) for own in missing))
    return f"starting {budget.in_words(len(missing), 'interpreter')} ({what})"
