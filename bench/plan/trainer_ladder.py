"""A suite that prices Trainer's features one by one, of anybody's module. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.axes.engine_axes import AxisValue, Point
from bench.axes.loops.workload import Workload
from bench.axes.trainer_rungs import RUNGS, rung_arguments, rung_refusal, rungs_below
from bench.plan.suite import Suite

LOWEST = next(name for name, rung in RUNGS.items() if not rung.over)


def ladder_suite(
    *,
    name: str,
    title: str,
    build: Callable[[Point], Workload],
    axes: Mapping[str, Sequence[AxisValue]] | None = None,
    choices: Mapping[str, Sequence[AxisValue]] | None = None,
) -> Suite:
    """The suite in which each rung of `trainer_rungs` is raced against the one below it, over the loop's own epochs.

    All rungs of a group are alive at once, so that any two stand in the same rounds. Clipping and accumulation are
    other work by intent, so it is samples that must be equal.

    Args:
        name, title: of the suite.
        build: makes the workload of a point; one with nothing but a LightningModule will do. Its epochs should be some
            dozens of steps: a turn is one.
        axes: of the suite's own, besides the rungs.
        choices: as `Suite` has them.

    Raises:
        SpecError: as `Suite` does.
    """
    return Suite(
        name=name,
        title=title,
        axes={"trainer": tuple(RUNGS), "loop": ("trainer",), **(axes or {})},
        compare="trainer",
        baseline=LOWEST,
        build=build,
        choices=choices or {},
        epochs="real",
        refuses=lambda point: rung_refusal(str(point["trainer"])),
        equal="samples",
        trainers={rung: rung_arguments(rung) for rung in RUNGS},
        ladder=rungs_below(),
    )
