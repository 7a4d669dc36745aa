"""The ladder of Trainer's features on a training's own Trainer: what each costs there. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.analysis.ladder import RungPrice
from bench.axes.trainer_rungs import RUNGS, rung_arguments, rung_refusal
from bench.commands.race import RaceRules, race_scripts
from bench.engine.options import Progress
from bench.plan.script import Script
from bench.results.store import StoredRun

LOWEST_RUNG = "lean"
# Of these the ladder says nothing here: what a Trainer has by itself is the training as it is, accumulating is another
# training, and a barebones Trainer refuses arguments that the training's own may have.
NO_RUNGS_HERE = frozenset({"barebones", "defaults", "accumulation"})


def feature_scripts(script: Script) -> tuple[list[Script], dict[str, str]]:
    """The training with each rung's arguments, the lowest first, itself last; and by label the one that it is over.

    The training's own callbacks are in none of the rungs: some want what a rung has not.
    """
    names = [name for name in RUNGS if name not in NO_RUNGS_HERE and rung_refusal(name) is None]
    scripts = [
        replace(script, label=name, changes={"trainer": {"callbacks": [], **rung_arguments(name)}}) for name in names
    ]
    ladder = {name: RUNGS[name].over for name in names if RUNGS[name].over in names}
    return [*scripts, script], {**ladder, script.label: LOWEST_RUNG}


def race_features(
    script: Script, given: Mapping[str, Any], out: Path, progress: Progress, *, command: Sequence[str] = ()
) -> tuple[StoredRun, tuple[RungPrice, ...]]:
    """Race the ladder; the run, and what each rung costs over the one below.

    Raises:
        SpecError: the options are wrong.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    from bench.analysis.summary import summarize

    scripts, ladder = feature_scripts(script)
    rules = RaceRules(epochs=True, equal="counts", ladder=ladder)
    run = race_scripts(scripts, given, out, progress, rules=rules, command=command)
    return run, tuple(summarize(run).ladder)
