"""What loops found by themselves before they trained, as a tuner does, and what the search took. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.results.decoding import Scalar
from bench.results.forms import FOUND
from bench.results.record import Record
from bench.results.store import StoredRun
from bench.stats.intervals import Interval, interval_of_differences

SETUP = "setup_time"


@dataclass(frozen=True)
class FoundSetting:
    """One setting that a cell found.

    Attributes:
        setting: its name.
        values: by launch, in their order.
        seconds: that the cell's set-up took longer than its baseline's, which does not search, paired by launch; None
            where that is not known.
    """

    cell: str
    group: str
    setting: str
    values: tuple[Scalar, ...]
    seconds: Interval | None


def searches_of(run: StoredRun) -> list[FoundSetting]:
    """Every search of a run, in the plan's order."""
    records: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.outcome == "ok":
            records.setdefault(record.cell, {})[record.launch] = record
    return [search for cell in run.info["plan"]["cells"] for search in _of_cell(cell, records)]


def _of_cell(cell: dict[str, str], records: dict[str, dict[int, Record]]) -> Iterator[FoundSetting]:
    own, others = records.get(cell["id"], {}), records.get(cell["baseline"], {})
    names = [name for record in own.values() for name in record.effective if name.startswith(FOUND)]
    for name in dict.fromkeys(names):
        values = tuple(own[launch].effective[name] for launch in sorted(own) if name in own[launch].effective)
        took = [
            own[launch].extra[SETUP] - others[launch].extra[SETUP]
            for launch in sorted(own)
            if launch in others and SETUP in own[launch].extra and SETUP in others[launch].extra
        ]
        seconds = interval_of_differences(took) if took else None
        yield FoundSetting(cell["id"], cell["group"], name.removeprefix(FOUND), values, seconds)
