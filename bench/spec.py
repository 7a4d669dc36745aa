"""Where `Suite` and `Workload` were before `from bench import Suite, Workload`; users' files find them here still."""

from bench.axes.engine_axes import AxisValue, Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

__all__ = ["AxisValue", "Point", "Suite", "Workload"]
