"""Trainings for a goal: who gets to the target sooner, and whether they end as good as each other. From records alone.

A launch of a suite with a goal trains every arm of a group from one seed, so that launches are seeds and arms are
paired. Time is what the loop takes: its set-up, and every epoch until the one after which the loss is at the target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from bench.analysis import claims
from bench.errors import SpecError
from bench.plan.goal import Goal
from bench.results.record import Record, counted_records
from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.stats.equivalence import Equivalence, equivalence
from bench.stats.goal_rule import GoalRule, goal_rule
from bench.stats.intervals import Interval, interval_of_differences
from bench.stats.time_to_target import MedianWait, PairedRatio, Wait, median_wait, paired_ratio

# Axes that say what is asked of a training, so that cells which differ in them are not compared.
ASKED = ("target", "epochs")


@dataclass(frozen=True)
class Curve:
    """How one training went, an entry an epoch.

    Attributes:
        seconds: from the beginning of the loop to the end of the epoch, set-up included.
        samples: that it was trained on until then.
        losses: the validation loss then; None where it is not finite.
    """

    seconds: tuple[float, ...]
    samples: tuple[float, ...]
    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class Attempt:
    """One training of one cell, and how far it came.

    Attributes:
        launch: its number, from 0; trainings of one number have one seed.
        seconds, epochs, samples: until the target, or, where it was not reached, until the end.
        final: the validation loss after the last epoch; None where it is not finite.
        diverged: whether some validation loss is not finite.
    """

    launch: int
    seconds: Wait
    epochs: Wait
    samples: Wait
    final: float | None
    diverged: bool
    curve: Curve

    @property
    def last(self) -> float:
        """The final loss as a number, which may be none: nan."""
        return math.nan if self.final is None else self.final


@dataclass(frozen=True)
class GoalCell:
    """What a cell's trainings say, over seeds.

    Attributes:
        value: of the compared axis.
        where: its other axes.
        target: the validation loss that is asked for.
        planned: epochs that each was to train.
        seconds, epochs, samples: medians until the target; None where there is no training.
        final: the mean of the final losses with its 95 % interval; None where one is not finite.
        rule: what the rule of the modded-nanogpt records says.
        reached, diverged: how many trainings.
        reason: why nothing is compared with it, or "".
    """

    suite: str
    group: str
    cell: str
    value: str
    twin: bool
    where: Mapping[str, Any]
    target: float
    planned: int
    attempts: tuple[Attempt, ...] = ()
    seconds: MedianWait | None = None
    epochs: MedianWait | None = None
    samples: MedianWait | None = None
    final: Interval | None = None
    rule: GoalRule | None = None
    reached: int = 0
    diverged: int = 0
    reason: str = ""


@dataclass(frozen=True)
class GoalPair:
    """A cell against another, from the seeds that both have.

    Attributes:
        axis, value, over: in what they differ, and the values of the cell and of the other.
        interleaved: whether both trained at the same time, epoch by epoch. Of another group they did not, and what the
            machine did in between is in the ratio of times.
        seconds, epochs, samples: what it takes until the target over what the other does.
        word: what may be said of `seconds`.
        final: whether the final losses are as good as each other.
    """

    suite: str
    group: str
    cell: str
    baseline: str
    axis: str
    value: str
    over: str
    twin: bool
    interleaved: bool
    seconds: PairedRatio
    epochs: PairedRatio
    samples: PairedRatio
    word: claims.ClaimWord
    final: Equivalence


@dataclass(frozen=True)
class Convergence:
    """Everything that a run says of its goals.

    Attributes:
        cells: of suites with a goal, in the plan's order, twins included.
        pairs: within groups, against the baseline.
        across: along the other axes, against the axis' first value.
        chosen: the target that was asked for afterwards, in place of those of the suites; None: theirs.
    """

    cells: tuple[GoalCell, ...]
    pairs: tuple[GoalPair, ...]
    across: tuple[GoalPair, ...] = ()
    chosen: float | None = field(default=None, kw_only=True)


def convergence_of(run: StoredRun, target: float | None = None) -> Convergence | None:
    """What a run says of its goals; None where no suite of it has one.

    Args:
        target: a validation loss in place of the suites' own. Nothing is measured again: trainings go on to their last
            epoch, whether they reach their target or not.

    Raises:
        SpecError: there is a target, and no suite has a goal, or it is not finite.
    """
    goals = {name: Goal(**own) for name, suite in run.info["plan"]["suites"].items() if (own := suite.get("goal"))}
    if target is not None and not math.isfinite(target):
        raise SpecError(f"target {target}: no validation loss; allowed: a finite number")
    if not goals:
        if target is not None:
            raise SpecError(f"target {target}: no suite of {run.id} trains for a goal; allowed: runs of suites that do")
        return None
    records: dict[str, list[Record]] = {}
    for record in counted_records(run.records):
        records.setdefault(record.cell, []).append(record)
    cells = []
    for planned in run.info["plan"]["cells"]:
        if planned["suite"] in goals:
            axis = run.info["plan"]["suites"][planned["suite"]]["compare"]
            goal = goals[planned["suite"]].at(planned["point"])
            cells.append(_cell(planned, axis, goal, records.get(planned["id"], ()), target))
    margins = {name: goal.margin for name, goal in goals.items()}
    pairs = _pairs_of_groups(run, {cell.cell: cell for cell in cells}, margins)
    return Convergence(tuple(cells), tuple(pairs), tuple(_across(cells, pairs, margins)), chosen=target)


def _cell(
    planned: Mapping[str, Any], axis: str, goal: Goal, records: Sequence[Record], target: float | None
) -> GoalCell:
    wanted = goal.target if target is None else target
    own = sorted(records, key=lambda record: record.launch)
    attempts = tuple(attempt for record in own if (attempt := attempt_of(record, wanted)) is not None)
    reason = next((f"{record.outcome}: {record.reason}" for record in own if record.outcome != "ok"), "")
    if not attempts:
        reason = reason or planned.get("reason") or "no training of it was measured"
    point = planned["point"]
    known = bool(attempts)
    finals = [attempt.last for attempt in attempts]
    return GoalCell(
        suite=planned["suite"],
        group=planned["group"],
        cell=planned["id"],
        value=str(point[axis]),
        twin=bool(planned["twin"]),
        where={name: value for name, value in point.items() if name != axis},
        target=wanted,
        planned=goal.epochs,
        attempts=attempts,
        seconds=median_wait([attempt.seconds for attempt in attempts]) if known else None,
        epochs=median_wait([attempt.epochs for attempt in attempts]) if known else None,
        samples=median_wait([attempt.samples for attempt in attempts]) if known else None,
        final=interval_of_differences(finals) if known and all(map(math.isfinite, finals)) else None,
        rule=goal_rule(finals, wanted) if known else None,
        reached=sum(attempt.seconds.reached for attempt in attempts),
        diverged=sum(attempt.diverged for attempt in attempts),
        reason=reason,
    )


def attempt_of(record: Record, target: float) -> Attempt | None:
    """The training of a record; None where it has none: no epoch was ended and judged."""
    losses = [float(loss) for loss in record.ledger.get("validation_losses") or ()]
    if record.turns is None or not record.turns.whole or not losses:
        return None
    epochs = list(zip(record.turns.entire, record.turns.taken, losses, strict=False))
    if not epochs:
        return None
    # Set-up is none of the steps; where a loop told none it is left at nothing.
    setup, batch = float(record.extra.get("setup_time", 0.0)), counted_samples(record)
    seconds = tuple(accumulate((taken for taken, _, _ in epochs), initial=setup))[1:]
    samples = tuple(accumulate(steps * batch for _, steps, _ in epochs))
    judged = [loss for _, _, loss in epochs]
    # nan is at no target: a comparison with it is false.
    at = next((place for place, loss in enumerate(judged) if loss <= target and math.isfinite(loss)), None)
    place = len(judged) - 1 if at is None else at
    reached = at is not None
    known = tuple(loss if math.isfinite(loss) else None for loss in judged)
    return Attempt(
        launch=record.launch,
        seconds=Wait(seconds[place], reached),
        epochs=Wait(float(place + 1), reached),
        samples=Wait(samples[place], reached),
        final=known[-1],
        diverged=None in known,
        curve=Curve(seconds, samples, known),
    )


def _pairs_of_groups(run: StoredRun, cells: Mapping[str, GoalCell], margins: Mapping[str, float]) -> list[GoalPair]:
    """Each cell against its group's baseline; the twins' first, which claims are held against."""
    found: dict[str, GoalPair] = {}
    twins: dict[str, list[PairedRatio | None]] = {}
    planned = [cell for cell in run.info["plan"]["cells"] if cell["id"] in cells and cell["baseline"] in cells]
    for own in sorted(planned, key=lambda cell: not cell["twin"]):
        mine, base = cells[own["id"]], cells[own["baseline"]]
        if mine is base:
            continue
        axis = run.info["plan"]["suites"][mine.suite]["compare"]
        beside = () if mine.twin else tuple(twins.get(mine.group, ()))
        pair = _pair(mine, base, axis, (mine.value, base.value), margins[mine.suite], beside, interleaved=True)
        if mine.twin:
            twins.setdefault(mine.group, []).append(pair.seconds if pair else None)
        if pair:
            found[mine.cell] = pair
    return [found[cell] for cell in cells if cell in found]


def _across(cells: Sequence[GoalCell], pairs: Sequence[GoalPair], margins: Mapping[str, float]) -> Iterator[GoalPair]:
    """Cells that differ along one other axis alone, each against that of the axis' first value."""
    twins: dict[str, list[PairedRatio | None]] = {}
    for pair in pairs:
        if pair.twin:
            twins.setdefault(pair.group, []).append(pair.seconds)
    by_place: dict[tuple[Any, ...], GoalCell] = {}
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in cells:
        if not cell.twin:
            by_place[_place(cell, cell.where)] = cell
            for axis, value in cell.where.items():
                values.setdefault((cell.suite, axis), {})[str(value)] = value
    for cell in by_place.values():
        for axis, value in cell.where.items():
            first = next(iter(values[cell.suite, axis].values()))
            other = by_place.get(_place(cell, {**cell.where, axis: first}))
            if axis in ASKED or str(value) == str(first) or other is None:
                continue
            beside = (*twins.get(cell.group, ()), *twins.get(other.group, ()))
            between = str(value), str(first)
            found = _pair(cell, other, axis, between, margins[cell.suite], beside, interleaved=False)
            if found:
                yield found


def _place(cell: GoalCell, where: Mapping[str, Any]) -> tuple[Any, ...]:
    return (cell.suite, cell.value, *sorted((axis, str(value)) for axis, value in where.items()))


def _pair(
    mine: GoalCell,
    base: GoalCell,
    axis: str,
    between: tuple[str, str],
    margin: float,
    twins: Sequence[PairedRatio | None],
    *,
    interleaved: bool,
) -> GoalPair | None:
    """One pair; None where either is not sound, or no seed has both."""
    others = {attempt.launch: attempt for attempt in base.attempts}
    both = [(one, others[one.launch]) for one in mine.attempts if one.launch in others]
    if mine.reason or base.reason or not both:
        return None
    seconds, epochs, samples = (
        paired_ratio([getattr(one, name) for one, _ in both], [getattr(other, name) for _, other in both])
        for name in ("seconds", "epochs", "samples")
    )
    return GoalPair(
        suite=mine.suite,
        group=mine.group,
        cell=mine.cell,
        baseline=base.cell,
        axis=axis,
        value=between[0],
        over=between[1],
        twin=mine.twin,
        interleaved=interleaved,
        seconds=seconds,
        epochs=epochs,
        samples=samples,
        word=claims.claim(_figure(seconds), [None if twin is None else _figure(twin) for twin in twins]),
        final=equivalence([one.last for one, _ in both], [other.last for _, other in both], margin),
    )


def _figure(ratio: PairedRatio) -> Interval:
    """A ratio as the log that claims are made of; an end that is not known is none at all."""
    nearest = ratio.estimate
    if nearest is None:  # what is known of it for sure, else nothing
        nearest = next(
            (bound for bound, told in ((ratio.at_least, 1), (ratio.at_most, -1)) if bound and (bound - 1) * told > 0),
            1.0,
        )
    if not ratio.level:
        return Interval(math.log(nearest), None, None, ratio.seeds)
    low = -math.inf if ratio.low is None else math.log(ratio.low)
    high = math.inf if ratio.high is None else math.log(ratio.high)
    return Interval(math.log(nearest), low, high, ratio.seeds)
