"""A ladder's rungs, each priced over the one below it: what it costs a step, and what an epoch. From records alone.

All other figures are against the group's baseline. Here any two arms may stand against each other: they were alive at
once, and are paired by the launches and rounds that both took.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.analysis import claims
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns
from bench.stats.epoch_prices import EpochPrice, beginning_of, epoch_prices, has_epochs, steps_within
from bench.stats.intervals import LAYOUT_SD, Interval, interval_of_differences
from bench.stats.periods import periods_of
from bench.stats.step_times import LEAST_ROUNDS

# What a rung must be known to, half an interval: so many seconds a step or so large a share of its step, whichever is
# more; of an epoch, as much for each of its steps. What is known to less is within noise.
KNOWN_TO = 25e-6
KNOWN_SHARE = 0.03

# within-noise  its interval is wider than what is asked of a rung
# as-pause      of an epoch: no more than what the pause before it may cost the longer steps; else as `claims.ClaimWord`
PriceWord = Literal[claims.ClaimWord, "within-noise", "as-pause"]


@dataclass(frozen=True)
class RungPrice:
    """What one rung costs over another.

    Attributes:
        suite, group, cell: whose.
        value: the rung, on the compared axis.
        over: the rung that it is priced over: the one below, or the nearest below that there are figures of. Of the
            twin, which is no rung, its baseline.
        below: the rung below, by the ladder.
        twin: whether it is the baseline's twin, whose price is noise.
        step, epoch, whole: seconds that a step, an epoch besides its steps, and a whole epoch take longer; None where
            there is none below, or no launch has both.
        step_word, epoch_word: what may be said of `step` and of `epoch`.
        step_time: the rung's own mean step within its epochs, seconds, and
        epoch_time: what an epoch of it costs besides its steps; the means over launches.
        length: steps of an epoch.
        reason: why there is no price, or "".
    """

    suite: str
    group: str
    cell: str
    value: str
    over: str
    below: str
    twin: bool = False
    step: Interval | None = None
    epoch: Interval | None = None
    whole: Interval | None = None
    step_word: PriceWord = "nothing"
    epoch_word: PriceWord = "nothing"
    step_time: float = 0.0
    epoch_time: float = 0.0
    length: int = 0
    reason: str = ""

    @property
    def step_limit(self) -> float:
        """What its price a step must be known to, seconds."""
        return max(KNOWN_TO, KNOWN_SHARE * self.step_time)


_NOBODY = RungPrice("", "", "", "", "", "")


@dataclass(frozen=True)
class _Climber:
    """One arm of a group: its records by launch, and what comes back in it."""

    turns: Mapping[int, Turns]
    records: Mapping[int, Record]
    periods: Any


def ladder_of(run: StoredRun, sound: Collection[str]) -> list[RungPrice]:
    """The prices of all rungs that were planned, group by group, the twin's of each group behind them.

    Args:
        sound: ids of the cells that are `ok` in all of their launches.
    """
    ladders = {name: suite.get("ladder") or {} for name, suite in run.info["plan"]["suites"].items()}
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for cell in run.info["plan"]["cells"]:
        if ladders.get(cell["suite"]):
            groups.setdefault(cell["group"], []).append(cell)
    if not groups:
        return []
    records: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.cell in sound and record.outcome == "ok" and has_epochs(record.turns):
            records.setdefault(record.cell, {})[record.launch] = record
    found: list[RungPrice] = []
    for cells in groups.values():
        suite = run.info["plan"]["suites"][cells[0]["suite"]]
        found += _prices(cells, suite["compare"], ladders[cells[0]["suite"]], records)
    return found


def _prices(
    cells: Sequence[Mapping[str, Any]],
    axis: str,
    ladder: Mapping[str, str],
    records: Mapping[str, Mapping[int, Record]],
) -> list[RungPrice]:
    """The prices of one group."""
    taken = {
        cell["id"]: {number: one.turns for number, one in own.items() if one.turns is not None}
        for cell in cells
        if (own := records.get(cell["id"]))
    }
    every = [turns for own in taken.values() for turns in own.values()]
    beginning = beginning_of(every) if every else 1
    climbers = {
        name: _Climber(own, records[name], periods_of([steps_within(turns, beginning) for turns in own.values()]))
        for name, own in taken.items()
    }
    pause = min((_pause_of(climber, beginning) for climber in climbers.values()), default=0.0)
    ids = {str(cell["point"][axis]): cell["id"] for cell in cells if not cell["twin"]}
    found = []
    twin: RungPrice | None = None
    planned_twin = False
    for cell in sorted(cells, key=lambda cell: not cell["twin"]):  # the twin's first: claims are held against it
        value, below = str(cell["point"][axis]), ladder.get(str(cell["point"][axis]), "")
        if cell["twin"]:
            planned_twin, below, over = True, value, value if ids[value] in climbers else ""
        else:
            over = _nearest(value, ladder, ids, climbers)
        price = RungPrice(cell["suite"], cell["group"], cell["id"], value, over, below, bool(cell["twin"]))
        beside = [twin] if planned_twin and not cell["twin"] else []
        priced = _priced(price, cell["id"], ids.get(over, ""), climbers, beginning, beside)
        if priced.epoch_word == "told" and priced.step is not None and priced.epoch is not None:
            bound = pause * priced.step.estimate
            priced = replace(priced, epoch_word="as-pause" if _reaches(priced.epoch, bound) else "told")
        if cell["twin"]:
            twin = priced
        else:
            found.append(priced)
    return [*found, *([twin] if twin is not None else [])]


def _pause_of(climber: _Climber, beginning: int) -> float:
    """Steps that an epoch of this arm costs besides its own: what the pause before it costs is no more than that.

    Arms pause between their epochs, and users' do not. What it costs grows with the step, as more of it is cold.
    """
    own = _with_own(_NOBODY, epoch_prices([(one, one) for one in climber.turns.values()], beginning, _both(climber)))
    return max(0.0, own.epoch_time / own.step_time)


def _both(climber: _Climber) -> tuple[Any, Any]:
    return climber.periods, climber.periods


def _reaches(figure: Interval, bound: float) -> bool:
    """Whether an interval that excludes zero does so no longer once the bound is taken off it, which has its sign."""
    near = figure.low if figure.estimate > 0 else figure.high
    return near is not None and bound * figure.estimate > 0 and abs(near) <= abs(bound)


def _nearest(value: str, ladder: Mapping[str, str], ids: Mapping[str, str], climbers: Collection[str]) -> str:
    """The nearest rung below that there are figures of, or ""."""
    seen = {value}
    below = ladder.get(value, "")
    while below and below not in seen and ids.get(below) not in climbers:
        seen.add(below)
        below = ladder.get(below, "")
    return below if below not in seen else ""


def _priced(
    price: RungPrice,
    cell: str,
    other: str,
    climbers: Mapping[str, _Climber],
    beginning: int,
    beside: Sequence[RungPrice | None],
) -> RungPrice:
    """The price of one rung over another, with what may be said of it."""
    mine, theirs = climbers.get(cell), climbers.get(other)
    if mine is None:
        return replace(price, over="", reason="no figures")
    if theirs is None:
        alone = epoch_prices([(turns, turns) for turns in mine.turns.values()], beginning, _both(mine))
        reason = f"no figures of {price.below}, or below" if price.below else "the lowest"
        return _with_own(replace(price, over="", reason=reason), alone)
    numbers = [
        number
        for number in mine.turns
        if number in theirs.turns
        and len(set(mine.turns[number].round) & set(theirs.turns[number].round)) >= LEAST_ROUNDS
    ]
    if not numbers:
        return replace(price, over="", reason=f"no launch has {LEAST_ROUNDS} rounds of it and of {price.over}")
    pairs = [(mine.turns[number], theirs.turns[number]) for number in numbers]
    prices = epoch_prices(pairs, beginning, (mine.periods, theirs.periods))
    own = _with_own(price, prices)
    sets = shared_interpreters([(mine.records[number], theirs.records[number]) for number in numbers])
    step, epoch, whole = (
        interval_of_differences(values, sets=sets, layout=LAYOUT_SD * size)
        for values, size in (
            ([one.step for one in prices], own.step_time),
            ([one.epoch for one in prices], abs(own.epoch_time)),
            ([one.whole for one in prices], own.length * own.step_time + own.epoch_time),
        )
    )
    limit = own.step_limit
    return replace(
        own,
        step=step,
        epoch=epoch,
        whole=whole,
        step_word=_word(step, [None if one is None else one.step for one in beside], limit),
        epoch_word=_word(epoch, [None if one is None else one.epoch for one in beside], own.length * limit),
    )


def _with_own(price: RungPrice, prices: Sequence[EpochPrice]) -> RungPrice:
    count = len(prices)
    return replace(
        price,
        step_time=sum(one.own_step for one in prices) / count,
        epoch_time=sum(one.own_epoch for one in prices) / count,
        length=prices[0].length,
    )


def _word(figure: Interval, twins: Sequence[Interval | None], limit: float) -> PriceWord:
    word = claims.claim(figure, twins)
    wide = figure.low is not None and figure.high is not None and (figure.high - figure.low) / 2 > limit
    return "within-noise" if wide else word


def shared_interpreters(pairs: Sequence[tuple[Record, Record]]) -> list[int] | None:
    """The interpreter of each launch of two arms, where both come from one; None where they change places between two.

    Arms of one interpreter share its layout. Most of what it does to them cancels; the rest is the same in all launches
    from it.
    """
    if all(one.seat != other.seat for one, other in pairs):
        return None
    numbers = {key: number for number, key in enumerate(dict.fromkeys((one.fork_server, one.seat) for one, _ in pairs))}
    return [numbers[one.fork_server, one.seat] for one, _ in pairs]
