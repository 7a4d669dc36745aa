"""Loops that look for a setting first: what the search took is in the way to the goal, what it found is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import Bench

from bench.analysis.searches import searches_of
from bench.analysis.summary import summarize
from bench.engine.options import Options
from bench.report.sentences import headlines
from bench.results import store
from bench.results.store import StoredRun
from suites.tuning_loops import RATES, SIZES

pytestmark = pytest.mark.usefixtures("processes")
LOOPS = ("lr-find", "lr-grid", "batch-size-finder", "batch-size-grid")


@pytest.fixture(scope="module")
def tuned(fleet: Any, tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    bench = Bench(fleet, tmp_path_factory.mktemp("tuned") / "results")
    bench.run("tuning", "samples=512", "width=16", "epochs=2", options=Options(600, fork_servers=1, launches=1))
    return store.read_run(bench.folder)


def test_every_search_finds_something_and_trains_with_it(tuned: StoredRun) -> None:
    assert {record.outcome for record in tuned.records} == {"ok"}, [record.reason for record in tuned.records]
    found = {str(record.point["loop"]): record for record in tuned.records if not record.twin}
    effective = {loop: found[loop].effective for loop in LOOPS}
    assert 0 < effective["lr-find"]["found_learning_rate"] < 1
    assert effective["lr-grid"]["found_learning_rate"] in RATES
    assert effective["batch-size-finder"]["found_batch_size"] == 512  # all that there is: memory does not run out
    assert effective["batch-size-grid"]["found_batch_size"] in SIZES
    for loop in LOOPS:
        steps = 512 // effective[loop].get("found_batch_size", 64)
        turns = found[loop].turns
        assert turns is not None
        assert turns.lengths == (steps, steps)  # by what it found
        # The search is before the first step, and begins and ends with the weights of the training's beginning.
        assert found[loop].extra["setup_time"] > found["trainer"].extra["setup_time"]
        assert found[loop].ledger["initial_weights"] == found["trainer"].ledger["initial_weights"]
    rates = found["lr-find"].ledger["learning_rates"]
    assert rates == pytest.approx([effective["lr-find"]["found_learning_rate"]] * len(rates))


def test_what_was_found_is_told_with_what_it_took(tuned: StoredRun) -> None:
    told = headlines(summarize(tuned))
    assert any(text.startswith("batch-size-finder found batch_size 512; the search took ") for text in told), told
    assert sum(" found " in text for text in told) == len(LOOPS)


def test_values_of_launches_are_counted_and_a_lost_baseline_leaves_no_price(tuned: StoredRun) -> None:
    second = [replace(record, launch=1) for record in tuned.records]
    (search,) = (one for one in searches_of(replace(tuned, records=(*tuned.records, *second))) if "lr-grid" in one.cell)
    assert len(search.values) == 2
    assert search.seconds is not None
    assert search.seconds.launches == 2
    told = headlines(summarize(replace(tuned, records=(*tuned.records, *second))))
    assert any("lr-grid found learning_rate" in text and "in each of 2 launches" in text for text in told), told
    alone = tuple(record for record in tuned.records if record.point["loop"] != "trainer")
    assert all(one.seconds is None for one in searches_of(replace(tuned, records=alone)))
