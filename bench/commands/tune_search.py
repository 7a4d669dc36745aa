"""How a search goes: short races of many, longer ones of those that lead, and a proper race of the best. No torch.

It is successive halving over races. What a study proposes is raced together with the default configuration, all arms in
one group and in turns, so that drift hits them alike; those that lead go on to longer races, the others are given up;
the finalists are raced anew, several launches of several seeds, and that race alone is the claim.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from bench.analysis.tuning import Finalist, RacedConfiguration, TuneLimits, broken_limit, judged_finalists
from bench.commands.tune_study import SearchStudy, TrialRow
from bench.engine.budget import in_seconds
from bench.errors import RunError
from bench.plan.search_space import Configuration

RACED_AT_ONCE = 10  # candidates beside the default and its twin: more take long for a round, and memory
KEPT = (5, 2)  # that go from the first rung to the second, and from there to the last
FINALISTS = 2
SEEDS = 4  # launches of the final race; fewer where the budget ends
LEAST_SEEDS = 2  # of fewer there is no interval


class RaceStopped(Exception):
    """The user asked to stop while a race went on."""


_NOT_RUN = RacedConfiguration("", "not-run")


class Racer(Protocol):
    """What races configurations."""

    def race(self, configurations: Sequence[Configuration], effort: int, launches: int, name: str) -> RacedTogether: ...

    def spent(self) -> float:
        """Wall seconds that the search has taken so far, earlier parts of it included."""
        ...


@dataclass(frozen=True)
class RacedTogether:
    """What one race told.

    Attributes:
        results: the default, its twin, and the configurations, those that failed too.
        seconds: that its launches took, interpreters left out.
        folder: where its records are.
    """

    results: tuple[RacedConfiguration, ...]
    seconds: float
    folder: str = ""


@dataclass(frozen=True)
class SearchRules:
    """How long a search goes on, and what a configuration must keep.

    Attributes:
        rungs: the efforts of the races, ascending: epochs of a training, or seconds of turns of a script.
        trials: configurations that are tried, at most.
        budget: wall seconds of everything.
        limits: of memory and loss.
        seeds: launches of the final race.
    """

    rungs: tuple[int, ...]
    trials: int
    budget: float
    limits: TuneLimits = field(default_factory=TuneLimits)
    seeds: int = SEEDS


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        default: the default configuration as the last race that had it tells it; None where no race was.
        rows: the trials, as the study has them.
        finalists: as the final race tells them, the best first; none where there was no such race.
        ended: why it ended: `finished`, `budget` or `interrupted`.
        notes: sentences on what a reader must know.
        runs: the folders of the races.
    """

    default: RacedConfiguration | None
    rows: tuple[TrialRow, ...]
    finalists: tuple[Finalist, ...]
    ended: str
    notes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def winner(self) -> Finalist | None:
        """The configuration that is better than the default in speed, within all limits; None where none is."""
        return next((one for one in self.finalists if one.word == "better"), None)


@dataclass
class _Candidate:
    """A configuration that is not decided yet, and its results by effort."""

    label: str
    configuration: Configuration
    results: dict[int, RacedConfiguration] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Of the longest race that it was in."""
        return (self.results[max(self.results)].ratio or 0.0) if self.results else 0.0

    @property
    def promise(self) -> float:
        """Of the longest race that it was in; see `RacedConfiguration`."""
        return self.results[max(self.results)].promise if self.results else 0.0


class HalvingSearch:
    """One search, from its first proposal to its final race."""

    def __init__(self, study: SearchStudy, racer: Racer, rules: SearchRules) -> None:
        self._study, self._racer, self._rules = study, racer, rules
        self._paces: list[float] = []  # seconds of an arm's launch, over its effort and one for its start
        self._default: RacedConfiguration | None = None
        self._best: dict[str, _Candidate] = {}  # that went all the way
        self._beaten: dict[str, _Candidate] = {}  # that others were faster than, and that broke no limit
        self._notes: list[str] = []
        self._runs: list[str] = []

    def run(self) -> SearchResult:
        """Search until trials or budget are used up, then race the finalists.

        Raises:
            RunError: the default itself cannot be raced or breaks the memory limit, or the budget ends before the first
                race does.
        """
        finalists: list[Finalist] = []
        ended = "finished"
        try:
            ended = self._look() or "finished"
            if self._best:
                finalists, ended = self._final(ended)
        except _BudgetEnded:
            ended = "budget"
        except (RaceStopped, KeyboardInterrupt):
            ended = "interrupted"
        finally:
            self._study.spend(self._racer.spent())
        rows = tuple(self._study.rows())
        return SearchResult(
            self._default, rows, tuple(finalists), ended, tuple(dict.fromkeys(self._notes)), tuple(self._runs)
        )

    # --- looking

    def _look(self) -> str:
        """Screen and climb until there is a candidate for the final race; why it ended."""
        undecided = [_taken_up(row) for row in self._study.take_up()]
        self._remember(self._study.rows())
        while True:
            ended = self._screen(undecided)
            if not undecided and not ended and not self._best:
                undecided += self._second_look()
            if undecided:
                self._climb(undecided)
            if self._best or ended:
                return ended
            if not self._beaten and self._study.tried >= self._rules.trials:
                return "finished"

    def _second_look(self) -> list[_Candidate]:
        """The most promising of those that were given up for others, once all of these have broken a limit."""
        chosen = sorted(self._beaten.values(), key=lambda one: -one.promise)[: KEPT[0]]
        for one in chosen:
            del self._beaten[one.label]
            seen = {str(effort): seen_of(result) for effort, result in one.results.items()}
            self._study.again(one.label, one.configuration, seen)
        return chosen

    def _screen(self, undecided: list[_Candidate]) -> str:
        """Race what the study proposes on the first rung, until nothing is left to try; why it ended, or "".

        The leaders stay in `undecided`; of all others the study is told at once, so that it proposes better ones.
        """
        first = self._rules.rungs[0]
        rest = [one for one in undecided if not one.results]  # an earlier part asked for them, and raced none
        while True:
            batch = rest[:RACED_AT_ONCE]
            rest = rest[RACED_AT_ONCE:]
            wanted = min(RACED_AT_ONCE, self._rules.trials - self._study.tried)
            if not batch and wanted > 0:
                if not self._has_room(wanted):
                    return "budget"
                batch = [_Candidate(label, own) for label, own in self._study.propose(wanted)]
                undecided += batch
            if not batch:
                return ""
            self._race(batch, first, undecided)
            self._give_up(undecided, KEPT[0], first)

    def _climb(self, undecided: list[_Candidate]) -> None:
        """Longer races of the leaders, each of fewer; those of the last one are told to be complete."""
        for number, effort in enumerate(self._rules.rungs[1:], 1):
            racing = [one for one in undecided if effort not in one.results]
            if racing:
                self._race(racing, effort, undecided)
            if number < len(self._rules.rungs) - 1:
                self._give_up(undecided, KEPT[min(number, len(KEPT) - 1)], effort)
        for one in undecided:
            self._study.complete(one.label, one.ratio)
            self._best[one.label] = one
        undecided.clear()

    def _race(self, racing: Sequence[_Candidate], effort: int, undecided: list[_Candidate]) -> None:
        """One race; what fails or breaks a limit is decided, and no longer in `undecided`."""
        told = self._raced([one.configuration for one in racing], effort, 1, f"race of {effort}")
        by_label = {one.label: one for one in told.results}
        # What the budget cut short stays undecided, and a search that goes on races it again.
        done = [(one, by_label[one.label]) for one in racing if by_label.get(one.label, _NOT_RUN).outcome != "not-run"]
        for one, result in done:
            self._study.report(one.label, effort, result.ratio, seen_of(result))
            one.results[effort] = result
            if self._decided(one.label, result, effort):
                undecided.remove(one)
        if len(done) < len(racing):
            raise _BudgetEnded

    def _decided(self, label: str, result: RacedConfiguration, effort: int) -> bool:
        """Whether a result leaves nothing more to see of its configuration; the study is told."""
        limits = self._rules.limits
        broken, much = broken_limit(result, limits, effort / self._last)
        if result.outcome == "oom":
            self._study.prune(label, f"out of memory: {result.reason}", 1.0)
        elif result.outcome != "ok" or result.ratio is None:
            self._study.fail(label, f"{result.outcome}: {result.reason}" if result.reason else "it was not timed")
        elif broken:
            self._study.prune(label, broken, much)
        else:
            return False
        return True

    def _raced(self, configurations: Sequence[Configuration], effort: int, launches: int, name: str) -> RacedTogether:
        told = self._racer.race(configurations, effort, launches, name)
        arms = len(configurations) + 2
        self._runs += [told.folder] if told.folder else []
        default = told.results[0] if told.results else None
        if default is None or default.outcome == "not-run":
            if self._default is None:
                took = in_seconds(self._rules.budget)
                raise RunError(f"the budget of {took} has no room for a single race; allowed: a larger --budget")
            raise _BudgetEnded
        if default.outcome != "ok":
            raise RunError(
                f"the default configuration, {default.label}, was not raced: {default.outcome}: {default.reason}"
            )
        limit, needs = self._rules.limits.memory, default.limited_memory
        if limit is not None and needs is not None and needs > limit:
            raise RunError(
                f"the default configuration, {default.label}, needs {needs} bytes at its peak, more than the memory "
                f"limit of {limit}; allowed: a limit from there on, or another first value of an axis"
            )
        self._default = default
        self._paces.append(told.seconds / (arms * (1 + effort) * launches))
        self._study.spend(self._racer.spent())
        return told

    def _give_up(self, undecided: list[_Candidate], keep: int, effort: int) -> None:
        """Of those that were raced so far, those that promise most are kept; the others are pruned."""
        raced = sorted((one for one in undecided if effort in one.results), key=lambda one: -one.promise)
        for one in raced[keep:]:
            why = f"{keep} others promised more in a race of {effort}, of {self._last} at most"
            self._study.prune(one.label, why)
            undecided.remove(one)
            self._beaten[one.label] = one

    @property
    def _last(self) -> int:
        return self._rules.rungs[-1]

    # --- time

    def _seconds(self, arms: int, effort: int, launches: int = 1) -> float:
        """Wall seconds that a race would take, as earlier ones did; 0 where there were none."""
        return statistics.median(self._paces) * arms * (1 + effort) * launches if self._paces else 0.0

    def _left(self) -> float:
        return self._rules.budget - self._racer.spent()

    def _has_room(self, wanted: int) -> bool:
        """Whether another race of the first rung fits before what must follow it. The first one is always made."""
        rungs = self._rules.rungs
        later = math.fsum(self._seconds(2 + kept, effort) for kept, effort in zip(KEPT, rungs[1:], strict=False))
        final = self._seconds(2 + FINALISTS, rungs[-1], LEAST_SEEDS)
        return self._seconds(2 + wanted, rungs[0]) + later + final <= self._left() or not self._paces

    # --- the final race

    def _final(self, ended: str) -> tuple[list[Finalist], str]:
        """The best in one race with the default, of several seeds; and why all ended."""
        best = sorted(self._best.values(), key=lambda one: -one.ratio)[:FINALISTS]
        each = self._seconds(2 + len(best), self._last)
        launches = min(self._rules.seeds, int(self._left() / each) if each else self._rules.seeds)
        if launches < LEAST_SEEDS:
            self._notes.append(
                f"the budget had no room for the final race, which takes about {in_seconds(LEAST_SEEDS * each)}: "
                "nothing is claimed; go on with --resume and a larger --budget"
            )
            return [], "budget"
        told = self._raced([one.configuration for one in best], self._last, launches, "final race")
        return judged_finalists(told.results, self._rules.limits), ended

    def _remember(self, rows: Iterable[TrialRow]) -> None:
        """Candidates that an earlier part of the search has raced to the last rung, or has given up for these."""
        for row in rows:
            self._beaten.pop(row.label, None)
            if row.word == "complete":
                self._best[row.label] = _taken_up(row)
            elif row.word == "pruned" and not row.broken and row.seen:
                self._beaten[row.label] = _taken_up(row)


class _BudgetEnded(Exception):
    """A race was cut short, since the budget had ended."""


def seen_of(result: RacedConfiguration) -> dict[str, Any]:
    """What a study keeps of a result: all of it, and figures that a dashboard shows by names that say what they are."""
    kept = asdict(result)
    kept |= {
        "ratio": result.ratio,
        "samples_per_second": result.rate,
        "peak_memory": result.limited_memory,
        "loss_lag": result.lag,
    }
    return kept


def result_seen(seen: Mapping[str, Any]) -> RacedConfiguration:
    """The result that `seen_of` made this of."""
    numbers = {name: tuple(map(float, seen.get(name, ()))) for name in ("logs", "losses", "lags")}
    return RacedConfiguration(
        str(seen["label"]),
        str(seen["outcome"]),
        str(seen.get("reason", "")),
        rate=seen.get("rate"),
        memory=seen.get("memory"),
        device_memory=seen.get("device_memory"),
        **numbers,
    )


def _taken_up(row: TrialRow) -> _Candidate:
    """A trial of an earlier part of the search, with what its races told."""
    results = {int(effort): result_seen(seen) for effort, seen in row.seen.items()}
    done = {effort: result for effort, result in results.items() if result.outcome == "ok"}
    return _Candidate(row.label, row.configuration, done)


def rungs_of(most: int) -> tuple[int, ...]:
    """Epochs of the races, up to `most`: a quarter, a half, all; two at least, since the first epoch is not timed."""
    return tuple(sorted({max(2, most // 4), max(2, most // 2), max(2, most)}))
