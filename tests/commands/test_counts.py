"""Counts of real arms: a known number of things more is found to the last one, by name, whatever the hash seed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SUITES, Silent

import bench
from bench.commands.counting import CountedCell, Counts, count_plan, whole_periods
from bench.commands.selftest_counts import counts_spread
from bench.engine.counted_launches import CountedArm, CountedLaunches
from bench.engine.fleet import Fleet
from bench.errors import SpecError
from bench.plan import discovery, plan
from bench.plan.cell import Cell
from bench.report import counts as layout
from bench.results.step_counts import Counted, StepCounts

STEPS = 100


@pytest.fixture(scope="module")
def busier(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Counts:
    return counted("busier", fleet, tmp_path_factory.mktemp("counts"))


def counted(suite: str, fleet: Fleet, logs: Path, *settings: str) -> Counts:
    """`bench counts` on the warm fleet."""
    found = discovery.all_suites([SUITES])
    made = plan.make_plan({name: own for name, (own, _) in found.items()}, [suite], settings=settings)
    files = {name: file for name, (_, file) in found.items()}
    return count_plan(made, files, logs, STEPS, 60.0, Silent(), fleet)


def cell(counts: Counts, extra: str) -> CountedCell:
    found = next(one for one in counts.cells if one.cell.point["extra"] == extra)
    assert found.outcome == "ok", found.reason
    return found


@pytest.mark.parametrize(
    ("extra", "metric", "more", "names"),
    [
        ("calls", "python_calls", 7.0, {"busier:leaf": 3.0, "busier:numbers": 3.0, "busier:seven_calls": 1.0}),
        ("allocations", "allocations", 3.0, {}),
        ("garbage", "cyclic_garbage", 1.0, {}),
        ("system", "system_calls", 2.0, {"getppid": 2.0}),
        ("item", "operators", 1.0, {"aten::_local_scalar_dense": 1.0}),
        ("item", "host_syncs", 1.0, {"aten::_local_scalar_dense": 1.0}),
        ("copy", "copies", 1.0, {"aten::clone": 1.0}),
        ("copy", "operators", 1.0, {"aten::clone": 1.0}),
        ("seldom", "python_calls", 0.02, {"busier:leaf": 0.02}),
    ],
)
def test_a_known_number_more_is_found_to_the_last_one(
    busier: Counts, extra: str, metric: str, more: float, names: dict[str, float]
) -> None:
    difference = cell(busier, extra).differences[metric]
    assert difference.more == pytest.approx(more, abs=1e-9)
    assert {part.name: part.more for part in difference.parts} == pytest.approx(names, abs=1e-9)


def test_what_does_no_more_differs_in_nothing_else(busier: Counts) -> None:
    """What the harness does in a step is in no count, so that one call more is one call more."""
    assert set(cell(busier, "seldom").differences) == {"python_calls"}
    assert set(cell(busier, "item").differences) <= {"operators", "host_syncs", "allocations"}
    assert cell(busier, "none").differences == {}
    names = set(cell(busier, "none").metrics["python_calls"].by)
    assert not {name for name in names if name.startswith(("bench.arm", "bench.axes.loops.batches"))}
    assert not {name for name in names if name.endswith(":batch_size")}


def test_every_exact_count_is_the_same_in_interpreters_of_other_hash_seeds(busier: Counts) -> None:
    for one in busier.cells:
        if one.cell.point["extra"] != "chance":
            assert {name for name, metric in one.metrics.items() if not metric.exact} == set()
            assert all(len(metric.totals) == 2 for metric in one.metrics.values())


def test_what_hangs_on_the_hash_seed_is_told_and_compared_with_nothing(busier: Counts) -> None:
    found = cell(busier, "chance")
    (name, low, high), *others = found.metrics["python_calls"].unsteady
    assert (name, others) == ("busier:leaf", [])
    assert low < high
    assert "python_calls" not in found.differences
    text = layout.render(busier)
    assert f"chance: python_calls: {' and '.join(map(str, found.metrics['python_calls'].totals))} in all" in text
    assert "busier:leaf" in text


def test_the_table_says_what_accounts_for_a_difference(busier: Counts) -> None:
    text = layout.render(busier)
    assert "calls makes 7 Python calls a step more than none: 7 in busier" in text
    assert "item makes 1 host sync a step more than none: 1 aten::_local_scalar_dense (from busier:build" in text
    assert "system makes 2 system calls a step more than none: 2 getppid" in text
    document = json.loads(json.dumps(busier.to_json()))
    assert document["steps"] == STEPS
    (calls,) = (one for one in document["groups"][0]["cells"] if one["point"]["extra"] == "calls")
    assert calls["differences"]["python_calls"]["modules"] == [["busier", 7.0]]


@pytest.mark.parametrize("steps", [0, -50, 49, 75, True, "100"])
def test_steps_are_whole_periods(steps: object) -> None:
    with pytest.raises(SpecError, match=r"steps: .* is not possible; allowed: multiples of 50"):
        whole_periods(steps)  # type: ignore[arg-type]  # that is what is refused


def test_wrong_names_are_told_before_anything_starts() -> None:
    with pytest.raises(SpecError, match="unknown suite 'nul'; allowed: "):
        bench.counts("nul")
    with pytest.raises(SpecError, match="steps: 20 is not possible"):
        bench.counts("null", steps=20)


def test_launches_that_count_the_same_have_no_spread(processes: None, tmp_path: Path) -> None:
    found = counts_spread(tmp_path, 2, 2, ("plain",), Silent())
    assert (found.value, found.sentence) == (0.0, "4 launches of plain, 2 interpreters of other hash seeds")


def test_one_launch_that_counts_otherwise_is_seen_and_named(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = CountedLaunches.again
    taken = []

    def again(launches: CountedLaunches, cell: Cell, number: int) -> CountedArm:
        arm = usual(launches, cell, number)
        taken.append(arm)
        if len(taken) < 2:
            return arm
        calls, *others = arm.ranks[0].counted
        more = Counted(calls.metric, calls.total + 1, {**calls.by, "odd:one": 1})
        return replace(arm, ranks=(StepCounts(arm.ranks[0].steps, (more, *others)),))

    monkeypatch.setattr(CountedLaunches, "again", again)
    found = counts_spread(tmp_path, 1, 2, ("plain",), Silent())
    assert found.value == 0.5
    assert "; most: null[loop=plain] python_calls" in found.sentence
