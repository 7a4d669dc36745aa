"""Names that writers of suites and plug-ins take from `bench`, each with the module that has it.

They are imported when they are first asked for: the command imports the package before it can answer a Ctrl-C, and
every arm does, so both must be quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping

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
    "write_tables": "bench.report.export_tables",
}

# How values of the wings below look to people: functions of `report`, which imports those wings and not they it.
# docs/decisions/0024-how-a-value-looks.md
FACES: Mapping[str, str] = {
    "comparison_html": "bench.report.notebook",
    "gate_html": "bench.report.notebook",
    "merge_html": "bench.report.notebook",
    "plot_run": "bench.report.plots",
    "run_html": "bench.report.notebook",
}


def face(name: str) -> Callable[..., object]:
    """The function of FACES with this name, imported now."""
    shown: Callable[..., object] = getattr(importlib.import_module(FACES[name]), name)
    return shown


def public_name(name: str, allowed: Iterable[str]) -> object:
    """What `bench` has under a name of HOMES.

    Raises:
        AttributeError: it has none of that name; says which are `allowed`.
    """
    if name not in HOMES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}; there are: {', '.join(allowed)}")
    value: object = getattr(importlib.import_module(HOMES[name]), name)
    return value
