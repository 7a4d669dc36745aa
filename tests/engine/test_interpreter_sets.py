"""Sets of interpreters: who sits where, when a set takes over, and what is done where none can. Without processes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import SEATS, InterpreterSets, Preload, interpreters_of, seats_of
from bench.engine.processes import fork_server_id
from bench.plan.cell import Cell

TORCH: Preload = ("torch",)
LIGHTNING: Preload = ("torch", "lightning")


@dataclass
class Planned:
    """What the sets ask of a cell."""

    id: str
    preload: Preload = TORCH


@dataclass
class Beds:
    """Fork servers by id, true once they have their imports; those that were ended, in their order."""

    fork_servers: dict[str, bool] = field(default_factory=dict)
    set_in_use: int = 0
    coming: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def start_fork_servers(self, wanted: Sequence[tuple[int, Preload]], seed: int) -> list[str]:
        names = [fork_server_id(preload, number) for number, preload in wanted]
        for name in names:
            self.fork_servers.setdefault(name, False)
        return names

    def ensure_fork_servers(self, wanted: Sequence[tuple[int, Preload]], seed: int) -> None:
        for name in self.start_fork_servers(wanted, seed):
            self.fork_servers[name] = True

    def arrived(self, names: Sequence[str]) -> bool:
        return all(self.fork_servers.get(name, False) for name in names)

    def retire(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.retired += [name for name in self.fork_servers if name.endswith(f"-{number}")]
        self.fork_servers = {name: there for name, there in self.fork_servers.items() if name not in self.retired}

    def import_all(self) -> None:
        self.fork_servers = dict.fromkeys(self.fork_servers, True)


def planned(*cells: tuple[str, Preload]) -> list[Cell]:
    return [cast(Cell, Planned(*cell)) for cell in cells]


GROUP = planned(
    ("plain", TORCH), ("plain#twin", TORCH), ("plain-other", TORCH), ("fabric", LIGHTNING), ("trainer", LIGHTNING)
)
WANTED = interpreters_of([GROUP])


def sets_of(beds: Beds, most: int = 1000, *, beside: bool = True, seed: int = 0) -> InterpreterSets:
    fleet = cast(Fleet, cast(Any, beds))
    return InterpreterSets(fleet, 7, most, beside=beside, generator=random.Random(seed))


def ids(number: int) -> list[str]:
    """Of the fork servers of a set."""
    return [fork_server_id(own, SEATS * number + seat) for own, seat in WANTED]


def test_the_baseline_sits_alone() -> None:
    seats = seats_of(GROUP)
    assert seats["plain"] == (TORCH, 0)
    assert [name for name, seat in seats.items() if seat == seats["plain"]] == ["plain"]
    assert seats["plain#twin"] == seats["plain-other"] == (TORCH, 1)
    assert seats["fabric"] == seats["trainer"] == (LIGHTNING, 0)
    assert WANTED == ((TORCH, 0), (TORCH, 1), (LIGHTNING, 0))
    assert seats_of([]) == {}


def test_a_group_whose_baseline_is_a_lightning_loop_has_it_sit_alone_too() -> None:
    group = planned(("trainer", LIGHTNING), ("trainer#twin", LIGHTNING), ("plain", TORCH))
    assert interpreters_of([group, GROUP]) == ((LIGHTNING, 0), (LIGHTNING, 1), (TORCH, 0), (TORCH, 1))
    places = sets_of(Beds()).places("g", group)
    assert places["trainer"] != places["trainer#twin"]
    assert places["plain"] == 0, "it imports what no other arm here does, so there is nobody to change places with"


@pytest.mark.parametrize("seed", range(6))
def test_baseline_and_twin_change_places_from_launch_to_launch(seed: int) -> None:
    """Drawn, then the other way round: each has each interpreter in one launch of two, whatever was drawn."""
    sets = sets_of(Beds(), seed=seed)
    made = [sets.places("g", GROUP) for _ in range(20)]
    for one, other in zip(made[::2], made[1::2], strict=True):
        assert {one["plain"], other["plain"]} == {0, 1}
        assert {one["plain#twin"], other["plain#twin"]} == {0, 1}
    assert all(own["plain"] != own["plain#twin"] == own["plain-other"] for own in made)
    assert all(own["fabric"] == own["trainer"] == 0 for own in made)
    assert len({own["plain"] for own in made[::2]}) == 2, "what comes first is drawn anew for each two launches"


def test_groups_change_places_each_for_itself() -> None:
    sets = sets_of(Beds())
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for group in ("a", "b", "b", "a", "a", "b", "a", "b"):
        seen[group].append(sets.places(group, GROUP)["plain"])
    for own in seen.values():
        assert own[0] != own[1]
        assert own[2] != own[3]


def test_the_next_set_takes_over_when_it_has_its_imports_and_the_last_one_is_ended() -> None:
    beds = Beds()
    sets = sets_of(beds)
    sets.ensure(WANTED)
    sets.begin_launch(WANTED)
    assert (sets.current, [sets.number(seat) for seat in range(SEATS)]) == (0, [0, 1])
    sets.prepare_next(WANTED)
    assert beds.coming == ids(1)
    sets.begin_launch(WANTED)
    assert sets.current == 0, "it imports yet: the launch is made with what is there"
    sets.prepare_next(WANTED)
    assert sorted(beds.fork_servers) == sorted(ids(0) + ids(1)), "one set imports at a time"
    beds.import_all()
    sets.begin_launch(WANTED)
    assert (sets.current, beds.coming) == (1, [])
    assert [sets.number(seat) for seat in range(SEATS)] == [2, 3]
    assert sorted(beds.retired) == sorted(ids(0))
    assert sorted(beds.fork_servers) == sorted(ids(1))
    sets.prepare_next(WANTED)
    beds.import_all()
    sets.begin_launch(WANTED)
    assert sets.current == 2


def test_no_more_sets_than_were_asked_for() -> None:
    beds = Beds()
    sets = sets_of(beds, most=2)
    sets.ensure(WANTED)
    for number in (1, 1, 1):
        sets.prepare_next(WANTED)
        beds.import_all()
        sets.begin_launch(WANTED)
        assert sets.current == number


def test_a_set_that_dies_while_it_imports_is_not_tried_again() -> None:
    """It would die again, and each launch would be disturbed by it."""
    beds = Beds()
    sets = sets_of(beds)
    sets.ensure(WANTED)
    sets.prepare_next(WANTED)
    del beds.fork_servers[beds.coming[1]]
    sets.begin_launch(WANTED)
    assert (sets.current, sets.beside, beds.coming) == (0, False, [])
    assert set(ids(0)) <= set(beds.fork_servers)
    sets.prepare_next(WANTED)
    assert beds.coming == []


def test_where_no_core_is_free_standing_sets_are_used_in_turn() -> None:
    beds = Beds()
    sets = sets_of(beds, beside=False)
    sets.standing = 3
    sets.ensure(WANTED)
    assert sorted(beds.fork_servers) == sorted(ids(0) + ids(1) + ids(2))
    assert sets.missing(WANTED, 2) == []
    assert sets.missing(WANTED, 3) == [TORCH, TORCH, LIGHTNING]
    used = []
    for _ in range(6):
        sets.prepare_next(WANTED)
        sets.begin_launch(WANTED)
        used.append(sets.current)
    assert used == [1, 2, 0, 1, 2, 0]
    assert (beds.coming, beds.retired) == ([], [])


def test_on_a_single_core_with_one_set_nothing_imports_beside_turns() -> None:
    beds = Beds()
    sets = sets_of(beds, beside=False)
    sets.ensure(WANTED)
    sets.prepare_next(WANTED)
    sets.begin_launch(WANTED)
    assert (sets.current, beds.coming, sorted(beds.fork_servers)) == (0, [], sorted(ids(0)))


def test_an_interpreter_that_died_is_started_again_in_its_set() -> None:
    beds = Beds()
    sets = sets_of(beds)
    sets.ensure(WANTED)
    del beds.fork_servers[ids(0)[1]]
    assert sets.missing(WANTED, 0) == [TORCH]
    sets.begin_launch(WANTED)
    assert sets.missing(WANTED, 0) == []
