"""A suspected change is raced: its two neighbouring commits, side by side on this machine, now. No pandas.

Runs of different days differ by more than code. What a race of the two commits says is what is reported as real. It
has to tell two things apart: a difference that harms nobody, as any two builds of one program have, and the change that
the history suspects. That an interval excludes none is neither.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import RunError
from bench.results import decoding
from bench.results.decoding import Number
from bench.stats.intervals import Interval
from bench.stats.rounding import percent_of

CONFIRMATION_SCHEMA = 2

# confirmed      the race's interval excludes every harmless change, on the suspected side
# not confirmed  it excludes a change as large as the suspected one, and does not exclude a harmless one
# undecided      it excludes neither, so the race was too short
Confirmed = Literal["confirmed", "not confirmed", "undecided"]

# Races the two commits in the cells, and gives for each the step time of the second commit over that of the first.
CommitRace = Callable[[str, str, Sequence[str]], Mapping[str, Interval]]


@dataclass(frozen=True)
class Suspicion:
    """What the history says of one cell: the new level over the old one, less 1."""

    cell: str
    machine: str
    relative: float


@dataclass(frozen=True)
class Confirmation:
    """What a race said of one suspicion. Written once, never changed.

    Attributes:
        before, after: the raced commits, full hashes.
        cell, machine: as the history has them.
        relative: what was suspected.
        ratio: what was raced: the step time of `after` over that of `before`.
        state: what the race says of it.
        when: UTC time, ISO 8601.
        margin: the largest change that is harmless; 0 in lines of schema 1, which called whatever excludes 1 confirmed.
    """

    before: str
    after: str
    cell: str
    machine: str
    relative: Number
    ratio: Interval
    state: Confirmed
    when: str
    margin: Number = 0.0

    def sentence(self) -> str:
        """What the race said."""
        ratio = self.ratio
        interval = f" [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio.low is not None and ratio.high is not None else ""
        text = f"raced over {ratio.launches} launches: {ratio.estimate:.3f}{interval}"
        if self.state == "undecided":
            return f"{text}, which excludes neither a harmless {percent_of(self.margin)} nor what is suspected"
        if self.state == "confirmed" and not _reaches(ratio, self.relative):
            return f"{text}, a smaller change than suspected"
        return text


def confirmations_of(
    before: str, after: str, suspicions: Sequence[Suspicion], race: CommitRace, when: str, margin: float
) -> list[Confirmation]:
    """Race two commits in the suspected cells, and judge each.

    Args:
        before, after: full hashes of neighbours in the history.
        race: does the measuring.
        when: UTC time, ISO 8601.
        margin: the largest change that is harmless, as a fraction.

    Raises:
        RunError: nothing is suspected of them, or no more than what is harmless, or the race did not measure a
            suspected cell, or measured it in a single launch only, which excludes nothing; it is then no answer.
    """
    if not suspicions:
        raise RunError(f"nothing is suspected between {before[:8]} and {after[:8]}; `bench history` shows what is")
    harmless = [item for item in suspicions if _size(item.relative) <= math.log1p(margin)]
    if harmless:
        told = ", ".join(f"{item.cell} by {percent_of(item.relative)}" for item in harmless)
        raise RunError(
            f"--margin: {percent_of(margin)} are called harmless, and no more is suspected of {told}; allowed: less "
            "than the suspected size, which --size sets"
        )
    ratios = race(before, after, list(dict.fromkeys(suspicion.cell for suspicion in suspicions)))
    missing = [suspicion.cell for suspicion in suspicions if suspicion.cell not in ratios]
    if missing:
        raise RunError(f"the race of {before[:8]} and {after[:8]} did not measure {', '.join(missing)}")
    single = [item.cell for item in suspicions if ratios[item.cell].low is None]
    if single:
        raise RunError(
            f"the race of {before[:8]} and {after[:8]} had a single launch of {', '.join(single)}, which allows no "
            "interval; give it a larger --budget"
        )
    return [
        Confirmation(
            before,
            after,
            suspicion.cell,
            suspicion.machine,
            suspicion.relative,
            ratios[suspicion.cell],
            _state(suspicion.relative, ratios[suspicion.cell], margin),
            when,
            margin,
        )
        for suspicion in suspicions
    ]


def _size(relative: float) -> float:
    """How large a change is, in logs, so that twice as fast is as large as twice as slow."""
    return abs(math.log1p(max(relative, -0.999999)))


def _towards(ratio: Interval, relative: float) -> tuple[float, float]:
    """The ends of the interval in logs, in the suspected direction: a change the other way is below 0."""
    assert ratio.low is not None
    assert ratio.high is not None
    low, high = (math.log(max(end, 1e-300)) for end in (ratio.low, ratio.high))
    return (low, high) if relative > 0 else (-high, -low)


def _reaches(ratio: Interval, relative: float) -> bool:
    return _towards(ratio, relative)[1] >= _size(relative)


def _state(relative: float, ratio: Interval, margin: float) -> Confirmed:
    if _towards(ratio, relative)[0] > math.log1p(margin):
        return "confirmed"
    return "undecided" if _reaches(ratio, relative) else "not confirmed"


@dataclass(frozen=True, kw_only=True)
class ConfirmationLine(Confirmation):
    """A confirmation as it stands in confirmations.jsonl."""

    schema: Literal[2]


@dataclass(frozen=True)
class _EarlierLine:
    """One of schema 1, which had no margin."""

    before: str
    after: str
    cell: str
    machine: str
    relative: Number
    ratio: Interval
    state: Literal["confirmed", "not confirmed"]
    when: str
    schema: Literal[1]


def encode_confirmation(confirmation: Confirmation) -> dict[str, Any]:
    """As plain JSON data, with its schema version."""
    return {"schema": CONFIRMATION_SCHEMA, **asdict(confirmation)}


def decode_confirmation(line: bytes, where: str | Path) -> Confirmation:
    """A confirmation from a line of confirmations.jsonl.

    Raises:
        RunError: it is none, or of another schema version; names the place and the field.
    """
    if (name := decoding.twice(line)) is not None:
        raise RunError(f"{where}: the key {name!r} is there twice in one object")
    return decoding.decode(
        Confirmation, line, where, form=_EarlierLine if _is_earlier(line) else ConfirmationLine, whole=True
    )


def _is_earlier(line: bytes) -> bool:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return False  # decoding tells what is wrong with it
    return isinstance(read, dict) and read.get("schema") == 1
