"""Launches whose stacks are sampled: two cells in alternation, never timed for a figure. No torch, no pandas.

Turns that are sampled alternate with turns that are not, so that what sampling costs is known, and the two cells with
each other, so that whatever the machine does in the meantime hits both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.borders import file_name
from bench.engine.arm_request import downgrades, requested_settings
from bench.engine.fleet import Fleet
from bench.engine.launch import AUDITED_STEPS, WARMUP_STEPS
from bench.engine.merge_ranks import Turn
from bench.engine.processes import Arm, ArmLost
from bench.engine.stopping import Interrupted
from bench.errors import BenchError
from bench.machine.cores import Layout
from bench.plan.cell import Cell, Group
from bench.protocol import Go
from bench.results.run_info import timestamp
from bench.results.stacks import SampledCell, SampledPair, SampledStacks
from bench.results.work_ledger import own_faults

# In a run: 0.9 s and some 800 samples each, so that what takes a twentieth of a step is known to a sixth.
RUN_SECONDS = 0.9
EXPLAIN_SECONDS = 6.0  # where somebody asked for nothing else
_TURNS = 6  # of each cell, sampled; between them as many that are not, a quarter as long
_FREE_SHARE = 0.25
_WARMUP = 0.15  # seconds
# Seconds besides the turns: two arms that start, their audited steps and warm-up.
_BESIDE = 0.8
SAMPLE_INTERVAL = 0.001  # seconds between two samples


@dataclass(frozen=True)
class LaunchPlace:
    """Where two cells are launched.

    Attributes:
        request: what an arm of a cell is asked for.
        log: the log file of that name.
        fork_servers: the number of those that are used.
    """

    fleet: Fleet
    layout: Layout
    request: Callable[[Cell], dict[str, Any]]
    log: Callable[[str], Path]
    seed: int
    timeout: float
    fork_servers: int = 0


class NotSampled(BenchError):
    """Two cells could not be sampled; says which, and why."""


def price_of_samples() -> float:
    """Seconds that the sampled launch of a run is expected to take."""
    return _BESIDE + 2 * RUN_SECONDS * (1 + _FREE_SHARE)


def headline_pair(groups: Sequence[tuple[Group, Sequence[Cell]]]) -> tuple[Cell, Cell] | None:
    """The two cells that a run samples: of its first group with such, the baseline and the last of those over it.

    Args:
        groups: each with those of its cells that still run.
    """
    for group, alive in groups:
        own = [cell for cell in alive if not cell.twin and not unsampled_reason(cell)]
        if len(own) > 1 and own[0].id == group.cells[0].id:
            return own[0], own[-1]
    return None


def unsampled_reason(cell: Cell) -> str:
    """Why the stacks of a cell tell nothing of its steps, or ""."""
    if cell.script is not None:
        return "it is a script of a race, whose interpreter is its own"
    return "it trains for a goal" if cell.goal is not None else ""


def sample_pair(cells: tuple[Cell, Cell], place: LaunchPlace, seconds: float) -> SampledPair:
    """Launch two cells and sample the stacks of each for so many seconds.

    Raises:
        NotSampled: one of them is lost, or did not do what it was asked to.
        BenchError: the interpreters do not start.
        Interrupted: the user wants to stop.
    """
    started, fleet = timestamp(), place.fleet
    preloads = dict.fromkeys(cell.preload for cell in cells)
    fleet.ensure_fork_servers([(place.fork_servers, own) for own in preloads], place.seed)
    arms: dict[str, Arm] = {}
    try:
        for cell in cells:
            asked = {**place.request(cell), "stacks": {"interval": SAMPLE_INTERVAL}}
            log = place.log(f"{file_name(cell.id)}-stacks")
            arms[cell.id] = fleet.start_arm(cell.preload, asked, log, number=place.fork_servers)
        fleet.await_ready(list(arms.values()), place.timeout)
        for name, arm in arms.items():
            if arm.lost is not None:
                raise NotSampled(f"{name}: {arm.lost.outcome}: {arm.lost.reason}")
        return _sampled(cells, place, arms, seconds, started)
    finally:
        fleet.end_arms(list(arms.values()))


def _sampled(
    cells: tuple[Cell, Cell], place: LaunchPlace, arms: Mapping[str, Arm], seconds: float, started: str
) -> SampledPair:
    steps = {cell.id: _warm_up(cell.id, arms[cell.id], place, seconds / _TURNS) for cell in cells}
    free: dict[str, list[float]] = {cell.id: [] for cell in cells}
    for turn in range(_TURNS):
        for cell in cells if turn % 2 else cells[::-1]:
            arm, count = arms[cell.id], steps[cell.id]
            _take(cell.id, arm, Go(count, instrument=True), place)
            own = max(1, round(count * _FREE_SHARE))
            free[cell.id].append(_take(cell.id, arm, Go(own), place).cpu / own)
    found = []
    for cell in cells:
        _take(cell.id, arms[cell.id], Go(AUDITED_STEPS, audit=True), place)
        sampled = _result(cell, arms[cell.id], place)
        found.append(SampledCell(cell.id, sampled, max(statistics.fmean(free[cell.id]), 1e-9)))
    return SampledPair(started, (found[0], found[1]))


def _warm_up(name: str, arm: Arm, place: LaunchPlace, seconds: float) -> int:
    """Audited steps and others; how many come to a turn of so many seconds."""
    _take(name, arm, Go(AUDITED_STEPS, audit=True), place)
    taken = _take(name, arm, Go(WARMUP_STEPS), place).seconds
    pace = statistics.median(taken)
    if (more := math.ceil(_WARMUP / pace) - WARMUP_STEPS) > 0:
        pace = statistics.median(_take(name, arm, Go(more), place).seconds[more // 2 :])
    return max(2, math.ceil(seconds / pace))


def _take(name: str, arm: Arm, go: Go, place: LaunchPlace) -> Turn:
    if place.fleet.interrupts:
        raise Interrupted
    try:
        return place.fleet.turn(arm, go, place.timeout)
    except ArmLost as lost:
        raise NotSampled(f"{name}: {lost.outcome}: {lost.reason}") from None


def _result(cell: Cell, arm: Arm, place: LaunchPlace) -> SampledStacks:
    """What was sampled, if the arm did what it was asked to."""
    try:
        result = place.fleet.result(arm, place.timeout)
    except ArmLost as lost:
        raise NotSampled(f"{cell.id}: {lost.outcome}: {lost.reason}") from None
    asked = requested_settings(cell, place.layout, place.fleet.threads)
    if otherwise := downgrades(asked, result.effective):
        raise NotSampled(f"{cell.id}: downgraded: {otherwise}")
    if faults := own_faults(result.ledger):
        raise NotSampled(f"{cell.id}: unequal-work: {'; '.join(faults)}")
    if result.stacks is None or not sum(result.stacks.seconds):
        raise NotSampled(f"{cell.id}: no sample came in {result.ledger['steps']} steps")
    return result.stacks
