"""Which cell of a group is the fastest, if any is: a claim about the least of several, which chance makes small. Pure.

Of k equal arms the one that reads least is compared with the next: at 95 % it seems faster in 5 to 11 % of runs of 3 to
9 arms. So it is at 1 - 0.05 / k, and by the ratio of the two, launch by launch, in which the baseline's noise is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import claims
from bench.analysis.by_launch import LaunchValues
from bench.analysis.estimates import CellSummary
from bench.stats.intervals import CONFIDENCE, Interval, interval_of_logs

USABLE = ("ok", "noisy")


@dataclass(frozen=True)
class Fastest:
    """The cell of a group that takes least time for the same work.

    Attributes:
        cell: its id.
        next: the id of the one that takes least time but for it.
        ratio: the time of `cell` over that of `next`, with its interval at `confidence`.
        confidence: 1 - 0.05 / k, of k cells.
        arms: k.
        tied: ids of those that it is not told apart from, from the fastest on; empty where it is the fastest.
    """

    cell: str
    next: str
    ratio: Interval
    confidence: float
    arms: int
    tied: Sequence[str]


def fastest_of(cells: Sequence[CellSummary], launches: Mapping[str, LaunchValues]) -> dict[str, Fastest]:
    """The fastest of each group that has two cells or more to choose from besides the twin."""
    groups: dict[str, list[CellSummary]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    found = {group: _fastest(own, launches) for group, own in groups.items()}
    return {group: one for group, one in found.items() if one is not None}


def _fastest(cells: Sequence[CellSummary], launches: Mapping[str, LaunchValues]) -> Fastest | None:
    logs = {
        cell.id: launches[cell.id].log_work
        for cell in cells
        if not cell.twin and cell.versus is not None and cell.outcome in USABLE and cell.id in launches
    }
    if len(logs) < 2:
        return None
    works = {cell.id: cell.versus.of_work.estimate for cell in cells if cell.id in logs and cell.versus is not None}
    base = next((cell.versus.baseline for cell in cells if cell.id in logs and cell.versus is not None), "")
    logs[base] = {launch: 0.0 for own in logs.values() for launch in own}
    works[base] = 1.0
    ordered = sorted(logs, key=lambda name: works[name])
    confidence = 1 - (1 - CONFIDENCE) / len(ordered)
    twins = [None if cell.versus is None else cell.versus.ratio for cell in cells if cell.twin]
    best, rest = ordered[0], ordered[1:]
    ratios = {name: _over(logs[best], logs[name], confidence) for name in rest}
    first = ratios[rest[0]]
    if first is None:
        return None  # no launch has both
    tied = []
    for name, ratio in ratios.items():
        if ratio is None or ratio.estimate >= 1 or claims.of_ratio(ratio, twins) != "told":
            tied.append(name)
    return Fastest(best, rest[0], first, confidence, len(ordered), tied)


def _over(one: Mapping[int, float], other: Mapping[int, float], confidence: float) -> Interval | None:
    """The ratio over the launches that have both."""
    paired = [value - other[launch] for launch, value in one.items() if launch in other]
    return interval_of_logs(paired, confidence) if paired else None
