"""Advice that was raced: looks at a training, and races remedies and bounds against it. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.analysis.ladder import RungPrice
from bench.analysis.savings import Saving, confidence_of, savings_of
from bench.borders import json_text
from bench.commands.diagnosis import Diagnosis, diagnose
from bench.commands.doctor_features import race_features
from bench.commands.doctor_look import LOOK_LOG, look
from bench.commands.doctor_target import BASELINE, Target, parse_target
from bench.commands.python_arguments import listener, options_of, path_of, text_of, texts_of
from bench.commands.race import RACE_TIMEOUT, RaceRules, race_scripts
from bench.commands.remedies import Trial, trials_of
from bench.commands.run import was_interrupted
from bench.commands.selection import allowed_budget
from bench.engine.options import Progress
from bench.errors import RunError
from bench.machine.cores import usable_cores
from bench.plan.script import Script
from bench.results import files, store
from bench.results.observed import Observed
from bench.results.store import StoredRun

DOCTOR_BUDGET = 165.0  # seconds, of the look and all imports too: the first advice is there within three minutes
FEATURES_BUDGET = 240.0  # besides, where each of a score of features is priced
# Epochs that take longer are not raced as wholes in a diagnosis of minutes: six rounds of ten arms would take one.
LONGEST_EPOCH = 1.0
FEATURES_SHARE = 0.6  # of the budget
EPOCHS_WEIGH = 2.0  # an arm that takes whole epochs gets so many times the time of one that takes steps
MOST_ARMS = 10  # in a race, beside the baseline and its twin
DOCTOR_FILE = "doctor.json"
# A launch's turns take about as long as its start: what tells several claims apart is the number of launches. Of an odd
# number of arms a block has twice as many rounds as there are arms, and not as many; so from this number of trials on
# an odd one gets a further arm without a change, which is a second control.
LAUNCH_SECONDS = 3.0
FEW_TRIALS = 3
CONTROL = "as it is, again"


def doctor(
    target: str,
    arguments: Sequence[str] = (),
    *,
    data: str | None = None,
    features: bool = False,
    budget: float | str | None = None,
    precision_goal: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    out: str | Path = "results",
    progress: bool | Progress = False,
) -> Diagnosis:
    """What makes a training slower than it could be, every advice raced against it: `bench doctor`.

    Args, besides those of `run`:
        target: `train.py`, `package.module:LitModule` or `train.py:LitModule`.
        arguments: a script's own; of a module those of its Trainer, as `NAME=VALUE`.
        data: of a module, where its batches come from.
        features: whether each of its Trainer's features is priced, too; takes four minutes more.

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    named = parse_target(text_of("target", target), texts_of("arguments", arguments), data)
    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit)
    with listener(progress) as told:
        return diagnose_target(named, given, path_of("out", out), told, features=features, command=["bench.doctor"])


def diagnose_target(
    target: Target,
    given: Mapping[str, Any],
    out: Path,
    progress: Progress,
    *,
    features: bool = False,
    command: Sequence[str] = (),
) -> Diagnosis:
    """Look at a training, race what may help it, and say what did.

    Args:
        given: options by the names of `Options`; `budget` is that of everything.
        out: the folder that gets the diagnosis' folder.
        features: whether each of Trainer's features is priced, too.
        command: what the user wrote, for run.json.

    Raises:
        SpecError: the options are wrong.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    began = perf_counter()
    budget = allowed_budget(given.get("budget"), DOCTOR_BUDGET + features * FEATURES_BUDGET)
    folder = store.fresh_folder(out, "results")
    progress.phase("look")
    seen, failed = look(target.script, folder, given, min(budget, RACE_TIMEOUT))
    log = str(folder / LOOK_LOG)
    if features and not failed and not seen.trainer:
        failed = "it has no Trainer whose features could be priced; allowed: without --features"
    if failed:
        return _kept(folder, Diagnosis(target.name, failed=failed, log=log, seen=seen))
    cores = len(usable_cores())
    trials = list(labelled(trials_of(seen, cores)))
    races = list(planned_races(trials, seen))
    raced = [trial for race in races for _, trial in race.trials]
    # Remedies and bounds are two families: what is advised hangs on the first alone.
    confidence = {bound: confidence_of(sum(trial.bound is bound for trial in raced)) for bound in (False, True)}
    savings: dict[str, Saving] = {}
    untold = {label: _untold_epochs(seen) for label, trial in trials if not any(label in race.labels for race in races)}
    runs: list[StoredRun] = []
    for number, race in enumerate(races):
        progress.phase(race.name)
        left = budget - (perf_counter() - began) - (FEATURES_SHARE * budget if features else 0.0)
        share = race.share / sum(one.share for one in races[number:])
        options = {"launch": LAUNCH_SECONDS, **given, "budget": max(1.0, left * share)}
        run = race_scripts(
            race.scripts(target.script),
            options,
            folder,
            progress,
            rules=RaceRules(epochs=race.epochs, equal="counts"),
            command=command,
        )
        runs.append(run)
        wanted = {label: confidence[trial.bound] for label, trial in race.trials}
        told, silent = savings_of(run, wanted, controls=(CONTROL,))
        savings |= told
        untold |= silent
        if was_interrupted(run):
            break
    prices: tuple[RungPrice, ...] = ()
    if features and seen.trainer and not any(map(was_interrupted, runs)):
        progress.phase("features")
        options = {**given, "budget": max(1.0, budget - (perf_counter() - began))}
        run, prices = race_features(target.script, options, folder, progress, command=command)
        runs.append(run)
    found = diagnose(
        target.name,
        seen,
        cores,
        trials,
        savings,
        {label: reason for label, reason in untold.items() if label not in savings},
        runs=tuple(str(run.folder) for run in runs),
        log=log,
        features=prices,
        interrupted=any(was_interrupted(run) for run in runs),
        **_of_baseline(runs),
    )
    return _kept(folder, found)


def _untold_epochs(seen: Observed) -> str:
    """Why what only whole epochs tell is not raced."""
    if seen.ended:
        return f"only whole epochs tell, and it ends after {seen.epochs} of them; give it more"
    return f"only whole epochs tell, and one takes longer than {LONGEST_EPOCH:g} s"


def labelled(trials: Sequence[Trial]) -> Iterator[tuple[str, Trial]]:
    """Trials with a label each: their titles, which differ."""
    taken: dict[str, int] = {}
    for trial in trials:
        taken[trial.title] = taken.get(trial.title, 0) + 1
        again = taken[trial.title]
        yield trial.title if again == 1 else f"{trial.title} ({again})", trial


@dataclass(frozen=True)
class PlannedRace:
    """Trials that are raced together.

    Attributes:
        name: of the phase.
        epochs: whether turns are whole epochs.
        share: of the time, relative to other races'.
    """

    name: str
    trials: tuple[tuple[str, Trial], ...]
    epochs: bool
    share: float

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label, _ in self.trials)

    def scripts(self, script: Script) -> list[Script]:
        """The training as it is, and with each change."""
        odd = len(self.trials) >= FEW_TRIALS and len(self.trials) % 2
        again = [replace(script, label=CONTROL)] if odd else []
        return [script, *again, *(replace(script, label=label, changes=trial.changes) for label, trial in self.trials)]


def planned_races(trials: Sequence[tuple[str, Trial]], seen: Observed) -> Iterator[PlannedRace]:
    """As few races as tell all: one of whole epochs for what pays between them, and one of steps for all else.

    Steps tell more in a second than epochs do. Where epochs are long nothing is raced that only they tell.
    """
    batches = seen.loader.batches if seen.loader else 0
    epoch = batches * seen.step_seconds + seen.between_seconds
    whole = 0 < epoch <= LONGEST_EPOCH and seen.epochs > 1 and not seen.ended
    between = [one for one in trials if one[1].between] if whole else []
    if all(trial.bound for _, trial in between):
        between = []
    rest = [one for one in trials if one not in between]
    if not whole:  # workers pay within epochs, too
        rest = [one for one in rest if one[1].bound or not one[1].between or one[1].name == "num-workers"]
    for name, own, epochs in (("whole epochs", between, True), ("steps", rest, False)):
        for first in range(0, len(own), MOST_ARMS):
            raced = tuple(own[first : first + MOST_ARMS])
            yield PlannedRace(f"{name}: {len(raced)} changes", raced, epochs, EPOCHS_WEIGH**epochs * (2 + len(raced)))


def _of_baseline(runs: Sequence[StoredRun]) -> dict[str, Any]:
    """Memory and slope of the training as it is, from the first race that has them."""
    from bench.analysis.summary import summarize

    for run in runs:
        cells = summarize(run).cells
        own = next((cell for cell in cells if cell.point.get("script") == BASELINE and not cell.twin), None)
        if own is not None and own.metrics:
            memory = own.metrics.get("peak_memory_host")
            return {
                "memory": memory.estimate if memory else None,
                "slope": own.reason if own.outcome == "drifting" else "",
            }
    return {}


def _kept(folder: Path, found: Diagnosis) -> Diagnosis:
    """The same, once it is on the disk.

    Raises:
        RunError: it cannot be written.
    """
    try:
        files.write_aside(folder / DOCTOR_FILE, json_text(found.to_json(), indent=1) + "\n")
    except ValueError as error:
        raise RunError(f"{folder / DOCTOR_FILE}: {error}") from None
    return found
