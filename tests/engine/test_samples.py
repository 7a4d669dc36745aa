"""Batches and samples through real arms: counted, digested, refused with their reason; and faults of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from conftest import Bench

from bench.analysis.frames import frames_of
from bench.engine.options import Options
from bench.results import store
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.2, fork_servers=1, timeout=20.0)
two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="two ranks need two cores"
)


def by(records: tuple[Record, ...], *axes: str) -> Mapping[tuple[object, ...], Record]:
    """The last record of each cell, no twin, by the values of these axes."""
    return {tuple(record.point[axis] for axis in axes): record for record in records if not record.twin}


def test_arm_and_twin_agree_on_batches_of_many_kinds(bench: Bench) -> None:
    kinds = ["packed", "coo", "graph", "hostile", "closed", "mixture", "texts"]
    records = bench.run("kinds", f"kind={','.join(kinds)}", "loop=plain", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    for kind in kinds:
        mine, twin = (record for record in records if record.point["kind"] == kind and record.launch == 0)
        assert mine.ledger["samples_digest"] == twin.ledger["samples_digest"] != ""
        assert mine.ledger["samples"] == 8 * mine.ledger["steps"]
        assert mine.ledger["smallest_batch"] == mine.ledger["largest_batch"] == mine.samples_per_step == 8


@pytest.mark.long
def test_batches_that_are_no_dataloader_are_taken_or_refused_with_the_reason(bench: Bench) -> None:
    records = bench.run("kinds", "batches=combined,list,generator,once", "loop=plain,fabric", options=QUICK)
    found = by(records, "batches", "loop")
    assert found["combined", "plain"].outcome == found["list", "plain"].outcome == "ok"
    for batches, name in (("combined", "CombinedLoader"), ("list", "list"), ("once", "Once")):
        assert found[batches, "fabric"].outcome == "unsupported"
        assert found[batches, "fabric"].reason.endswith(f"and the workload's `batches` is a {name}")
    for batches, name in (("generator", "generator"), ("once", "Once")):
        assert found[batches, "plain"].outcome == "unsupported"
        assert f"is exhausted after one pass (type {name}); give a list, a DataLoader" in found[batches, "plain"].reason


def test_samples_are_counted_and_what_is_declared_is_checked(bench: Bench) -> None:
    ways = ["none", "right", "whole-set", "function", "function-fails", "function-odd", "short"]
    records = bench.run("kinds", f"samples={','.join(ways)}", "loop=plain", options=QUICK)
    found = by(records, "samples")
    outcomes = {way: found[way,].outcome for way in ways}
    assert outcomes == {
        **dict.fromkeys(("none", "right", "function", "short"), "ok"),
        "whole-set": "unequal-work",
        **dict.fromkeys(("function-fails", "function-odd"), "crashed"),
    }
    assert found["whole-set",].reason == (
        "64 samples a batch are declared, and batches had 8 (8 to 8): correct `samples`, leave it out, or give "
        "samples=lambda batch: ..."
    )
    assert "samples: the function of the batch raised " in found["function-fails",].reason
    assert "samples: the function of the batch gave a float; allowed: whole numbers" in found["function-odd",].reason
    assert [found[way,].samples_per_step for way in ("none", "right", "function", "whole-set")] == [8, 8, 16, 8]
    # Nine rows in batches of eight: four and a half samples a step, and the throughput is that of these.
    short = found["short",]
    assert (short.ledger["smallest_batch"], short.ledger["largest_batch"]) == (1, 8)
    mean = short.ledger["samples"] / short.ledger["steps"]
    assert 4.4 < mean < 4.6
    table = frames_of(store.read_run(bench.folder)).launches
    own = table[(table["cell"] == short.cell) & (table["launch"] == short.launch)].set_index("metric")["value"]
    assert own["throughput"] * own["step_time"] == pytest.approx(mean)


def test_a_fault_of_our_own_is_told_as_ours(bench: Bench) -> None:
    records = bench.run("kinds", "samples=none,fault", "loop=plain", options=QUICK)
    found = by(records, "samples")
    assert found["none",].outcome == "ok"
    assert found["fault",].outcome == "internal"
    assert found["fault",].reason == (
        "a fault of loopmark's own, not of the training: reading a batch: KeyError: 'a mistake'"
    )


@two_cores
def test_two_ranks_with_the_same_batches_do_unequal_work(bench: Bench) -> None:
    """Plain hands both ranks what the loader gives; Fabric and Trainer put a sampler for each rank into it."""
    loops = "loop=plain,fabric,trainer-barebones"
    records = bench.run("kinds", "devices=2", "strategy=ddp", loops, options=QUICK)
    found = by(records, "loop")
    assert found["plain",].outcome == "unequal-work"
    assert "ranks 0, 1 were handed the same batches: a sampler that gives each rank" in found["plain",].reason
    for loop in ("fabric", "trainer-barebones"):
        assert found[loop,].outcome == "ok", found[loop,].reason
        assert found[loop,].effective["sampler"] == "DistributedSampler"
        assert found[loop,].samples_per_step == 16
