"""What a run will do, as plain values: cells, groups of them, the plan. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.axes.accelerators import accelerator
from bench.axes.engine_axes import AxisValue, Point
from bench.plan.goal import Goal
from bench.plan.script import Script
from bench.plan.side import SIDE
from bench.plan.suite import Suite


@dataclass(frozen=True)
class Cell:
    """One planned measurement.

    Attributes:
        id: `suite[axis=value,...]` over the suite's own axes; a twin's ends in `#twin`.
        group: the id without the compared axis.
        baseline: the id of the group's baseline.
        unsupported: why it cannot run here, or "".
        workers: the most loader workers that a cell of its group has; all of them then run on all cores.
        epochs: whether a turn is a whole epoch, and whose: see `bench.plan.suite.Suite`.
        asks: effective settings besides those of the engine's axes that it asks for.
        imports: what its loop's interpreter has imported before it forks, torch first.
        trainer: a Trainer's arguments besides, as JSON has them: the set that its axis `trainer` names.
        script: what it runs instead of a suite's workload in a loop, in a race; its point then has no axes of loops.
        goal: what it trains for, of a suite that has one.
    """

    id: str
    suite: str
    group: str
    point: Point
    twin: bool
    baseline: str
    unsupported: str = ""
    workers: int = 0
    epochs: bool | str = False
    asks: Mapping[str, AxisValue] = field(default_factory=dict)
    imports: tuple[str, ...] = ("torch",)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    script: Script | None = None
    goal: Goal | None = None

    @property
    def preload(self) -> tuple[str, ...]:
        """What its interpreter has imported before it forks: torch, what the device needs, what the loop needs."""
        if self.script is not None:
            return self.imports
        first, *rest = self.imports
        device = accelerator(str(self.point["accelerator"]), lightning="lightning" in rest)
        side = self.side
        return (first, *device.packages, *rest, *([SIDE + side] if side else []))

    @property
    def num_nodes(self) -> int:
        """Machines that it is on; runs of older versions, and scripts, have no such axis."""
        return int(self.point.get("num_nodes", 1))

    @property
    def side(self) -> str:
        """The environment that it runs in, "" where all cells run in the one at hand."""
        return str(self.point.get(SIDES, ""))


# The axis of `bench versions`: which of several interpreters a cell runs in.
SIDES = "environment"


Selector = Callable[[Cell], bool]


@dataclass(frozen=True)
class Group:
    """Cells of a suite that differ only along the compared axis and race each other; baseline first, twin second."""

    id: str
    suite: str
    cells: tuple[Cell, ...]

    @property
    def runnable(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if not cell.unsupported)


@dataclass(frozen=True)
class Plan:
    """What a run will do: suites by name, groups in the order of their axes."""

    suites: Mapping[str, Suite]
    groups: tuple[Group, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for group in self.groups for cell in group.cells)


def as_text(value: AxisValue) -> str:
    """An axis value as it is written on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
