"""What a gate of some seconds would see on a machine whose launches scatter so much and take so long. Pure; no torch.

The gate's own rule and its own arithmetic of time, walked through before anything is measured: start-up, launches of
the screen in sweeps over all groups, launches of the second stage until the next ones do not fit. One cell is slower,
and all others are as fast as their baselines.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.engine import budget
from bench.engine.group_state import KNOWN_FROM, LEAST_BETWEEN
from bench.engine.interpreter_sets import interpreters_of
from bench.engine.turn_order import rounds_to_end
from bench.plan.cell import Plan
from bench.stats.gate_rule import STAGE_POWER, STEPS_JUDGED, Rule, hidden_by_noise
from bench.stats.rounding import percent_of
from bench.stats.step_times import LEAST_ROUNDS

MOST_BUDGET = 3600.0  # seconds; a machine that needs more for its first look is told so, and no budget


@dataclass(frozen=True)
class LaunchNoise:
    """What launches scatter by, and take, on a machine.

    Attributes:
        between: of log ratios, as a standard deviation over launches: what fresh processes differ by.
        within: what a second of turns of two arms leaves besides, falling with the root of the seconds.
        arm_start: seconds that each arm adds to a launch besides its turns.
        least_turns: seconds of one arm in the least rounds of a launch.
        imports: seconds until an interpreter is there, by what it imports.
    """

    between: float
    within: float
    arm_start: float
    least_turns: float
    imports: Mapping[tuple[str, ...], float]

    def sd(self, turns: float, arms: int) -> float:
        """Of the log ratio of two of so many arms, from a launch with so many seconds of turns."""
        return math.sqrt(self.between**2 + self.within**2 * arms / (2 * turns))


@dataclass(frozen=True)
class GateShape:
    """What of a plan decides how long its gate takes.

    Attributes:
        name: of its suite.
        arms: of each group, twins included; the slower cell is in the first one.
        preloads: what the interpreters of one set import.
        apart: whether the slower cell and its baseline import other things, so that they never change places.
        cores, conductor_cores: that can be used, and that are free of arms.
    """

    name: str
    arms: tuple[int, ...]
    preloads: tuple[tuple[str, ...], ...]
    apart: bool
    cores: int
    conductor_cores: int


@dataclass(frozen=True)
class GateForecast:
    """What a gate would see.

    Attributes:
        suite, groups, arms: what is gated.
        budget: seconds of the whole gate.
        starting: seconds until its interpreters are there.
        launch: seconds of one launch of the slower cell's group.
        sd: of its log ratios, over launches.
        screen: launches that it takes until the screen has flagged the slower cell.
        look: launches of the last interim look that the budget has room for; 0: of none, and then nothing is seen.
        noise: the slowdown that is told from the margin with 95 % by then (`gate_rule.hidden_by_noise`); None: none is.
        sees: the smallest slowdown that is called a regression with 90 %: that, or the rule's target if it is larger.
        needs: seconds of about the least budget that sees one at all; None: above an hour.
        limits: what a better figure would take, the first one most, as sentences.
    """

    suite: str
    groups: int
    arms: int
    budget: float
    starting: float
    launch: float
    sd: float
    screen: int
    look: int
    noise: float | None
    sees: float | None
    needs: float | None
    limits: tuple[str, ...] = ()


def shape_of(plan: Plan, cores: int, conductor_cores: int) -> GateShape:
    """Of the groups of this plan that can run."""
    groups = [group.runnable for group in plan.groups if len(group.runnable) > 1]
    return GateShape(
        name=", ".join(plan.suites),
        arms=tuple(len(cells) for cells in groups),
        preloads=tuple(preload for preload, _ in interpreters_of(groups)),
        apart=any(cell.preload != cells[0].preload for cells in groups[:1] for cell in cells),
        cores=cores,
        conductor_cores=conductor_cores,
    )


def forecast_gate(shape: GateShape, noise: LaunchNoise, seconds: float, rule: Rule) -> GateForecast:
    """What a gate of so many seconds would see, when it would see anything, and what keeps it from seeing more."""
    found = _forecast(shape, noise, seconds, rule)
    return replace(found, needs=_least_budget(shape, noise, rule), limits=tuple(_limits(found, shape, noise, rule)))


def _forecast(shape: GateShape, noise: LaunchNoise, seconds: float, rule: Rule) -> GateForecast:
    """Without what needs other forecasts: which look is reached and what is seen by then hang on each other."""
    screen = 2
    while True:
        walk = _Walk(shape, noise, rule, seconds, screen)
        told = walk.told(rule)
        seen = None if told is None else max(rule.target, told)
        wanted = screened_after(seen or rule.target, walk.sd, rule)
        if wanted <= screen or screen >= rule.screen[-1]:
            break
        screen += 1
    return GateForecast(
        suite=shape.name,
        groups=len(shape.arms),
        arms=sum(shape.arms),
        budget=seconds,
        starting=walk.starting,
        launch=statistics.fmean(walk.costs) if walk.costs else 0.0,
        sd=walk.sd,
        screen=screen,
        look=walk.look,
        noise=told,
        sees=seen,
        needs=None,
    )


def screened_after(slowdown: float, sd: float, rule: Rule) -> int:
    """Launches after which, with 95 %, the screen has flagged a cell that is that much slower.

    It flags as soon as it can pass no more: with one launch more above `doubtful` than its last look allows.
    """
    above = statistics.NormalDist(math.log1p(slowdown), max(sd, 1e-9))
    chance = 1 - above.cdf(rule.doubtful)
    for launches in range(rule.screen_above[-1] + 1, rule.screen[-1]):
        fewer = range(rule.screen_above[-1] + 1)
        missed = sum(math.comb(launches, k) * chance**k * (1 - chance) ** (launches - k) for k in fewer)
        if missed <= 1 - STAGE_POWER:
            return launches
    return rule.screen[-1]


class _Walk:
    """The launches of one gate, one after the other, as long as `bench.commands.gate` and the conductor make them."""

    def __init__(self, shape: GateShape, noise: LaunchNoise, rule: Rule, seconds: float, screen: int) -> None:
        self._shape, self._noise, self._seconds = shape, noise, seconds
        self.starting = budget.seconds_of_imports(shape.preloads, noise.imports, shape.cores)
        self.costs: list[float] = []  # of launches of the first group
        self._variances: list[float] = []
        self._begun: list[float] = []  # seconds after which these launches began
        self._spent = self.starting
        equal = rule.screen[0]  # launches after which most cells that are as fast as their baseline have passed
        for number in range(max(screen, equal if len(shape.arms) > 1 else 0)):
            for group, arms in enumerate(shape.arms):
                if number < (equal if group else screen):
                    self._launch(number, arms, len(shape.arms), counted=not group)
        screened = len(self.costs)
        self.look = 0
        for look in rule.looks:
            made = len(self.costs) - screened
            if (look - made) * statistics.median(self.costs) > seconds - self._spent:
                break
            for number in range(made, look):
                self._launch(number, shape.arms[0], 1, counted=True)
            self.look = look
        self.sd = math.sqrt(statistics.fmean(self._variances[screened:] or self._variances))
        self._sets = [self._set_after(moment) for moment in self._begun[screened:]] if shape.apart else []

    def told(self, rule: Rule) -> float | None:
        """The slowdown that the last look tells from the margin."""
        if not self.look:
            return None
        alpha = rule.alphas[rule.looks.index(self.look)] / STEPS_JUDGED
        return hidden_by_noise(self.sd, self.look, alpha, rule, self._sets[: self.look])

    def _launch(self, number: int, arms: int, groups: int, *, counted: bool) -> None:
        start_up, within = self._noise.arm_start * arms, self._noise.within**2 * arms / 2
        between = max(LEAST_BETWEEN, self._noise.between) ** 2
        best = math.sqrt(start_up * within / between) if number >= KNOWN_FROM else None
        left = max(0.0, self._seconds - self._spent) / groups
        turns = max(budget.seconds_of_turns(left, number, start_up, best), arms * self._noise.least_turns)
        block = arms * self._noise.least_turns * rounds_to_end(arms) / LEAST_ROUNDS
        turns = max(1, round(turns / block)) * block  # whole blocks of rounds, as nearly as can be
        if counted:
            self.costs.append(start_up + turns)
            self._variances.append(self._noise.sd(turns, arms) ** 2)
            self._begun.append(self._spent)
        self._spent += start_up + turns

    def _set_after(self, moment: float) -> int:
        """Which set of interpreters a launch then comes from; where none can import beside turns, the first."""
        if not self._shape.conductor_cores:
            return 0
        each = budget.one_after_the_other(self._shape.preloads, self._noise.imports) / self._shape.conductor_cores
        return int((moment - self.starting) / each) if each else 0


def _least_budget(shape: GateShape, noise: LaunchNoise, rule: Rule) -> float | None:
    """Seconds of about the least budget whose gate reaches a look; launches are longer where there is more time."""
    low, high = 0.0, MOST_BUDGET
    if _forecast(shape, noise, high, rule).sees is None:
        return None
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if _forecast(shape, noise, middle, rule).sees is None else (low, middle)
    return high


def _limits(found: GateForecast, shape: GateShape, noise: LaunchNoise, rule: Rule) -> list[str]:
    """What would have to be otherwise, ordered by how much it would help."""
    if found.noise is None:
        begun = f"its interpreters are there after {found.starting:.0f} s, a launch takes {found.launch:.1f} s"
        groups = f" in each of {found.groups} groups" if found.groups > 1 else ""
        return [f"room: {begun}{groups}, and the first look needs {rule.looks[0]} launches behind the screen"]
    if found.noise <= rule.target:
        return [
            f"the rule: slowdowns below its target of {percent_of(rule.target)} may pass, however quiet a machine is"
        ]
    quiet = LEAST_BETWEEN
    others: Sequence[tuple[str, LaunchNoise, float]] = (
        ("launches: the budget has room for {look} behind the screen, the rule takes {last}", noise, MOST_BUDGET),
        ("noise from process to process, {between:.2%}", replace(noise, between=min(noise.between, quiet)), 0.0),
        ("noise within a launch, {within:.2%} after a second of turns of two arms", replace(noise, within=0.0), 0.0),
        ("start-up: {starting:.0f} s of interpreters", replace(noise, imports=dict.fromkeys(noise.imports, 0.0)), 0.0),
    )
    gains = []
    for text, changed, seconds in others:
        better = _forecast(shape, changed, seconds or found.budget, rule).noise
        gain = found.noise - (found.noise if better is None else better)
        told = {"between": noise.between, "within": noise.within, "starting": found.starting}
        gains.append((gain, text.format(look=found.look, last=rule.looks[-1], **told)))
    return [text for gain, text in sorted(gains, reverse=True) if gain > 0.1 * found.noise]
