"""The meters of a run's devices, read by the conductor once a turn, while every arm is held. No torch.

A reading at a turn's end disturbs nobody: nothing runs. It sees clocks, power and reasons as the turn has left them,
and energy counters by their differences from one reading to the next, so that the energy of a turn is that of the arm
whose turn it was. Counters move in steps of their own (NVML's by 20 ms to 100 ms): how long these are, what the idle
device takes, and what a reading costs is measured once a run, before the first turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from bench.engine.processes import Arm, ArmLost
from bench.machine.meters import Meter, MeterError, MeterReading, open_meter

IDLE_SECONDS = 1.0  # of watching meters before the first turn: ten steps of the slowest counter known
IDLE_POLL = 0.002  # seconds between looks; all arms are held, so that nobody is disturbed
Readings = Mapping[str, MeterReading]


class TurnMeters:
    """Meters by the addresses that arms tell of (`Accelerator.meter`), opened when one is first told of.

    Args:
        opener: makes a meter of an address.
        clock, sleep: monotonic seconds, and how to let some pass.

    Attributes:
        gone: devices that are lost, by address, in the driver's words.
    """

    def __init__(
        self,
        opener: Callable[[str], Meter] = open_meter,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._open = opener
        self._clock = clock
        self._sleep = sleep
        self._meters: dict[str, Meter] = {}
        self._tried: set[str] = set()
        self._idle: dict[str, tuple[float, float]] = {}  # watts, and seconds of a step of its counter
        self._notes: dict[str, bool] = {}  # what a reader of the figures should know, and whether it was told
        self._unsteady: set[str] = set()  # groups of which it was told
        self.gone: dict[str, str] = {}

    def heed(self, arms: Iterable[Arm]) -> None:
        """Open the meters of what these arms train on, as far as there are any; they wait for their first turn."""
        told = {rank.meter for arm in arms if arm.lost is None for rank in arm.ranks if rank.meter}
        new = sorted(told - self._tried)
        self._tried |= told
        for address in new:
            try:
                self._meters[address] = self._open(address)
            except MeterError as error:
                if not address.startswith("rapl:"):  # that few may read: root, and who is let
                    self._note(f"no clocks, power or energy of {address}: {error}")
        if opened := [address for address in new if address in self._meters]:
            self._watch_idle(opened)

    def read(self, arms: Iterable[Arm]) -> Readings:
        """A reading of each device of these arms that has a meter."""
        addresses = {rank.meter: None for arm in arms for rank in arm.ranks if rank.meter in self._meters}
        return {address: self._read(address) for address in addresses}

    def row(self, arm: Arm, before: Readings, after: Readings) -> dict[str, Any]:
        """The columns of a turn (`Turns`) of this arm, from readings before and after it; those that are known."""
        addresses = [rank.meter for rank in arm.ranks]
        if not addresses or any(address not in before or address not in after for address in addresses):
            return {}
        # Ranks that share a device, as all do that train on processors, share its meter.
        both = [(before[address], after[address]) for address in dict.fromkeys(addresses)]
        row: dict[str, Any] = {"metering": sum(now.took for _, now in both)}
        clocks, powers, reasons = (
            [getattr(now, name) for _, now in both if getattr(now, name) is not None]
            for name in ("clock", "power", "reasons")
        )
        if len(clocks) == len(both):
            row["sm_clock"] = min(clocks)
        if len(reasons) == len(both):
            row["reasons"] = 0
            for bits in reasons:
                row["reasons"] |= bits
        if len(powers) == len(both):
            row["power"] = sum(powers)
            if all(then.power is not None for then, _ in both):
                areas = [(then.power + now.power) / 2 * (now.at - then.at) for then, now in both]  # type: ignore[operator]  # no None among them
                row["integrated"] = sum(areas)
        risen = [now.energy - then.energy for then, now in both if now.energy is not None and then.energy is not None]
        if len(risen) == len(both) and min(risen) >= 0:  # less: the driver was loaded anew
            row["energy"] = sum(risen)
        return row

    def facts(self, arm: Arm) -> dict[str, Any]:
        """What is the same in all turns of this arm (`Turns`): whose meter, its idle power, its counter's step."""
        addresses = list(dict.fromkeys(rank.meter for rank in arm.ranks if rank.meter in self._meters))
        if not addresses:
            return {}
        idle = [self._idle.get(address, (0.0, 0.0)) for address in addresses]
        known = all(watts > 0 for watts, _ in idle)
        return {
            "meter": self._meters[addresses[0]].kind,
            "idle_power": sum(watts for watts, _ in idle) if known else 0.0,
            "meter_step": max(step for _, step in idle),
        }

    def explain(self, arm: Arm) -> None:
        """Add to the loss of an arm what the drivers of its devices have to say."""
        lost = arm.lost
        if lost is None or lost.outcome not in ("crashed", "timeout"):
            return
        said: list[str] = []
        for address in dict.fromkeys(rank.meter for rank in arm.ranks if rank.meter in self._meters):
            self._read(address)
            said += self._meters[address].faults()
        if said:
            arm.lost = ArmLost(lost.outcome, f"{lost.reason}; the driver says: {', '.join(dict.fromkeys(said))}")

    def without_device(self, arm: Arm) -> ArmLost | None:
        """The loss of an arm that waits for its turn on a device that is gone; None where all of its are there."""
        for rank in arm.ranks:
            if words := self.gone.get(rank.meter):
                return ArmLost("crashed", f"its device {rank.meter} was lost while it waited: {words}")
        return None

    def told(self, group: str, launch: int, unsteady: str) -> list[str]:
        """What is to be told after a launch that was not told before.

        Args:
            unsteady: what was not steady when its warm-up ended, or ""; of a group it is told once.
        """
        new = [text for text, told in self._notes.items() if not told]
        self._notes |= dict.fromkeys(new, True)
        if unsteady and group not in self._unsteady:
            self._unsteady.add(group)
            new.append(f"{group}: the turns of launch {launch} began before the device was steady: {unsteady}")
        return new

    def close(self) -> None:
        for meter in self._meters.values():
            meter.close()
        self._meters.clear()

    def _read(self, address: str) -> MeterReading:
        meter = self._meters[address]
        known = {**meter.failed}
        gone = meter.lost
        reading = meter.read()
        for name in meter.failed.keys() - known.keys():
            self._note(f"{address}: no {name}: {meter.failed[name]}")
        if meter.lost and not gone:
            self.gone[address] = meter.lost
            self._note(f"{address} is lost: {meter.lost}")
        return reading

    def _watch_idle(self, addresses: list[str]) -> None:
        """Watts and counters' steps of devices that nothing runs on, all at once."""
        seen: dict[str, list[MeterReading]] = {address: [self._read(address)] for address in addresses}
        for address in addresses:
            meter = self._meters[address]
            for name, why in meter.failed.items():
                if name != "faults":
                    self._note(f"{address}: no {name}: {why}")
        began = self._clock()
        while self._clock() - began < IDLE_SECONDS:
            self._sleep(IDLE_POLL)
            for address in addresses:
                seen[address].append(self._read(address))
        for address, readings in seen.items():
            self._idle[address] = idle_of(readings)

    def _note(self, text: str) -> None:
        self._notes.setdefault(text, False)


def idle_of(readings: list[MeterReading]) -> tuple[float, float]:
    """Watts of a device that was idle all the while, and seconds of a step of its counter; 0.0 for what is not known.

    The counter is taken from its first step to its last, so that neither end is within one.
    """
    known = [(one.at, one.energy) for one in readings if one.energy is not None]
    steps = [now for before, now in pairwise(known) if now[1] != before[1]]
    if len(steps) >= 2:
        (first, began), (last, ended) = steps[0], steps[-1]
        return max(0.0, ended - began) / (last - first), (last - first) / (len(steps) - 1)
    powers = [one.power for one in readings if one.power is not None]
    span = readings[-1].at - readings[0].at
    return statistics.median(powers) if powers else 0.0, span if known else 0.0
