"""A suite whose instrumented launches carry a callback from outside, as an installed distribution brings one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

CALLBACKS = ("Counting", "Raising", "Endless", "Thief", "Undeclared", "Stranger")


def build(point: Point) -> Workload:
    from .faulty import faulty_workload

    # An arm works in a folder of its own, which goes with it.
    info = Path("outsider-1.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1\n")
    value = f"{__package__}.watchers:{point['callback']}"
    (info / "entry_points.txt").write_text(f"[bench.callbacks]\noutsider = {value}\n")
    sys.path.insert(0, os.getcwd())
    return faulty_workload("none", 0)


suite = Suite(
    name="outsiders",
    title="callbacks from outside",
    axes={"callback": ("Counting",)},
    compare="callback",
    baseline="Counting",
    choices={"callback": CALLBACKS},
    build=build,
)
