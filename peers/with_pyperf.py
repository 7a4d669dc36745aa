"""pyperf: a script with a Runner and `bench_func`, run twice; 20 worker processes a side by default."""

from __future__ import annotations

import json
import sys
from typing import Any

from peers.tool import SUBJECTS, Place, Side, Tool, reduced, run, two_commands

QUICK = ("--processes", "2", "--values", "1")


def side(place: Place) -> Side:
    out = place.folder / "result.json"
    # pyperf gives its workers a bare environment unless it is told which variables they need.
    inherit = ",".join(name for name in place.environment if name.startswith(("OMP_", "MKL_", "OPENBLAS_", "MALLOC_")))
    command = [sys.executable, str(SUBJECTS / "pyperf_step.py"), "-o", str(out), "--inherit-environ", inherit]
    affinity = ["--affinity", ",".join(map(str, place.cores))] if place.cores else []
    wall = run(place, [*command, *affinity, *(QUICK if place.quick else ())], pinned=False)
    values = values_of(json.loads(out.read_text()))
    others = reduced(values)
    return Side(others["mean"], wall, others, len(values))


def values_of(kept: dict[str, Any]) -> list[float]:
    """All values of a pyperf file, as `pyperf.Benchmark.get_values` gives them: a calibration's run has none."""
    (benchmark,) = kept["benchmarks"]
    return [float(value) for run in benchmark["runs"] for value in run.get("values", ())]


PYPERF = Tool(
    "pyperf",
    "pyperf",
    "`Runner.bench_func`, 20 processes a side; the mean that `pyperf compare_to` compares",
    "pyperf",
    lambda place: two_commands(place, side),
)
