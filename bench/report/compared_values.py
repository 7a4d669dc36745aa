"""How much slower or faster is each value of a compared axis than the baseline? One sentence a value, then the fastest.

What may be said is decided by `bench.analysis.claims` alone; here it is only worded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.analysis import claims
from bench.analysis.estimates import CellSummary
from bench.analysis.fastest import USABLE, Fastest
from bench.plan.cell import SIDES
from bench.report.tables import label, short_label
from bench.report.units import factor, percent, quantity
from bench.stats.intervals import Interval, half_width
from bench.stats.rounding import percent_of

# More values than these are told in three lists, of which each names so many.
SENTENCES = 8
NAMED_VALUES = 24
# From a factor of 2 on people say "2.4 times", below "40 % less"; but not where the interval begins near none.
AS_TIMES, LEAST_TIMES = 2.0, 1.5
# An interval that reaches so far tells nothing that is worth its digits.
HOPELESS = 100.0

EPOCH = "epoch_time"  # the metric of those whose turns are the loop's own epochs


@dataclass(frozen=True)
class _Raced:
    """A value with a ratio.

    Attributes:
        name: in a sentence, e.g. `optimizer fused`.
        short: in a list, e.g. `fused`.
        work: time for the same work over the baseline's, and what that is a time of: `a step`, `an epoch`, `a sample`.
    """

    cell: CellSummary
    axis: str
    name: str
    short: str
    work: Interval
    of: str
    word: claims.ClaimWord


def twins(cells: Iterable[CellSummary]) -> list[Interval | None]:
    """What the twins among the cells of a group read, as ratios; None for one that has no ratio."""
    return [None if cell.versus is None else cell.versus.ratio for cell in cells if cell.twin]


def beside(cells: Iterable[CellSummary]) -> str:
    """What a reader must know of the twins where a difference is not told because of them."""
    read = [open_amount(twin) for twin in twins(cells) if twin is not None and twin.low is not None]
    said = f"reads {' and '.join(read)}" if read else "has no interval"
    return f"the twin, the same code, {said}"


def compared_values(axis: str, cells: Sequence[CellSummary], fastest: Fastest | None = None) -> list[str]:
    """The sentences of one group, with the fastest of its cells, if it is known which."""
    base = baseline_name(axis, cells)
    raced = _raced(axis, cells)
    lost = _without_ratio(axis, cells, base, brief=axis != SIDES and bool(raced))
    if not raced:
        return lost or [f"there is no {axis} but {base} to compare."]
    if len(raced) > 1 and all(one.word == "one-launch" for one in raced):
        return [f"one launch gives no interval: no {axis} is told to be faster or slower than {base}.", *lost]
    told = [_sentence(one, base, cells) for one in raced] if len(raced) <= SENTENCES else _lists(axis, raced, base)
    return [*told, *lost, *_fastest(axis, raced, base, fastest)]


def baseline_name(axis: str, cells: Iterable[CellSummary]) -> str:
    """What the baseline of a group is called in a sentence, by the value of its twin."""
    found = [cell.point[axis] for cell in cells if cell.twin]
    return short_label(axis, found[0]) if found else "the baseline"


def _raced(axis: str, cells: Sequence[CellSummary]) -> list[_Raced]:
    control = twins(cells)
    found = []
    for cell in cells:
        if cell.twin or cell.versus is None or cell.outcome not in USABLE:
            continue
        short = short_label(axis, cell.point[axis])
        name = short if axis == SIDES else label(axis, cell.point[axis])
        work = cell.versus.of_work
        step = "an epoch" if EPOCH in cell.metrics else "a step"
        of = step if cell.versus.per_sample is None else "a sample"
        found.append(_Raced(cell, axis, name, short, work, of, claims.of_ratio(work, control)))
    return found


def _sentence(one: _Raced, base: str, cells: Sequence[CellSummary]) -> str:
    if one.word == "told":
        side = "slower" if one.work.estimate > 1 else "faster"
        more = "".join(tell(one) for tell in (_told_amount, _seconds, _step, _epoch, _noisy))
        return f"{one.name} is {side} than {base}: it {more}."
    apart = f"{one.name} is not told apart from {base}"
    if one.word == "one-launch":
        return f"{apart}: one launch gives no interval."
    control = f", and {beside(cells)}" if one.word in ("as-twin", "no-twin") else ""
    return f"{apart}: {open_amount(one.work)} time {one.of}{_step(one)}{_epoch(one)}{control}."


def _told_amount(one: _Raced) -> str:
    """How much, of a difference that is told, e.g. `takes 41.2 % [40.5, 41.9] less time a step`."""
    ratio = one.work
    assert ratio.low is not None
    assert ratio.high is not None
    if ratio.estimate >= AS_TIMES and ratio.low >= LEAST_TIMES:
        return f"takes {factor(ratio.estimate, ratio.low, ratio.high)} the time {one.of}"
    if ratio.estimate > 1:
        return f"takes {_percent(ratio.estimate - 1, ratio.low - 1, ratio.high - 1)} more time {one.of}"
    if ratio.estimate > 1 / AS_TIMES or ratio.high > 1 / LEAST_TIMES:
        return f"takes {_percent(1 - ratio.estimate, 1 - ratio.high, 1 - ratio.low)} less time {one.of}"
    done = f"the {one.of.partition(' ')[2]}s in the same time"
    return f"does {factor(*(1 / max(end, 1e-300) for end in (ratio.estimate, ratio.high, ratio.low)))} {done}"


def open_amount(ratio: Interval) -> str:
    """A ratio as percent with a sign, where nothing is claimed of it: `+0.5 % [-2.1, 3.0]`."""
    if ratio.low is None or ratio.high is None:
        return f"{percent(ratio.estimate - 1, digits=3)} (one launch)"
    if ratio.high > HOPELESS or ratio.low < 1 / HOPELESS:
        return "anything up to a hundred times more or less"
    return percent(ratio.estimate - 1, ratio.low - 1, ratio.high - 1, digits=3)


def _percent(value: float, low: float, high: float) -> str:
    text = percent(value, low, min(high, HOPELESS), signed=False, digits=3)
    return text if high <= HOPELESS else text.replace(", ", ", over ")


def _seconds(one: _Raced) -> str:
    """What a loop takes more, in seconds a step: as good as the same whatever the model."""
    versus = one.cell.versus
    if versus is None or versus.per_sample is not None or one.axis != "loop" or EPOCH in one.cell.metrics:
        return ""
    d = versus.difference
    return f", {quantity(d.estimate, d.unit, d.low, d.high, signed=True)}"


def _step(one: _Raced) -> str:
    """What a step takes, where the answer is a time a sample, with how many samples a step has."""
    versus = one.cell.versus
    if versus is None or versus.per_sample is None:
        return ""
    more = versus.ratio.estimate / versus.per_sample.estimate
    return f" (its step, of {more:.3g} times the samples, takes {open_amount(versus.ratio)} time)"


def _epoch(one: _Raced) -> str:
    """What the difference is in seconds an epoch, where turns are the loops' own epochs."""
    versus, metrics = one.cell.versus, one.cell.metrics
    if versus is None or EPOCH not in metrics:
        return ""
    steps = one.cell.epoch_steps
    d = versus.difference
    low, high = (None if end is None else steps * end for end in (d.low, d.high))
    return (
        f": {quantity(steps * d.estimate, 's', low, high, signed=True)} for its {steps} step{'' if steps == 1 else 's'}"
    )


def _noisy(one: _Raced) -> str:
    width = half_width(one.work)
    return f" (noisy: known to ±{percent_of(width)})" if one.cell.outcome == "noisy" and width else ""


def _lists(axis: str, raced: Sequence[_Raced], base: str) -> list[str]:
    """The same of many values: those that are faster, slower, and not told apart, each from the fastest on."""
    ordered = sorted(raced, key=lambda one: one.work.estimate)
    told = [one for one in ordered if one.word == "told"]
    kinds = {
        "faster than": [one for one in told if one.work.estimate < 1],
        "slower than": [one for one in told if one.work.estimate > 1],
        "not told apart from": [one for one in ordered if one.word != "told"],
    }
    found = []
    for kind, own in kinds.items():
        ofs = {one.of for one in own}
        named = [
            f"{one.short} {open_amount(one.work)}{f' {one.of}' if len(ofs) > 1 else ''}" for one in own[:NAMED_VALUES]
        ]
        more = f" and {len(own) - NAMED_VALUES} more, which the table has" if len(own) > NAMED_VALUES else ""
        if own:
            of = f" {ofs.pop()}" if len(ofs) == 1 else ""
            found.append(f"{axis}, {kind} {base}, by time{of}: {', '.join(named)}{more}.")
    return found


def _fastest(axis: str, raced: Sequence[_Raced], base: str, found: Fastest | None) -> list[str]:
    """The fastest of several and by how much, or those that are not told apart."""
    if len(raced) < 2:
        return []
    faster = any(one.word == "told" and one.work.estimate < 1 for one in raced)
    if found is None or found.tied:
        if not faster:
            return [f"no {axis} is told to be faster than {base}."]
        if found is None:
            return []  # no launch has several of them
    of = "a sample" if any(one.of == "a sample" for one in raced) else "that does equal work"
    shorts = {one.cell.id: one.short for one in raced}
    if found.tied:
        names = [shorts.get(cell, base) for cell in (found.cell, *found.tied)]
        more = f" and {len(names) - NAMED_VALUES} more" if len(names) > NAMED_VALUES else ""
        told = f"{', '.join(names[:NAMED_VALUES])}{more} are not told apart"
        return [f"which {axis} is the fastest {of} cannot be told: {told}."]
    name = next((one.name for one in raced if one.cell.id == found.cell), base)
    ratio = found.ratio
    assert ratio.low is not None
    assert ratio.high is not None
    less = _percent(1 - ratio.estimate, 1 - ratio.high, 1 - ratio.low)
    sure = f"at {percent_of(found.confidence, 1)}, as one of {found.arms} is chosen"
    return [f"{name} is the fastest {of}: {less} less time than {shorts.get(found.next, base)}, the next ({sure})."]


def _without_ratio(axis: str, cells: Sequence[CellSummary], base: str, *, brief: bool) -> list[str]:
    """Of the values that have no ratio, or of the baseline where it is to blame for all; briefly, without why."""
    others = [cell for cell in cells if not cell.twin and short_label(axis, cell.point[axis]) != base]
    for cell in cells:
        if not cell.twin and short_label(axis, cell.point[axis]) == base and cell.outcome not in USABLE:
            return [f"nothing is compared: the baseline, {base}, is {cell.outcome} ({cell.reason})."]
    lost = [cell for cell in others if cell.versus is None or cell.outcome not in USABLE]
    if brief:
        named = [f"{short_label(axis, cell.point[axis])} ({cell.outcome})" for cell in lost[:NAMED_VALUES]]
        more = f" and {len(lost) - NAMED_VALUES} more" if len(lost) > NAMED_VALUES else ""
        return [f"{axis}, without a ratio to {base}: {', '.join(named)}{more}."] if lost else []
    told = []
    for cell in lost[:SENTENCES]:
        name = short_label(axis, cell.point[axis]) if axis == SIDES else label(axis, cell.point[axis])
        # What ran well and has no ratio lacks one of its own launches, or of the baseline's.
        why = f"it is {cell.outcome} ({cell.reason})" if cell.reason else "no launch has enough rounds of both"
        told.append(f"{name} has no ratio to {base}: {why}.")
    if len(lost) > SENTENCES:
        told.append(f"{len(lost) - SENTENCES} more have no ratio to {base}; the table says why.")
    return told
