"""pytest-benchmark: a test that calls the fixture with the step, run twice, each time written with --benchmark-json."""

from __future__ import annotations

import json
import sys

from peers.tool import SUBJECTS, Place, Side, Tool, run, two_commands


def side(place: Place) -> Side:
    out = place.folder / "benchmark.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(SUBJECTS / "test_step.py")]
    wall = run(place, [*command, f"--benchmark-json={out}"], pinned=True)
    (kept,) = json.loads(out.read_text())["benchmarks"]
    stats = kept["stats"]
    others = {"minimum": stats["min"], "median": stats["median"], "mean": stats["mean"]}
    return Side(stats["median"], wall, others, int(stats["rounds"]))


PYTEST_BENCHMARK = Tool(
    "pytest-benchmark",
    "pytest-benchmark",
    "`pytest --benchmark-json`, one process a side; the median",
    "pytest-benchmark",
    lambda place: two_commands(place, side),
)
