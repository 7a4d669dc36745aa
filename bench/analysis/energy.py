"""What turns took in joules, and when that may be told: two meters that agree, turns longer than a meter's steps. Pure.

Energy is the device's, all of it: what it takes idle is a part, and `idle_energy_share` says how large a part. Counters
of energy move in steps; up to one step of a turn's energy is told of the turn before or after it, which is another
arm's. Where that is more than SMEARED of a turn, arms' energies run into each other, and none is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.results.record import Record
from bench.results.sample_counts import counted_samples
from bench.results.turns import Turns
from bench.stats.rounding import percent_of

METERS_AGREE = 0.05  # counter and integrated power of one launch may be this far apart
SMEARED = 0.05  # share of a turn that a step of the meter may be
POWER_WINDOW = 1.0  # seconds over which NVML's power is a mean from Ampere on: what a step is to integrated power


@dataclass(frozen=True)
class LaunchEnergy:
    """The energy of one launch of a group.

    Attributes:
        source: `counter`, `integrated power`, or "" where there is neither.
        apart: what the counter says over integrated power, less 1; None where there is one of them only.
        smeared: share of its turns that a step of the meter is.
    """

    source: str
    apart: float | None
    smeared: float

    @property
    def agreed(self) -> bool:
        """Whether no two meters contradict each other."""
        return self.apart is None or abs(self.apart) <= METERS_AGREE

    @property
    def told(self) -> bool:
        """Whether figures may be made of it."""
        return bool(self.source) and self.agreed and self.smeared <= SMEARED


def launch_energies(records: Iterable[Record]) -> dict[tuple[str, int], LaunchEnergy]:
    """By group and launch, those that were metered."""
    by_launch: dict[tuple[str, int], list[Turns]] = {}
    for record in records:
        if record.turns is not None and record.turns.meter:
            by_launch.setdefault((record.group, record.launch), []).append(record.turns)
    return {key: _energy_of(taken) for key, taken in by_launch.items()}


def _energy_of(taken: Sequence[Turns]) -> LaunchEnergy:
    counted, integrated = (all(getattr(turns, name) for turns in taken) for name in ("energy", "integrated"))
    apart = None
    if counted and integrated:
        by_power = math.fsum(joules for turns in taken for joules in turns.integrated)
        by_counter = math.fsum(joules for turns in taken for joules in turns.energy)
        apart = by_counter / by_power - 1 if by_power else math.inf if by_counter else 0.0
        apart = min(apart, 1e6)  # a number for records and pages; that far apart is all the same
    source = "counter" if counted else "integrated power" if integrated else ""
    lengths = [seconds for turns in taken for seconds in turns.entire]
    step = max(turns.meter_step for turns in taken) if counted else POWER_WINDOW
    mean = math.fsum(lengths) / len(lengths) if lengths else 0.0
    return LaunchEnergy(source, apart, step / mean if mean else math.inf)


def energy_metrics(record: Record, launch: LaunchEnergy | None) -> dict[str, float]:
    """`samples_per_joule` and `idle_energy_share` of one record, where they may be told.

    Args:
        launch: the energy of its launch; None: nothing was metered.
    """
    turns = record.turns
    if turns is None or launch is None or not launch.told:
        return {}
    joules = math.fsum(turns.energy if launch.source == "counter" else turns.integrated)
    samples = counted_samples(record) * sum(turns.taken)
    if not joules > 0 or not samples:
        return {}
    found = {"samples_per_joule": samples / joules}
    if turns.idle_power:
        found["idle_energy_share"] = min(1.0, turns.idle_power * math.fsum(turns.entire) / joules)
    return found


def energy_warnings(energies: Mapping[tuple[str, int], LaunchEnergy]) -> list[str]:
    """Why there is no figure of energy, or none but one of integrated power: a sentence a group and reason."""
    groups: dict[str, list[LaunchEnergy]] = {}
    for (group, _), energy in energies.items():
        groups.setdefault(group, []).append(energy)
    found = []
    for group, own in groups.items():
        if apart := [energy.apart for energy in own if energy.apart is not None and not energy.agreed]:
            worst = max(apart, key=abs)
            found.append(
                f"{group}: the device's counter of energy and its power, integrated, are up to "
                f"{percent_of(worst, 1, signed=True)} apart in {len(apart)} of {len(own)} launches; more than "
                f"{percent_of(METERS_AGREE, 0)}, so nothing is told of their energy"
            )
        if smeared := [energy for energy in own if energy.source and energy.agreed and energy.smeared > SMEARED]:
            found.append(
                f"{group}: a step of the meter is {percent_of(max(one.smeared for one in smeared), 0)} of a turn, so "
                f"that arms' energies run into each other, and none is told; allowed: {percent_of(SMEARED, 0)}, for "
                "which --turn must be longer"
            )
        if any(energy.told and energy.source == "integrated power" for energy in own):
            found.append(f"{group}: no counter of energy; its joules are those of power, read at the ends of turns")
    return found
