"""The judge is right about trainings of every kind: what each really does is required back through real arms."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from conftest import SUITES, Bench

from bench.analysis.summary import summarize
from bench.engine.options import Options
from bench.results import store
from bench.results.record import Record

_spec = importlib.util.spec_from_file_location("trainings", SUITES / "trainings.py")
assert _spec is not None
assert _spec.loader is not None
_trainings = importlib.util.module_from_spec(_spec)
sys.modules["trainings"] = _trainings  # dataclasses look for it
_spec.loader.exec_module(_trainings)
KINDS, TRUTHS = _trainings.KINDS, _trainings.TRUTHS

ONCE = Options(budget=300, launch=0.05, launches=1, fork_servers=1)
BITS = "the same batches, passes, updates and final weights, bit for bit"


def told(record: Record) -> str:
    return f"{record.cell}: {record.outcome}: {record.reason}"


# The others are of the long tier: each takes five arms.
FIRST = ("siamese", "gan", "accumulation", "schedule", "lbfgs", "sparse-gradients", "short-last-batch", "counted")


@pytest.mark.parametrize(
    "kind", [kind if kind in FIRST else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS]
)
def test_what_a_training_does_is_counted_and_equal_in_every_loop(kind: str, bench: Bench) -> None:
    records = bench.run("trainings", f"kind={kind}", options=ONCE)
    truth = TRUTHS[kind]
    assert len(records) == 5
    for record in records:
        assert record.outcome == "ok", told(record)
        ledger = record.ledger
        steps, audited = ledger["steps"], ledger["audited"]
        assert ledger["forward"] == truth.forward * audited, told(record)
        assert ledger["backward"] == truth.backward * audited, told(record)
        updates = truth.optimizers * (steps // truth.every)
        assert ledger["optimizer_updates"] == updates, told(record)
        assert ledger["audited_changes"] == ledger["audited_updates"] > 0, told(record)
        assert ledger["samples"] / steps == pytest.approx(truth.samples, rel=0.2 if kind == "short-last-batch" else 0)
        if record.cell != records[0].cell and not record.cell.startswith("trainings[loop=plain]"):
            assert ledger.get("equal", BITS) == BITS, told(record)


@pytest.mark.parametrize(
    "kind",
    ["elementwise", pytest.param("embedding", marks=pytest.mark.long), pytest.param("lstm", marks=pytest.mark.long)],
)
def test_a_model_without_a_product_is_judged_by_weights_and_outputs(kind: str, bench: Bench) -> None:
    for precision in ("32-true", "bf16-mixed", "bf16-true"):
        records = bench.run("trainings", f"kind={kind}", "loop=plain,fabric", f"precision={precision}", options=ONCE)
        for record in records:
            assert record.outcome == "ok", told(record)
            assert record.effective["precision"] == precision
            assert kind == "lstm" or record.effective["matmul_dtype"] == "no product seen"


@pytest.mark.parametrize("kind", ["gan", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("lbfgs", "lstm"))])
@pytest.mark.long
@pytest.mark.alone
def test_a_planted_slowdown_of_a_fifth_comes_back(kind: str, bench: Bench) -> None:
    options = Options(budget=60, launch=0.8, launches=4, fork_servers=1)
    bench.run("planted", f"kind={kind}", options=options)
    cells = {
        str(cell.point["planted"]): cell for cell in summarize(store.read_run(bench.folder)).cells if not cell.twin
    }
    versus = cells["fifth"].versus
    assert versus is not None, cells["fifth"].reason
    low, high = versus.ratio.low, versus.ratio.high
    assert low is not None
    assert high is not None
    # Within the interval, and 3 % for a machine that others use too.
    assert low < 1.2 * 1.03, versus
    assert high > 1.2 * 0.97, versus
