"""The self-test of counts: whether as many launches as one likes count the same. No torch, no pandas."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.engine.counted_launches import CountedLaunches
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.errors import BenchError
from bench.plan import discovery, plan
from bench.results.step_counts import STEPS_OF_COUNTS

SPREAD_SUITE = "null"


@dataclass(frozen=True)
class CountSpread:
    """How far the counts of launches lie apart.

    Attributes:
        value: the largest standard deviation of any metric, or of any function's share in one, over all steps.
        sentence: over how many launches, and what spread where something did.
    """

    value: float
    sentence: str


def counts_spread(
    folder: Path, interpreters: int, arms: int, loops: tuple[str, ...], progress: Progress
) -> CountSpread:
    """Count each of these loops in so many arms of so many interpreters, each of another hash seed.

    Raises:
        BenchError: an arm does not come to its end, or the interpreters do not start.
    """
    suite, file = discovery.look_for_suites().get(SPREAD_SUITE)
    made = plan.make_plan({SPREAD_SUITE: suite}, [SPREAD_SUITE], settings=[f"loop={','.join(loops)}"])
    seen: dict[tuple[str, str, str], list[int]] = {}
    with Fleet(1, folder) as fleet:
        launches = CountedLaunches(fleet, made, {SPREAD_SUITE: file}, folder, steps=STEPS_OF_COUNTS, timeout=60.0)
        for cell in (cell for cell in made.cells if not cell.twin):
            for number in range(interpreters):
                progress.phase(f"counting {cell.id}, interpreter {number + 1} of {interpreters}")
                for _ in range(arms):
                    arm = launches.again(cell, number)
                    if arm.record.outcome != "ok":
                        raise BenchError(f"{cell.id}: {arm.record.outcome}: {arm.record.reason}")
                    for counted in arm.ranks[0].counted:
                        for name, total in (("", counted.total), *counted.by.items()):
                            seen.setdefault((cell.id, counted.metric, name), []).append(total)
    whole = interpreters * arms
    # What some launches do not name at all was counted 0 times there.
    padded = {key: values + [0] * (whole - len(values)) for key, values in seen.items()}
    spread = {key: statistics.pstdev(values) for key, values in padded.items()}
    worst = max(spread, key=lambda key: spread[key])
    told = f"{whole} launches of {' and '.join(loops)}, {interpreters} interpreters of other hash seeds"
    if spread[worst]:
        told += f"; most: {' '.join(filter(None, worst))}, {min(padded[worst])} to {max(padded[worst])}"
    return CountSpread(spread[worst], told)
