"""torch.utils.benchmark: a script with a Timer and `blocked_autorange`, run twice."""

from __future__ import annotations

import json
import sys
from functools import partial

from peers.tool import SUBJECTS, Estimate, Place, Side, Tool, reduced, run, two_commands


def side(place: Place, *options: str) -> Side:
    out = place.folder / "measurement.json"
    wall = run(place, [sys.executable, str(SUBJECTS / "torch_timer.py"), str(out), *options], pinned=True)
    kept = json.loads(out.read_text())
    return Side(kept["median"], wall, reduced(kept["times"]), len(kept["times"]))


def estimate(place: Place, *options: str) -> Estimate:
    return two_commands(place, lambda one: side(one, *options))


TORCH = Tool(
    "torch",
    "torch.utils.benchmark",
    "`Timer.blocked_autorange()`, one process a side; the median that the Measurement prints",
    "torch",
    estimate,
)
# Ten times the default: the process has to import torch anyway, which takes longer than that.
TORCH_2S = Tool(
    "torch-2s",
    "torch.utils.benchmark, 2 s",
    "`Timer.blocked_autorange(min_run_time=2)`, one process a side; the median",
    "torch",
    partial(lambda place, seconds: estimate(place, seconds), seconds="2"),
)
