"""The rule of a gate and the values that it speaks in: log ratios of launches in, decisions out. Pure; no torch.

One launch gives a cell two values: the log ratio of its typical step to its baseline's, and that of its mean step,
which is what a user pays. Which arm is started first, which turn comes first and where the heap lies are drawn anew for
each launch, so where two arms are the same the sign of a value is a fair coin whatever noise the machine makes. The
exact signed-rank test rests on that alone, and so does the bound of a pass.

The screen only passes or flags. Flagged cells are judged on fresh launches alone, so whatever the screen selected, the
rate of false alarms is that of the second stage, and only flagged cells share its alpha. `gate_decisions` applies it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.errors import SpecError
from bench.stats.intervals import Interval
from bench.stats.layouts import LAYOUT, layout_shift
from bench.stats.signed_rank import chance_to_pass

Verdict = Literal["pass", "regression", "improvement", "inconclusive", "invalid"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Stage = Literal["screen", "confirm"]
Step = Literal["typical", "mean"]

# The gate's verdict is the first of these that a cell has. Invalid comes first: with a control that alarms or an arm
# that did other work, a slowdown beside it is not to be believed either.
PRECEDENCE: tuple[Verdict, ...] = ("invalid", "regression", "inconclusive", "improvement", "pass")

# A slowdown that is seen with 90 % is missed by the confirming stage in 5 %, and passed by mistake in at most 5 %.
POWER, STAGE_POWER, MISTAKEN_PASS = 0.90, 0.95, 0.05
SIGNED_RANK_EFFICIENCY = 3 / math.pi  # of the signed-rank test to the t test on Gaussian values (Lehmann 1975)
STEPS_JUDGED = 2  # steps that a cell is judged by, the typical and the mean one


@dataclass(frozen=True)
class Rule:
    """When a gate says what.

    Attributes:
        margin: the equivalence margin, a harmless slowdown; a regression must be shown to be larger.
        target: a slowdown that is promised to be caught; a pass shows that it is smaller.
        screen: launches of the first stage after which it may pass a cell.
        screen_above: how many of them may then lie above `doubtful`; a cell that can pass no more is flagged at once.
        looks: interim looks, the numbers of launches of the second stage after which it is judged.
        alphas: what each look may spend; together the gate's rate of false alarms.
        above: how many launches may lie above the target at a look that passes a cell.
        layout: what the memory layout of one set of interpreters shifts a cell by, as a standard deviation over sets;
            allowed for where several launches came from one set. Measured: 0.46 to 0.57 %; since noise is allowed for
            besides, false alarms stay nominal up to 1 %, simulated.
    """

    margin: float = 0.02
    target: float = 0.05
    screen: tuple[int, ...] = (5, 9)
    screen_above: tuple[int, ...] = (0, 1)
    looks: tuple[int, ...] = (9, 12, 16, 24)
    alphas: tuple[float, ...] = (0.004, 0.002, 0.002, 0.002)
    above: tuple[int, ...] = (0, 1, 2, 5)
    layout: float = LAYOUT

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 < self.margin < self.target < 1:
            mistakes.append(
                f"margin {self.margin:g} and target {self.target:g}; allowed: above 0 and below 1, margin below target"
            )
        if not 0 <= self.layout < self.target:
            mistakes.append(f"layout {self.layout:g}; allowed: 0 or more, and below the target of {self.target:g}")
        mistakes += _mistakes_of_looks("screen", self.screen, self.screen_above)
        mistakes += _mistakes_of_looks("looks", self.looks, self.above)
        if not mistakes and (passed := self.mistaken_pass) > MISTAKEN_PASS:
            mistakes.append(
                f"screen {self.screen} with {self.screen_above} above and looks {self.looks} with {self.above} above "
                f"pass a slowdown of the target in {passed:.1%}; allowed: {MISTAKEN_PASS:.0%} at most"
            )
        if len(self.alphas) != len(self.looks) or not all(0 < alpha < 0.5 for alpha in self.alphas):
            mistakes.append(f"alphas {self.alphas}; allowed: one above 0 and below 0.5 for each look of {self.looks}")
        elif self.looks and 2.0 ** -self.looks[0] > self.alphas[0] / STEPS_JUDGED:
            mistakes.append(
                f"a look at {self.looks[0]} launches cannot reach {self.alphas[0]:g} / {STEPS_JUDGED}, the share of "
                "each of the typical and the mean step: the least p is 2**-n"
            )
        if mistakes:
            raise SpecError(mistakes)

    @property
    def alpha(self) -> float:
        """What all looks together may spend."""
        return math.fsum(self.alphas)

    @property
    def mistaken_pass(self) -> float:
        """How often a slowdown of the target passes at most, over all looks of both stages, whatever the noise."""
        return chance_to_pass(self.screen, self.screen_above) + chance_to_pass(self.looks, self.above)

    @property
    def harmless(self) -> float:
        """The margin as a log ratio."""
        return math.log1p(self.margin)

    @property
    def promised(self) -> float:
        """The target as a log ratio."""
        return math.log1p(self.target)

    @property
    def doubtful(self) -> float:
        """The log ratio from which on the screen flags: midway between margin and target.

        At the target itself a slowdown of 4.6 % would pass wherever noise is small, and be seen where it is large.
        Flagging costs launches and no alpha.
        """
        return (self.harmless + self.promised) / 2

    def allowance(self, sets: Sequence[int], chance: float) -> float:
        """What the layouts of few sets of interpreters shift the middle of launches by, with that chance at most.

        Args:
            sets: the set of each launch; none: each came from a set of its own.
            chance: of a larger shift to one side.

        Returns:
            A log ratio.
        """
        return layout_shift(sets, chance, self.layout)


def _mistakes_of_looks(name: str, looks: Sequence[int], above: Sequence[int]) -> list[str]:
    if not looks or list(looks) != sorted(set(looks)) or looks[0] < 1:
        return [f"{name} {tuple(looks)}; allowed: one or more numbers of launches, rising"]
    if len(above) != len(looks) or not all(0 <= most < n for most, n in zip(above, looks, strict=True)):
        return [f"{tuple(above)} above at {name} {tuple(looks)}; allowed: for each a number from 0 on and below it"]
    return []


@dataclass(frozen=True)
class LaunchSeries:
    """The log ratios of a cell to its baseline, one a launch, in the order of the launches.

    Attributes:
        cell, group: ids.
        twin: whether it is the baseline's second copy, the control.
        screen, confirm: of the typical step, in either stage.
        screen_means, confirm_means: of the mean step, as many; none where launches have no mean of their own.
        screen_sets, confirm_sets: the set of interpreters of each launch; none: each had its own, or both arms of a
            launch came from one interpreter.
    """

    cell: str
    group: str
    twin: bool
    screen: tuple[float, ...]
    confirm: tuple[float, ...] = ()
    screen_means: tuple[float, ...] = ()
    confirm_means: tuple[float, ...] = ()
    screen_sets: tuple[int, ...] = ()
    confirm_sets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for value in (*self.screen, *self.confirm, *self.screen_means, *self.confirm_means):
            if not math.isfinite(value):
                raise ValueError(f"{self.cell}: a log ratio of {value}; it must be a finite number")
        whole = len(self.screen), len(self.confirm)
        if (len(self.screen_means), len(self.confirm_means)) not in (whole, (0, 0)):
            found = f"{len(self.screen_means)} and {len(self.confirm_means)} means"
            raise ValueError(f"{self.cell}: {found} of {whole[0]} and {whole[1]} launches; allowed: as many, or none")
        for sets, launches in zip((self.screen_sets, self.confirm_sets), whole, strict=True):
            if len(sets) not in (0, launches):
                raise ValueError(f"{self.cell}: {len(sets)} sets of {launches} launches; allowed: as many, or none")

    def values(self, stage: Stage) -> dict[Step, tuple[float, ...]]:
        """What a stage's launches say, by the step that they say it of."""
        typical, means = (self.screen, self.screen_means) if stage == "screen" else (self.confirm, self.confirm_means)
        return {"typical": typical, "mean": means} if self.screen_means or self.confirm_means else {"typical": typical}

    def sets(self, stage: Stage, n: int) -> tuple[int, ...]:
        """The sets of interpreters of its first n launches."""
        return (self.screen_sets if stage == "screen" else self.confirm_sets)[:n]


@dataclass(frozen=True)
class Decision:
    """What is known of one cell, and on what it rests.

    Attributes:
        cell, group, twin: whose.
        verdict: a twin's is `pass`, `invalid` when it alarms, or `inconclusive`.
        stage, n: the stage whose launches decided, and how many they are.
        by: the step that decided: of a regression or an improvement the one that was shown, else the slower one.
        ratio: of the typical step, with its 95 % interval.
        mean: of the mean step, likewise; None where launches have none.
        sd: of the deciding step's log ratios; None for fewer than two.
        upper: what its ratio is at most, with 95 % over all looks; None before the first.
        p: of the exact signed-rank test of it against the margin, where it was made.
        alpha: what this p was held against, shared by both steps of all flagged cells of the look.
        detectable: the smallest slowdown of it that this gate sees with 90 %, as a fraction; see `smallest_detectable`.
            None where no judging look was reached: it could have seen none.
        reason: one sentence.
    """

    cell: str
    group: str
    twin: bool
    verdict: Verdict
    stage: Stage
    n: int
    by: Step
    ratio: Interval | None
    mean: Interval | None
    sd: float | None
    upper: float | None
    p: float | None
    alpha: float | None
    detectable: float | None
    reason: str


@dataclass(frozen=True)
class Judgement:
    """Where a gate stands.

    Attributes:
        decisions: one a series; cells that want more launches are `inconclusive` so far.
        wanted: ids of the cells that want more launches; empty when the gate has ended.
        stage: of the launches that are wanted.
        launches: how many launches of that stage they want in all, before anything can be said again.
        alarms: sentences, one for each twin that alarms.
    """

    decisions: tuple[Decision, ...]
    wanted: tuple[str, ...] = ()
    stage: Stage = "screen"
    launches: int = 0
    alarms: tuple[str, ...] = ()


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The gate's verdict from those of its cells; without any nothing was measured, which is `invalid`."""
    seen = set(verdicts)
    return next((verdict for verdict in PRECEDENCE if verdict in seen), "invalid")


def smallest_detectable(sd: float, n: int, alpha: float, rule: Rule, sets: Sequence[int] = ()) -> float:
    """The smallest slowdown that a gate sees with 90 %, as a fraction.

    The larger of two: the target, since what is smaller may pass; and what noise hides (`hidden_by_noise`).

    Args: as of `hidden_by_noise`.
    """
    return max(rule.target, hidden_by_noise(sd, n, alpha, rule, sets))


def hidden_by_noise(sd: float, n: int, alpha: float, rule: Rule, sets: Sequence[int] = ()) -> float:
    """The slowdown, as a fraction, that a t test of n paired launches against the margin sees with 95 %.

    By the noncentral t distribution, with 3/pi of the launches as the signed ranks' efficiency.

    Args:
        sd: of the launches' log ratios.
        n, alpha: of the last look; alpha is the share of one step of one cell.
        sets: the set of interpreters of each launch: what is allowed for their layout may as well hide a slowdown.
    """
    from scipy.special import nctdtrinc, stdtrit

    critical = float(stdtrit(n - 1, 1 - alpha))
    noncentrality = float(nctdtrinc(n - 1, 1 - STAGE_POWER, critical))
    above = noncentrality * sd / math.sqrt(SIGNED_RANK_EFFICIENCY * n)
    hidden = rule.allowance(sets, alpha) + rule.allowance(sets, 1 - STAGE_POWER)
    return math.expm1(rule.harmless + above + hidden)
