"""The default suite's cells as asv's benchmarks: one run of `bench` for all of them, whose figures asv then collects.

asv calls a `track_` function once and takes its number. So the race is run once, in `setup_cache`, with arms in turns
as ever; timing the cells one by one in asv's own processes would bring back the drift that the turns take out.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from typing import Any

# Seconds of measuring, for all cells together.
BUDGET = os.environ.get("BENCH_ASV_BUDGET", "90")
SUITE, LOOPS, BATCHES = "overhead", ["plain", "fabric", "trainer-barebones", "trainer"], [64, 512, 1536]

Figures = dict[str, dict[str, Any]]


class Overhead:
    """What each loop's step takes, in turns with the others."""

    params = (LOOPS, BATCHES)
    param_names = ("loop", "batch_size")
    # Part of the name of the series: with asv's default, a hash of this source, each edit would begin a new history.
    version = f"{SUITE}-1"
    timeout = 900.0

    def setup_cache(self) -> Figures:
        """One run: the summary's cells, by id."""
        with tempfile.TemporaryDirectory() as results:
            command = [sys.executable, "-m", "bench"]
            # Without the launches that asv has no use for; a failed cell, exit code 3, is told by its figures.
            run = subprocess.run(
                [*command, "run", SUITE, "--no-instrument", "--budget", BUDGET, "--out", results],
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode not in (0, 3):
                raise RuntimeError(f"bench run ended with {run.returncode}: {run.stderr[-2000:]}")
            shown = subprocess.run(
                [*command, "show", "--out", results, "--format", "json"], capture_output=True, text=True, check=True
            )
        return {cell["id"]: cell for cell in json.loads(shown.stdout)["cells"] if not cell["twin"]}

    setup_cache.timeout = 900.0  # type: ignore[attr-defined]  # asv reads attributes of functions

    def track_step_time(self, cells: Figures, loop: str, batch_size: int) -> float:
        return _figure(cells, "step_time", loop, batch_size)

    track_step_time.unit = "seconds"  # type: ignore[attr-defined]  # the same

    def track_peak_memory_host(self, cells: Figures, loop: str, batch_size: int) -> float:
        return _figure(cells, "peak_memory_host", loop, batch_size)

    track_peak_memory_host.unit = "bytes"  # type: ignore[attr-defined]  # the same


def _figure(cells: Figures, metric: str, loop: str, batch_size: int) -> float:
    """The estimate, or NaN, which is asv's word for skipped; a cell that failed raises, and asv calls it failed."""
    point = {"loop": loop, "batch_size": batch_size}
    (cell,) = [cell for cell in cells.values() if point.items() <= cell["point"].items()]
    if cell["outcome"] in ("unsupported", "downgraded"):
        return math.nan
    if metric not in cell["metrics"] or cell["outcome"] not in ("ok", "noisy"):
        raise RuntimeError(f"{cell['id']}: {cell['outcome']}: {cell['reason']}")
    return float(cell["metrics"][metric]["estimate"])
