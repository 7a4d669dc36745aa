"""Rows of `frames.pairs`: the mean beside the typical step, and which launches share what their interpreters do."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from synthetic import PLAIN, TRAINER, cell_id, make

from bench.analysis import frames
from bench.analysis.pairs import columns_by_cell, shared_sets
from bench.analysis.summary import summarize
from bench.results.record import RECORD_SCHEMA
from bench.results.store import StoredRun
from bench.results.turns import Turns

TWIN, OTHER = cell_id(PLAIN, 256, twin=True), cell_id(TRAINER, 256)


def with_seats(schema: int, seats: dict[str, int], launches: int = 8) -> StoredRun:
    """A run of two sets of interpreters, used in turn; the baseline sits at 0."""
    run = make(launches=launches, lengths={256: 2.5e-3})
    records = tuple(
        replace(one, seat=seats.get(one.cell, 0), fork_server=one.launch % 2) for one in run.records if one.launch >= 0
    )
    return replace(run, records=records, info={**run.info, "schema": schema})


def sets_of(own: pd.DataFrame) -> list[int] | None:
    (columns,) = columns_by_cell(own.assign(cell="one"), "crossed", "set").values()
    return shared_sets(columns["crossed"], columns["set"])


def test_launches_of_arms_that_change_places_share_nothing_and_those_of_others_their_set() -> None:
    found = frames.pairs(with_seats(6, {TWIN: 1, OTHER: 0}))
    twin, other = (found[found["cell"] == cell] for cell in (TWIN, OTHER))
    assert (twin["crossed"].all(), other["crossed"].any()) == (True, False)
    assert sets_of(twin) is None
    assert sets_of(other) == [0, 1] * 4
    assert list(found["set"]) == list(found["launch"] % 2)


def test_what_few_sets_may_do_is_in_the_interval_of_arms_that_do_not_change_places() -> None:
    cells = {cell.id: cell for cell in summarize(with_seats(6, {TWIN: 1, OTHER: 0})).cells}
    crossed = {cell.id: cell for cell in summarize(with_seats(6, {TWIN: 1, OTHER: 1})).cells}
    widths = []
    for one in (cells[OTHER], crossed[OTHER]):
        assert one.versus is not None
        assert one.versus.ratio.low is not None
        assert one.versus.ratio.high is not None
        widths.append(one.versus.ratio.high - one.versus.ratio.low)
    assert widths[0] > 1.5 * widths[1], "of two sets, a layout of 1 % (sd) each is allowed for"


def test_of_older_records_it_is_not_known_what_launches_share() -> None:
    assert sets_of(frames.pairs(with_seats(5, {}))) is None


def test_the_mean_stands_beside_the_typical_step() -> None:
    """Every 20th step of one arm takes three times as long."""
    run = make(launches=3, lengths={256: 2.5e-3}, noise="none")
    records = []
    for one in run.records:
        assert one.turns is not None
        count, length = 40, 10
        extra = 2.0 * (one.cell == OTHER)
        seconds = tuple(
            tuple(1e-3 * (1 + extra * ((turn * length + place) % 20 == 7)) for place in range(length))
            for turn in range(count)
        )
        nothing = (0,) * count
        turns = Turns(
            round=tuple(range(count)), position=nothing, cpu=(0.01,) * count, involuntary=nothing, faults=nothing,
            stolen=(0.0,) * count, began=tuple(turn * length for turn in range(count)), seconds=seconds,
        )  # fmt: skip
        records.append(replace(one, turns=turns))
    found = frames.pairs(replace(run, records=tuple(records)))
    own = found[found["cell"] == OTHER]
    assert own["log_ratio"].tolist() == pytest.approx([0.09531] * 3, abs=1e-4)
    assert own["typical_log_ratio"].tolist() == pytest.approx([0.0] * 3)
    assert own["difference"].tolist() == pytest.approx([1e-4] * 3)


def test_too_few_sets_are_told_with_what_was_done_instead() -> None:
    run = make(lengths={256: 2.5e-3}, launches=6)
    plain_alone = tuple(
        replace(record, fork_server=record.launch // 3, seat=0 if record.point["loop"] != PLAIN else record.seat)
        for record in run.records
    )
    run = replace(run, records=plain_alone, info={**run.info, "schema": RECORD_SCHEMA})
    told = [warning for warning in summarize(run).warnings if "sets of interpreters" in warning]
    assert len(told) == 1
    assert "launches from 2 sets of interpreters" in told[0]
    assert "none is narrower than ±1.4 %" in told[0]
    assert "#twin" not in told[0], "it changes places with the baseline"
    own = tuple(replace(record, fork_server=record.launch) for record in plain_alone)
    assert not [text for text in summarize(replace(run, records=own)).warnings if "sets of" in text]
