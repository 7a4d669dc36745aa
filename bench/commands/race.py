"""Training scripts raced as they are: `bench race`. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.python_arguments import listener, options_of, path_of, texts_of
from bench.commands.run import Measurement, chosen_options, measure_cells
from bench.engine.options import Progress
from bench.plan import quantities
from bench.plan.plan import plan_document
from bench.plan.script import Script
from bench.plan.scripts import RACE, parse_scripts, race_plan
from bench.results.record import FAILED_OUTCOMES, counted_records
from bench.results.store import StoredRun
from bench.stats.conditions import questions_of

if TYPE_CHECKING:
    from bench.analysis.run import Run

# Who asks about a script waits for the answer: of two it is there within a minute, the last launch included.
RACE_BUDGET = 55.0
# A script sets itself up as it does: it reads its data, builds its model, validates.
RACE_TIMEOUT = 120.0


@dataclass(frozen=True)
class RaceRules:
    """How scripts are raced.

    Attributes:
        epochs: whether turns are whole, real epochs; else epochs do not end.
        equal, tolerance: what must be equal for a ratio, as of `Suite`.
        devices: ranks of each script, started as by torchrun.
        ladder: by script, the one that it is priced over, as of `Suite`; needs whole epochs.
    """

    epochs: bool = False
    equal: str = ""
    tolerance: float | None = None
    devices: int = 1
    ladder: Mapping[str, str] = field(default_factory=dict)


def race(
    *scripts: str,
    env: Sequence[str] = (),
    epochs: bool = False,
    equal: str = "",
    devices: int = 1,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    until: str | None = None,
    out: str | Path = "results",
    progress: bool | Progress = False,
) -> Run:
    """Race training scripts as they are: `bench race`.

    Args, besides those of `run`:
        scripts: commands, as `"train.py --precision bf16-mixed"` or `"-m package.train"`; the first is the baseline.
        env: variables, as `"OMP_NUM_THREADS=2"`, each an arm of each script; one alone is raced against the script
            without it.
        epochs: whether turns are whole, real epochs.
        equal: what work must be equal for a ratio: `weights`, `loss`, `samples`, `counts`, `none`; "": as much as can.
        devices: ranks of each script, started as by torchrun.

    Raises:
        SpecError: all that is wrong with scripts and arguments.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    from bench.analysis.run import Run

    arms = parse_scripts(texts_of("scripts", scripts), texts_of("env", env))
    given = {**options_of(budget, precision_goal, timeout, seed, threads, memory_limit, 0), "until": until}
    rules = RaceRules(epochs=epochs, equal=equal, devices=quantities.ABOVE_ZERO.given("devices", devices) or 1)
    with listener(progress) as told:
        return Run(race_scripts(arms, given, path_of("out", out), told, rules=rules, command=["bench.race"]))


def race_failed(run: StoredRun) -> bool:
    """Whether a script could not be raced, for whatever reason."""
    return any(record.outcome in (*FAILED_OUTCOMES, "unsupported") for record in counted_records(run.records))


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
        ladder=rules.ladder,
        threads=options.threads,
    )
    questions_of(options.until, plan_document(plan))
    return measure_cells(Measurement(plan, {RACE: ""}, options, sides), out, progress, command=command)
