"""The two-stage gate: log ratios of launches in, verdicts and the launches still wanted out. Pure; no torch, no pandas.

One value is one launch: the median over its rounds of the log ratio of a cell's step time to its baseline's. Which arm
is started first, which turn comes first and where the heap lies are drawn anew for each launch, so where two arms are
the same the sign of a value is a fair coin whatever noise the machine makes. The exact signed-rank test rests on that
alone.

The screen only passes or flags. Flagged cells are judged on fresh launches alone, so whatever the screen selected, the
rate of false alarms is that of the second stage, and only flagged cells share its alpha.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bench.errors import SpecError
from bench.stats.intervals import Interval, interval_of_logs
from bench.stats.rounding import percent_of
from bench.stats.signed_rank import bound_index, holm, signed_rank_p, upper_bound

Verdict = Literal["pass", "regression", "improvement", "inconclusive", "invalid"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Stage = Literal["screen", "confirm"]

# The gate's verdict is the first of these that a cell has. Invalid comes first: with a control that alarms or an arm
# that did other work, a slowdown beside it is not to be believed either.
PRECEDENCE: tuple[Verdict, ...] = ("invalid", "regression", "inconclusive", "improvement", "pass")

# A slowdown that is seen with 90 % is missed by the confirming stage in 5 %, and passed by mistake in at most 5 %.
POWER, STAGE_POWER = 0.90, 0.95
SIGNED_RANK_EFFICIENCY = 3 / math.pi  # of the signed-rank test to the t test on Gaussian values (Lehmann 1975)


@dataclass(frozen=True)
class Rule:
    """When a gate says what.

    Attributes:
        margin: the equivalence margin, a harmless slowdown; a regression must be shown to be larger.
        target: a slowdown that is promised to be caught; a pass shows that it is smaller.
        screen: launches of the first stage.
        looks: interim looks, the numbers of launches of the second stage after which it is judged.
        alphas: what each look may spend; together the gate's rate of false alarms.
    """

    margin: float = 0.02
    target: float = 0.05
    screen: int = 6
    looks: tuple[int, ...] = (10, 16, 24)
    alphas: tuple[float, ...] = (0.003, 0.003, 0.004)

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 < self.margin < self.target < 1:
            mistakes.append(
                f"margin {self.margin:g} and target {self.target:g}; allowed: above 0 and below 1, margin below target"
            )
        # Below 5 values not even the largest one bounds the median with 95 %.
        if bound_index(self.screen) == 0 or list(self.looks) != sorted(set(self.looks)):
            mistakes.append(f"screen {self.screen} and looks {self.looks}; allowed: 5 or more, and rising looks")
        if len(self.alphas) != len(self.looks) or not all(0 < alpha < 0.5 for alpha in self.alphas):
            mistakes.append(f"alphas {self.alphas}; allowed: one above 0 and below 0.5 for each look of {self.looks}")
        elif self.looks[0] < 1 or 2.0 ** -self.looks[0] > self.alphas[0]:
            mistakes.append(f"a look at {self.looks[0]} launches cannot reach {self.alphas[0]}: the least p is 2**-n")
        if mistakes:
            raise SpecError(mistakes)

    @property
    def alpha(self) -> float:
        """What all looks together may spend."""
        return math.fsum(self.alphas)

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


@dataclass(frozen=True)
class LaunchSeries:
    """The log ratios of a cell to its baseline, one a launch, in the order of the launches.

    Attributes:
        cell, group: ids.
        twin: whether it is the baseline's second copy, the control.
        screen, confirm: of either stage.
    """

    cell: str
    group: str
    twin: bool
    screen: tuple[float, ...]
    confirm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for value in (*self.screen, *self.confirm):
            if not math.isfinite(value):
                raise ValueError(f"{self.cell}: a log ratio of {value}; it must be a finite number")


@dataclass(frozen=True)
class Decision:
    """What is known of one cell, and on what it rests.

    Attributes:
        cell, group, twin: whose.
        verdict: a twin's is `pass`, `invalid` when it alarms, or `inconclusive`.
        stage, n: the stage whose launches decided, and how many they are.
        sd: of these launches' log ratios; None for fewer than two.
        ratio: with its 95 % interval.
        upper: the one-sided 95 % bound of the ratio; None for fewer than 5 launches.
        p: of the exact signed-rank test against the margin, where it was made.
        alpha: what this p was held against, shared by all flagged cells of the look.
        detectable: the smallest slowdown that this gate sees with 90 %, as a fraction; see `smallest_detectable`.
            None where no judging look was reached: it could have seen none.
        reason: one sentence.
    """

    cell: str
    group: str
    twin: bool
    verdict: Verdict
    stage: Stage
    n: int
    sd: float | None
    ratio: Interval | None
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
        launches: how many launches of that stage they want in all.
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


def smallest_detectable(sd: float, n: int, alpha: float, rule: Rule) -> float:
    """The smallest slowdown that a gate sees with 90 %, as a fraction.

    The larger of two: the target, since what is smaller may pass; and what a t test of n paired launches against the
    margin sees with 95 %, by the noncentral t distribution, with 3/pi of the launches as the signed ranks' efficiency.

    Args:
        sd: of the launches' log ratios.
        n, alpha: of the last look.
    """
    from scipy.special import nctdtrinc, stdtrit

    critical = float(stdtrit(n - 1, 1 - alpha))
    noncentrality = float(nctdtrinc(n - 1, 1 - STAGE_POWER, critical))
    above = noncentrality * sd / math.sqrt(SIGNED_RANK_EFFICIENCY * n)
    return max(rule.target, math.expm1(rule.harmless + above))


def judge_launches(series: Sequence[LaunchSeries], rule: Rule) -> Judgement:
    """Where the gate stands with these launches. Asked again with more of them, it goes on as if asked at once.

    Raises:
        ValueError: two series of one cell.
    """
    if len({one.cell for one in series}) < len(series):
        raise ValueError(f"cells repeat: {[one.cell for one in series]}")
    short = [one for one in series if len(one.screen) < rule.screen]
    flagged = [one for one in series if one not in short and _flagged(one, rule)]
    cells = {one.cell: one for one in flagged if not one.twin}
    groups = {one.group for one in flagged}
    controls = {one.cell: one for one in series if one.twin and one.group in groups}
    decided, alarms = _confirm(cells, controls, {one.cell for one in flagged}, rule)
    waiting = [one for one in flagged if one.cell not in decided]
    decisions = tuple(
        decided.get(one.cell) or _undecided(one, rule, len(cells), screened=one not in short and one not in flagged)
        for one in series
    )
    if alarms:
        spoiled = "the control alarmed: " + "; ".join(alarms)
        return Judgement(tuple(_invalid(decision, spoiled) for decision in decisions), alarms=tuple(alarms))
    if short:
        return Judgement(decisions, tuple(one.cell for one in short), "screen", rule.screen)
    looks = {one.cell: [n for n in rule.looks if n > len(one.confirm)] for one in waiting}
    nearest = min((left[0] for left in looks.values() if left), default=0)
    wanted = tuple(one.cell for one in waiting if looks[one.cell][:1] == [nearest])
    return Judgement(decisions, wanted, "confirm", nearest)


def _flagged(one: LaunchSeries, rule: Rule) -> bool:
    """Whether the screen lets a cell go on: it may be slower by too much, or is faster by more than the margin."""
    values = one.screen[: rule.screen]
    above, below = upper_bound(values), upper_bound([-value for value in values])
    assert above is not None, "a rule has 5 screen launches or more"
    assert below is not None
    if one.twin:
        return above >= rule.promised or below >= rule.promised
    return above >= rule.doubtful or above < -rule.harmless


def _confirm(
    cells: Mapping[str, LaunchSeries], controls: Mapping[str, LaunchSeries], flagged: set[str], rule: Rule
) -> tuple[dict[str, Decision], list[str]]:
    """What the looks of the second stage decide, and which controls alarm."""
    decided: dict[str, Decision] = {}
    alarms: list[str] = []
    family, control_family = len(cells), 2 * len(controls)
    for n, alpha in zip(rule.looks, rule.alphas, strict=True):
        here = {name: one.confirm[:n] for name, one in cells.items() if name not in decided and len(one.confirm) >= n}
        up = {name: signed_rank_p(values, rule.harmless) for name, values in here.items()}
        down = {name: signed_rank_p([-value for value in values], rule.harmless) for name, values in here.items()}
        slower, faster = holm(up, alpha, family), holm(down, alpha, family)
        for name, values in here.items():
            middle, bound = statistics.median(values), upper_bound(values)
            assert bound is not None
            share = alpha / family
            if name in slower and middle > rule.harmless:
                text = f"slower by more than the margin of {percent_of(rule.margin)}"
                found: Verdict = "regression"
                p, share = up[name], slower[name]
            elif name in faster and -middle > rule.harmless:
                text = f"faster by more than the margin of {percent_of(rule.margin)}"
                found = "improvement"
                p, share = down[name], faster[name]
            elif bound < rule.promised:
                text, found, p = _bounded(bound, rule), "pass", up[name]
            elif n == rule.looks[-1]:
                text = f"neither shown to exceed {percent_of(rule.margin)} nor to stay below {percent_of(rule.target)}"
                found, p = "inconclusive", up[name]
            else:
                continue
            decided[name] = _decision(cells[name], found, "confirm", values, rule, family, text, p, share)
        watched = {
            name: one.confirm[:n] for name, one in controls.items() if name not in decided and len(one.confirm) >= n
        }
        sides = {f"+{name}": signed_rank_p(values, rule.harmless) for name, values in watched.items()}
        sides |= {
            f"-{name}": signed_rank_p([-value for value in values], rule.harmless) for name, values in watched.items()
        }
        for side in holm(sides, alpha, control_family):
            name = side[1:]
            text = (
                f"{name}, the same code as its baseline, reads "
                f"{percent_of(math.expm1(statistics.median(watched[name])), signed=True)} after {n} launches"
            )
            alarms.append(text)
            decided[name] = _decision(controls[name], "invalid", "confirm", watched[name], rule, 1, text, sides[side])
        for name, values in watched.items():
            reach = max(upper_bound(values) or 0.0, upper_bound([-value for value in values]) or 0.0)
            quiet = reach < rule.promised
            # A control that was flagged itself asks for launches of its own until it is quiet; others come along.
            if name not in decided and name in flagged and (quiet or n == rule.looks[-1]):
                verdict: Verdict = "pass" if quiet else "inconclusive"
                text = f"the control is within {percent_of(math.expm1(reach))}"
                decided[name] = _decision(controls[name], verdict, "confirm", values, rule, 1, text)
    return decided, alarms


def _undecided(one: LaunchSeries, rule: Rule, family: int, *, screened: bool) -> Decision:
    """A cell that the screen passed, or that no look has decided."""
    if screened:
        bound = upper_bound(one.screen[: rule.screen])
        assert bound is not None
        return _decision(one, "pass", "screen", one.screen[: rule.screen], rule, max(1, family), _bounded(bound, rule))
    if len(one.screen) < rule.screen:
        text = f"{len(one.screen)} of {rule.screen} launches of the screen"
        return _decision(one, "inconclusive", "screen", one.screen, rule, 0, text)
    reached = max((n for n in rule.looks if n <= len(one.confirm)), default=0)
    more = next((n for n in rule.looks if n > len(one.confirm)), rule.looks[-1])
    text = f"flagged by the screen, and {len(one.confirm)} of the {more} launches of the next interim look"
    values = one.confirm or one.screen[: rule.screen]
    stage: Stage = "confirm" if one.confirm else "screen"
    return _decision(one, "inconclusive", stage, values, rule, max(1, family) if reached else 0, text, last=reached)


def _decision(
    one: LaunchSeries,
    verdict: Verdict,
    stage: Stage,
    values: Sequence[float],
    rule: Rule,
    family: int,
    reason: str,
    p: float | None = None,
    alpha: float | None = None,
    last: int | None = None,
) -> Decision:
    """Args:
    family: cells that share the alpha; 0 where no look was reached that could have seen anything.
    last: launches of the last look that there could be.
    """
    sd = statistics.stdev(values) if len(values) > 1 else None
    index = rule.looks.index(last) if last else -1
    seen = None
    if sd is not None and family:
        seen = smallest_detectable(sd, rule.looks[index], rule.alphas[index] / family, rule)
    bound = upper_bound(values)
    return Decision(
        cell=one.cell,
        group=one.group,
        twin=one.twin,
        verdict=verdict,
        stage=stage,
        n=len(values),
        sd=sd,
        ratio=interval_of_logs(values) if values else None,
        upper=None if bound is None else math.exp(bound),
        p=p,
        alpha=alpha,
        detectable=seen,
        reason=reason,
    )


def _invalid(decision: Decision, reason: str) -> Decision:
    return decision if decision.verdict == "invalid" else replace(decision, verdict="invalid", reason=reason)


def _bounded(bound: float, rule: Rule) -> str:
    return f"at most {percent_of(math.expm1(bound), signed=True)}, below the target of {percent_of(rule.target)}"
