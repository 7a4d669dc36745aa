"""Sampled launches of real arms: a millisecond that was planted in Trainer comes back by name, of the size it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SUITES

from bench.analysis.estimates import StepDifference
from bench.analysis.explain import Explanation, explain
from bench.engine import sampled_launches
from bench.engine.arm_request import request
from bench.engine.fleet import Fleet
from bench.engine.sampled_launches import LaunchPlace, NotSampled, headline_pair, sample_pair
from bench.machine.cores import layout
from bench.plan import discovery, plan
from bench.plan.cell import Cell, Plan
from bench.results.stacks import SampledPair, add_stacks, read_stacks

pytestmark = pytest.mark.alone  # what arms take is judged


def planned(*settings: str, suite: str = "burner") -> tuple[Plan, dict[str, str]]:
    found = discovery.all_suites([SUITES])
    made = plan.make_plan({name: own for name, (own, _) in found.items()}, [suite], settings=settings)
    return made, {name: file for name, (_, file) in found.items()}


def place(fleet: Fleet, files: dict[str, str], logs: Path, more: Callable[[Cell], dict[str, Any]]) -> LaunchPlace:
    here = layout(1)

    def asked(cell: Cell) -> dict[str, Any]:
        made = request(cell, files[cell.suite], here, threads=1, seed=0, caches=fleet.caches)
        return {**made, **more(cell)}

    return LaunchPlace(fleet, here, asked, lambda name: logs / f"{name}.log", 0, 60.0)


def sampled(fleet: Fleet, logs: Path, *settings: str, seconds: float = 2.0) -> SampledPair:
    made, files = planned(*settings)
    plain, trainer = (cell for cell in made.groups[0].cells if not cell.twin)
    return sample_pair((plain, trainer), place(fleet, files, logs, lambda cell: {}), seconds)


def explained(pair: SampledPair) -> Explanation:
    """With the difference that free steps of the same launch have, in place of one that was timed."""
    base, own = (cell.free_step for cell in pair.cells)
    return explain(base, StepDifference("s", own - base, None, None, 1), pair)


@pytest.fixture(scope="module")
def planted(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> SampledPair:
    return sampled(fleet, tmp_path_factory.mktemp("stacks"), "planted=true")


def test_a_planted_millisecond_is_found_by_name_and_size(planted: SampledPair) -> None:
    found = explained(planted)
    (burnt,) = [part for part in found.functions if part.name == "burner:burn"]
    assert burnt in next(part for part in found.groups if part.name == "loops").functions  # which call it
    # Its rounds were counted when the arm began: another's work beside it, and caches, move a step by some tenths.
    assert 0.7e-3 < burnt.more < 1.5e-3
    assert burnt.base == 0.0
    assert found.functions[0] == burnt
    assert 0.9 < found.explained < 1.1
    assert all(0.9 < cost < 1.7 for cost in found.overhead)


def test_what_is_naive_is_far_from_it(planted: SampledPair) -> None:
    """By whole stacks, forward and backward are Trainer's too: it would be said to add twice what it does."""
    base, own = ({stack: seconds / cell.sampled.steps for stack, seconds, _ in cell.sampled} for cell in planted.cells)
    by_stack = sum(max(0.0, seconds - base.get(stack, 0.0)) for stack, seconds in own.items())
    assert by_stack > 1.2 * explained(planted).difference.estimate


def test_the_same_work_is_found_in_both_and_the_stream_in_neither(planted: SampledPair) -> None:
    found = explained(planted)
    work = {part.name: part for part in found.work}
    assert {"forward pass", "backward pass", "optimizer step", "data loading"} <= set(work)
    for name in ("forward pass", "backward pass", "optimizer step"):
        assert 0.4 < work[name].own / work[name].base < 2.5
    assert not any("bench.arm" in part.name for part in found.functions)
    assert {"calling hooks", "loops", "progress bar", "logger connector"} <= {part.name for part in found.groups}


def test_held_time_is_in_no_sample(planted: SampledPair) -> None:
    """Each arm was held as long as the other ran, six times: nothing waits at the gate while it is sampled."""
    for cell in planted.cells:
        waiting = sum(seconds for stack, seconds, _ in cell.sampled if any("turn_gate" in frame for frame in stack))
        assert waiting < 0.02 * sum(cell.sampled.seconds)


def test_pairs_are_kept_in_the_runs_folder(planted: SampledPair, tmp_path: Path) -> None:
    add_stacks(tmp_path, planted)
    assert read_stacks(tmp_path) == (planted,)
    first, second = planted.cells
    add_stacks(tmp_path, SampledPair("2026-11-26T00:00:00+00:00", (second, first)))
    assert len(read_stacks(tmp_path)) == 1
    add_stacks(tmp_path, replace(planted, cells=(first, replace(second, cell="other"))))
    assert [pair.cells[1].cell for pair in read_stacks(tmp_path)] == [first.cell, "other"]


def test_an_arm_that_is_lost_is_told_by_name(fleet: Fleet, tmp_path: Path) -> None:
    made, files = planned("planted=false")
    plain, trainer = (cell for cell in made.groups[0].cells if not cell.twin)
    there = place(fleet, files, tmp_path, lambda cell: {"point": {}} if cell is trainer else {})
    with pytest.raises(NotSampled, match=r"burner\[planted=false,loop=trainer\]: crashed: .*KeyError"):
        sample_pair((plain, trainer), there, 0.2)


def test_a_run_samples_the_headlines_two_cells(processes: None) -> None:
    made, _ = planned()
    groups = [(group, group.runnable) for group in made.groups]
    pair = headline_pair(groups)
    assert pair is not None
    assert [cell.point["loop"] for cell in pair] == ["plain", "trainer"]
    assert pair[0].group == made.groups[0].id
    alone = [(group, [cell for cell in cells if cell.point["loop"] == "trainer"]) for group, cells in groups]
    assert headline_pair(alone) is None
    assert sampled_launches.price_of_samples() < 4.0
