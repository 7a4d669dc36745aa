"""Races on a device that is not there: arms that take the time they are told, and a driver that is replayed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import synthetic

from bench.engine.fleet import Fleet
from bench.engine.launch import Race
from bench.engine.merge_ranks import Turn
from bench.engine.processes import Arm, ArmLost
from bench.engine.turn_meters import TurnMeters
from bench.machine.meters import open_meter
from bench.protocol import Go
from bench.results.store import StoredRun

from .replay import Recording, Replay

UUID = "GPU-11111111-2222-3333-4444-555555555555"
ADDRESS = f"nvml:{UUID}"


@dataclass
class VirtualClock:
    """Seconds that pass only when something takes them."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class VirtualFleet:
    """Arms that take as long a step as `steps` says; those of `fails` are lost in their turn after so many seconds."""

    clock: VirtualClock
    stolen = staticmethod(lambda cores, arms: 0.0)
    steps: Mapping[str, float]
    fails: Mapping[str, tuple[float, ArmLost]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def turn(self, arm: Arm, go: Go, timeout: float, *, uncounted: int = 1) -> Turn:
        self.asked.append(arm.id)
        step = self.steps[arm.id]
        self.clock.now += step * go.steps
        if arm.id in self.fails and self.clock.now >= 100.0 + self.fails[arm.id][0]:
            arm.lost = self.fails[arm.id][1]
            raise arm.lost
        return Turn((step,) * go.steps, (0.0,) * go.steps, cpu=step * go.steps, involuntary=0, faults=0)


def replayed_meters(played: Recording | Replay, clock: VirtualClock) -> TurnMeters:
    """The meters of a run on the device of a recording."""
    driver = Replay(played, clock) if isinstance(played, Recording) else played
    return TurnMeters(lambda address: open_meter(address, clock, driver), clock, clock.sleep)


def virtual_arm(name: str, *addresses: str) -> Arm:
    ranks = [SimpleNamespace(meter=address, accelerator="", epoch=0) for address in addresses or (ADDRESS,)]
    return cast(Arm, SimpleNamespace(id=name, ranks=ranks, lost=None, script=False))


def virtual_race(
    fleet: VirtualFleet, meters: TurnMeters | None, turn: float, addresses: Mapping[str, tuple[str, ...]] | None = None
) -> Race:
    """A race of all arms of the fleet on an asynchronous device."""
    arms = {name: virtual_arm(name, *(addresses or {}).get(name, ())) for name in fleet.steps}
    own = random.Random(0)
    return Race(cast(Fleet, fleet), arms, (0,), 1.0, turn, asynchronous=True, generator=own, meters=meters)


def virtual_run(
    recording: Recording,
    *,
    turn: float = 2.5,
    launches: int = 3,
    rounds: int = 6,
    steps: Mapping[str, float] | None = None,
) -> tuple[StoredRun, list[str]]:
    """A run of `plain`, its twin and `fabric` on the device of a recording, and what the meters had to tell of it."""
    base = synthetic.make(
        costs={synthetic.PLAIN: 0.0, synthetic.FABRIC: 1e-3}, lengths={32: 0.01}, launches=launches, noise="none"
    )
    cells = [record.cell for record in base.records if record.launch == 0]
    clock = VirtualClock()
    meters = replayed_meters(recording, clock)
    told: list[str] = []
    records: list[Any] = []
    for launch in range(launches):
        fleet = VirtualFleet(clock, {cell: (steps or {}).get(cell, 0.01) for cell in cells})
        race = virtual_race(fleet, meters, turn)
        race.warm_up(cells[0])
        for _ in range(rounds):
            race.take_round(cells)
        told += meters.told("group", launch, race.unsteady)
        records += [
            replace(record, turns=race.turns(record.cell)) for record in base.records if record.launch == launch
        ]
    meters.close()
    return replace(base, records=tuple(records)), told
