"""What is said of a training: advice that was raced, bounds, traps with their price, and what was not told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.analysis.ladder import RungPrice
from bench.analysis.savings import Saving
from bench.commands.remedies import Trap, Trial, traps_of
from bench.commands.source_edits import Patch, edit_words, patch_of
from bench.results.observed import Observed

# Where a bound is under this share, whatever it bounds is not worth the work.
BOUNDED = 0.02
NOTHING_SEEN = Observed()


@dataclass(frozen=True)
class Tried:
    """A trial, and what it saved."""

    trial: Trial
    saving: Saving


@dataclass(frozen=True)
class PricedTrap:
    """A trap, and what mending it saves; None where nothing was raced against it, or that told nothing."""

    trap: Trap
    price: Tried | None


@dataclass(frozen=True)
class Diagnosis:
    """All that is said of a training.

    Attributes:
        target: as the user wrote it.
        cores: that it may use.
        seen: what was observed of it.
        advice: what saves, the most first; of values to choose from the best.
        also: further values that save too, and are not the best.
        unadvised: remedies that were raced and save nothing that is known and worth it.
        bounds: what bounds remedies, the largest first.
        traps: those that it falls into.
        untried: what could not be raced, or told nothing, each with why.
        claims: intervals of remedies, all of which hold at once in 95 of 100 diagnoses; of bounds there are others.
        runs: the folders of the races.
        memory, slope: peak bytes of the training as it is, and by how much its step changes in a launch, as words.
        features: what each of Trainer's features costs over the one below, where that was asked for.
        failed: why there is none of this; "" where there is.
        log: of the look at it.
    """

    target: str
    cores: int = 1
    seen: Observed = NOTHING_SEEN
    advice: tuple[Tried, ...] = ()
    also: tuple[Tried, ...] = ()
    unadvised: tuple[Tried, ...] = ()
    bounds: tuple[Tried, ...] = ()
    traps: tuple[PricedTrap, ...] = ()
    untried: tuple[tuple[str, str], ...] = ()
    claims: int = 0
    runs: tuple[str, ...] = ()
    memory: float | None = None
    slope: str = ""
    features: tuple[RungPrice, ...] = ()
    failed: str = ""
    log: str = ""
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    def patch(self, sources: Mapping[str, str]) -> Patch:
        """The change of the user's files that all advice and all traps without a price ask for.

        Args:
            sources: the text of each file, by its name as the edits have it.
        """
        trials = [one.trial for one in compatible(self.advice)]
        edits = [edit for trial in trials for edit in trial.edits]
        edits += [edit for one in self.traps for edit in one.trap.edits]
        found = patch_of(edits, sources)
        words = tuple(f"{trial.title} ({trial.why})" for trial in trials if not trial.edits)
        return Patch(found.diff, (*found.by_hand, *words))

    def edited_files(self) -> tuple[str, ...]:
        """The files that the patch is about."""
        edits = [edit for one in self.advice for edit in one.trial.edits]
        edits += [edit for one in self.traps for edit in one.trap.edits]
        return tuple(dict.fromkeys(edit.line.rpartition(":")[0] for edit in edits if edit.line))

    def arguments(self) -> tuple[str, ...]:
        """What advice changes where no file of the user's has it: arguments of a Trainer that has no script."""
        edits = [edit for one in compatible(self.advice) for edit in one.trial.edits if not edit.line]
        return tuple(edit_words(edit) for edit in edits)


def diagnose(
    target: str,
    seen: Observed,
    cores: int,
    trials: Sequence[tuple[str, Trial]],
    savings: Mapping[str, Saving],
    untold: Mapping[str, str],
    **more: Any,
) -> Diagnosis:
    """The diagnosis of what was observed and raced.

    Args:
        trials: every one, by its label.
        savings: what trials saved, by label.
        untold: of those that told nothing, why.
        more: further attributes.
    """
    tried = [Tried(trial, savings[label]) for label, trial in trials if label in savings]
    remedies = sorted((one for one in tried if not one.trial.bound), key=_rank)
    good = [one for one in remedies if one.saving.is_known]
    best = {one.trial.name: one for one in reversed(good)}
    advice = [one for one in good if best[one.trial.name] is one]
    bounds = sorted((one for one in tried if one.trial.bound), key=_rank)
    return Diagnosis(
        target=target,
        cores=cores,
        seen=seen,
        advice=tuple(advice),
        also=tuple(one for one in good if one not in advice),
        unadvised=tuple(one for one in remedies if one not in good),
        bounds=tuple(bounds),
        traps=tuple(PricedTrap(trap, _price(trap, remedies)) for trap in traps_of(seen, cores)),
        untried=tuple((trial.title, untold[label]) for label, trial in trials if label in untold),
        claims=len(remedies),
        **more,
    )


def _rank(one: Tried) -> float:
    return -one.saving.share.estimate


def _price(trap: Trap, remedies: Sequence[Tried]) -> Tried | None:
    """The remedy that answers a trap most directly; of its values the best. `remedies` are ranked."""
    answers = (next((one for one in remedies if one.trial.name == name), None) for name in trap.remedies)
    return next((one for one in answers if one is not None), None)


def compatible(advice: Sequence[Tried]) -> tuple[Tried, ...]:
    """The advice that can be followed together: what sets an argument that better advice sets otherwise is left out."""
    kept: list[Tried] = []
    taken: dict[tuple[str, str], str] = {}
    for one in advice:
        own = {(edit.line, name): value for edit in one.trial.edits for name, value in edit.arguments.items()}
        own |= {(edit.line, name): "" for edit in one.trial.edits for name in edit.without}
        if all(taken.get(key, value) == value for key, value in own.items()):
            kept.append(one)
            taken |= own
    return tuple(kept)
