"""The suite `null`: every loop takes the least step there is, does equal work bit for bit, and costs most of it."""

from __future__ import annotations

import statistics

import pytest
from conftest import Bench

from bench.engine.options import Options
from bench.results.record import Record

LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")
SHORT = Options(budget=60.0, launch=0.1, launches=1, fork_servers=1, instrument=0)


def seconds(record: Record) -> float:
    """Of a step, undisturbed: in the second half of the warm-up."""
    return statistics.median(record.warmup[len(record.warmup) // 2 :])


def test_every_loop_takes_the_least_step_and_does_equal_work(bench: Bench) -> None:
    records = {record.cell: record for record in bench.run("null", options=SHORT)}
    assert {cell: (one.outcome, one.reason) for cell, one in records.items()} == dict.fromkeys(records, ("ok", ""))
    own = {str(one.point["loop"]): one for one in records.values() if not one.twin}
    assert set(own) == set(LOOPS)
    assert len({one.ledger["final_weights"] for one in records.values()}) == 1
    for name in LOOPS[1:]:
        assert own[name].ledger["equal"].endswith("final weights, bit for bit")
        assert own[name].ledger["nonzero_gradients"] == 1.0
    # Of a step of Trainer's the least step is a small part: what remains is the loop's own.
    assert seconds(own["plain"]) < 1e-3
    assert seconds(own["trainer"]) > 3 * seconds(own["plain"])


@pytest.mark.parametrize("faulty", [0.0, 2.0])
def test_its_batches_move_the_weight_by_unlike_amounts(faulty: float) -> None:
    """So an update that is left out, or made twice, ends in other weights."""
    import torch

    from bench.plan import discovery

    torch.manual_seed(0)
    workload = discovery.find_suite("null").build({})
    batches = list(workload.batches)
    assert len({float(batch) for batch in batches}) == 487
    model = workload.model
    optimizer = workload.optimizer(model.parameters())
    ends = []
    for weight in (1.0, faulty):
        with torch.no_grad():
            model.weight.fill_(1.0)
        for place, batch in enumerate(batches):
            optimizer.zero_grad()
            (weight * workload.loss(model, batch) if place == 7 else workload.loss(model, batch)).backward()
            optimizer.step()
        ends.append(model.weight.item())
    assert ends[0] != ends[1]
