"""Precisions in all loops on the CPU: what was asked for, what really ran, and how equal work is judged across them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import Bench

from bench.arm.audit import Audit
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.accelerators import accelerators
from bench.axes.loops.job import Job
from bench.axes.precision import PRECISIONS
from bench.engine.options import Options
from bench.plan import discovery
from bench.results.record import Record

QUICK = Options(budget=1, launch=0.1, fork_servers=1)
SMALL = ("batch_size=32", "width=16", "samples=256")


def by_precision(records: tuple[Record, ...]) -> dict[str, Record]:
    return {str(record.point["precision"]): record for record in records if not record.twin}


def test_plain_runs_every_precision_for_real(bench: Bench) -> None:
    names = ",".join(PRECISIONS)
    found = by_precision(bench.run("precision", *SMALL, "loop=plain", f"precision={names}", options=QUICK))
    outcomes = {name: record.outcome for name, record in found.items()}
    # Adam's eps of 1e-8 is zero in float16, so 16-true divides by zero: it runs, and does not train.
    assert outcomes == {**dict.fromkeys(PRECISIONS, "ok"), "16-true": "unequal-work"}
    assert "not finite" in found["16-true"].reason
    products = {
        "32-true": "float32",
        "bf16-mixed": "bfloat16",
        "16-mixed": "float16",
        "bf16-true": "bfloat16",
        "16-true": "float16",
        "64-true": "float64",
    }
    assert {name: record.effective["matmul_dtype"] for name, record in found.items()} == products
    assert {name: record.effective["precision"] for name, record in found.items()} == {
        name: name for name in PRECISIONS
    }
    assert found["bf16-mixed"].effective["autocast"] == "bfloat16"
    assert found["16-mixed"].effective["autocast"] == "float16"
    assert found["16-mixed"].effective["loss_scale"] > 1.0
    assert found["bf16-mixed"].effective["loss_scale"] == found["32-true"].effective["loss_scale"] == 1.0
    # The loss that is recorded is the loss, not what the scaler made of it.
    assert found["16-mixed"].ledger["losses"][0] == pytest.approx(found["32-true"].ledger["losses"][0], rel=0.01)


@pytest.mark.parametrize("loop", ["fabric", "trainer-barebones", "trainer"])
def test_trap_4_sixteen_mixed_on_the_cpu_is_downgraded_and_never_shown_as_such(bench: Bench, loop: str) -> None:
    records = bench.run("precision", *SMALL, f"loop={loop}", "precision=32-true,bf16-mixed,16-mixed", options=QUICK)
    found = by_precision(records)
    assert found["32-true"].outcome == found["bf16-mixed"].outcome == "ok", found["bf16-mixed"].reason
    assert found["16-mixed"].outcome == "downgraded"
    assert "asked for 16-mixed, got bf16-mixed" in found["16-mixed"].reason
    assert found["16-mixed"].effective["matmul_dtype"] == "bfloat16"


def test_plain_mixed_is_the_recipe_of_the_documentation() -> None:
    """Bit for bit the weights of an autocast loop written out here."""

    def workload() -> Any:
        torch.manual_seed(5)
        return discovery.find_suite("overhead").build(
            {"batch_size": 32, "data": "synthetic", "variant": "mlp", "width": 16, "latent": 3, "samples": 256}
        )

    class Gate:
        def __init__(self) -> None:
            self.grants = [Grant(6)]

        def wait(self) -> Grant | None:
            return self.grants.pop() if self.grants else None

        def before(self, grant: Grant) -> None:
            pass

        def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
            pass

    one = workload()
    job = Job(one, BatchStream(Gate()), torch.device("cpu"), "cpu", "bf16-mixed", 1, torch.float32, lambda notes: None)
    loops.registry()["plain"].run(job)
    other = workload()
    optimizer = torch.optim.Adam(other.model.parameters(), lr=1e-3)
    for _, (images, _labels) in zip(range(6), other.batches, strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.nn.functional.mse_loss(other.model(images), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.parametrize("skips", [0, 3])
def test_trap_5_updates_that_a_scaler_skips_are_counted_as_skipped(skips: int) -> None:
    """A real scaler, whose first scales overflow float16 gradients; the first watched steps are among the skipped."""
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    audit = Audit(model, accelerators()["cpu"])
    # 60,000 is near float16's largest number: a scale of 2 to the power of `skips` overflows that many times.
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**skips)
    steps = 8
    audit.start()
    for _ in range(steps):
        with torch.autocast("cpu", torch.float16):
            loss = model(torch.ones(2, 4)).sum() * 20_000
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    audit.stop(steps)
    ledger = audit.ledger()
    assert ledger["optimizer_updates"] == steps - skips
    assert ledger["backward"] == steps


def test_what_cannot_run_anywhere_is_known_before_it_is_tried() -> None:
    devices = accelerators()
    assert devices["mps"].unsupported_precision("64-true", lightning=True) is not None
    assert devices["tpu"].unsupported_precision("16-mixed", lightning=True) is not None
    for name in PRECISIONS:
        assert devices["cpu"].unsupported_precision(name, lightning=True) is None
        assert devices["cuda"].unsupported_precision(name, lightning=True) is None
