"""The zoo's LightningModules, each the whole of its workload: driven by hand, and by Trainers."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

ZOO = Path(__file__).resolve().parent.parent / "zoo"
SLOWDOWNS = {"none": 0.0, "fifth": 0.2}


def build(point: Point) -> Workload:
    if "zoo_modules" not in sys.modules:
        spec = importlib.util.spec_from_file_location("zoo_modules", ZOO / "zoo_modules.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["zoo_modules"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["zoo_modules"])
    zoo = sys.modules["zoo_modules"]
    name = str(point["module"])
    batches, validation = zoo.zoo_loaders(name)
    workload = Workload(lightning=lambda: zoo.zoo_module(name), batches=batches, validation=validation)
    if point["burning"]:
        from bench.arm.slow_loader import Burn

        return replace(workload, batches=Burn(batches, SLOWDOWNS[str(point["planted"])]))
    return workload


suite = Suite(
    name="zoo",
    title="LightningModules of many kinds",
    axes={
        "module": ("gan",),
        "loop": ("trainer-barebones", "by-hand", "trainer"),
        "planted": ("none",),
        "burning": (False,),
    },
    choices={
        "module": tuple(sorted(path.stem for path in (ZOO / "modules").glob("*.py"))),
        "planted": tuple(SLOWDOWNS),
        "burning": (False, True),
    },
    compare="loop",
    baseline="trainer-barebones",
    build=build,
)
