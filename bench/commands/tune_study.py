"""The study of a search: Optuna's trials in a SQLite file that its dashboard opens and a search goes on with.

Every trial is told once it is decided: complete with its speed over the default's, pruned where others were faster or
where it broke a limit, failed where it could not be run. What is not decided yet stays, with all that was seen of it,
and a search that goes on finds it. Optuna is imported in functions only; it brings numpy, and no torch.
"""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.borders import json_text
from bench.commands.tune_storage import study_storage, telling_of_storage
from bench.errors import RunError, SpecError, one_of
from bench.plan.search_space import Configuration, SearchSpace

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "random", "grid"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
REPEATS = 4  # proposals in a row of what was tried already, after which the next is drawn from what was not
FIRST_AT_RANDOM = 8  # trials before TPE has something to go by
NO_OPTUNA = 'bench tune needs Optuna, which is not installed: pip install "loopmark[tune]"'
_SPACE, _SPENT = "loopmark_space", "loopmark_spent"
_LABEL, _SEEN, _REASON = "configuration", "seen", "reason"
_BROKEN = (
    "broken limit"  # by how much a limit is broken; above zero, TPE takes a trial for worse than all that break none
)

TrialWord = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class TrialRow:
    """A trial as it stands in the study.

    Attributes:
        number: Optuna's.
        label: of its configuration.
        configuration: its values by axis.
        word: what became of it.
        reason: why it is pruned or failed, in words.
        broken: by how much it breaks a limit, relative; 0 where it breaks none.
        seen: by rung, what its race told, as plain JSON.
    """

    number: int
    label: str
    configuration: Configuration
    word: TrialWord
    reason: str
    seen: Mapping[str, Mapping[str, Any]]
    broken: float = 0.0


def require_optuna() -> None:
    """Raises:
    SpecError: Optuna is not installed; says how to get it.
    """
    if importlib.util.find_spec("optuna") is None:
        raise SpecError(NO_OPTUNA)


class SearchStudy:
    """The trials of one search.

    Args:
        study: Optuna's.
        space: what is searched.
        seed: of the sampler and of what is drawn without it.
        sampler: which.
        path: its file; None: it is in memory, and gone with the process.
    """

    def __init__(
        self, study: optuna.Study, space: SearchSpace, seed: int, sampler: Sampler, path: Path | None = None
    ) -> None:
        self._study, self._space, self.path = study, space, path
        self._trials: dict[str, optuna.Trial] = {}
        before = self.rows()
        self._tried = {row.label for row in before}
        # As many draws later as trials were asked for, or a search that goes on would propose the same again.
        self._proposals = _Proposals(space, sampler, seed + len(before))
        for row in before:
            self._proposals.remember(row)

    @property
    def name(self) -> str:
        return str(self._study.study_name)

    @property
    def tried(self) -> int:
        """How many configurations were asked for."""
        return len(self._tried)

    def propose(self, most: int) -> list[tuple[str, dict[str, Any]]]:
        """Configurations that were not proposed before, by label; fewer than `most` where there are no more."""
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < most:
            left = {
                label: one for one in self._space.candidates() if (label := self._space.label(one)) not in self._tried
            }
            if not left:
                break
            label = self._proposals.next(left)
            with telling_of_storage(self.path):
                self._study.enqueue_trial(left[label])
                trial = self._study.ask(_distributions(self._space))
                trial.set_user_attr(_LABEL, label)
            self._tried.add(label)
            self._trials[label] = trial
            found.append((label, dict(left[label])))
        return found

    def again(self, label: str, configuration: Configuration, seen: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up a configuration that was given up since others were faster, as a trial of its own."""
        with telling_of_storage(self.path):
            self._study.enqueue_trial(dict(configuration))
            trial = self._study.ask(_distributions(self._space))
            trial.set_user_attr(_LABEL, label)
        self._trials[label] = trial
        for effort, told in seen.items():
            self.report(label, int(effort), told.get("ratio"), told)

    def report(self, label: str, effort: int, ratio: float | None, seen: Mapping[str, Any]) -> None:
        """Keep what a race told of a trial: of its speed over the default's, and all else."""
        with telling_of_storage(self.path):
            trial = self._trials[label]
            if ratio is not None:
                trial.report(ratio, effort)
                self._proposals.learn(label, ratio)
            before = dict(trial.user_attrs.get(_SEEN, {}))
            # Losses that are not finite have no JSON; Optuna would write words that nobody reads.
            trial.set_user_attr(_SEEN, {**before, str(effort): json.loads(json_text(_finite(seen)))})
            for name in ("samples_per_second", "peak_memory", "loss_lag"):
                if seen.get(name) is not None:
                    trial.set_user_attr(name, _finite(seen[name]))

    def complete(self, label: str, ratio: float) -> None:
        """A trial went all the way."""
        self._tell(label, "complete", ratio)

    def prune(self, label: str, reason: str, broken: float = 0.0) -> None:
        """A trial is given up: others are faster, or it breaks a limit by so much, relative."""
        if broken > 0:
            self._proposals.refuse(label, broken)
        with telling_of_storage(self.path):
            self._trials[label].set_user_attr(_REASON, reason)
            self._trials[label].set_constraint(_BROKEN, broken)
        self._tell(label, "pruned")

    def fail(self, label: str, reason: str) -> None:
        """A trial could not be run."""
        self._proposals.refuse(label, 1.0)
        with telling_of_storage(self.path):
            self._trials[label].set_user_attr(_REASON, reason)
        self._tell(label, "failed")

    def _tell(self, label: str, word: TrialWord, value: float | None = None) -> None:
        with telling_of_storage(self.path):
            self._study.tell(self._trials.pop(label), value, state=_states()[word])

    def rows(self) -> list[TrialRow]:
        """All trials that have a configuration of their own, in the order in which they were asked for."""
        words = {state: word for word, state in _states().items()}
        with telling_of_storage(self.path):
            trials = self._study.get_trials(deepcopy=False)
        return [
            TrialRow(
                trial.number,
                str(trial.user_attrs[_LABEL]),
                dict(trial.params),
                words.get(trial.state, "running"),
                str(trial.user_attrs.get(_REASON, "")),
                dict(trial.user_attrs.get(_SEEN, {})),
                max(trial.constraints.values(), default=0.0),
            )
            for trial in trials
            if _LABEL in trial.user_attrs
        ]

    def take_up(self) -> list[TrialRow]:
        """Trials that an earlier part of the search left undecided; each is this search's again."""
        import optuna

        left = [row for row in self.rows() if row.word == "running"]
        with telling_of_storage(self.path):
            ids = {trial.number: trial._trial_id for trial in self._study.get_trials(deepcopy=False)}
            for row in left:
                self._trials[row.label] = optuna.Trial(self._study, ids[row.number])
        return left

    @property
    def spent(self) -> float:
        """Seconds that earlier parts of the search took."""
        with telling_of_storage(self.path):
            return float(self._study.user_attrs.get(_SPENT, 0.0))

    def spend(self, seconds: float) -> None:
        """Keep how long the search has taken in all."""
        with telling_of_storage(self.path):
            self._study.set_user_attr(_SPENT, round(seconds, 3))


def _finite(value: Any) -> Any:
    """The same, with numbers that are not finite as words."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _states() -> dict[TrialWord, Any]:
    from optuna.trial import TrialState

    return {
        "running": TrialState.RUNNING,
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }


def _distributions(space: SearchSpace) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution

    return {axis: CategoricalDistribution(values) for axis, values in space.axes.items()}


class _Proposals:
    """What is tried next, by a sampler that hears of each result at once.

    It has a study of its own, in memory. In that of the search a leader is undecided until its last race, and samplers
    take what is undecided for bad, so that they would keep away from the best; and what a sampler proposes twice would
    stand there as a trial.
    """

    def __init__(self, space: SearchSpace, name: Sampler, seed: int) -> None:
        import optuna

        own = optuna.samplers
        sampler: Any = own.RandomSampler(seed=seed % 2**32)
        if name == "tpe":
            sampler = own.TPESampler(seed=seed % 2**32, n_startup_trials=FIRST_AT_RANDOM)
        self._space, self._in_order = space, name == "grid"
        self._study = optuna.create_study(sampler=sampler, direction="maximize")
        self._asked: dict[str, optuna.Trial] = {}
        self._random = random.Random(seed)

    def next(self, left: Mapping[str, Configuration]) -> str:
        """The label of one of those that are left: the sampler's choice, or, where it keeps to others, one drawn."""
        labels = list(left)
        if self._in_order:
            return labels[0]
        for _ in range(REPEATS):
            trial = self._study.ask(_distributions(self._space))
            if (label := self._space.label(trial.params)) in left:
                self._asked[label] = trial
                return label
            self._study.tell(trial, state=_states()["failed"])
        label = self._random.choice(labels)
        self._study.enqueue_trial(dict(left[label]))
        self._asked[label] = self._study.ask(_distributions(self._space))
        return label

    def learn(self, label: str, ratio: float) -> None:
        """A configuration's speed in its first race; what later ones say of it moves its rank little."""
        if (trial := self._asked.pop(label, None)) is not None:
            trial.set_constraint(_BROKEN, 0.0)
            self._study.tell(trial, ratio)

    def refuse(self, label: str, broken: float) -> None:
        """A configuration that cannot be had; by how much it breaks a limit."""
        if (trial := self._asked.pop(label, None)) is not None:
            trial.set_constraint(_BROKEN, broken)
            self._study.tell(trial, state=_states()["pruned"])

    def remember(self, row: TrialRow) -> None:
        """A trial of an earlier part of the search."""
        self._study.enqueue_trial(dict(row.configuration))
        self._asked[row.label] = self._study.ask(_distributions(self._space))
        first = next((seen for _, seen in sorted(row.seen.items(), key=lambda one: int(one[0]))), {})
        if first.get("ratio") is not None and not row.broken:
            self.learn(row.label, float(first["ratio"]))
        elif row.word != "running":
            self.refuse(row.label, max(row.broken, 1e-3))


def open_study(
    path: Path | None, name: str, space: SearchSpace, *, sampler: Sampler, seed: int, resume: bool = False
) -> SearchStudy:
    """A new study, or one that is gone on with.

    Args:
        path: of its SQLite file, which may hold other studies of Optuna's; None: in memory.
        name: of the study.
        resume: whether it must be there already, of the same space; else it must not.

    Raises:
        SpecError: no such sampler.
        RunError: the file is none of Optuna's, or cannot be read or written; or the study is not there, is there
            already, or is of another space.
    """
    import optuna

    if sampler not in SAMPLERS:
        raise SpecError(one_of("sampler", sampler, SAMPLERS))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    marks = {axis: list(values) for axis, values in space.axes.items()}
    with telling_of_storage(path):
        storage = None if path is None else study_storage(path, resume=resume)
        own = [] if storage is None else [one.study_name for one in storage.get_all_studies()]
        if resume and name not in own:
            raise RunError(f"{path}: it holds no study {name!r}; there are: {', '.join(own) or '(none)'}")
        if not resume and name in own:
            raise RunError(f"{path}: it holds a study {name!r} already; allowed: --resume, or another --storage")
        study = optuna.create_study(
            storage=storage,
            sampler=optuna.samplers.RandomSampler(seed=seed % 2**32),  # never asked: all trials are enqueued
            study_name=name,
            direction="maximize",
            load_if_exists=resume,
        )
        if resume and study.user_attrs.get(_SPACE) != marks:
            raise RunError(f"{path}: its study {name!r} is of another search; allowed: the one that it was made by")
        if not resume:
            study.set_user_attr(_SPACE, marks)
    return SearchStudy(study, space, seed, sampler, path)
