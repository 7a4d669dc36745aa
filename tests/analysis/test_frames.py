"""Frames: tidy, complete, and refusing what cannot be right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from synthetic import PLAIN, TRAINER, cell_id, group_id, make

from bench.analysis import frames
from bench.errors import RunError
from bench.results.record import METRICS
from bench.results.store import StoredRun

# Metrics that turns of one process, of a part of an epoch, of no compiled launch, of older records do not have.
NOT_HERE = {name for name in METRICS if name.startswith("time_to_first_step")} | {
    "rank_spread",
    "setup_time",
    "data_time",
    "epoch_gap",
    "memory_growth_host",
    "memory_growth_device",
    "epoch_time",
    "epoch_end",
    *("sm_clock", "power", "samples_per_joule", "idle_energy_share", "metering"),  # no meter: tests/cuda has one
}

SMALL: dict[str, Any] = {"lengths": {256: 2.5e-3}, "launches": 3}


def with_record(run: StoredRun, index: int, **changes: Any) -> StoredRun:
    records = list(run.records)
    records[index] = replace(records[index], **changes)
    return replace(run, records=tuple(records))


def test_turns_have_one_row_each_with_axes() -> None:
    run = make(**SMALL, rounds=12, steps=2)
    turns = frames.turns(run)
    assert len(turns) == 3 * 4 * 12
    assert {"loop", "batch_size", "data"} <= set(turns.columns)
    first = run.records[0].turns
    assert first is not None
    assert turns["step_time"][0] == first.counted[0] / 2
    share = first.cpu[0] / (first.first[0] + first.counted[0])
    assert turns["cpu_time"][0] == pytest.approx(share * turns["step_time"][0])
    assert turns["first_step_time"][0] == first.first[0]


def test_steps_that_find_cold_caches_are_no_part_of_a_step_time() -> None:
    run = make(**SMALL, noise="none")
    cold = [
        replace(record, turns=replace(record.turns, first=tuple(9.0 for _ in record.turns.first)))
        for record in run.records
        if record.turns is not None
    ]
    before, after = frames.frames_of(run), frames.frames_of(replace(run, records=tuple(cold)))
    assert after.turns["step_time"].equals(before.turns["step_time"])
    assert after.pairs["log_ratio"].equals(before.pairs["log_ratio"])
    assert set(after.turns["first_step_time"]) == {9.0}


def test_launch_values_are_those_of_its_turns() -> None:
    run = make(**SMALL)
    launches = frames.launches(run)
    own = launches[(launches["cell"] == cell_id(PLAIN, 256)) & (launches["launch"] == 1)].set_index("metric")
    turns = frames.turns(run)
    steps = turns[(turns["cell"] == cell_id(PLAIN, 256)) & (turns["launch"] == 1)]["step_time"]
    assert own["value"]["typical_step_time"] == pytest.approx(steps.median())
    assert own["value"]["step_time"] == pytest.approx(steps.mean())
    assert own["value"]["throughput"] == pytest.approx(256 / steps.mean())
    assert own["value"]["peak_memory_host"] == 300 * 2**20
    assert own["samples"]["step_time"] == 24
    assert own["unit"]["throughput"] == "samples/s"
    assert own["better"]["throughput"] == "higher"
    assert set(own.index) == set(METRICS) - NOT_HERE


def test_a_registered_metric_of_a_callback_needs_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "stalls", replace(METRICS["step_time"], name="stalls", unit="1"))
    launches = frames.launches(with_record(make(**SMALL), 0, extra={"stalls": 3.0}))
    row = launches[launches["metric"] == "stalls"].iloc[0]
    assert (row["value"], row["unit"], row["cell"]) == (3.0, "1", cell_id(PLAIN, 256))


def test_an_unknown_metric_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(RunError, match=r"unknown metric 'stalls'; allowed: step_time, typical_step_time") as error:
        frames.launches(with_record(make(**SMALL), 0, extra={"stalls": 3.0}))
    assert cell_id(PLAIN, 256) in str(error.value)


def test_an_axis_may_be_called_like_a_column() -> None:
    run = make(**SMALL)
    for cell in run.info["plan"]["cells"]:
        cell["point"]["launch"] = 7
    run = replace(run, records=tuple(replace(record, point={**record.point, "launch": 7}) for record in run.records))
    turns = frames.turns(run)
    assert set(turns["axis_launch"]) == {7}
    assert set(turns["launch"]) == {0, 1, 2}


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_turn_without_time_is_refused(seconds: float) -> None:
    run = make(**SMALL)
    turns = run.records[1].turns
    assert turns is not None
    with pytest.raises(RunError, match="turn 2"):
        frames.turns(
            with_record(run, 1, turns=replace(turns, counted=(*turns.counted[:2], seconds, *turns.counted[3:])))
        )


def test_every_planned_cell_is_listed_with_its_fate() -> None:
    run = make(**SMALL, failures={("fabric", 256, 1): ("oom", "no memory"), (TRAINER, 256, -1): ("unsupported", "no")})
    cells = frames.cells(run).set_index("cell")
    assert len(cells) == 4
    assert cells["outcome"][cell_id(PLAIN, 256)] == "ok"
    assert cells["outcome"]["overhead[loop=fabric,batch_size=256,data=synthetic]"] == "oom"
    assert cells["reason"]["overhead[loop=fabric,batch_size=256,data=synthetic]"] == "launch 2 of 3: no memory"
    assert cells["outcome"][cell_id(TRAINER, 256)] == "unsupported"
    assert cells["reason"][cell_id(TRAINER, 256)] == "no"
    assert cells["launches"][cell_id(TRAINER, 256)] == 0


def test_several_failed_launches_are_counted() -> None:
    run = make(**SMALL, failures={("fabric", 256, launch): ("crashed", "boom") for launch in (0, 2)})
    cells = frames.cells(run).set_index("cell")
    assert (
        cells["reason"]["overhead[loop=fabric,batch_size=256,data=synthetic]"]
        == "launch 1 of 3 (and 1 more of them): boom"
    )


def test_a_run_without_records_has_its_cells() -> None:
    run = make(**SMALL)
    run = replace(run, records=(), info={**run.info, "finished": None})
    assert frames.turns(run).empty
    assert frames.launches(run).empty
    assert frames.pairs(run).empty
    cells = frames.cells(run)
    assert set(cells["outcome"]) == {"timeout"}
    assert all("not measured" in reason for reason in cells["reason"])


def test_a_record_of_an_unplanned_cell_is_refused() -> None:
    with pytest.raises(RunError, match="unknown cell 'other'"):
        frames.cells(with_record(make(**SMALL), 0, cell="other"))


def test_short_launches_are_kept_but_not_used() -> None:
    run = make(**SMALL, rounds=5)
    assert len(frames.turns(run)) == 3 * 4 * 5
    assert frames.launches(run).empty
    assert frames.pairs(run).empty
    assert set(frames.short_launches(run)["rounds"]) == {5}
    assert not frames.launches(make(**SMALL, rounds=6)).empty
    assert not frames.pairs(make(**SMALL, rounds=6)).empty


def test_pairs_join_by_round_not_by_place() -> None:
    run = make(**SMALL, noise="none")
    # The same turns in another order: only a join by round gives the same pairs.
    turns = run.records[2].turns
    assert turns is not None
    back = {
        name: tuple(reversed(getattr(turns, name)))
        for name in ("round", "position", "first", "counted", "cpu", "involuntary", "faults", "stolen")
    }
    other = with_record(run, 2, turns=replace(turns, **back))
    assert frames.pairs(other).equals(frames.pairs(run))


def test_pairs_leave_out_cells_and_groups_that_failed() -> None:
    run = make(launches=3, failures={(PLAIN, 32, 0): ("crashed", "boom"), (TRAINER, 256, 2): ("oom", "no memory")})
    pairs = frames.pairs(run)
    assert group_id(32) not in set(pairs["group"])
    assert cell_id(TRAINER, 256) not in set(pairs["cell"])
    assert cell_id(TRAINER, 2048) in set(pairs["cell"])
    assert cell_id(PLAIN, 2048, twin=True) in set(pairs["cell"])
