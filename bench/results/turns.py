"""What the turns of one arm in one launch took, step by step. No torch, no pandas."""

from __future__ import annotations

import math
from array import array
from copy import copy
from dataclasses import dataclass, fields
from typing import Annotated

from msgspec import Meta

from bench.errors import RunError
from bench.results import old_names
from bench.results.decoding import COUNT, Count, Number, Seconds, Took

# Columns that some turns do not have.
LATER = frozenset(
    {
        *("first", "counted", "seconds", "spread", "fetching", "gap"),
        *old_names.COLUMNS_SINCE_5,
        *old_names.METER_COLUMNS,
    }
)
NO_COLUMNS = ("steps", "cold", "behind", "whole", "real", "meter", "idle_power", "meter_step")


class Doubles(array):  # type: ignore[type-arg]  # Python 3.11 does not let it be named at run time
    """Numbers that are a tuple of floats to whoever reads them, in a third of its memory."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, Doubles) else other)

    def __hash__(self) -> int:  # type: ignore[override]  # an array has none, as it may change: these do not
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True)
class Turns:
    """What the turns of one arm in one launch took: columns of equal length, one entry a turn, in order of time.

    Attributes:
        steps: of summed turns, the counted steps of each; 0 where `seconds` has every step.
        round: the round the turn belongs to, from 0. All arms of a group take as many steps in a round.
        position: its place within the round, from 0.
        first: of summed turns, seconds of the first step, which finds cold caches.
        counted: of summed turns, seconds of all steps after the first together.
        cpu: processor seconds of the arm over the whole turn, all its steps.
        involuntary: involuntary context switches during the turn.
        faults: page faults during the turn, all its steps, that needed no disk.
        stolen: seconds that the hypervisor took from the arm's cores during the turn, in the kernel's ticks (10 ms).
        spread: seconds that the slowest rank's counted steps took longer than the fastest's; of one process, nothing.
            All other columns are of all ranks: times are the slowest's, processor time, switches and faults are sums.
        fetching: seconds of the counted steps in which the loop waited for its batch; nothing in older records.
        gap: seconds by which the turn's first step took longer than the middle one of the others; only of whole epochs.
        began: steps that the loop had taken before the turn, audited ones and warm-up included: the number of its
            first step in the loop, from 0.
        resident: bytes of the arm in main memory after the turn, all ranks together; 0 where the system does not say.
        allocated: bytes that its tensors had on the device then; nothing where it has no memory of its own.
        end: seconds by which the turn's last step took longer than the middle one, with all that the loop does until it
            pulls its next epoch's first batch; only of the loop's own epochs, of three steps or more.
        sm_clock: Hz of the multiprocessors of its device after the turn, of several the slowest; it and the five below
            are read by the conductor while all arms are held, and are nothing where no meter tells them.
        reasons: bits of what held the clocks down then (`bench.machine.nvml.REASONS`), those of any of its devices.
        power: watts of its devices then.
        energy: joules by the meters' counters, from the reading before the turn to that after it.
        integrated: joules of the same time by the powers at its ends.
        metering: seconds that the reading after the turn took.
        seconds: of every step of the turn.
        cold: first steps of each turn that find cold caches; those after them are the counted ones.
        behind: whether the device runs behind the loop, so that only the sum of a turn's steps tells what they took.
        whole: whether a turn is a whole epoch; all its steps are counted then.
        real: whether it is an epoch of the loop's own, which the loop has ended.
        meter: what was read: `nvml`, of NVIDIA's devices; `rapl`, of whole processor packages; "": nothing.
        idle_power: watts of the idle devices, before the run's first turn; 0.0 where that is not known.
        meter_step: seconds in which the counter of energy goes one step on; of turns not much longer, energies run into
            each other.
    """

    steps: Annotated[int, Meta(ge=0, le=COUNT)] = 0
    round: tuple[Count, ...] = ()
    position: tuple[Count, ...] = ()
    first: tuple[Seconds, ...] = ()
    counted: tuple[Took, ...] = ()
    cpu: tuple[Seconds, ...] = ()
    involuntary: tuple[Count, ...] = ()
    faults: tuple[Count, ...] = ()
    stolen: tuple[Seconds, ...] = ()
    spread: tuple[Number, ...] = ()
    fetching: tuple[Number, ...] = ()
    gap: tuple[Number, ...] = ()
    began: tuple[Count, ...] = ()
    resident: tuple[Count, ...] = ()
    allocated: tuple[Count, ...] = ()
    end: tuple[Number, ...] = ()
    sm_clock: tuple[Number, ...] = ()
    reasons: tuple[Count, ...] = ()
    power: tuple[Number, ...] = ()
    energy: tuple[Number, ...] = ()
    integrated: tuple[Number, ...] = ()
    metering: tuple[Seconds, ...] = ()
    seconds: tuple[tuple[Took, ...], ...] = ()
    cold: Count = 1
    behind: bool = False
    whole: bool = False
    real: bool = False
    meter: str = ""
    idle_power: Number = 0.0
    meter_step: Seconds = 0.0

    @property
    def settled(self) -> tuple[float, ...]:
        """Seconds of each turn's counted steps together."""
        return tuple(math.fsum(turn[self.cold :]) for turn in self.seconds) if self.seconds else self.counted

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many steps of each turn are counted."""
        if self.seconds:
            return tuple(len(turn) - self.cold for turn in self.seconds)
        return (self.steps,) * len(self.counted)

    @property
    def taken(self) -> tuple[int, ...]:
        """Steps of each turn, counted or not."""
        if self.seconds:
            return tuple(map(len, self.seconds))
        return (self.steps + (not self.whole),) * len(self.counted)

    @property
    def opening(self) -> tuple[float, ...]:
        """Seconds of each turn's first step."""
        return tuple(turn[0] for turn in self.seconds) if self.seconds else self.first

    @property
    def entire(self) -> tuple[float, ...]:
        """Seconds of each turn."""
        if self.seconds:
            return tuple(map(math.fsum, self.seconds))
        if self.whole:
            return self.counted
        return tuple(first + counted for first, counted in zip(self.first, self.counted, strict=True))

    def compact(self) -> Turns:
        """The same, with the seconds of every step in a third of the memory: of a record they are the most."""
        if not self.seconds:
            return self
        small = copy(self)  # not checked again: it says what this says
        object.__setattr__(small, "seconds", tuple(Doubles("d", turn) for turn in self.seconds))
        return small

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in _COLUMNS}
        lengths |= {len(column) for name in LATER if (column := getattr(self, name))}
        if len(lengths) > 1:
            raise RunError(f"turns: columns of unequal length {sorted(lengths)}")
        if self.seconds and (self.steps or self.first or self.counted):
            raise RunError("turns: both the seconds of every step and sums of them")
        if self.counted and not self.steps:
            raise RunError("turns: sums of 0 steps")
        if short := [number for number, turn in enumerate(self.seconds) if len(turn) <= self.cold]:
            raise RunError(f"turns: turn {short[0]} has {len(self.seconds[short[0]])} steps; more than {self.cold}")


_COLUMNS = tuple(item.name for item in fields(Turns) if item.name not in {*NO_COLUMNS, *LATER})
