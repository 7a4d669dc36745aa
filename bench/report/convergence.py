"""Trainings for a goal as a table and in sentences: who gets to the target when, and whether they end as good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.convergence import GoalCell, GoalPair
from bench.analysis.summary import Summary
from bench.report.tables import Entry, label, varying_axes
from bench.report.units import percent, quantity
from bench.stats.equivalence import DECIDES, Equivalence
from bench.stats.goal_rule import RULE_ALPHA
from bench.stats.intervals import CONFIDENCE
from bench.stats.rounding import percent_of
from bench.stats.time_to_target import MedianWait, PairedRatio

GOAL_TITLE = "Time, epochs and samples to the target"
GOAL_COLUMNS = (
    "time to target",
    "epochs",
    "samples",
    "got there",
    "time ratio",
    "final loss",
    "over the baseline's",
    "p of the rule",
)
NO_END = "no end"


@dataclass(frozen=True)
class GoalRow:
    """A cell with its entries by GOAL_COLUMNS, what is said of its final losses, and the levels of its intervals."""

    cell: GoalCell
    name: str
    entries: Mapping[str, Entry]
    said: str
    levels: tuple[float, ...]


def goal_tables(summary: Summary) -> dict[str, list[GoalRow]]:
    """The cells of each group that trains for a goal, in the plan's order."""
    found: dict[str, list[GoalRow]] = {}
    if summary.convergence is None:
        return found
    places = {pair.cell: place for place, pair in enumerate(summary.convergence.pairs)}
    for index, cell in enumerate(summary.convergence.cells):
        at = places.get(cell.cell)
        pair = None if at is None else summary.convergence.pairs[at]
        found.setdefault(cell.group, []).append(
            _row(cell, pair, f"convergence/cells/{index}", f"convergence/pairs/{at}")
        )
    return found


def _row(cell: GoalCell, pair: GoalPair | None, path: str, pair_path: str) -> GoalRow:
    entries = dict.fromkeys(GOAL_COLUMNS, Entry("", ""))
    levels = []
    for column, name, median, unit in (
        ("time to target", "seconds", cell.seconds, "s"),
        ("epochs", "epochs", cell.epochs, "1"),
        ("samples", "samples", cell.samples, "1"),
    ):
        if median is not None:
            entries[column] = Entry(median_text(median, unit), f"{path}/{name}")
            levels.append(_shown(entries[column], median.level))
    if cell.attempts:
        diverged = f", {cell.diverged} diverged" if cell.diverged else ""
        entries["got there"] = Entry(f"{cell.reached} of {len(cell.attempts)}{diverged}", f"{path}/reached")
    if cell.final is not None:
        entries["final loss"] = Entry(_loss(cell.final.estimate, cell.final.low, cell.final.high), f"{path}/final")
        levels.append(_shown(entries["final loss"], CONFIDENCE))
    if cell.rule is not None and cell.rule.p is not None:
        entries["p of the rule"] = Entry(_p(cell.rule.p), f"{path}/rule/p")
    said = cell.reason
    if pair is not None:
        entries["time ratio"] = Entry(ratio_text(pair.seconds), f"{pair_path}/seconds")
        levels.append(_shown(entries["time ratio"], pair.seconds.level))
        said = str(pair.final.answer)
        if pair.final.identical:
            entries["over the baseline's"], said = Entry("equal", f"{pair_path}/final/identical"), "equal bit for bit"
        elif pair.final.ratio is not None:
            entries["over the baseline's"] = Entry(_apart(pair.final), f"{pair_path}/final/ratio")
            decides = CONFIDENCE if pair.final.answer == "different" else DECIDES
            levels.append(_shown(entries["over the baseline's"], decides))
    name = f"{cell.value}{' (twin)' if cell.twin else ''}"
    return GoalRow(cell, name, entries, said, tuple(level for level in levels if level))


def _shown(entry: Entry, level: float) -> float:
    """The level of an interval that an entry shows; 0 where it shows none."""
    return level if "[" in entry.text else 0.0


def goal_note(summary: Summary) -> str:
    """What the figures of the tables are, and how sure their intervals."""
    levels = {row.cell.seconds.seeds: row.cell.seconds.level for row in _rows(summary) if row.cell.seconds is not None}
    short = [f"{percent_of(level, 1)} with {seeds}" for seeds, level in levels.items() if 0 < level < CONFIDENCE]
    sure = f"{percent_of(CONFIDENCE, 0)}{f' (so few seeds allow {join(short)})' if short else ''}"
    return (
        "Time: the set-up of the loop, and its epochs until the one after which the validation loss is at the target; "
        f"what it takes to find that loss is not in it. Medians over seeds, with intervals of {sure} by order "
        "statistics. A training that ended without the target counts as longer than it was given, and is not left out: "
        "an interval may then have no end. Ratios are paired by seed. Final losses: two one-sided tests at 5 % each, "
        f"by the {percent_of(DECIDES, 0)} interval of their ratio."
    )


def _rows(summary: Summary) -> list[GoalRow]:
    return [row for rows in goal_tables(summary).values() for row in rows]


def join(names: Sequence[str]) -> str:
    """`a, b and c`"""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def goal_levels(summary: Summary) -> list[float]:
    """How sure each interval is, of the tables and of what is said across groups."""
    levels = [level for row in _rows(summary) for level in row.levels]
    for pair in summary.convergence.across if summary.convergence else ():
        if _known(pair.seconds) and pair.seconds.level:
            levels.append(pair.seconds.level)
        if pair.final.ratio is not None and pair.final.ratio.low is not None:
            levels.append(CONFIDENCE if pair.final.answer == "different" else DECIDES)
    return levels


def median_text(median: MedianWait, unit: str) -> str:
    """`12.3 s [11.9, 12.8]`; `over 9.10 s` where half of the trainings or more did not get there."""
    if median.estimate is None:
        return f"over {_amount(median.low, unit)}" if median.low is not None else "not reached"
    if unit == "1":  # epochs and samples are counted, and every one of them is known
        known = median.low is None or median.low == median.high
        ends = "" if known else f" [{_count(median.low)}, {_count(median.high)}]"
        return f"{_count(median.estimate)}{ends}"
    if median.low is not None and median.high is None:
        return f"{quantity(median.estimate, unit)} [{quantity(median.low, unit)}, {NO_END}]"
    return quantity(median.estimate, unit, median.low, median.high)


def _amount(value: float, unit: str) -> str:
    return _count(value) if unit == "1" else quantity(value, unit)


def _count(value: float | None) -> str:
    return NO_END if value is None else f"{value:,.10g}"


def ratio_text(ratio: PairedRatio) -> str:
    """`1.91 [1.88, 1.95]`; with no end to a side, or as bounds, where trainings did not get there."""
    ends = ""
    if ratio.level and (ratio.low is not None or ratio.high is not None):
        ends = f" [{_factor(ratio.low)}, {_factor(ratio.high)}]"
    if ratio.estimate is not None:
        return f"{_factor(ratio.estimate)}{ends}"
    if ratio.at_least is not None and ratio.at_most is not None:
        return f"{_factor(ratio.at_least)} to {_factor(ratio.at_most)}{ends}"
    if ratio.at_least is not None:
        return f"over {_factor(ratio.at_least)}{ends}"
    return f"under {_factor(ratio.at_most)}{ends}" if ratio.at_most is not None else f"not known{ends}"


def _factor(value: float | None) -> str:
    return NO_END if value is None else f"{value:.3f}" if value < 10 else f"{value:.3g}"


def _at(level: float) -> str:
    """The level of an interval that is not one of 95 %."""
    return f" ({percent_of(level, 1)})" if 0 < level < CONFIDENCE else ""


def _loss(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _apart(final: Equivalence) -> str:
    """By how much final losses are above the baseline's: `+0.1 % [-0.3, 0.5] (90.0 %)`."""
    ratio = final.ratio if final.answer != "different" else final.wider
    assert ratio is not None
    if ratio.low is None or ratio.high is None:
        return percent(ratio.estimate - 1)
    level = f" ({percent_of(DECIDES, 0)})" if final.answer != "different" else ""
    return f"{percent(ratio.estimate - 1, ratio.low - 1, ratio.high - 1)}{level}"


# --- sentences


def goal_sentences(summary: Summary, group: str) -> list[str]:
    """What a group says of its goal: its baseline, each other cell over it, the twin, and the rule of the records."""
    if summary.convergence is None:
        return []
    cells = [cell for cell in summary.convergence.cells if cell.group == group]
    if not cells:
        return []
    pairs = {pair.cell: pair for pair in summary.convergence.pairs}
    by_id = {cell.cell: cell for cell in summary.convergence.cells}
    axis = summary.compare[cells[0].suite]
    sentences = []
    for cell in cells:
        pair = pairs.get(cell.cell)
        if cell.twin:
            sentences += [] if pair is None else [_twin(pair, axis)]
        elif pair is None:
            sentences.append(_alone(cell, label(axis, cell.value)))
        else:
            sentences.append(_over(pair, cell, by_id[pair.baseline], axis))
    return [*sentences, *_rule([cell for cell in cells if not cell.twin], axis)]


def across_sentences(summary: Summary) -> list[str]:
    """Cells of other groups, which did not train at the same time, along each other axis."""
    if summary.convergence is None:
        return []
    by_id = {cell.cell: cell for cell in summary.convergence.cells}
    sentences = []
    for pair in summary.convergence.across:
        cell = by_id[pair.cell]
        axes = varying_axes(one.where for one in summary.convergence.cells if one.suite == cell.suite)
        where = [label(axis, cell.where[axis]) for axis in axes if axis in cell.where and axis != pair.axis]
        name = ", ".join([label(summary.compare[cell.suite], cell.value), *where])
        what, finals = label(pair.axis, pair.value), _finals(pair.final)
        if _known(pair.seconds):
            sentences.append(
                f"{name}: {what} takes {_times(pair, pair.over)} to the target, not interleaved, so that what the "
                f"machine did in between is in it; {finals}."
            )
        else:
            sentences.append(f"{name}: whether {what} or {pair.over} gets to the target sooner is not known; {finals}.")
    return sentences


def _alone(cell: GoalCell, name: str) -> str:
    if cell.seconds is None or cell.epochs is None:
        return f"{name} has no training: {cell.reason}."
    reason = f"; nothing is compared with it: {cell.reason}" if cell.reason else ""
    if not cell.reached:
        return f"{name} does not reach {cell.target:g} within {cell.planned} epochs{_from(cell)}{reason}."
    number, bracket, ends = median_text(cell.epochs, "1").partition(" [")
    after = f"after {number} epochs{bracket}{ends}{_at(cell.epochs.level)}"
    return f"{name} reaches {cell.target:g} in {median_text(cell.seconds, 's')}, {after}{_from(cell)}{reason}."


def _from(cell: GoalCell) -> str:
    """From how many seeds it got there, and what the others are taken for."""
    trainings = len(cell.attempts)
    count = f"{cell.reached} of {trainings} seeds" if trainings > 1 else "its one seed"
    if not cell.reached:
        count = f"any of {trainings} seeds" if trainings > 1 else count
    diverged = f" ({cell.diverged} diverged)" if cell.diverged else ""
    missed = cell.reached and cell.reached < trainings
    return f", from {count}{diverged}{'; the others count as longer than they were given' if missed else ''}"


def _over(pair: GoalPair, cell: GoalCell, base: GoalCell, axis: str) -> str:
    name, other = label(axis, cell.value), label(axis, base.value)
    finals = _finals(pair.final)
    if not cell.reached:
        start = f"{name} does not reach {cell.target:g} within {cell.planned} epochs{_from(cell)}"
        if not base.reached:
            return f"{start}, nor does {other}, so that nobody knows which would be sooner; {finals}."
        if not _known(pair.seconds):
            return f"{start}, and {other} not often enough to say which is sooner; {finals}."
        return f"{start}: it takes {_times(pair, other)}; {finals}."
    if not _known(pair.seconds):
        start = f"{name} reaches {cell.target:g}{_from(cell)}"
        return f"{start}, and {other} not often enough to say which is sooner; {finals}."
    start = f"{name} reaches {cell.target:g} in {_times(pair, other)}"
    return f"{start}{_why(pair)}{_epochs(pair, cell, base)}{_from(cell)}; {finals}."


def _known(ratio: PairedRatio) -> bool:
    """Whether anything is known of where the median ratio lies."""
    return ratio.at_least is not None or ratio.at_most is not None


def _times(pair: GoalPair, other: str) -> str:
    """`1.906 times plain PyTorch's time [1.883, 1.951] (93.8 %)`"""
    number, bracket, ends = ratio_text(pair.seconds).partition(" [")
    return f"{number} times {other}'s time{bracket}{ends}{_at(pair.seconds.level)}"


def _epochs(pair: GoalPair, cell: GoalCell, base: GoalCell) -> str:
    if pair.epochs.even == pair.epochs.seeds:
        return ", in the same number of epochs"
    if cell.epochs is None or base.epochs is None or cell.epochs.estimate is None or base.epochs.estimate is None:
        return ""
    return (
        f", after {_count(cell.epochs.estimate)} epochs and not {_count(base.epochs.estimate)}"
        if (cell.epochs.estimate != base.epochs.estimate)
        else f", after {_count(cell.epochs.estimate)} epochs like it, in the middle"
    )


def _why(pair: GoalPair) -> str:
    """Why no difference of times is told; "" where one is."""
    words = {
        "zero": ", which is not told from 1",
        "as-twin": ", no farther from 1 than the twin, the same code, may be",
        "no-twin": ", and nothing tells that from noise, as the twin has no interval",
        "one-launch": " (one seed gives no interval)",
    }
    return words.get(pair.word, "")


def _finals(final: Equivalence) -> str:
    margin = f"±{percent_of(final.margin, 1)}".replace(".0 %", " %")
    if final.identical:
        return "final losses are equal bit for bit"
    if final.answer == "equivalent":
        apart = ", a difference that is told and is within" if final.apart else ", which is within"
        return f"final losses are equivalent: {_apart(final)}{apart} {margin}"
    if final.answer == "different":
        return f"final losses are different: {final.reason or f'{_apart(final)}, beyond {margin}'}"
    known = final.reason or f"{_apart(final)} is neither within {margin} nor beyond"
    if final.reason and final.ratio is not None:
        known = f"{_apart(final)}, and {final.reason}"
    return f"whether final losses are as good is undecided: {known}"


def _twin(pair: GoalPair, axis: str) -> str:
    other = label(axis, pair.over)
    if not _known(pair.seconds):
        return f"The twin of {other}, the same code, tells no noise of times to the target; {_finals(pair.final)}."
    start = f"The twin of {other}, the same code, takes {_times(pair, other)}"
    if pair.seconds.estimate is None or not pair.seconds.level:
        return f"{start}, which does not tell the noise; {_finals(pair.final)}."
    noise = "that is the noise floor" if pair.word == "zero" else "a ratio of this size may be noise"
    return f"{start}: {noise}; {_finals(pair.final)}."


def _rule(cells: Sequence[GoalCell], axis: str) -> list[str]:
    """The rule of the records, those that meet it first; cells with the same figures are named together."""
    told: dict[tuple[bool, str], list[str]] = {}
    for cell in cells:
        if cell.rule is None:
            continue
        if cell.rule.mean is None:
            text = "a final loss is not finite"
        elif cell.rule.p is None:
            text = f"mean {cell.rule.mean:.4g}, of one seed"
        else:
            text = f"mean {cell.rule.mean:.4g}, p {'= ' * (cell.rule.p >= 1e-4)}{_p(cell.rule.p)}"
        told.setdefault((cell.rule.met, text), []).append(label(axis, cell.value))
    parts = [
        f"{'met' if met else 'not met'} by {join(names)} ({text})"
        for (met, text), names in sorted(told.items(), key=lambda item: not item[0][0])
    ]
    if not parts:
        return []
    goal = f"{cells[0].target:g}"
    return [
        f"The rule of the modded-nanogpt records, the mean of the final losses below {goal} at p < {RULE_ALPHA:g} by a "
        f"one-sided t test: {'; '.join(parts)}."
    ]
