"""A suite whose arms break out of their place: they write to our socket, leave their session, end others."""

from __future__ import annotations

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

CRIMES = (
    "none",
    "five-bytes",
    "long-frame",
    "half-frame",
    "other-type",
    "short-taken",
    "not-finite",
    "unasked",
    "flood",
    "setsid",
    "daemon",
    "forked-daemon",
    "fork-bomb",
    "kill-fork-server",
    "stop-fork-server",
    "surrogate",
    "long-text",
    "no-text",
    "prints",
    "temporary",
)


def build(point: Point) -> Workload:
    from .outlawed import outlawed_workload

    return outlawed_workload(str(point["crime"]), int(point["at"]))


suite = Suite(
    name="outlaws",
    title="arms that break out of their place",
    axes={"crime": ("none", "five-bytes"), "at": (40,)},
    compare="crime",
    baseline="none",
    choices={"crime": CRIMES},
    build=build,
)
