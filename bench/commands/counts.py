"""`bench counts`: what a step of each loop does, counted and not timed. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.axes.engine_axes import AxisValue
from bench.commands.counting import Counts, count_plan, whole_periods
from bench.commands.python_arguments import listener, selection_of
from bench.commands.selection import Selection, plan_selection
from bench.engine.fleet import Fleet
from bench.engine.options import Progress, ticks_of
from bench.machine.scratch import scratch_folder
from bench.plan.quantities import seconds
from bench.results import store
from bench.results.step_counts import STEPS_OF_COUNTS


def counts(
    *suites: str | Path,
    set: Mapping[str, AxisValue | Sequence[AxisValue]] | None = None,
    select: str | None = None,
    steps: int | None = None,
    timeout: float | str | None = None,
    folders: Sequence[str | Path] = (),
    progress: bool | Progress = False,
) -> Counts:
    """What a step of each loop does, counted and not timed: `bench counts`.

    Args, besides those of `run`:
        steps: that each metric is counted over, whole periods of 50; 100 where nothing is said.
        timeout: seconds for one metric of an arm.

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: interpreters do not start.
    """
    selection = selection_of(suites, set, select, folders, None)
    how = STEPS_OF_COUNTS if steps is None else steps, seconds("timeout", timeout) or 60.0
    with listener(progress) as told:
        return count_selection(selection, *how, told)


def count_selection(selection: Selection, steps: int, timeout: float, progress: Progress) -> Counts:
    """Count what a step of each of these cells does.

    Args:
        steps: that each metric is counted over: whole periods of 50, since Trainer logs every 50th.
        timeout: seconds for one stretch of them.

    Raises:
        SpecError: the selection is wrong, or the steps are no whole periods.
        BenchError: the interpreters do not start.
    """
    steps = whole_periods(steps)
    plan, files = plan_selection(selection, tell=progress.note)
    with scratch_folder("counts-") as home, Fleet(selection.threads, home / store.LOGS) as fleet:
        fleet.while_waiting = ticks_of(progress)
        return count_plan(plan, files, home / store.LOGS, steps, timeout, progress, fleet)
