"""bench: `bench run` of one group, the plain loop and its twin, which are two arms of the same code."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from bench.analysis import summary as stats
from bench.results import store
from bench.results.record import Record
from bench.stats.step_times import pair_ratios
from peers.tool import BATCH, Estimate, Place, Tool, ToolFailed, run

QUICK = ("--budget", "8s")
CELLS = f"loop=plain and batch_size={BATCH}"


def estimate(place: Place) -> Estimate:
    # It puts its arms and itself on cores of their own, the arms on those that the other tools get.
    out = place.folder / "results"
    command = [sys.executable, "-m", "bench", "run", "overhead", "-k", CELLS, "--no-instrument", "--out", str(out)]
    wall = run(place, [*command, *(QUICK if place.quick else ())], pinned=False)
    return read(store.find_folder(None, out), wall)


def read(folder: Path, wall: float) -> Estimate:
    """What one run has found: the ratio that it prints, and each launch's own.

    Raises:
        ToolFailed: it has no ratio of the twin.
    """
    kept = store.read_run(folder)
    summary = stats.summarize(kept)
    if summary.twin is None:
        raise ToolFailed(f"{folder}: no ratio of the twin: {[record.reason for record in kept.records]}")
    launches: dict[int, dict[bool, Record]] = {}
    for record in kept.records:
        if record.turns is not None:
            launches.setdefault(record.launch, {})[record.twin] = record
    turns = [(arms[True].turns, arms[False].turns) for arms in launches.values() if len(arms) == 2]
    pairs = [(twin, base) for twin, base in turns if twin is not None and base is not None]
    times = {cell.twin: cell.metrics["step_time"].estimate for cell in summary.cells}
    return Estimate(
        log_ratio=math.log(summary.twin.ratio.estimate),
        seconds=(times[False], times[True]),
        wall=wall,
        details={
            "launches": [one.mean for one in pair_ratios(pairs).launches],
            "stop": [stop["reason"] for stop in kept.info["stops"].values()],
            "turns": kept.info["timing"]["turns"],
            "interval": [summary.twin.ratio.low, summary.twin.ratio.high],
        },
    )


BENCH = Tool(
    "bench",
    "bench, one run",
    "`bench run` of one group, to its default precision goal; the twin's ratio that it prints",
    "loopmark",
    estimate,
)
