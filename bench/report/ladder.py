"""A ladder of features as a table and in sentences: what each rung costs over the one below, a step and an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.ladder import KNOWN_SHARE, KNOWN_TO, PriceWord, RungPrice
from bench.analysis.summary import Summary
from bench.report.tables import Entry
from bench.report.units import quantity
from bench.stats.intervals import Interval
from bench.stats.rounding import percent_of

LADDER_TITLE = "What each rung costs over the one below"
LADDER_NOTE = (
    "A step: the mean one within an epoch. An epoch: what it costs besides its steps, its beginning and its end; a "
    "whole epoch is its steps and this. Within noise: the interval holds zero, or the twin reads as much, and then a "
    f"price is known to as much as is said; or the interval is wider than ±{KNOWN_TO * 1e6:.0f} µs and than "
    f"±{percent_of(KNOWN_SHARE, 0)} of the step, and tells nothing. As the pause: what may come of the pause before it."
)
COLUMNS = ("a step", "an epoch", "a whole epoch", "its step", "launches")
DEAREST = 3  # rungs that a sentence names


@dataclass(frozen=True)
class LadderRow:
    """A rung, with what may be said of its price a step and an epoch, and entries by COLUMNS."""

    price: RungPrice
    name: str
    adds: str
    said: tuple[str, str]
    entries: Mapping[str, Entry]


def ladder_tables(summary: Summary) -> dict[str, list[LadderRow]]:
    """The rungs of each group that has a ladder, upwards, the twin last."""
    found: dict[str, list[LadderRow]] = {}
    for index, price in enumerate(summary.ladder):
        path = f"ladder/{index}"
        figures = {"a step": price.step, "an epoch": price.epoch, "a whole epoch": price.whole}
        entries = {
            column: Entry("", "")
            if figure is None
            else Entry(quantity(figure.estimate, "s", figure.low, figure.high, signed=True), f"{path}/{column}")
            for column, figure in figures.items()
        }
        measured = price.step_time > 0
        entries["its step"] = Entry(quantity(price.step_time, "s") if measured else "", f"{path}/step_time" * measured)
        launches = "" if price.step is None else str(price.step.launches)
        entries["launches"] = Entry(launches, f"{path}/launches" * bool(launches))
        adds = "" if price.twin else summary.trainers.get(price.suite, {}).get(price.value, "")
        said = (said_of(price.step, price.step_word), said_of(price.epoch, price.epoch_word))
        name = f"{price.value}{' (twin)' if price.twin else ''}"
        found.setdefault(price.group, []).append(LadderRow(price, name, adds, said, entries))
    return found


def said_of(figure: Interval | None, word: PriceWord) -> str:
    """What may be said of a price, in words: `told`, or why not."""
    if figure is None or figure.low is None or figure.high is None:
        return "" if figure is None else "one launch gives no interval"
    known = f"±{quantity((figure.high - figure.low) / 2, 's')}"
    words: Mapping[PriceWord, str] = {
        "told": "told",
        "zero": f"within noise, known to {known}",
        "as-twin": f"within noise, as the twin; known to {known}",
        "within-noise": f"within noise of {known}",
        "as-pause": f"no more than the pause may cost, known to {known}",
        "no-twin": "the twin has no interval",
    }
    return words.get(word, word)


# The same where a line has room for little.
_SHORT = (
    ("within noise, as the twin; ", "noise, "),
    ("within noise", "noise"),
    ("no more than the pause may cost, ", "as the pause, "),
    ("gives no interval", ""),
)


def short_price(row: LadderRow, place: int) -> str:
    """A price in a narrow table: the figure where it is told, else what may be said."""
    said, figure = row.said[place], row.entries[COLUMNS[place]].text
    if said in ("", "told"):
        return figure
    for long, short in _SHORT:
        said = said.replace(long, short)
    return f"{figure}, {said.strip()}" if said.startswith("one") else said


def compact_rows(rows: Sequence[LadderRow]) -> list[list[str]]:
    """The rows of a narrow table: rung, the one below, a step, an epoch."""
    return [[row.name, row.price.over, short_price(row, 0) or row.price.reason, short_price(row, 1)] for row in rows]


def ladder_sentences(summary: Summary, group: str) -> list[str]:
    """The dearest rungs of a group, a step and an epoch; those that cost nothing that is seen; those not known."""
    rungs = [row for row in ladder_tables(summary).get(group, ()) if not row.price.twin and row.price.step is not None]
    sentences = []
    for place, of in enumerate(("a step", "an epoch besides its steps")):
        told = [(figure.estimate, row) for row in rungs if (figure := _told(row, place)) and figure.estimate > 0]
        dearest = [row for _, row in sorted(told, key=lambda pair: -pair[0])[:DEAREST]]
        named = [f"{row.name} {row.entries[COLUMNS[place]].text} over {row.price.over}" for row in dearest]
        if named:
            sentences.append(f"Dearest {of}: {'; '.join(named)}.")
    words = {row.name: {row.price.step_word, row.price.epoch_word} for row in rungs}
    little = [name for name, own in words.items() if own <= {"zero", "as-twin", "as-pause"}]
    unknown = [name for name, own in words.items() if "within-noise" in own]
    if little:
        sentences.append(f"Within noise over the rung below, a step and an epoch: {', '.join(little)}.")
    if unknown:
        sentences.append(
            f"Not known to ±{KNOWN_TO * 1e6:.0f} µs or ±{percent_of(KNOWN_SHARE, 0)} of the step, in one or the other: "
            f"{', '.join(unknown)}. A longer run knows more."
        )
    return sentences


def _told(row: LadderRow, place: int) -> Interval | None:
    """A price that may be told."""
    figure, word = ((row.price.step, row.price.step_word), (row.price.epoch, row.price.epoch_word))[place]
    return figure if word == "told" else None
