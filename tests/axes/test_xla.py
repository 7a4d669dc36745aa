"""All loops through torch_xla, on PJRT's CPU device, with real arms: `nox -s xla` has what it needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Bench

from bench.analysis.summary import summarize
from bench.axes.accelerators import xla
from bench.engine import launch
from bench.engine.fleet import Fleet
from bench.engine.options import Options
from bench.results import store
from bench.results.record import Record

missing = xla.no_torch_xla()
pytestmark = [
    pytest.mark.xla,
    pytest.mark.skipif(missing is not None, reason=f"{missing}; nox -s xla brings it"),
    pytest.mark.skipif(
        missing is None and not xla.xla_on_cpu(), reason="PJRT_DEVICE=CPU is not set; nox -s xla sets it"
    ),
]

QUICK = Options(budget=1, launch=0.1, fork_servers=1, timeout=120)
LOOPS = ("plain", "fabric", "trainer-barebones", "trainer")


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns need not be long enough to be timed: no test here looks at a time."""
    monkeypatch.setattr(launch, "WARMUP_SECONDS", 0.01)
    monkeypatch.setattr(launch, "ASYNCHRONOUS_TURN", 0.01)
    monkeypatch.setattr(launch, "LONGEST_TURN", 0.02)


def on_xla(records: tuple[Record, ...]) -> list[Record]:
    return [record for record in records if record.point["accelerator"] == "xla-cpu" and not record.twin]


def test_every_loop_trains_on_xla_as_on_the_cpu(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "AUDITED_STEPS", 20)
    records = bench.run("devices-apart", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    by_cell = {record.cell: record for record in records}
    assert {record.point["loop"] for record in on_xla(records)} == set(LOOPS)
    for record in on_xla(records):
        eager = by_cell[record.cell.replace("accelerator=xla-cpu", "accelerator=cpu")]
        assert eager.effective["accelerator"] == "cpu"
        assert record.ledger["steps"] == eager.ledger["steps"] > 40
        assert record.ledger["optimizer_updates"] == record.ledger["steps"]
        assert record.ledger["losses"][19] == pytest.approx(eager.ledger["losses"][19], rel=1e-5)
        assert record.ledger["losses"][19] < record.ledger["losses"][0]
        # What these cells are called, wherever one looks: no figure of theirs may be taken for a TPU's.
        assert "accelerator=xla-cpu" in record.cell
        assert "tpu" not in f"{record.cell}{record.group}{dict(record.point)}{dict(record.requested)}"
        assert record.requested["accelerator"] == record.effective["accelerator"] == "xla-cpu"
        assert record.effective["device"] == "CPU:0, PJRT's CPU device: no TPU"
        assert record.effective["torch_xla_imported"] is True
        assert record.effective["lightning_imported"] is (record.point["loop"] != "plain")
    plain = [record for record in records if record.point["loop"] == "plain" and record not in on_xla(records)]
    assert {record.effective["torch_xla_imported"] for record in plain} == {False}
    summary = summarize(store.read_run(bench.folder))
    assert [text for text in summary.warnings if "figures say nothing of a TPU" in text]
    # The interpreters had imported torch_xla and not started its client: one thread, the kernel's count.
    warm = [server for server in bench.fleet.fork_servers.values() if "torch_xla" in server.id]
    assert len(warm) == 2
    assert {server.threads for server in warm} == {1}
    assert {len(os.listdir(f"/proc/{server.process.pid}/task")) for server in warm} == {1}


def test_trap_24_the_graph_is_cut_once_a_step_and_nothing_compiles_in_timed_turns(bench: Bench) -> None:
    records = bench.run("overhead", "accelerator=tpu", "batch_size=64", options=QUICK)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    cuts = {str(record.point["loop"]): str(record.effective["graph_cut"]) for record in records}
    assert cuts["plain"].startswith("torch_xla.sync()")
    assert cuts["fabric"].startswith("xm.optimizer_step(barrier=True)")
    assert cuts["trainer"] == cuts["trainer-barebones"]
    assert cuts["trainer"].startswith("xm.mark_step()")
    for record in records:
        assert record.effective["graph_cuts_per_step"] == 1.0
        assert record.effective["compilations"] > 0
        assert record.effective["compilations_timed"] == 0
        assert record.effective["operators_on_cpu"] == []


def test_trap_24_operators_on_the_cpu_and_late_compilations_are_told(bench: Bench) -> None:
    records = bench.run("laziness", options=QUICK)
    found = {str(record.point["trouble"]): record for record in records if not record.twin}
    assert found["none"].effective["operators_on_cpu"] == []
    assert found["none"].effective["compilations_timed"] == 0
    assert found["fallback"].effective["operators_on_cpu"] == ["aten::histc"]
    assert found["shapes"].effective["compilations_timed"] > 0
    warnings = summarize(store.read_run(bench.folder)).warnings
    assert [text for text in warnings if "within timed turns" in text and "trouble=shapes" in text]
    assert not [text for text in warnings if "within timed turns" in text and "trouble=fallback" in text]


def test_trap_4_what_xla_ignores_is_downgraded_and_what_it_does_unseen_is_seen(bench: Bench) -> None:
    cells = ("accelerator=tpu", "loop=plain,trainer-barebones", "precision=32-true,bf16-mixed,bf16-true,16-true")
    records = bench.run("precision", *cells, "batch_size=32", "width=16", "samples=256", options=QUICK)
    found = {(str(r.point["loop"]), str(r.point["precision"])): r for r in records if not r.twin}
    assert found["plain", "32-true"].outcome == found["trainer-barebones", "32-true"].outcome == "ok"
    assert found["plain", "bf16-mixed"].outcome == "ok"
    assert found["plain", "bf16-mixed"].effective["autocast"] == "bfloat16"
    assert found["trainer-barebones", "bf16-mixed"].outcome == "unsupported"
    # Lightning sets XLA_USE_F16, which torch_xla does not read.
    assert found["trainer-barebones", "16-true"].outcome == "downgraded"
    assert "asked for 16-true, got 32-true" in found["trainer-barebones", "16-true"].reason
    assert found["plain", "16-true"].effective["matmul_dtype"] == "float16"
    # XLA_USE_BF16 makes float32 tensors bfloat16 on the device, whatever torch says of them.
    for loop in ("plain", "trainer-barebones"):
        assert found[loop, "bf16-true"].effective["precision"] == "bf16-true"
        assert found[loop, "bf16-true"].effective["matmul_dtype"] == "bfloat16"
        # PJRT's CPU device adds the squared errors up in bfloat16 too, and the sum stalls; the loss curve tells.
        assert found[loop, "bf16-true"].outcome == "unequal-work"
        assert "loss of audited step 0" in found[loop, "bf16-true"].reason


def test_bf16_that_nobody_asked_for_is_downgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: None
) -> None:
    monkeypatch.setenv("XLA_USE_BF16", "1")
    (tmp_path / "logs").mkdir()
    with Fleet(1, tmp_path / "logs") as fleet:  # of its own: an arm's environment is its interpreter's
        bench = Bench(fleet, tmp_path / "results")
        records = bench.run("overhead", "accelerator=tpu", "loop=plain", "batch_size=64", options=QUICK)
    assert {record.outcome for record in records} == {"downgraded"}
    assert "precision: asked for 32-true, got bf16-true" in records[0].reason
