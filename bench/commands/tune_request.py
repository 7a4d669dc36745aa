"""What a search was asked for: kept beside its races, so that a later command can go on with it. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.borders import json_text
from bench.commands.doctor_target import parse_target
from bench.commands.selection import Selection, allowed_budget, look_up
from bench.commands.tune_racer import SCRIPT_RUNGS, Subject
from bench.commands.tune_search import rungs_of
from bench.commands.tune_study import SAMPLERS
from bench.errors import RunError, SpecError, one_of
from bench.machine import environment
from bench.plan import discovery
from bench.plan.guard import foreign
from bench.plan.quantities import LONGEST_DURATION
from bench.plan.search_plan import SuiteSearch, search_of_suite
from bench.plan.search_training import search_of_training
from bench.results import decoding, files, identity

TUNE_SCHEMA = 1
TUNE_FILE, STUDY_FILE = "tune.json", "study.db"
TUNED_SUITE = "tunable"
TUNE_BUDGET = 600.0


@dataclass(frozen=True)
class TuneRequest:
    """A search as it was asked for.

    Attributes:
        target: a suite, a script, or a LightningModule; "": the default suite.
        arguments: of a script its own; of a module those of its Trainer.
        settings, args, environs: axes with their values, as the command line has them.
        data: of a module, where its batches come from.
        suite_folders: with more suites.
        where: the folder that it was asked for in.
        trials: configurations that are tried, at most; None: all that there are.
        epochs: that a candidate trains at most; None: as the suite has it.
        loss_margin: relative; a configuration's loss may be so much above the default's.
        memory_limit: bytes at the peak; None: any.
        sampler, seed: of proposals; the seed of data and weights, too.
        budget: wall seconds of everything.
        storage: the file of the study; study: its name there.
    """

    target: str = ""
    arguments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environs: tuple[str, ...] = ()
    data: str | None = None
    suite_folders: tuple[str, ...] = ()
    where: str = ""
    trials: int | None = None
    epochs: int | None = None
    loss_margin: float = 0.02
    memory_limit: int | None = None
    sampler: str = "tpe"
    seed: int = 0
    threads: int = 1
    timeout: float | None = None
    budget: float = TUNE_BUDGET
    storage: str = ""
    study: str = ""

    def checked(self) -> TuneRequest:
        """The same, with the budget that is allowed.

        Raises:
            SpecError: what no search can be asked for.
        """
        mistakes = [one_of("sampler", self.sampler, SAMPLERS)] if self.sampler not in SAMPLERS else []
        if self.trials is not None and self.trials < 1:
            mistakes.append(f"--trials {self.trials}: allowed: a whole number above 0")
        if self.epochs is not None and self.epochs < 2:
            mistakes.append(
                f"--epochs {self.epochs}: the first epoch finds everything cold and is not timed; allowed: 2 or more"
            )
        if not 0 < self.budget <= LONGEST_DURATION:
            mistakes.append(f"budget: {self.budget}; allowed: seconds above 0")
        if mistakes:
            raise SpecError(mistakes)
        return replace(self, budget=allowed_budget(self.budget, TUNE_BUDGET), where=self.where or os.getcwd())

    @property
    def options(self) -> dict[str, Any]:
        """Options of each race, by the names of `Options`."""
        return {
            "seed": self.seed,
            "threads": self.threads,
            "timeout": self.timeout,
            "memory_limit": self.memory_limit,
        }


def subject_of(request: TuneRequest) -> Subject:
    """What is searched.

    Raises:
        SpecError: all that is wrong with target, axes and values.
    """
    if _is_training(request.target, request.where):
        if request.epochs is not None:
            raise SpecError(
                "--epochs is of suites; a script trains as it does, and is raced step by step: leave it out"
            )
        target = parse_target(request.target, request.arguments, request.data, request.where)
        return search_of_training(
            target.script,
            module=":" in request.target,
            arguments=request.args,
            environs=request.environs,
            settings=request.settings,
            threads=request.threads,
        )
    wrong = [name for name, own in (("--arg", request.args), ("--env", request.environs)) if own]
    if wrong or request.arguments or request.data is not None:
        named = " and ".join([*wrong, *(["--data"] if request.data else []), *(["ARGS"] if request.arguments else [])])
        raise SpecError(f"{named}: of scripts and modules; a suite has axes; allowed: --set AXIS=V1,V2")
    name = request.target or TUNED_SUITE
    if discovery.is_path(name):  # a search may go on in another folder
        name = str(Path(request.where, Path(name).expanduser()))
    folders = tuple(Path(one) for one in request.suite_folders)
    found, (own,) = look_up(Selection(suites=(name,), folders=folders))
    suite, file = found.get(own)
    return search_of_suite(suite, file, request.settings, threads=request.threads, epochs=request.epochs)


def _is_training(target: str, where: str) -> bool:
    """Whether a target is a script or a module, and no suite: a file is a suite when it assigns one at its top."""
    if ":" in target:
        return True
    if not discovery.is_path(target):
        return False
    path = Path(where, Path(target).expanduser())
    return path.is_file() and path.suffix == ".py" and not discovery.assigns_suite(path)


def rungs_of_subject(subject: Subject) -> tuple[int, ...]:
    """The efforts of the races over it."""
    return rungs_of(subject.epochs) if isinstance(subject, SuiteSearch) else SCRIPT_RUNGS


def made_from(subject: Subject) -> dict[str, dict[str, str]]:
    """Digests of the files that the search is about, which must be the same where it goes on."""
    if isinstance(subject, SuiteSearch):
        return identity.digests({subject.suite.name: subject.file})
    named = () if subject.script.module else (subject.script.argv[0],)
    return identity.digests({f"script {number}": file for number, file in enumerate((*named, *subject.script.files))})


def write_request(folder: Path, request: TuneRequest, subject: Subject, result: Mapping[str, Any] | None) -> None:
    """Keep what was asked for, what it was made from, and, once there is one, the result.

    Raises:
        RunError: it cannot be written.
    """
    document = {
        "schema": TUNE_SCHEMA,
        "asked": asdict(request),
        "digests": made_from(subject),
        "environment": environment.environment(request.threads),
        "result": result,
    }
    files.write_aside(folder / TUNE_FILE, json_text(document, indent=1) + "\n")


@dataclass(frozen=True)
class StoredTune:
    """tune.json as it is read."""

    schema: int
    asked: TuneRequest
    digests: Mapping[str, Mapping[str, str]]
    environment: Mapping[str, str | int | float | bool]
    result: Mapping[str, Any] | None = None


def read_request(folder: Path) -> StoredTune:
    """What a folder's search was asked for.

    Raises:
        RunError: it holds none, or what is there cannot be read.
    """
    path = folder / TUNE_FILE
    found = decoding.decode(StoredTune, files.read_bytes(path), path)
    if found.schema != TUNE_SCHEMA:
        raise RunError(f"{path}: {one_of('schema version', found.schema, (TUNE_SCHEMA,))}")
    return found


def find_search(which: str, out: Path) -> Path:
    """The folder of a search, by its path or its id under `out`.

    Raises:
        RunError: there is none; says which there are.
    """
    for candidate in (Path(which), out / which):
        with foreign(f"search {which!r}"):
            if (candidate / TUNE_FILE).is_file():
                return candidate
    there = sorted(path.parent.name for path in out.glob(f"*/{TUNE_FILE}")) if out.is_dir() else []
    raise RunError(one_of("search", which, there))


def check_the_same(stored: StoredTune, subject: Subject, folder: Path) -> None:
    """Raises:
    RunError: the files or the machine are not those of the search.
    """
    if edited := identity.edited_files({"files": stored.digests}, made_from(subject)):
        raise RunError(f"{folder}: not as when the search began: {', '.join(edited)}; start a search of its own")
    if differ := environment.mismatches(stored.environment, environment.environment(stored.asked.threads)):
        raise RunError(f"{folder}: this is another environment than the search's: {'; '.join(differ)}")


def axes_words(subject: Subject) -> Sequence[str]:
    """`batch_size=32,64`, an axis each, for what is said and written."""
    return [f"{axis}={','.join(str(value) for value in values)}" for axis, values in subject.space.axes.items()]
