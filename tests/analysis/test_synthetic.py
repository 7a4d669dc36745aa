"""Everything from records to the page grows with the number of cells, and not with its square.

Calls are counted and no time is taken: counts are the same on every machine. How long it takes is for `bench selftest`
(`summary_growth`) and docs/measurements.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from synthetic import make, wide
from tiers import Choice

from bench.analysis import frames, pairs, synthetic
from bench.analysis.summary import Summary, summarize
from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.commands.compare import compare
from bench.plan import plan
from bench.plan.suite import Suite
from bench.report import console, csv, figures, html, markdown
from bench.report.sentences import headlines
from bench.results.store import StoredRun

# Four times the cells may cost four times the calls and some more for the sorting, and nowhere near sixteen times.
TIMES, MOST = 4, 5.0
FEW = 24


def calls(work: Callable[[], object]) -> int:
    """How many functions, of Python's and of C's, the work calls."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return int(pstats.Stats(profile).total_calls)


def as_choices(run: StoredRun) -> StoredRun:
    """The same run of a suite without a length axis, which has a sentence for each group."""
    suite = {**run.info["plan"]["suites"]["overhead"], "length_axis": None}
    return replace(run, info={**run.info, "plan": {**run.info["plan"], "suites": {"overhead": suite}}})


def apart(run: StoredRun) -> StoredRun:
    """The same run with an axis more, which is another in each group: as many costs as groups have arms."""
    cells = [
        {**cell, "point": {**cell["point"], "kind": f"k{cell['point']['batch_size']}"}}
        for cell in run.info["plan"]["cells"]
    ]
    return replace(run, info={**run.info, "plan": {**run.info["plan"], "cells": cells}})


def failing(run: StoredRun) -> StoredRun:
    """The same run in which every trainer cell crashed."""
    return replace(
        run,
        records=tuple(
            replace(record, outcome="crashed", reason="boom", turns=None)
            if record.point["loop"] == "trainer"
            else record
            for record in run.records
        ),
    )


KINDS: dict[str, Callable[[StoredRun], StoredRun]] = {
    "as it is": lambda run: run,
    "apart": apart,
    "choices": as_choices,
    "failing": failing,
}
SINKS: dict[str, Callable[[StoredRun, Summary], object]] = {
    "headlines": lambda run, summary: headlines(summary),
    "console": lambda run, summary: console.render(summary),
    "markdown": lambda run, summary: markdown.render(summary),
    "csv": lambda run, summary: csv.render(summary),
    "page": lambda run, summary: html.render(run, summary, drawings=()),
}


def test_the_summary_and_every_sink_grow_with_the_cells(cases: Choice) -> None:
    cells = cases(8, FEW)
    for kind in list(KINDS)[: cases(2, len(KINDS))]:
        few, many = KINDS[kind](wide(cells)), KINDS[kind](wide(TIMES * cells))
        summaries = summarize(few), summarize(many)  # imports and caches, too
        counts = {"summarize": [calls(partial(summarize, run)) for run in (few, many)]}
        for name, sink in SINKS.items():
            sink(few, summaries[0])
            both = zip((few, many), summaries, strict=True)
            counts[name] = [calls(partial(sink, run, summary)) for run, summary in both]
        grown = {name: more / less for name, (less, more) in counts.items()}
        assert {name: times for name, times in grown.items() if times > MOST} == {}, kind


def test_comparing_two_runs_grows_with_the_cells() -> None:
    few, many = wide(FEW), wide(TIMES * FEW)
    compare(few, few)
    first, second = (calls(partial(compare, run, run)) for run in (few, many))
    assert second / first < MOST


def build(point: Point) -> Workload:
    raise NotImplementedError


def test_a_stored_plan_is_read_in_one_pass() -> None:
    def read(cells: int) -> int:
        values = list(range(1, cells // 4 + 1))
        axes = {"loop": ["plain", "fabric", "trainer"], "size": values}
        suite = Suite("wide", "w", axes, "loop", "plain", build)
        data = plan.plan_document(plan.make_plan({"wide": suite}, ["wide"]))
        assert plan.plan_of_document(data, {"wide": suite}).cells == plan.make_plan({"wide": suite}, ["wide"]).cells
        return calls(lambda: plan.plan_of_document(data, {"wide": suite}))

    assert read(TIMES * FEW) / read(FEW) < MOST


def test_every_frame_is_made_once() -> None:
    run = make(launches=2)
    profile = cProfile.Profile()
    profile.runcall(summarize, run)
    stats = pstats.Stats(profile).stats
    counted = {(str(file), name): count for (file, _, name), (_, count, *_) in stats.items()}
    made = {frames: ("turns", "_planned", "declared_metrics", "_launches"), pairs: ("step_rules", "pairs_of_planned")}
    for module, names in made.items():
        for name in names:
            assert counted[module.__file__, name] == 1


def test_of_many_groups_only_some_are_drawn_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "DRAWN", 1)
    run, small = wide(8), wide(4)
    drawings = figures.draw_run(run, summarize(run))
    assert drawings
    for drawing in drawings:
        if drawing.section == "cost":  # of all groups
            continue
        assert "Of 2 groups only 1 are drawn, nearest to your step or chosen: batch_size 33; the" in drawing.caption
    assert not any("are drawn" in drawing.caption for drawing in figures.draw_run(small, summarize(small)))


def test_the_made_up_run_of_the_selftest_is_one() -> None:
    summary = summarize(synthetic.synthetic_run(8))
    assert len(summary.cells) == 8
    assert {cell.outcome for cell in summary.cells} == {"ok"}
    assert synthetic.seconds_to_summarize(4, repeats=1) > 0
