"""A search for the fastest configuration that keeps memory and loss: `bench tune`. No torch, no pandas.

Everything lies in one folder: what was asked for (tune.json), the study, a run's folder for each race, and, where a
configuration is better, the YAML that uses it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.analysis.tuning import Finalist, RacedConfiguration, TuneLimits
from bench.borders import json_text
from bench.commands.python_arguments import listener, options_of, path_of, paths_of, text_of, texts_of
from bench.commands.selection import settings_of
from bench.commands.tune_config import TunedConfig, config_of
from bench.commands.tune_racer import SearchMachine, Subject
from bench.commands.tune_request import (
    STUDY_FILE,
    TUNE_BUDGET,
    TuneRequest,
    axes_words,
    check_the_same,
    find_search,
    read_request,
    rungs_of_subject,
    subject_of,
    write_request,
)
from bench.commands.tune_search import HalvingSearch, SearchResult, SearchRules
from bench.commands.tune_study import Sampler, TrialRow, open_study, require_optuna
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.errors import RunError
from bench.plan.quantities import ABOVE_ZERO, share
from bench.plan.search_plan import SuiteSearch
from bench.plan.search_space import values_refused
from bench.results import files, store

CONFIG_FILE = "tuned.yaml"


@dataclass(frozen=True)
class Tuned:
    """What `bench tune` found.

    Attributes:
        folder: of the search.
        target: what was searched, in words.
        axes: `batch_size=32,64`, an axis each.
        default: the label of the default configuration.
        space_size: configurations that could be tried, the default left out.
        loss_is_judged: whether anybody looks at a loss; of scripts nobody does.
        limits: of memory and loss.
        epochs: that candidates trained at most; 0 of a script, which is raced step by step.
        result: trials, finalists, why it ended.
        config: the winner in the words of what uses it, or None.
        spent: wall seconds in all.
        storage: the study's file; study: its name there.
    """

    folder: Path
    target: str
    axes: tuple[str, ...]
    default: str
    space_size: int
    loss_is_judged: bool
    limits: TuneLimits
    epochs: int
    result: SearchResult
    config: TunedConfig | None
    spent: float
    storage: str
    study: str

    @property
    def winner(self) -> Finalist | None:
        """The configuration that is known to be better; None where none is."""
        return self.result.winner

    @property
    def trials(self) -> tuple[TrialRow, ...]:
        return self.result.rows

    @property
    def interrupted(self) -> bool:
        """Whether the user ended it."""
        return self.result.ended == "interrupted"

    @property
    def config_path(self) -> Path | None:
        """Where the winner's YAML lies."""
        return self.folder / CONFIG_FILE if self.config is not None and self.config.yaml else None

    @property
    def command(self) -> str:
        """What trains with the winner; "" where there is none."""
        return "" if self.config is None else self.config.told(str(self.config_path or ""))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; what is infinite, as the loss of a training that diverged is above another, is a word."""
        data = asdict(replace(self, folder=Path()))
        data |= {"folder": str(self.folder), "command": self.command, "interrupted": self.interrupted}
        data["config_path"] = None if self.config_path is None else str(self.config_path)
        return dict(_worded(data))


def _worded(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _worded(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(own) for own in value]
    return str(value) if isinstance(value, Path) else value


def tune(
    target: str | Path = "",
    arguments: Sequence[str] = (),
    *,
    set: Mapping[str, Any] | None = None,
    args: Sequence[str] = (),
    env: Sequence[str] = (),
    data: str | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    loss_margin: float | str = 0.02,
    memory_limit: int | str | None = None,
    sampler: Sampler = "tpe",
    storage: str | Path | None = None,
    resume: str | Path | None = None,
    budget: float | str | None = None,
    timeout: float | str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    folders: Sequence[str | Path] = (),
    out: str | Path = "results",
    progress: bool | Progress = False,
) -> Tuned:
    """The configuration that trains the most samples a second, within limits of memory and loss: `bench tune`.

    Args, besides those of `run`:
        target: a suite, `train.py`, `package.module:LitModule` or `train.py:LitModule`; "": the autoencoder.
        arguments: a script's own; of a module those of its Trainer, as `NAME=VALUE`.
        set: values by axis; of each axis with several the first is the default's.
        args, env: of a script, `NAME=V1,V2` each: arguments `--NAME V1`, and variables.
        data: of a module, where its batches come from.
        trials: configurations that are tried, at most.
        epochs: that a candidate trains at most.
        loss_margin: how much more than the default's the validation loss may be: 0.02 or `"2%"`.
        memory_limit: bytes at the peak, or `"4GiB"`.
        sampler: `tpe`, `random` or `grid`.
        storage: the SQLite file of Optuna's study; None: in the search's folder.
        resume: the id or folder of a search that goes on; of all others only `budget` may then be given.

    Raises:
        SpecError: all that is wrong with names, values and arguments, or Optuna is not installed.
        BenchError: interpreters do not start, the default cannot be raced, or folder or study cannot be written.
    """
    given = options_of(budget, None, timeout, seed, threads, memory_limit)
    where = path_of("out", out)
    with listener(progress) as told:
        if resume is not None:
            return resume_search(str(path_of("resume", resume)), where, told, budget=given["budget"])
        request = TuneRequest(
            target="" if target == "" else str(path_of("target", target)),
            arguments=texts_of("arguments", arguments),
            settings=settings_of(set or {}),
            args=texts_of("args", args),
            environs=texts_of("env", env),
            data=None if data is None else text_of("data", data),
            suite_folders=tuple(map(str, paths_of("folders", folders))),
            trials=ABOVE_ZERO.given("trials", trials),
            epochs=ABOVE_ZERO.given("epochs", epochs),
            loss_margin=share("loss_margin", loss_margin) or 0.02,
            memory_limit=given["memory_limit"],
            sampler=sampler,
            seed=given["seed"] or 0,
            threads=given["threads"] or 1,
            timeout=given["timeout"],
            budget=given["budget"] or TUNE_BUDGET,
            storage="" if storage is None else str(path_of("storage", storage)),
        )
        return begin_search(request, where, told, command=["bench.tune"])


def begin_search(request: TuneRequest, out: Path, progress: Progress, *, command: Sequence[str] = ()) -> Tuned:
    """A new search, to its end.

    Raises:
        SpecError: all that is wrong with what is asked for.
        BenchError: as `tune`.
    """
    require_optuna()
    request = request.checked()
    subject = subject_of(request)
    for sentence in values_refused(subject.space):
        progress.note(sentence)
    folder = store.fresh_folder(out, "results")
    request = replace(
        request,
        storage=str(Path(request.storage).absolute()) if request.storage else str((folder / STUDY_FILE).absolute()),
        study=folder.name,
    )
    try:
        study = open_study(
            Path(request.storage), request.study, subject.space, sampler=_sampler_of(request), seed=request.seed
        )
    except BaseException:
        folder.rmdir()  # nothing is in it yet
        raise
    write_request(folder, request, subject, None)
    return _searched(request, subject, study, folder, progress, command)


def resume_search(
    which: str, out: Path, progress: Progress, *, budget: float | None = None, command: Sequence[str] = ()
) -> Tuned:
    """Go on with a search: what is decided stands, what is not is raced, and new configurations are tried.

    Args:
        which: its id or folder.
        budget: wall seconds of all parts together; None: as it was.

    Raises:
        RunError: there is none, or it cannot go on: files or machine are others, or the study is not its own.
    """
    require_optuna()
    folder = find_search(which, out)
    stored = read_request(folder)
    request = stored.asked if budget is None else replace(stored.asked, budget=budget)
    request = request.checked()
    subject = subject_of(request)
    check_the_same(stored, subject, folder)
    study = open_study(
        Path(request.storage),
        request.study,
        subject.space,
        sampler=_sampler_of(request),
        seed=request.seed,
        resume=True,
    )
    return _searched(request, subject, study, folder, progress, command)


def _sampler_of(request: TuneRequest) -> Sampler:
    found: Sampler = "grid" if request.sampler == "grid" else "random" if request.sampler == "random" else "tpe"
    return found


def _searched(
    request: TuneRequest, subject: Subject, study: Any, folder: Path, progress: Progress, command: Sequence[str]
) -> Tuned:
    progress.note(f"search {folder}")
    sides = None if isinstance(subject, SuiteSearch) else subject.sides
    candidates = len(subject.space.candidates())
    limits = TuneLimits(request.memory_limit, request.loss_margin)
    before, began = study.spent, time.monotonic()
    rules = SearchRules(
        rungs_of_subject(subject), min(candidates, request.trials or candidates), request.budget, limits
    )
    with Fleet(request.threads, folder / store.LOGS, sides) as fleet:
        machine = SearchMachine(
            subject, fleet, folder, request.options, progress, command, request.budget, before, began
        )
        try:
            result = HalvingSearch(study, machine, rules).run()
        except RunError as error:
            raise RunError(f"{folder}: {error}") from None
    found = Tuned(
        folder,
        request.target or "the autoencoder (suite tunable)",
        tuple(axes_words(subject)),
        subject.space.label(subject.space.default),
        candidates,
        isinstance(subject, SuiteSearch),
        limits,
        rules.rungs[-1] if isinstance(subject, SuiteSearch) else 0,
        result,
        None,
        machine.spent(),
        request.storage,
        request.study,
    )
    return _kept(found, request, subject)


def _kept(found: Tuned, request: TuneRequest, subject: Subject) -> Tuned:
    """The same with its YAML, once both are on the disk."""
    if (winner := found.winner) is not None:
        chosen = next(row.configuration for row in found.trials if row.label == winner.label)
        ratio = winner.ratio
        speed = "" if ratio is None else f"{ratio.estimate:.3g} times the samples/s of {found.default}"
        notes = [f"found by bench tune: {winner.label}", f"{speed}, measured in {found.folder.name}"]
        config = config_of(subject, chosen, request.target, request.seed, notes)
        found = replace(found, config=config)
        if config.yaml:
            files.write_aside(found.folder / CONFIG_FILE, config.yaml)
    write_request(found.folder, request, subject, found.to_json())
    return found


def default_of(found: Tuned) -> RacedConfiguration | None:
    """The default configuration, as the last race tells it."""
    return found.result.default


def as_json(found: Tuned) -> str:
    """`--format json`."""
    return json_text(found.to_json(), indent=1)
