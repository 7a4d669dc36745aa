"""Loader workers: held with their arm, the same batches as without them, in plain and Trainer loops."""

from __future__ import annotations

import sys

import pytest
from conftest import Bench

from bench.engine.options import Options
from bench.errors import SpecError

QUICK = Options(budget=1, launch=0.1, fork_servers=1)


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes through /proc")
def test_trap_7_workers_are_recorded_held_and_change_no_batch(bench: Bench) -> None:
    cells = ("batch_size=64", "loop=plain,trainer-barebones")
    without = bench.run("overhead", *cells, options=QUICK)
    started = len(bench.fleet.arms)
    workers = bench.run("overhead", *cells, "num_workers=1", "persistent_workers=true", options=QUICK)
    assert {record.outcome for record in (*without, *workers)} == {"ok"}, [record.reason for record in workers]
    assert {record.effective["loader_workers"] for record in workers} == {1}
    assert {record.effective["loader_workers"] for record in without} == {0}
    # Every arm had its worker when it was held, so that the conductor stopped the two together.
    assert all(arm.helpers >= 1 for arm in list(bench.fleet.arms.values())[started:])
    first = next(iter(without))
    assert {record.ledger["initial_weights"] for record in workers} == {first.ledger["initial_weights"]}
    assert {record.ledger["losses"][0] for record in workers} == {first.ledger["losses"][0]}


def test_workers_that_are_to_persist_and_are_not_there(bench: Bench) -> None:
    records = bench.run("overhead", "batch_size=64", "loop=plain", "persistent_workers=true", options=QUICK)
    assert {record.outcome for record in records} == {"unsupported"}
    assert "persistent_workers=true needs num_workers above 0" in records[0].reason


def test_workers_are_counted_from_zero(bench: Bench) -> None:
    with pytest.raises(SpecError, match="allowed: any int from 0 on"):
        bench.run("overhead", "num_workers=-1", options=QUICK)
