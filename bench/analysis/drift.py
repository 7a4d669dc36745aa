"""Which cells of a run drift, and which leak: the rules of `bench.stats.drift`, asked of records. No pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns
from bench.stats.drift import (
    MATERIAL_MEMORY,
    Drift,
    LaunchSlope,
    drift_of_launches,
    drifts_of_group,
    memory_slope,
)

# The memories whose growth is watched: the metric, what it is called, and the column of `Turns`.
MEMORIES: Mapping[str, tuple[str, str]] = {
    "memory_growth_host": ("main memory", "resident"),
    "memory_growth_device": ("its device's memory", "allocated"),
}


def time_drifts(run: StoredRun) -> dict[str, Drift]:
    """How the step time of every cell changes within launches, by cell; those without enough rounds are left out."""
    return drifts_of_cells([run.records], {cell["id"]: cell["baseline"] for cell in run.info["plan"]["cells"]})


def drifts_of_cells(stages: Iterable[Iterable[Record]], baselines: Mapping[str, str | None]) -> dict[str, Drift]:
    """The same of the records of several stages, each of which numbers its launches from 0.

    Args:
        baselines: of each cell.
    """
    groups: dict[str, dict[tuple[int, int], dict[str, Turns]]] = {}
    for number, stage in enumerate(stages):
        for record in stage:
            if record.outcome == "ok" and record.turns is not None:
                launches = groups.setdefault(record.group, {})
                launches.setdefault((number, record.launch), {})[record.cell] = record.turns
    found: dict[str, Drift] = {}
    for launches in groups.values():
        known: dict[int, Any] = {}
        members = dict.fromkeys(cell for launch in launches.values() for cell in launch)
        # Baselines first: what is asked of the others depends on them.
        for cell in sorted(members, key=lambda cell: baselines.get(cell) not in (None, cell)):
            base = baselines.get(cell) or cell
            steady = base != cell and base in found and not found[base].material
            turns = [(launch.get(cell), launch.get(base)) for launch in launches.values()]
            if (drift := drifts_of_group(turns, steady=steady, known=known)) is not None:
                found[cell] = drift
    return found


def drifting(drifts: Mapping[str, Drift]) -> frozenset[str]:
    """The cells whose steps change by more than a ratio may depend on."""
    return frozenset(cell for cell, drift in drifts.items() if drift.material)


def memory_slopes(turns: Turns) -> dict[str, LaunchSlope]:
    """How the memories of an arm grow in one launch, by metric; of those that were read."""
    slopes = {metric: memory_slope(turns, getattr(turns, column)) for metric, (_, column) in MEMORIES.items()}
    return {metric: slope for metric, slope in slopes.items() if slope is not None}


_OfLaunches = Mapping[tuple[str, int], Mapping[str, LaunchSlope]]


def memory_slopes_of(records: Iterable[Record]) -> _OfLaunches:
    """The same of each launch, by cell and number."""
    return {
        (record.cell, record.launch): memory_slopes(record.turns)
        for record in records
        if record.turns is not None and record.outcome != "void"
    }


def leak_warnings(of_launches: _OfLaunches) -> list[str]:
    """Sentences on cells whose memory grows without end. They keep their ratio: their steps are as long as they are."""
    slopes: dict[tuple[str, str], list[LaunchSlope]] = {}
    for (cell, _), found_there in of_launches.items():
        for metric, slope in found_there.items():
            slopes.setdefault((cell, metric), []).append(slope)
    found = []
    for (cell, metric), own in slopes.items():
        drift = drift_of_launches(own, "bytes", MATERIAL_MEMORY)
        if drift is None or not drift.material or drift.low is None or drift.low <= 0:
            continue
        found.append(
            f"{cell} leaks {drift.estimate:,.0f} bytes a step [{drift.low:,.0f}, {drift.high:,.0f}] of "
            f"{MEMORIES[metric][0]}, {drift.estimate * drift.steps / drift.level:.0%} of what it has within the "
            f"{drift.steps:,.0f} steps of a launch"
        )
    return found
