"""Names that writers of suites and plug-ins take from `bench`, each with the module that has it.

They are imported when they are first asked for: the command imports the package before it can answer a Ctrl-C, and
every arm does, so both must be quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping

HOMES: Mapping[str, str] = {
    "Accelerator": "bench.axes.accelerators.base",
    "AxisValue": "bench.axes.engine_axes",
    "Job": "bench.axes.loops.job",
    "Loop": "bench.axes.loops",
    "Metric": "bench.results.record",
    "Point": "bench.axes.engine_axes",
    "Goal": "bench.plan.goal",
    "Suite": "bench.plan.suite",
    "TrainingStep": "bench.axes.loops.training",
    "Workload": "bench.axes.loops.workload",
    "cancel": "bench.commands.jobs",
    "check": "bench.commands.check",
    "confirm": "bench.commands.over_commits",
    "counts": "bench.commands.counts",
    "doctor": "bench.commands.doctor",
    "fit": "bench.commands.fit",
    "history": "bench.commands.over_commits",
    "ladder_suite": "bench.plan.trainer_ladder",
    "merge": "bench.commands.merge",
    "race": "bench.commands.race",
    "register": "bench.axes.loops",
    "status": "bench.commands.jobs",
    "submit": "bench.commands.jobs",
    "tune": "bench.commands.tune",
    "watch": "bench.axes.watch",
}


def public_name(name: str, allowed: Iterable[str]) -> object:
    """What `bench` has under a name of HOMES.

    Raises:
        AttributeError: it has none of that name; says which are `allowed`.
    """
    if name not in HOMES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}; there are: {', '.join(allowed)}")
    value: object = getattr(importlib.import_module(HOMES[name]), name)
    return value
