"""What being held costs an arm's steps, so that times can be given as an undisturbed loop has them. Pure.

A turn is short, and even its counted steps find colder caches than a loop that is never held: they took 1.02 to 1.25
times as long on the machine tried. All arms of a launch pay alike (the same within 1 %), so ratios are not touched; but
microseconds would be too many by that factor. Each launch measures it: its warm-up is one undisturbed stretch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping

from bench.results.record import Record

LEAST_STRETCH = 8  # undisturbed steps; fewer give no median worth dividing by


def pause_factor(records: Iterable[Record]) -> float:
    """Step time in turns over undisturbed step time, geometric mean over a launch's arms; 1.0 if not measured."""
    logs = []
    for record in records:
        # The second half: by then caches, allocator and clock have settled.
        stretch = record.warmup[len(record.warmup) // 2 :]
        # Where steps return before their work is done, single ones tell when the loop went on; only their sum is right.
        middle = statistics.median if record.requested.get("accelerator", "cpu") == "cpu" else statistics.fmean
        if record.turns is not None and record.turns.whole:
            continue  # an epoch is as long as it is; its first step would be taken for a pause's doing
        if record.turns is not None and record.turns.counted and len(stretch) >= LEAST_STRETCH:
            in_turns = statistics.median(record.turns.counted) / record.turns.steps
            logs.append(math.log(in_turns / middle(stretch)))
    return math.exp(statistics.fmean(logs)) if logs else 1.0


def pause_factors(records: Iterable[Record], drifting: Collection[str] = ()) -> Mapping[tuple[str, int], float]:
    """The factor of every launch, by group and number of the launch.

    Args:
        drifting: cells whose steps change by themselves between warm-up and turns, so that they tell nothing of pauses.
    """
    launches: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        launches.setdefault((record.group, record.launch), []).append(record)
    return {
        launch: pause_factor(record for record in members if record.cell not in drifting)
        for launch, members in launches.items()
    }
