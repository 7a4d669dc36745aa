"""A simulated machine whose fastest configuration is known: races of it cost time, drift and scatter as real ones do.

Noise is of the size that was measured (`reference/noise`): launches of the same code differ by 1.5 % (sd of a log
ratio), epochs of a launch by 4 %, the machine's pace drifts by 20 % from race to race, and one race in ten is disturbed
in one of its arms.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence

from bench.analysis.tuning import TWIN, RacedConfiguration
from bench.commands.tune_search import RacedTogether
from bench.plan.search_space import Configuration, SearchSpace

LAUNCH_SD, EPOCH_SD, DRIFT_SD = 0.015, 0.04, 0.2
START = 1.0  # epochs of the default that starting an arm takes


class TunedMachine:
    """Races configurations of which it knows everything.

    Args:
        space: what is searched.
        seed: of the truth and of the noise.
        speeds: factors by axis and value; drawn where they are not given.
        lags: relative losses above the default's, by label.
        memory: bytes by label.
        faults: outcome and reason by label.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        speeds: Mapping[str, float] | None = None,
        lags: Mapping[str, float] | None = None,
        memory: Mapping[str, int] | None = None,
        faults: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.space, self._random = space, random.Random(seed)
        self.truth = dict(speeds) if speeds else drawn_truth(space, self._random)
        self._lags, self._memory, self._faults = lags or {}, memory or {}, faults or {}
        self.seconds = 0.0
        self.raced: list[tuple[str, int, int]] = []  # label, effort, launches
        self.races = 0
        self.stop_before = math.inf  # the race before which somebody interrupts
        self.budget = math.inf

    def spent(self) -> float:
        return self.seconds

    def cost(self, labels: Sequence[str], effort: int, launches: int) -> float:
        """Seconds of a race, the default and its twin included."""
        default = self.space.label(self.space.default)
        arms = [default, default, *labels]
        return launches * math.fsum(START + effort / self.truth[label] for label in arms)

    def grid_cost(self, effort: int, launches: int, at_once: int) -> float:
        """Seconds of racing every configuration as finalists are."""
        labels = [self.space.label(one) for one in self.space.candidates()]
        races = [labels[first : first + at_once] for first in range(0, len(labels), at_once)]
        return math.fsum(self.cost(race, effort, launches) for race in races)

    def race(self, configurations: Sequence[Configuration], effort: int, launches: int, name: str) -> RacedTogether:
        if self.races >= self.stop_before:
            raise KeyboardInterrupt
        self.races += 1
        labels = [self.space.label(one) for one in configurations]
        took = self.cost(labels, effort, launches)
        late = self.seconds + took > self.budget
        self.seconds += took
        default = self.space.label(self.space.default)
        self.raced += [(label, effort, launches) for label in labels]
        if late:
            return RacedTogether((RacedConfiguration(default, "not-run", "the budget ended"),), took)
        results = [self._result(default, launches, effort), self._result(TWIN, launches, effort)]
        results += [self._result(label, launches, effort) for label in labels]
        return RacedTogether(tuple(results), took)

    def _result(self, label: str, launches: int, effort: int) -> RacedConfiguration:
        default = self.space.label(self.space.default)
        own = default if label == TWIN else label
        if label in self._faults:
            return RacedConfiguration(label, *self._faults[label])
        logs = []
        for _ in range(launches):
            noise = self._random.gauss(0, LAUNCH_SD) + self._random.gauss(0, EPOCH_SD / math.sqrt(max(1, effort - 1)))
            noise += self._random.gauss(0, 0.1) if self._random.random() < 0.01 else 0.0
            logs.append(0.0 if label == default else math.log(self.truth[own] / self.truth[default]) + noise)
        lag = self._lags.get(own, 0.0)
        return RacedConfiguration(
            label,
            "ok",
            logs=tuple(logs),
            rate=1000 * self.truth[own] * math.exp(self._random.gauss(0, DRIFT_SD)),
            memory=self._memory.get(own, 10**9),
            losses=(1.0 + lag,) * launches,
            lags=(lag,) * launches,
        )

    def best(self, allowed: Sequence[str] | None = None) -> float:
        """The speed of the fastest configuration, of those that are allowed."""
        labels = allowed or [self.space.label(one) for one in self.space.candidates()]
        return max(self.truth[label] for label in labels)


def drawn_truth(space: SearchSpace, generator: random.Random) -> dict[str, float]:
    """Speeds over the default's: a factor for each value, and for each pair of values of two axes a smaller one."""
    main = {(axis, value): generator.gauss(0, 0.3) for axis, values in space.axes.items() for value in values}
    pairs: dict[tuple[object, ...], float] = {}
    truth = {}
    for one in space.configurations():
        log = math.fsum(main[axis, one[axis]] for axis in space.axes)
        for first, second in itertools.combinations(space.axes, 2):
            key = first, one[first], second, one[second]
            log += pairs.setdefault(key, generator.gauss(0, 0.08))
        truth[space.label(one)] = math.exp(log)
    default = truth[space.label(space.default)]
    return {label: speed / default for label, speed in truth.items()}
