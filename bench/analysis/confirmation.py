"""A suspected change is raced: its two neighbouring commits, side by side on this machine, now. No pandas.

Runs of different days differ by more than code. What a race of the two commits says is what is reported as real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import RunError
from bench.results import decoding
from bench.results.decoding import Number
from bench.stats.intervals import Interval

CONFIRMATION_SCHEMA = 1

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
        state: `confirmed` if the interval excludes 1 on the suspected side, else `not confirmed`.
        when: UTC time, ISO 8601.
    """

    before: str
    after: str
    cell: str
    machine: str
    relative: Number
    ratio: Interval
    state: Literal["confirmed", "not confirmed"]
    when: str

    def sentence(self) -> str:
        """What the race said."""
        ratio = self.ratio
        interval = f" [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio.low is not None and ratio.high is not None else ""
        return f"raced over {ratio.launches} launches: {ratio.estimate:.3f}{interval}"


def confirmations_of(
    before: str, after: str, suspicions: Sequence[Suspicion], race: CommitRace, when: str
) -> list[Confirmation]:
    """Race two commits in the suspected cells, and judge each.

    Args:
        before, after: full hashes of neighbours in the history.
        race: does the measuring.
        when: UTC time, ISO 8601.

    Raises:
        RunError: nothing is suspected of them, or the race did not measure a suspected cell, or measured it in a
            single launch only, which excludes nothing; it is then no answer.
    """
    if not suspicions:
        raise RunError(f"nothing is suspected between {before[:8]} and {after[:8]}; `bench history` shows what is")
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
            _state(suspicion.relative, ratios[suspicion.cell]),
            when,
        )
        for suspicion in suspicions
    ]


def _state(relative: float, ratio: Interval) -> Literal["confirmed", "not confirmed"]:
    right = ratio.estimate > 1 if relative > 0 else ratio.estimate < 1
    return "confirmed" if right and not ratio.contains(1.0) else "not confirmed"


@dataclass(frozen=True, kw_only=True)
class ConfirmationLine(Confirmation):
    """A confirmation as it stands in confirmations.jsonl."""

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
    return decoding.decode(Confirmation, line, where, form=ConfirmationLine, whole=True)
