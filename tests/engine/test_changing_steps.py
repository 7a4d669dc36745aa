"""Arms whose steps change by a known amount a step: it is found again, through records and summary."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import Bench

from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary, summarize
from bench.engine.options import Options
from bench.results import store

# Four launches give an interval. Steps that mostly sleep are hardly disturbed by whoever else is on these cores.
OPTIONS = Options(budget=50, launch=0.6, launches=4, fork_servers=1)
SLEEPING = ("pause=0.003", "amount=200000")
SLOPE = 200e-6


def summary_of(bench: Bench, *settings: str, launch: float = 0.6) -> tuple[Summary, dict[str, CellSummary]]:
    bench.run("changing", *settings, options=replace(OPTIONS, launch=launch))
    summary = summarize(store.read_run(bench.folder))
    return summary, {f"{cell.point['change']}{'#twin' * cell.twin}": cell for cell in summary.cells}


@pytest.mark.long
@pytest.mark.alone
def test_what_each_step_takes_longer_is_found_and_has_no_ratio(bench: Bench) -> None:
    summary, cells = summary_of(bench, "change=none,slower", *SLEEPING, launch=1.0)
    slower = cells["slower"]
    assert slower.outcome == "drifting", (slower.reason, slower.drift)
    assert re.match(r"its steps get slower: \+[\d.e+]+ % \[[\d.e+]+, [\d.e+]+\] every 100 steps", slower.reason)
    assert slower.versus is None
    drift = slower.drift
    assert drift is not None
    assert drift.low is not None
    assert drift.high is not None
    # Within the interval, but for what a busy machine adds: who sleeps longer waits longer to be woken.
    assert drift.low < 1.1 * SLOPE
    assert drift.high > 0.95 * SLOPE
    assert drift.estimate == pytest.approx(SLOPE, rel=0.25)
    # What did not change keeps its figures, though one of its group drifts.
    assert {cells["none"].outcome, cells["none#twin"].outcome} <= {"ok", "noisy"}
    assert cells["none#twin"].versus is not None
    assert not [warning for warning in summary.warnings if "leaks" in warning]


@pytest.mark.long
@pytest.mark.alone
def test_a_baseline_that_gets_slower_leaves_nobody_a_ratio(bench: Bench) -> None:
    summary, cells = summary_of(bench, "change=none,slower", "always=true", *SLEEPING, launch=2.0)
    assert cells["none"].outcome == "drifting"
    assert {cell.outcome for cell in cells.values()} <= {"drifting", "ok"}
    assert {cell.versus for cell in cells.values()} == {None}
    assert any("no ratios, as the baseline is drifting: its steps get slower" in one for one in summary.warnings)


@pytest.mark.alone
def test_what_each_step_leaks_is_told_in_bytes_and_keeps_its_ratio(bench: Bench) -> None:
    summary, cells = summary_of(bench, "change=none,leaking", "amount=200000")
    (told,) = [warning for warning in summary.warnings if " leaks " in warning]
    assert told.startswith(f"{cells['leaking'].id} leaks ")
    (number,) = re.findall(r"leaks ([\d,]+) bytes a step \[", told)
    assert int(number.replace(",", "")) == pytest.approx(200_000, rel=0.1)
    growth = cells["leaking"].metrics["memory_growth_host"]
    assert (growth.unit, growth.launches) == ("bytes", 4)
    assert growth.estimate == pytest.approx(200_000, rel=0.1)
    assert abs(cells["none"].metrics["memory_growth_host"].estimate) < 10_000
    assert cells["leaking"].outcome in ("ok", "noisy")
    assert cells["leaking"].versus is not None
