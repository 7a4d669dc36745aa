"""What meters say of clocks that a reader must know: held down, wandering, other ones. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.machine.nvml import REASONS, THROTTLED
from bench.results.record import Record
from bench.results.turns import Turns
from bench.stats.rounding import percent_of

# A step follows its clock, so that clocks which differ by this move ratios by as much at most. A state of boost is
# 15 MHz on NVIDIA's devices, 0.8 % of 1,980.
OTHER_CLOCK = 0.02


def clock_warnings(records: Iterable[Record]) -> list[str]:
    """Sentences on throttled turns, on clocks that wandered within launches, and on arms and launches at other ones."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.turns is not None and record.turns.meter == "nvml":
            groups.setdefault(record.group, []).append(record)
    found: list[str] = []
    for group, own in groups.items():
        found += _throttled(group, [record.turns for record in own if record.turns is not None])
        found += _wandering(group, own)
        found += _other_arms(group, own)
        found += _other_launches(group, own)
    return found


def _throttled(group: str, taken: Sequence[Turns]) -> list[str]:
    bits = [value for turns in taken for value in turns.reasons]
    held = [value for value in bits if value & THROTTLED]
    if not held:
        return []
    shares = {
        name.replace("_", " "): sum(bool(value & bit) for value in held) / len(bits)
        for bit, name in REASONS.items()
        if bit & THROTTLED
    }
    named = ", ".join(f"{name} {percent_of(share, 0)}" for name, share in shares.items() if share)
    share = percent_of(len(held) / len(bits), 0)
    return [f"{group}: after {share} of the turns power or heat held the clock down ({named})"]


def _wandering(group: str, records: Sequence[Record]) -> list[str]:
    """The launch in which the clock wandered most."""
    by_launch: dict[int, list[float]] = {}
    for record in records:
        if record.turns is not None:
            by_launch.setdefault(record.launch, []).extend(record.turns.sm_clock)
    spans = {launch: (min(clocks), max(clocks)) for launch, clocks in by_launch.items() if clocks and min(clocks) > 0}
    wide = {launch: high / low - 1 for launch, (low, high) in spans.items() if high / low - 1 > OTHER_CLOCK}
    if not wide:
        return []
    worst = max(wide, key=lambda launch: wide[launch])
    return [
        f"{group}: the device's clock wandered within {len(wide)} of {len(spans)} launches, most in launch {worst}, by "
        f"{percent_of(wide[worst], 1)} ({_megahertz(spans[worst][0])} to {_megahertz(spans[worst][1])})"
    ]


def _clock(record: Record) -> float | None:
    clocks = record.turns.sm_clock if record.turns is not None else ()
    return statistics.median(clocks) if clocks and min(clocks) > 0 else None


def _other_arms(group: str, records: Sequence[Record]) -> list[str]:
    """Arms whose turns had another clock than those of the others of their launch: the ratio has that in it."""
    by_launch: dict[int, dict[str, float]] = {}
    for record in records:
        if (clock := _clock(record)) is not None:
            by_launch.setdefault(record.launch, {})[record.cell] = clock
    apart: dict[str, list[float]] = {}
    for clocks in by_launch.values():
        usual = statistics.median(clocks.values())
        for cell, clock in clocks.items():
            apart.setdefault(cell, []).append(clock / usual - 1)
    return [
        f"{cell}: its turns ran at a clock {percent_of(statistics.median(own), 1, signed=True)} from the others' of "
        "its launches: its ratio has that in it"
        for cell, own in apart.items()
        if abs(statistics.median(own)) > OTHER_CLOCK
    ]


def _other_launches(group: str, records: Sequence[Record]) -> list[str]:
    by_launch: dict[int, list[float]] = {}
    for record in records:
        if (clock := _clock(record)) is not None:
            by_launch.setdefault(record.launch, []).append(clock)
    medians = {launch: statistics.median(clocks) for launch, clocks in by_launch.items()}
    if len(medians) < 2:
        return []
    usual = statistics.median(medians.values())
    other = {launch: clock for launch, clock in medians.items() if abs(clock / usual - 1) > OTHER_CLOCK}
    if not other:
        return []
    named = ", ".join(f"launch {launch} at {_megahertz(clock)}" for launch, clock in list(other.items())[:3])
    more = f" and {len(other) - 3} more" if len(other) > 3 else ""
    return [
        f"{group}: {len(other)} of {len(medians)} launches ran at other clocks than usual ({_megahertz(usual)}): "
        f"{named}{more}; ratios hold, as they are of one launch, times and throughput do not compare"
    ]


def _megahertz(clock: float) -> str:
    return f"{clock / 1e6:,.0f} MHz"
