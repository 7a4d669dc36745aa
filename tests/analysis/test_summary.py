"""Stats: synthetic runs with a known truth give it back, and nothing is claimed that was not measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from synthetic import FABRIC, PLAIN, TRAINER, Truth, cell_id, group_id, make
from tiers import Choice

from bench.analysis import frames
from bench.analysis.costs import Cost, fitted_line
from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary, summarize
from bench.analysis.warnings import position_effects
from bench.results.record import OUTCOMES
from bench.results.store import StoredRun
from bench.results.turns import Turns

SMALL: dict[str, Any] = {"lengths": {256: 2.5e-3}, "launches": 4}


def cell_of(summary: Summary, loop: str, batch: int, *, twin: bool = False) -> CellSummary:
    return next(cell for cell in summary.cells if cell.id == cell_id(loop, batch, twin=twin))


def cost_of(summary: Summary, loop: str, *, twin: bool = False) -> Cost:
    return next(cost for cost in summary.costs if cost.value == loop and cost.twin == twin)


def scaled(run: StoredRun, factor: float) -> StoredRun:
    def turns(old: Turns | None) -> Turns | None:
        return old and replace(old, counted=tuple(seconds * factor for seconds in old.counted))

    return replace(run, records=tuple(replace(record, turns=turns(record.turns)) for record in run.records))


def renamed(run: StoredRun, one: str, other: str) -> StoredRun:
    """The run with two arms swapped: each has the turns of the other."""
    by_key = {(record.point["loop"], record.group, record.launch, record.twin): record.turns for record in run.records}
    swap = {one: other, other: one}
    return replace(
        run,
        records=tuple(
            record
            if record.twin
            else replace(
                record,
                turns=by_key[swap.get(record.point["loop"], record.point["loop"]), record.group, record.launch, False],
            )
            for record in run.records
        ),
    )


def test_without_noise_the_truth_comes_back_exactly() -> None:
    summary = summarize(make(noise="none"))
    trainer = cell_of(summary, TRAINER, 256)
    assert trainer.versus is not None
    assert trainer.versus.difference.estimate == pytest.approx(430e-6)
    assert trainer.versus.ratio.estimate == pytest.approx(1 + 430e-6 / 2.5e-3)
    assert trainer.metrics["step_time"].estimate == pytest.approx(2.93e-3)
    assert trainer.metrics["throughput"].estimate == pytest.approx(256 / 2.93e-3)
    assert trainer.metrics["step_time"].launches == 8
    assert trainer.metrics["step_time"].samples == 8 * 12 * 2
    cost = cost_of(summary, TRAINER)
    assert cost.fixed is not None
    assert cost.share is not None
    assert cost.cost is not None
    assert cost.fixed.estimate == pytest.approx(430e-6)
    assert cost.share.estimate == pytest.approx(0, abs=1e-9)
    assert cost.cost.estimate == pytest.approx(430e-6)
    assert summary.twin is not None
    assert summary.twin.ratio.estimate == pytest.approx(1)


def test_the_fit_finds_a_fixed_and_a_proportional_part() -> None:
    # cost = 400 µs + 2 % of the step, at 5 ms: 500 µs.
    run = make(noise="none", costs={PLAIN: 0.0, TRAINER: 400e-6})
    plain = {record.group: record.turns for record in run.records if record.point["loop"] == PLAIN}

    def slower(group: str, turns: Turns | None) -> Turns | None:
        base = plain[group]
        assert turns is not None
        assert base is not None
        return replace(turns, counted=tuple(seconds + 0.02 * base.counted[0] for seconds in turns.counted))

    run = replace(
        run,
        records=tuple(
            replace(record, turns=slower(record.group, record.turns)) if record.point["loop"] == TRAINER else record
            for record in run.records
        ),
    )
    cost = cost_of(summarize(run, 5e-3), TRAINER)
    assert cost.fixed is not None
    assert cost.share is not None
    assert cost.cost is not None
    assert cost.relative is not None
    assert cost.fixed.estimate == pytest.approx(400e-6)
    assert cost.share.estimate == pytest.approx(0.02)
    assert cost.cost.estimate == pytest.approx(500e-6)
    assert cost.relative.estimate == pytest.approx(0.1)
    assert not cost.extrapolated
    assert cost_of(summarize(run, 12e-3), TRAINER).extrapolated


@pytest.mark.parametrize("launches", [6, 12])
@pytest.mark.parametrize("noise", ["gaussian", "spikes"])
def test_printed_intervals_cover_the_truth(launches: int, noise: Any, repeats: Choice) -> None:
    # Through records, frames and pairing: in full 40 runs of 3 cells that are compared, so 120 intervals, of which 114
    # are expected to cover; under 105 would be 4 standard deviations off.
    truth = Truth(lengths={256: 2.5e-3}, launches=launches, rounds=9, noise=noise)
    covered = total = 0
    for seed in range(repeats(4, 40)):
        summary = summarize(make(truth, seed=seed))
        for loop, twin, cost in ((FABRIC, False, 60e-6), (TRAINER, False, 430e-6), (PLAIN, True, 0.0)):
            versus = cell_of(summary, loop, 256, twin=twin).versus
            assert versus is not None
            covered += versus.ratio.contains(1 + cost / 2.5e-3)
            total += 1
    assert covered / total >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / total)


def test_pairing_takes_out_what_the_machine_does_to_all() -> None:
    calm = cell_of(summarize(make(**SMALL, drift_sd=0.0)), TRAINER, 256)
    stormy = cell_of(summarize(make(**SMALL, drift_sd=0.3)), TRAINER, 256)
    assert calm.versus is not None
    assert stormy.versus is not None
    assert stormy.versus.ratio.estimate == pytest.approx(calm.versus.ratio.estimate, rel=0.02)
    width = [
        item.ratio.high - item.ratio.low
        for item in (calm.versus, stormy.versus)
        if item.ratio.high is not None and item.ratio.low is not None
    ]
    assert width[1] < 3 * width[0]


def test_swapping_the_arms_inverts_the_ratio() -> None:
    run = make(**SMALL)
    one = cell_of(summarize(run), TRAINER, 256).versus
    other = cell_of(summarize(renamed(run, PLAIN, TRAINER)), TRAINER, 256).versus
    assert one is not None
    assert other is not None
    assert one.ratio.low is not None
    assert other.ratio.high is not None
    assert other.ratio.estimate == pytest.approx(1 / one.ratio.estimate)
    assert other.ratio.high == pytest.approx(1 / one.ratio.low)
    assert other.difference.estimate == pytest.approx(-one.difference.estimate)


def test_scaling_time_scales_times_and_leaves_ratios() -> None:
    run = make(**SMALL)
    one, other = (cell_of(summarize(item), TRAINER, 256) for item in (run, scaled(run, 1000)))
    assert one.versus is not None
    assert other.versus is not None
    assert other.versus.ratio.estimate == pytest.approx(one.versus.ratio.estimate)
    assert other.versus.difference.estimate == pytest.approx(1000 * one.versus.difference.estimate)
    assert other.metrics["step_time"].estimate == pytest.approx(1000 * one.metrics["step_time"].estimate)


def test_json_has_the_published_shape() -> None:
    data = json.loads(json.dumps(summarize(make(launches=3)).to_json(), allow_nan=False))
    assert (data["run"], data["suite"]) == ("20250101-000000-abcd", "overhead")
    assert set(data["twin"]["ratio"]) >= {"estimate", "low", "high"}
    assert list(data["twins"]) == [group_id(batch) for batch in (32, 256, 2048)]
    for cell in data["cells"]:
        assert set(cell) >= {"id", "point", "outcome", "reason", "requested", "effective", "metrics", "versus"}
        assert cell["outcome"] in OUTCOMES
        for name in ("step_time", "throughput", "cpu_time", "peak_memory_host"):
            assert set(cell["metrics"][name]) >= {"unit", "better", "estimate", "low", "high", "launches", "samples"}
        if cell["versus"] is not None:
            assert set(cell["versus"]) >= {"baseline", "ratio", "difference"}
            assert cell["versus"]["difference"]["unit"] == "s"
    versus = {cell["id"]: cell["versus"] for cell in data["cells"]}
    assert versus[cell_id(PLAIN, 32)] is None
    assert versus[cell_id(PLAIN, 32, twin=True)]["baseline"] == cell_id(PLAIN, 32)


def test_one_launch_has_estimates_but_no_interval() -> None:
    summary = summarize(make(launches=1))
    for cell in summary.cells:
        assert (cell.outcome, cell.reason) == ("noisy", "one launch gives no interval, so nothing is told from it")
        assert cell.metrics["step_time"].low is None
        if cell.versus is not None:
            assert cell.versus.ratio.low is None
    cost = cost_of(summary, TRAINER).cost
    assert cost is not None
    assert cost.low is None


@pytest.mark.parametrize("launches", [0, 1, 5])
def test_no_figure_is_ever_nan(launches: int) -> None:
    run = make(
        launches=launches,
        failures={
            (PLAIN, 32, 0): ("crashed", "boom"),
            (FABRIC, 256, -1): ("unsupported", "no"),
            (TRAINER, 2048, 0): ("oom", "x"),
        },
    )
    summary = summarize(run)
    text = json.dumps(summary.to_json(), allow_nan=False)
    assert "nan" not in text.lower()
    for cell in summary.cells:
        assert (cell.outcome == "ok") == (cell.reason == "")


def test_zero_records() -> None:
    run = make(**SMALL)
    summary = summarize(replace(run, records=(), info={**run.info, "finished": None, "stops": {}}))
    assert summary.twin is None
    assert summary.twins == {}
    assert all(cell.versus is None and not cell.metrics for cell in summary.cells)
    assert all(cost.cost is None for cost in summary.costs)
    assert any("not finished" in warning for warning in summary.warnings)


def test_no_ratio_where_the_baseline_failed() -> None:
    summary = summarize(make(launches=5, failures={(PLAIN, 32, 1): ("crashed", "RuntimeError: boom")}))
    baseline = cell_of(summary, PLAIN, 32)
    assert (baseline.outcome, baseline.reason) == ("crashed", "launch 2 of 5: RuntimeError: boom")
    assert baseline.metrics["step_time"].launches == 4
    for cell in summary.cells:
        if cell.group == group_id(32):
            assert cell.versus is None
    assert cell_of(summary, TRAINER, 256).versus is not None
    assert group_id(32) not in summary.twins
    assert any(group_id(32) in warning and "no ratios" in warning for warning in summary.warnings)
    cost = cost_of(summary, TRAINER)
    assert list(cost.left_out) == [group_id(32)]
    assert len(cost.groups) == 2


@pytest.mark.parametrize("outcome", ["downgraded", "unequal-work"])
def test_no_ratio_for_other_settings_or_other_work(outcome: Any) -> None:
    summary = summarize(make(**SMALL, failures={(TRAINER, 256, launch): (outcome, "why") for launch in range(4)}))
    trainer = cell_of(summary, TRAINER, 256)
    assert trainer.outcome == outcome
    assert trainer.versus is None
    assert trainer.metrics["step_time"].launches == 4
    assert cost_of(summary, TRAINER).cost is None


def test_a_ratio_that_is_not_known_well_is_noisy_and_still_shown() -> None:
    summary = summarize(make(**SMALL, launch_sd=0.2))
    trainer = cell_of(summary, TRAINER, 256)
    assert trainer.outcome == "noisy"
    assert trainer.versus is not None
    assert f"{trainer.versus.ratio.estimate:.3f}" in trainer.reason
    assert "4 launches" in trainer.reason
    assert cell_of(summary, PLAIN, 256).outcome == "ok"


@pytest.mark.parametrize(("launch_sd", "outcome"), [(0.2, "noisy"), (5.0, "noisy"), (0.0, "ok")])
def test_two_launches_are_told_to_be_few_and_noisy_where_their_interval_is_wide(launch_sd: float, outcome: str) -> None:
    run = make(lengths={256: 2.5e-3}, launches=2, launch_sd=launch_sd, turn_sd=0.0)
    trainer = cell_of(summarize(run), TRAINER, 256)
    assert trainer.outcome == outcome
    if outcome == "noisy":
        assert "after 2 launches, which are few for an interval; a cell is noisy above ±10 %" in trainer.reason
        assert len(trainer.reason) < 160


def test_launches_of_few_rounds_are_not_used_and_said_so() -> None:
    long, short = make(**SMALL, rounds=12), make(**SMALL, rounds=5)
    run = replace(
        long,
        records=tuple(
            brief if record.launch == 3 else record for record, brief in zip(long.records, short.records, strict=True)
        ),
    )
    summary = summarize(run)
    trainer = cell_of(summary, TRAINER, 256)
    assert trainer.versus is not None
    assert (trainer.versus.ratio.launches, trainer.metrics["step_time"].launches) == (3, 3)
    assert [warning for warning in summary.warnings if "launch 3 is not used: it has 5 rounds" in warning]
    trainer = cell_of(summarize(short), TRAINER, 256)
    assert (trainer.outcome, trainer.versus) == ("noisy", None)
    assert "6 rounds" in trainer.reason


def test_the_position_effect_is_found_and_its_absence_too() -> None:
    quiet = frames.turns(make(**SMALL))
    assert all(abs(effect.estimate) < 0.01 for effect in position_effects(quiet).values())
    assert not [warning for warning in summarize(make(**SMALL)).warnings if "place" in warning]
    drifting = frames.turns(make(**SMALL, drift_sd=0.5))
    # Drift moves whole rounds; without taking that out these intervals are 0.1 wide.
    assert all(effect.low is not None and effect.low > -0.02 for effect in position_effects(drifting).values())
    run = make(lengths={256: 2.5e-3}, launches=8, rounds=40, position=0.06)
    effects = position_effects(frames.turns(run))
    assert effects[3].estimate - effects[0].estimate == pytest.approx(0.18, abs=0.02)
    assert [warning for warning in summarize(run).warnings if "place 4 in the round" in warning]


def test_a_twin_that_differs_is_a_warning() -> None:
    run = make(**SMALL, noise="gaussian")
    run = replace(
        run,
        records=tuple(
            replace(record, turns=replace(record.turns, counted=tuple(1.1 * item for item in record.turns.counted)))
            if record.twin and record.turns
            else record
            for record in run.records
        ),
    )
    assert [warning for warning in summarize(run).warnings if "twin" in warning and "excludes 1" in warning]
    assert not [warning for warning in summarize(make(**SMALL)).warnings if "excludes 1" in warning]


def test_stolen_time_and_changing_settings_are_warnings() -> None:
    run = make(**SMALL)
    assert not summarize(run).warnings
    records = list(run.records)
    records[5] = replace(records[5], effective={**records[5].effective, "threads": 2})
    assert [text for text in summarize(replace(run, records=tuple(records))).warnings if "threads" in text]
    stolen = tuple(
        replace(record, turns=replace(record.turns, stolen=tuple(1e-3 for _ in record.turns.stolen)))
        for record in run.records
        if record.turns
    )
    assert [text for text in summarize(replace(run, records=stolen)).warnings if "hypervisor" in text]


def test_one_group_gives_its_difference_without_a_fit() -> None:
    summary = summarize(make(**SMALL, noise="none"))
    cost = cost_of(summary, TRAINER)
    assert cost.share is None
    assert cost.cost is not None
    assert cost.relative is not None
    assert cost.cost.estimate == pytest.approx(430e-6)
    assert cost.relative.estimate == pytest.approx(430e-6 / 12e-3)


def test_sweeps_without_one_of_the_groups_are_not_fitted() -> None:
    run = make(launches=5)
    short = replace(
        run, records=tuple(record for record in run.records if record.launch < 3 or record.group != group_id(2048))
    )
    cost = cost_of(summarize(short), TRAINER)
    assert cost.cost is not None
    assert cost.cost.launches == 3
    assert len(cost.groups) == 3


def test_groups_that_differ_in_another_axis_are_fitted_apart() -> None:
    one = make(noise="none", launches=2)
    cells = [*one.info["plan"]["cells"]]
    records = list(one.records)
    for cell in one.info["plan"]["cells"]:
        cells.append(
            {
                **cell,
                **{key: cell[key].replace("synthetic", "mnist") for key in ("id", "group", "baseline")},
                "point": {**cell["point"], "data": "mnist"},
            }
        )
    for record in one.records:
        records.append(
            replace(
                record,
                cell=record.cell.replace("synthetic", "mnist"),
                group=record.group.replace("synthetic", "mnist"),
                point={**record.point, "data": "mnist"},
            )
        )
    run = replace(one, records=tuple(records), info={**one.info, "plan": {**one.info["plan"], "cells": cells}})
    costs = [cost for cost in summarize(run).costs if cost.value == TRAINER]
    assert [dict(cost.where) for cost in costs] == [{"data": "synthetic"}, {"data": "mnist"}]
    assert [len(cost.groups) for cost in costs] == [3, 3]


def test_a_suite_without_a_length_axis_has_no_costs() -> None:
    run = make(**SMALL)
    run.info["plan"]["suites"]["overhead"]["length_axis"] = None
    assert summarize(run).costs == []


def test_line_by_hand() -> None:
    assert fitted_line([0, 1, 2], [1, 3, 5]) == pytest.approx((2, 1))
    assert fitted_line([2, 2], [1, 3]) == pytest.approx((0, 2))
    assert fitted_line([0, 1, 2], [0, 1, 0]) == pytest.approx((0, 1 / 3))


def test_logs_are_natural() -> None:
    pairs = frames.pairs(make(**SMALL, noise="none"))
    row = pairs[pairs["cell"] == cell_id(TRAINER, 256)].iloc[0]
    assert row["log_ratio"] == pytest.approx(math.log(2.93 / 2.5))
