"""Races of a search: configurations beside the default in one group, on interpreters that stay warm. No torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.tuning import raced_configurations
from bench.commands.run import Measurement, chosen_options, measure_cells, was_interrupted
from bench.commands.tune_search import RacedTogether, RaceStopped
from bench.engine.budget import in_words
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.plan.scripts import RACE
from bench.plan.search_plan import CONFIGURATION, SuiteSearch
from bench.plan.search_space import Configuration
from bench.plan.search_training import TrainingSearch

Subject = SuiteSearch | TrainingSearch

# Seconds of turns that an arm of a script gets for an effort of one: its steps are then some hundred, or a few dozen.
SECONDS_AN_ARM = 0.5
SCRIPT_RUNGS = (1, 2, 4)
# Sets of interpreters in the final race. Importing another for each short race would take longer than that.
FINAL_SETS = 2
# An epoch is one answer of an arm, and it may validate and save at its end.
TUNE_TIMEOUT = 120.0


@dataclass(frozen=True)
class SearchMachine:
    """This machine, as a search sees it.

    Attributes:
        subject: what is searched.
        fleet: the processes of all races.
        folder: that gets a folder for each race.
        given: options by the names of `Options`.
        budget: wall seconds of the search.
        before: wall seconds that earlier parts of it took.
        began: when this part began, by `time.monotonic`.
    """

    subject: Subject
    fleet: Fleet
    folder: Path
    given: Mapping[str, Any]
    progress: Progress
    command: Sequence[str]
    budget: float
    before: float
    began: float

    def spent(self) -> float:
        return self.before + time.monotonic() - self.began

    def race(self, configurations: Sequence[Configuration], effort: int, launches: int, name: str) -> RacedTogether:
        """One race: whole trainings of `effort` epochs, or, of a script, turns of some seconds.

        Raises:
            RaceStopped: the user asked to stop.
            BenchError: interpreters do not start, or the folder cannot be written.
        """
        suite = isinstance(self.subject, SuiteSearch)
        plan = self.subject.plan(configurations, effort)
        arms = len(plan.cells)
        several = "" if launches == 1 else f", {launches} launches"
        self.progress.phase(f"{name}: {in_words(arms - 2, 'configuration')}{several}")
        how = {"timeout": TUNE_TIMEOUT, **{key: own for key, own in self.given.items() if own is not None}}
        how |= {"budget": max(1.0, self.budget - self.spent()), "launches": launches, "instrument": 0}
        how["fork_servers"] = min(launches, FINAL_SETS)
        if not suite:
            how["launch"] = SECONDS_AN_ARM * effort * arms
        options = chosen_options(how)
        files = {self.subject.suite.name: self.subject.file} if isinstance(self.subject, SuiteSearch) else {RACE: ""}
        sides = None if isinstance(self.subject, SuiteSearch) else self.subject.sides
        work = Measurement(plan, files, options, sides)
        run = measure_cells(work, self.folder, self.progress, command=self.command, fleet=self.fleet)
        if was_interrupted(run):
            raise RaceStopped
        axis = CONFIGURATION if suite else "script"
        results = raced_configurations(run.records, axis, effort if suite else None)
        return RacedTogether(tuple(results), float(run.info["timing"]["launches"]), str(run.folder))
