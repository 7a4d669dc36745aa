"""Training scripts raced as they are: `bench race`. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.commands.run import Measurement, chosen_options, measure_cells
from bench.engine.options import Progress
from bench.plan.plan import plan_document
from bench.plan.script import Script
from bench.plan.scripts import RACE, race_plan
from bench.results.store import StoredRun
from bench.stats.conditions import questions_of

# Who asks about a script waits for the answer: with both interpreters it is there within a minute.
RACE_BUDGET = 60.0
# A script sets itself up as it does: it reads its data, builds its model, validates.
RACE_TIMEOUT = 120.0


@dataclass(frozen=True)
class RaceRules:
    """How scripts are raced.

    Attributes:
        epochs: whether turns are whole, real epochs; else epochs do not end.
        equal, tolerance: what must be equal for a ratio, as of `Suite`.
        devices: ranks of each script, started as by torchrun.
    """

    epochs: bool = False
    equal: str = ""
    tolerance: float | None = None
    devices: int = 1


def race_scripts(
    scripts: Sequence[Script],
    given: Mapping[str, Any],
    out: Path,
    progress: Progress,
    *,
    rules: RaceRules | None = None,
    command: Sequence[str] = (),
) -> StoredRun:
    """Race scripts against the first of them.

    Args:
        scripts: as `parse_scripts` gives them.
        given: options by the names of `Options`.
        out: the folder that gets the run's folder.
        command: what the user wrote, for run.json.

    Raises:
        SpecError: what is asked for is not possible.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    rules = rules or RaceRules()
    usual = {"budget": RACE_BUDGET, "timeout": RACE_TIMEOUT}
    options = chosen_options(
        {**usual, **{name: value for name, value in given.items() if value is not None}, "instrument": 0}
    )
    plan, sides = race_plan(
        scripts,
        epochs=rules.epochs,
        equal=rules.equal,
        tolerance=rules.tolerance,
        devices=rules.devices,
        threads=options.threads,
    )
    questions_of(options.until, plan_document(plan))
    return measure_cells(Measurement(plan, {RACE: ""}, options, sides), out, progress, command=command)
