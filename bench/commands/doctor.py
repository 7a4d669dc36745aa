"""Advice that was raced: looks at a training, and races remedies and bounds against it. No torch."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.analysis.savings import Saving, confidence_of, savings_of
from bench.borders import json_text, one_line
from bench.commands.diagnosis import Diagnosis, diagnose
from bench.commands.python_arguments import listener, options_of, path_of, text_of, texts_of
from bench.commands.race import RACE_TIMEOUT, RaceRules, race_scripts
from bench.commands.remedies import Trial, trials_of
from bench.commands.run import was_interrupted
from bench.commands.selection import allowed_budget
from bench.engine.options import Progress
from bench.errors import RunError, SpecError, quote
from bench.machine import strays
from bench.machine.cores import usable_cores
from bench.machine.process_env import PACKAGE_PARENT, arm_environment
from bench.machine.scratch import scratch_folder
from bench.plan.script import Script
from bench.plan.scripts import is_installed, module_file, parse_script
from bench.results import files, store
from bench.results.observed import Observed, observed_of
from bench.results.store import StoredRun

DOCTOR_BUDGET = 150.0  # seconds: with the look and all imports the first advice is there within three minutes
LOOK_LEAST, LOOK_MOST = 2.0, 15.0  # seconds of steps that are looked at: three epochs, where they are that short
# Epochs that take longer are not raced as wholes in a diagnosis of minutes: six rounds of ten arms would take one.
LONGEST_EPOCH = 1.0
EPOCHS_WEIGH = 2.0  # an arm that takes whole epochs gets so many times the time of one that takes steps
MOST_ARMS = 10  # in a race, beside the baseline and its twin
DOCTOR_FILE = "doctor.json"
FIT = "bench.arm.fit_module"
BASELINE = "as it is"  # the label of the training without a change
LOOK_LOG = "look.log"
LONG_EPOCHS = f"an epoch takes longer than {LONGEST_EPOCH:g} s, and only whole epochs tell"


@dataclass(frozen=True)
class Target:
    """What is to be looked at.

    Attributes:
        name: as the user wrote it.
        script: how it is run.
    """

    name: str
    script: Script


def parse_target(target: str, arguments: Sequence[str], data: str | None, folder: str | None = None) -> Target:
    """The training that a command line names.

    Args:
        target: `train.py`, `package.module:LitModule` or `train.py:LitModule`.
        arguments: of a script its own; of a module those of Trainer, as `NAME=VALUE`.
        data: of a module, where its batches come from.

    Raises:
        SpecError: there is no such file or module, or what is given does not fit it.
    """
    here = folder or os.getcwd()
    if ":" not in target:
        if data is not None:
            raise SpecError(
                f"--data {quote(data)} with the script {quote(target)}, which has its own; allowed: with "
                "package.module:LitModule or file.py:LitModule"
            )
        script = parse_script(shlex.quote(target), here)
        argv = (*script.argv, *arguments)
        return Target(" ".join((target, *arguments)), replace(script, label=BASELINE, argv=argv))
    named = [_file_of(one, here) for one in (target, data) if one is not None]
    wanted = [word for word in arguments if "=" not in word]
    if wanted:
        raise SpecError(f"argument of Trainer {quote(wanted[0])} is not possible; allowed: NAME=VALUE")
    argv = (FIT, target, *(() if data is None else ("--data", data)), *arguments)
    script = Script(BASELINE, argv, module=True, folder=here, files=tuple(str(file) for file in named if file))
    return Target(" ".join((target, *(() if data is None else ("--data", data)), *arguments)), script)


def _file_of(target: str, folder: str) -> Path | None:
    """The file of `file.py:Name` or `package.module:Name`; None of a module that is installed.

    Raises:
        SpecError: there is none.
    """
    place, _, name = target.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise SpecError(f"target {quote(target)} is not possible; allowed: package.module:Name, file.py:Name")
    if place.endswith(".py"):
        path = Path(folder, place)
        if not path.is_file():
            raise SpecError(f"target {quote(target)}: no file {place}; allowed: package.module:Name, file.py:Name")
        return path.resolve()
    file = module_file(place, folder)
    if file is None and not is_installed(place.partition(".")[0]):
        raise SpecError(f"target {quote(target)}: no module {place!r} in {folder}, and none is installed")
    return file


def doctor(
    target: str,
    arguments: Sequence[str] = (),
    *,
    data: str | None = None,
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

    Raises:
        SpecError: all that is wrong with names, values and arguments.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    named = parse_target(text_of("target", target), texts_of("arguments", arguments), data)
    given = options_of(budget, precision_goal, timeout, seed, threads, memory_limit)
    with listener(progress) as told:
        return diagnose_target(named, given, path_of("out", out), told, command=["bench.doctor"])


def diagnose_target(
    target: Target, given: Mapping[str, Any], out: Path, progress: Progress, *, command: Sequence[str] = ()
) -> Diagnosis:
    """Look at a training, race what may help it, and say what did.

    Args:
        given: options by the names of `Options`; `budget` is that of everything.
        out: the folder that gets the diagnosis' folder.
        command: what the user wrote, for run.json.

    Raises:
        SpecError: the options are wrong.
        BenchError: interpreters do not start, or the folder cannot be written.
    """
    began = perf_counter()
    budget = allowed_budget(given.get("budget"), DOCTOR_BUDGET)
    folder = store.fresh_folder(out, "results")
    progress.phase("look")
    seen, failed = look(target.script, folder, given, min(budget, RACE_TIMEOUT))
    log = str(folder / LOOK_LOG)
    if failed:
        return _kept(folder, Diagnosis(target.name, failed=failed, log=log, seen=seen))
    cores = len(usable_cores())
    trials = list(labelled(trials_of(seen, cores)))
    races = list(planned_races(trials, seen))
    confidence = confidence_of(sum(len(race.trials) for race in races))
    savings: dict[str, Saving] = {}
    untold = {label: LONG_EPOCHS for label, trial in trials if not any(label in race.labels for race in races)}
    runs: list[StoredRun] = []
    for number, race in enumerate(races):
        progress.phase(race.name)
        left = budget - (perf_counter() - began)
        share = race.share / sum(one.share for one in races[number:])
        options = {**given, "budget": max(1.0, left * share)}
        run = race_scripts(
            race.scripts(target.script),
            options,
            folder,
            progress,
            rules=RaceRules(epochs=race.epochs, equal="counts"),
            command=command,
        )
        runs.append(run)
        told, silent = savings_of(run, race.labels, confidence)
        savings |= told
        untold |= silent
        if was_interrupted(run):
            break
    found = diagnose(
        target.name,
        seen,
        cores,
        trials,
        savings,
        {label: reason for label, reason in untold.items() if label not in savings},
        runs=tuple(str(run.folder) for run in runs),
        log=log,
        interrupted=any(was_interrupted(run) for run in runs),
        **_of_baseline(runs),
    )
    return _kept(folder, found)


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
        return [script, *(replace(script, label=label, changes=trial.changes) for label, trial in self.trials)]


def planned_races(trials: Sequence[tuple[str, Trial]], seen: Observed) -> Iterator[PlannedRace]:
    """As few races as tell all: one of whole epochs for what pays between them, and one of steps for all else.

    Steps tell more in a second than epochs do. Where epochs are long nothing is raced that only they tell.
    """
    batches = seen.loader.batches if seen.loader else 0
    epoch = batches * seen.step_seconds + seen.between_seconds
    whole = 0 < epoch <= LONGEST_EPOCH and seen.epochs > 1
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


def look(script: Script, folder: Path, given: Mapping[str, Any], patience: float) -> tuple[Observed, str]:
    """What a training does as it is, in a process of its own; and why that could not be seen, or "".

    Args:
        folder: that gets the log.
        patience: seconds until the first step, and after it, that it may take.

    Raises:
        BenchError: the interpreter does not start, or the folder cannot be written.
    """
    threads = script.threads or int(given.get("threads") or 1)
    environment, _ = arm_environment(threads, 0)
    log, mark = folder / LOOK_LOG, secrets.token_hex(8)
    with scratch_folder("look-") as home:
        seen = home / "seen.json"
        request = {
            "argv": script.argv,
            "module": script.module,
            "folder": script.folder,
            "scratch": str(home / "scratch"),
            "out": str(seen),
            "threads": threads,
            "least": LOOK_LEAST,
            "most": LOOK_MOST,
        }
        path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [environment.get("PYTHONPATH")])])
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.arm.look"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**environment, **script.environ, "PYTHONPATH": path, "TMPDIR": str(home), strays.MARK: mark},
                start_new_session=True,
            )
            try:
                process.communicate(json_text(request).encode() + b"\n", timeout=patience + LOOK_MOST)
            except subprocess.TimeoutExpired:
                return Observed(), f"it trained no {LOOK_MOST:g} s of steps within {patience + LOOK_MOST:g} s"
            finally:
                process.kill()
                process.wait()
                strays.end_strays(lambda: strays.marked_processes(mark))
        if not seen.exists():
            return Observed(), f"it ended with status {process.returncode} and said nothing"
        data = json.loads(seen.read_text(encoding="utf-8"))
    return judged_look(observed_of(data, "what was observed"), str(data.get("ended", "")))


def judged_look(seen: Observed, ended: str) -> tuple[Observed, str]:
    """What was observed, and why it cannot be raced, or ""."""
    if ended:
        after = f" after {seen.steps} steps" if seen.steps else ""
        if ended.startswith("it ") and seen.updates:
            return seen, f"{ended}{after}; allowed: a training that goes on, as with more epochs or steps"
        return seen, one_line(ended) + after
    if not seen.updates:
        what = "training_step gives None, or its optimizers never step" if seen.trainer else "no optimizer stepped"
        return seen, f"{what}; allowed: a training whose optimizer steps between two batches of one DataLoader"
    if seen.loss in ("nan", "inf"):
        return seen, f"its loss is {seen.loss} after {seen.steps} steps; allowed: a training with finite losses"
    if seen.loader is None or not seen.step_seconds:
        return seen, "no step of a DataLoader was seen; allowed: a training that pulls its batches from one"
    return seen, ""


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
