"""The two-stage gate: launches in, verdicts and the launches still wanted out. Pure; no torch, no pandas.

Asked after each launch, it says the same as when it is asked once: a stage is judged at its looks and at nothing else.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.stats.gate_rule import (
    STAGE_POWER,
    Decision,
    Judgement,
    LaunchSeries,
    Rule,
    Stage,
    Step,
    Verdict,
    smallest_detectable,
)
from bench.stats.intervals import Interval, interval_of_logs
from bench.stats.rounding import percent_of
from bench.stats.signed_rank import holm, signed_rank_p, upper_bound

NAMES: Mapping[Step, str] = {"typical": "the typical step", "mean": "the mean step"}
ONE_IN = 1 - STAGE_POWER  # of passes, what few sets of interpreters may hide


@dataclass(frozen=True)
class _Screened:
    """Where a cell stands in the screen.

    Attributes:
        word: `more` launches are wanted, or it has passed, or it goes on to the second stage.
        n: launches that say so.
        more: launches in all after which it may be another word.
    """

    word: str
    n: int
    more: int = 0


@dataclass(frozen=True)
class _Walk:
    """One step of one cell in one direction, as the launches of a stage go by: how many of them lie above a bound."""

    looks: tuple[int, ...]
    allowed: tuple[int, ...]
    values: tuple[float, ...]
    bounds: tuple[float, ...]  # of each look

    def passed(self, n: int) -> bool:
        """Whether a look at n launches or fewer passes it."""
        found = zip(self.looks, self.allowed, self.bounds, strict=True)
        return any(self._above(look, bound) <= most for look, most, bound in found if look <= n)

    def to_lose(self, n: int) -> int:
        """How many more launches above it takes, after the first n, until no look can pass it; 0 or less: none can."""
        if self.passed(n):
            return len(self.values) + self.looks[-1]
        found = zip(self.looks, self.allowed, self.bounds, strict=True)
        return max((most + 1 - self._above(n, bound) for look, most, bound in found if look > n), default=0)

    def most(self, n: int) -> float | None:
        """What the middle is at most, with the confidence of all looks together; None before the first.

        Of the look that passed it, where one has, else of the last one.
        """
        done = [index for index, look in enumerate(self.looks) if look <= n]
        if not done:
            return None
        first = next((index for index in done if self.passed(self.looks[index])), done[-1])
        return sorted(self.values[: self.looks[first]])[-1 - self.allowed[first]]

    def _above(self, n: int, bound: float) -> int:
        return sum(value >= bound for value in self.values[:n])


def judge_launches(series: Sequence[LaunchSeries], rule: Rule) -> Judgement:
    """Where the gate stands with these launches. Asked again with more of them, it goes on as if asked at once.

    Raises:
        ValueError: two series of one cell.
    """
    if len({one.cell for one in series}) < len(series):
        raise ValueError(f"cells repeat: {[one.cell for one in series]}")
    screened = _screen(series, rule)
    flagged = [one for one in series if screened[one.cell].word == "flagged"]
    short = [one for one in series if screened[one.cell].word == "more"]
    cells = {one.cell: one for one in flagged if not one.twin}
    groups = {one.group for one in flagged}
    controls = {one.cell: one for one in series if one.twin and one.group in groups}
    decided, alarms = _confirm(cells, controls, {one.cell for one in flagged}, rule)
    waiting = [one for one in flagged if one.cell not in decided]
    family = _tests(cells.values())
    decisions = tuple(decided.get(one.cell) or _undecided(one, rule, family, screened[one.cell]) for one in series)
    if alarms:
        spoiled = "the control alarmed: " + "; ".join(alarms)
        return Judgement(tuple(_invalid(decision, spoiled) for decision in decisions), alarms=tuple(alarms))
    if short:
        more = min(screened[one.cell].more for one in short)
        return Judgement(decisions, tuple(one.cell for one in short), "screen", more)
    looks = {one.cell: [n for n in rule.looks if n > len(one.confirm)] for one in waiting}
    nearest = min((left[0] for left in looks.values() if left), default=0)
    wanted = tuple(one.cell for one in waiting if looks[one.cell][:1] == [nearest])
    return Judgement(decisions, wanted, "confirm", nearest)


def _screen(series: Sequence[LaunchSeries], rule: Rule) -> dict[str, _Screened]:
    """Where each cell stands in the screen. A twin is screened beside its cells, and no longer than they are.

    A cell goes on where it may be slower by too much, or is faster by more than the margin.
    """
    found = {one.cell: _screened(one, rule) for one in series}
    for one in series:
        if one.twin and found[one.cell].word == "more":
            beside = {found[cell.cell].word for cell in series if cell.group == one.group and not cell.twin}
            if "flagged" in beside and "more" not in beside:
                found[one.cell] = _Screened("flagged", len(one.screen))
    return found


def _screened(one: LaunchSeries, rule: Rule) -> _Screened:
    walks = _walks(one, "screen", rule)
    for n in range(1, len(one.screen) + 1):
        if all(walk.passed(n) for walk in walks.values()):
            faster = not one.twin and any(_is_faster(walk.values[:n], rule) for walk in walks.values())
            return _Screened("flagged" if faster else "pass", n)
        if any(walk.to_lose(n) <= 0 for walk in walks.values()):
            return _Screened("flagged", n)
    n = len(one.screen)
    look = next(look for look in rule.screen if look > n)
    return _Screened("more", n, min(look, n + min(walk.to_lose(n) for walk in walks.values())))


def _is_faster(values: Sequence[float], rule: Rule) -> bool:
    above = upper_bound(values)
    return above is not None and above < -rule.harmless


def _walks(one: LaunchSeries, stage: Stage, rule: Rule) -> dict[tuple[Step, int], _Walk]:
    """By step and direction: a cell may be too slow, a twin may be too far off on either side."""
    looks, allowed = (rule.screen, rule.screen_above) if stage == "screen" else (rule.looks, rule.above)
    bounds = tuple(rule.promised - rule.allowance(one.sets(stage, n), ONE_IN) for n in looks)
    if stage == "screen" and not one.twin:
        bounds = tuple(min(rule.doubtful, bound) for bound in bounds)
    return {
        (step, sign): _Walk(looks, allowed, tuple(sign * value for value in values), bounds)
        for step, values in one.values(stage).items()
        for sign in ((1, -1) if one.twin else (1,))
    }


def _tests(cells: Iterable[LaunchSeries]) -> int:
    """How many tests these cells are given in one direction: one a step."""
    return sum(len(one.values("confirm")) for one in cells)


def _confirm(
    cells: Mapping[str, LaunchSeries], controls: Mapping[str, LaunchSeries], flagged: set[str], rule: Rule
) -> tuple[dict[str, Decision], list[str]]:
    """What the looks of the second stage decide, and which controls alarm."""
    decided: dict[str, Decision] = {}
    alarms: list[str] = []
    family, control_family = _tests(cells.values()), 2 * _tests(controls.values())
    for n, alpha in zip(rule.looks, rule.alphas, strict=True):
        here = {name: one for name, one in cells.items() if name not in decided and len(one.confirm) >= n}
        up = _ps(here, n, rule, alpha / max(1, family), 1)
        down = _ps(here, n, rule, alpha / max(1, family), -1)
        slower, faster = holm(up, alpha, family), holm(down, alpha, family)
        for name, one in here.items():
            decision = _judged(one, n, rule, family, alpha / family, (up, slower), (down, faster))
            if decision is not None:
                decided[name] = decision
        watched = {name: one for name, one in controls.items() if name not in decided and len(one.confirm) >= n}
        share = alpha / max(1, control_family)
        sides = {(*key, sign): p for sign in (1, -1) for key, p in _ps(watched, n, rule, share, sign).items()}
        rejected = holm(sides, alpha, control_family)
        for name, one in watched.items():
            beyond = sorted((sides[key], key) for key in rejected if key[0] == name)
            if beyond:
                step = beyond[0][1][1]
                middle = percent_of(math.expm1(statistics.median(one.values("confirm")[step][:n])), signed=True)
                text = f"{name}, the same code as its baseline, reads {middle} in {NAMES[step]} after {n} launches"
                alarms.append(text)
                decided[name] = _decision(one, "invalid", "confirm", n, rule, control_family, step, text, beyond[0][0])
                continue
            walks = _walks(one, "confirm", rule)
            quiet = all(walk.passed(n) for walk in walks.values())
            # A control that was flagged itself asks for launches of its own until it is quiet; others come along.
            if name in flagged and (quiet or n == rule.looks[-1]):
                reach = {key: walk.most(n) or 0.0 for key, walk in walks.items()}
                step, sign = max(reach, key=lambda key: reach[key])
                within = reach[step, sign] + rule.allowance(one.sets("confirm", n), ONE_IN)
                text = f"the control is within {percent_of(math.expm1(max(0.0, within)))}"
                verdict: Verdict = "pass" if quiet else "inconclusive"
                decided[name] = _decision(one, verdict, "confirm", n, rule, control_family, step, text)
    return decided, alarms


def _ps(
    cells: Mapping[str, LaunchSeries], n: int, rule: Rule, share: float, sign: int
) -> dict[tuple[str, Step], float]:
    """The p of each step of each cell against the margin, in one direction."""
    return {
        (name, step): signed_rank_p(
            [sign * value for value in values[:n]], rule.harmless + rule.allowance(one.sets("confirm", n), share)
        )
        for name, one in cells.items()
        for step, values in one.values("confirm").items()
    }


_Tested = tuple[Mapping[tuple[str, Step], float], Mapping[tuple[str, Step], float]]  # each p, and those rejected


def _judged(
    one: LaunchSeries, n: int, rule: Rule, family: int, share: float, up: _Tested, down: _Tested
) -> Decision | None:
    """What a look says of a cell; None: it wants more launches."""
    middles = {step: statistics.median(values[:n]) for step, values in one.values("confirm").items()}
    walks = {step: walk for (step, _), walk in _walks(one, "confirm", rule).items()}
    slower = [step for step in middles if (one.cell, step) in up[1] and middles[step] > rule.harmless]
    faster = [step for step in middles if (one.cell, step) in down[1] and -middles[step] > rule.harmless]
    worse = [step for step in middles if middles[step] > rule.harmless or not walks[step].passed(n)]
    for found, direction, (ps, rejected) in (("regression", "slower", up), ("improvement", "faster", down)):
        shown = slower if found == "regression" else [] if worse else faster
        if shown:
            step = min(shown, key=lambda step: ps[one.cell, step])
            text = _told(one, middles, step, f"{direction} by more than the margin of {percent_of(rule.margin)}")
            verdict: Verdict = "regression" if found == "regression" else "improvement"
            tested = ps[one.cell, step], rejected[one.cell, step]
            return _decision(one, verdict, "confirm", n, rule, family, step, text, *tested)
    reach = {step: walk.most(n) or 0.0 for step, walk in walks.items()}
    step = max(reach, key=lambda step: reach[step])
    tested = up[0][one.cell, step], share
    if all(walk.passed(n) for walk in walks.values()):
        text = _bounded(one, "confirm", reach[step], n, rule, step)
        return _decision(one, "pass", "confirm", n, rule, family, step, text, *tested)
    if n < rule.looks[-1]:
        return None
    apart = f"neither shown to exceed {percent_of(rule.margin)} nor to stay below {percent_of(rule.target)}"
    text = _told(one, middles, step, apart)
    return _decision(one, "inconclusive", "confirm", n, rule, family, step, text, *tested)


def _undecided(one: LaunchSeries, rule: Rule, family: int, screened: _Screened) -> Decision:
    """A cell that the screen passed, or that no look has decided."""
    walks = _walks(one, "screen", rule)
    n = screened.n
    if screened.word == "pass":
        reach = {step: walk.most(n) or 0.0 for (step, sign), walk in walks.items() if sign > 0}
        step = max(reach, key=lambda step: reach[step])
        text = _bounded(one, "screen", reach[step], n, rule, step)
        return _decision(one, "pass", "screen", n, rule, max(_tests([one]), family), step, text)
    if screened.word == "more":
        text = f"{n} of {next(look for look in rule.screen if look > n)} launches of the screen"
        return _decision(one, "inconclusive", "screen", n, rule, 0, _slower(one, "screen", n), text)
    made = len(one.confirm)
    reached = max((look for look in rule.looks if look <= made), default=0)
    more = next((look for look in rule.looks if look > made), rule.looks[-1])
    text = f"flagged by the screen, and {made} of the {more} launches of the next interim look"
    stage: Stage = "confirm" if made else "screen"
    n = made or n
    step, tests = _slower(one, stage, n), max(_tests([one]), family) if reached else 0
    return _decision(one, "inconclusive", stage, n, rule, tests, step, text, last=reached)


def _slower(one: LaunchSeries, stage: Stage, n: int) -> Step:
    """The step that reads slower, where neither decides."""
    middles = {step: statistics.median(values[:n]) for step, values in one.values(stage).items() if values[:n]}
    return max(middles, key=lambda step: middles[step], default="typical")


def _decision(
    one: LaunchSeries,
    verdict: Verdict,
    stage: Stage,
    n: int,
    rule: Rule,
    family: int,
    by: Step,
    reason: str,
    p: float | None = None,
    alpha: float | None = None,
    last: int | None = None,
) -> Decision:
    """Args:
    family: tests that share the alpha; 0 where no look was reached that could have seen anything.
    last: launches of the last look that there could be.
    """
    values = {step: found[:n] for step, found in one.values(stage).items()}
    sd = statistics.stdev(values[by]) if n > 1 else None
    index = rule.looks.index(last) if last else -1
    seen = None
    sets = one.sets(stage, n)
    if sd is not None and family:
        launches, share = rule.looks[index], rule.alphas[index] / family
        repeated = (sets * (launches // len(sets) + 1))[:launches] if sets else ()
        seen = smallest_detectable(sd, launches, share, rule, repeated)
    most = _walks(one, stage, rule)[by, 1].most(n)
    return Decision(
        cell=one.cell,
        group=one.group,
        twin=one.twin,
        verdict=verdict,
        stage=stage,
        n=n,
        by=by,
        ratio=_interval(values["typical"]),
        mean=_interval(values.get("mean", ())),
        sd=sd,
        upper=None if most is None else math.exp(most + rule.allowance(sets, ONE_IN)),
        p=p,
        alpha=alpha,
        detectable=seen,
        reason=reason,
    )


def _interval(values: Sequence[float]) -> Interval | None:
    return interval_of_logs(values) if values else None


def _invalid(decision: Decision, reason: str) -> Decision:
    return decision if decision.verdict == "invalid" else replace(decision, verdict="invalid", reason=reason)


def _told(one: LaunchSeries, middles: Mapping[Step, float], by: Step, said: str) -> str:
    """A sentence on the step that decided, and what the other one reads."""
    if len(middles) == 1:
        return said
    read = {step: percent_of(math.expm1(middle), signed=True) for step, middle in middles.items()}
    other = next(step for step in middles if step != by)
    return f"{NAMES[by]}, {read[by]}, is {said}; {NAMES[other]} reads {read[other]}"


def _bounded(one: LaunchSeries, stage: Stage, bound: float, n: int, rule: Rule, by: Step) -> str:
    most = percent_of(math.expm1(bound + rule.allowance(one.sets(stage, n), ONE_IN)), signed=True)
    of = f" in {NAMES[by]}" if len(one.values(stage)) > 1 else ""
    return f"at most {most}{of}, below the target of {percent_of(rule.target)}"
