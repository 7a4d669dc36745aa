"""Runs whose steps change within launches: outcome, figures and sentences, and what is left of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from synthetic import FABRIC, PLAIN, TRAINER, cell_id, make

from bench.analysis import frames
from bench.analysis.drift import drifting, time_drifts
from bench.analysis.summary import Summary, summarize
from bench.report import console, html, verify
from bench.report.sentences import headlines
from bench.results.record import Record
from bench.results.store import StoredRun

LENGTH = 2.5e-3
MIB = 2**20


def run(change: Callable[[Record], Record]) -> StoredRun:
    """A run of one step length, whose records `change` changes."""
    made = make(lengths={256: LENGTH}, launches=4, rounds=24, drift_sd=0.01)
    return replace(made, records=tuple(change(record) for record in made.records))


def growing(*loops: str, share: float = 0.02) -> Callable[[Record], Record]:
    """Turns of these loops that take so much of a step longer with every turn; all have warm-ups as sound steps are."""

    def change(record: Record) -> Record:
        assert record.turns is not None
        record = replace(record, warmup=(record.turns.counted[0] / record.turns.steps,) * 16)
        if record.point["loop"] not in loops:
            return record
        counted = tuple(
            seconds + number * share * LENGTH * record.turns.steps
            for number, seconds in enumerate(record.turns.counted)
        )
        return replace(record, turns=replace(record.turns, counted=counted))

    return change


def outcomes(summary: Summary) -> dict[str, str]:
    return {cell.id: cell.outcome for cell in summary.cells}


def test_a_drifting_cell_has_its_slope_and_no_ratio() -> None:
    stored = run(growing(TRAINER))
    summary = summarize(stored)
    trainer, fabric = cell_id(TRAINER, 256), cell_id(FABRIC, 256)
    assert outcomes(summary) == dict.fromkeys(outcomes(summary), "ok") | {trainer: "drifting"}
    cell = next(cell for cell in summary.cells if cell.id == trainer)
    assert cell.versus is None
    assert cell.reason.startswith("its steps get slower: +")
    assert cell.drift is not None
    # A turn has 3 steps, and each takes 2 % of 2.5 ms longer than that of the turn before.
    assert cell.drift.estimate == pytest.approx(0.02 * LENGTH / 3, rel=0.1)
    assert trainer not in set(frames.pairs(stored)["cell"])
    assert {fabric, cell_id(PLAIN, 256, twin=True)} <= set(frames.pairs(stored)["cell"])
    # Its later turns are no doing of pauses: the times of the others are as they are without it.
    sound = summarize(run(growing()))
    fabrics = [next(cell for cell in one.cells if cell.id == fabric) for one in (summary, sound)]
    assert fabrics[0].metrics["step_time"].estimate == pytest.approx(fabrics[1].metrics["step_time"].estimate, rel=0.02)
    told = [sentence for sentence in headlines(summary) if "drifting" in sentence]
    assert told, headlines(summary)
    assert "drifting" in console.render(summary)
    assert verify.page_differences(stored, html.render(stored, summary, drawings=()), ()) == []


def test_a_drifting_baseline_leaves_nobody_a_ratio() -> None:
    stored = run(growing(PLAIN, FABRIC, TRAINER))
    summary = summarize(stored)
    assert set(outcomes(summary).values()) == {"drifting"}
    assert drifting(time_drifts(stored)) == set(outcomes(summary))
    assert frames.pairs(stored).empty
    assert any("no ratios, as the baseline is drifting: its steps get slower" in text for text in summary.warnings)


def test_a_leak_is_a_warning_in_bytes_a_step_and_keeps_its_ratio() -> None:
    def leaks(record: Record) -> Record:
        assert record.turns is not None
        rate = MIB / 10 * (record.point["loop"] == FABRIC)
        held = [round(300 * MIB + rate * 3 * number) for number in range(24)]
        began = tuple(40 + 3 * number for number in range(24))
        tensors = [round(MIB + 1000 * (record.point["loop"] == TRAINER) * 3 * number) for number in range(24)]
        columns = {"began": began, "resident": tuple(held), "allocated": tuple(tensors)}
        return replace(record, turns=replace(record.turns, **columns))

    summary = summarize(run(leaks))
    assert set(outcomes(summary).values()) == {"ok"}
    told = [warning for warning in summary.warnings if " leaks " in warning]
    fabric, trainer = (next(cell for cell in summary.cells if cell.point["loop"] == loop) for loop in (FABRIC, TRAINER))
    assert told == [
        f"{fabric.id} leaks 104,858 bytes a step [104,858, 104,858] of main memory, "
        "2% of what it has within the 69 steps of a launch",
        f"{trainer.id} leaks 1,000 bytes a step [1,000, 1,000] of its device's memory, "
        "6% of what it has within the 69 steps of a launch",
    ]
    assert fabric.versus is not None
    assert fabric.metrics["memory_growth_host"].estimate == pytest.approx(MIB / 10, abs=1)
    assert trainer.metrics["memory_growth_host"].estimate == 0
    assert trainer.metrics["memory_growth_device"].estimate == pytest.approx(1000)
