"""Loops of other libraries do the work of plain: several optimizers, schedules, steps and batches of many kinds."""

from __future__ import annotations

import importlib.util
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from conftest import SUITES, Bench

from bench.arm.batch_digest import BatchDigest
from bench.arm.stream import BatchStream, Grant, TurnTimes
from bench.axes import loops
from bench.axes.loops.job import Job
from bench.axes.precision import PRECISIONS
from bench.engine.options import Options
from bench.errors import Unsupported
from bench.results import store

EXTRAS = ("accelerate", "ignite", "transformers-trainer")
QUICK = Options(budget=1, launch=0.1, fork_servers=1)
LOOKED_AT = Options(budget=120, launch=0.2, fork_servers=1, timeout=60.0, instrument=1, launches=1)
ALL = f"loop=plain,{','.join(EXTRAS)}"
BITS = "the same batches, passes, updates and final weights, bit for bit"
STEPS = 20  # more than an epoch of 16 batches

_spec = importlib.util.spec_from_file_location("trainings", SUITES / "trainings.py")
assert _spec is not None
assert _spec.loader is not None
_trainings = importlib.util.module_from_spec(_spec)
sys.modules["trainings"] = _trainings  # dataclasses look for it
_spec.loader.exec_module(_trainings)
KINDS = _trainings.KINDS
# What transformers.Trainer cannot do, and the words in which it is told.
ONE_OPTIMIZER = "transformers.Trainer has one optimizer, and the workload gives several"
NO_STEP = "transformers.Trainer zeroes, steps and clips itself"
REFUSED = {
    **dict.fromkeys(("gan", "accumulation", "clipping", "two-losses", "lbfgs"), NO_STEP),
    "two-optimizers": ONE_OPTIMIZER,
    "sparse-gradients": "torch has none of sparse ones",
}


class Turn:
    """A gate that gives one audited turn."""

    def __init__(self) -> None:
        self.grants = [Grant(STEPS, audit=True)]
        self.digest = BatchDigest()

    def wait(self) -> Grant | None:
        return self.grants.pop(0) if self.grants else None

    def before(self, grant: Grant) -> None:
        pass

    def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
        for batch in batches:
            self.digest.add(batch)


def trained(
    loop: str, kind: str, precision: str = "32-true", compiled: str = "off"
) -> tuple[str, dict[str, torch.Tensor]]:
    """The digest of the batches, and the weights, after a turn of a loop in this process."""
    torch.manual_seed(5)
    workload, gate = KINDS[kind](), Turn()
    stream = BatchStream(gate)
    dtype = PRECISIONS[precision].dtype()
    job = Job(workload, stream, torch.device("cpu"), "cpu", precision, 1, dtype, lambda settings: None,
              compile=compiled, ending=stream.ending)  # fmt: skip
    loops.registry()[loop].run(job)
    return gate.digest.value, {name: tensor.clone() for name, tensor in workload.model.state_dict().items()}


@pytest.fixture(autouse=True)
def apart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """A folder of its own, no network, and no Accelerator of another test: its state is one for the process."""
    from accelerate.state import AcceleratorState

    def connect(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"a loop asks for {address}")

    monkeypatch.chdir(tmp_path)
    if "bench" not in request.fixturenames:  # whose arms knock at a door of their own
        monkeypatch.setattr(socket.socket, "connect", connect)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loop", EXTRAS)
def test_a_training_of_any_kind_has_the_weights_of_plain(loop: str, kind: str) -> None:
    if loop == "transformers-trainer" and kind in REFUSED:
        with pytest.raises(Unsupported, match=REFUSED[kind]):
            trained(loop, kind)
        return
    batches, weights = trained(loop, kind)
    expected_batches, expected = trained("plain", kind)
    assert batches == expected_batches
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("loop", EXTRAS)
def test_precisions_train(loop: str, precision: str) -> None:
    _, weights = trained(loop, "plain", precision)
    _, expected = trained("plain", "plain", precision)
    for name, tensor in expected.items():
        assert weights[name].dtype is tensor.dtype
        # In mixed precision some have the loss in autocast and some have not.
        assert torch.allclose(weights[name], tensor, rtol=0.02, atol=0.02)
        assert precision == "bf16-mixed" or torch.equal(weights[name], tensor)


@pytest.mark.parametrize("loop", ["accelerate", "transformers-trainer"])
def test_a_scaled_loss_needs_a_gpu(loop: str) -> None:
    with pytest.raises(Unsupported, match="in 16-mixed on a GPU only"):
        trained(loop, "plain", "16-mixed")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("loop", EXTRAS)
def test_they_compile(loop: str) -> None:
    from torch._dynamo.utils import counters

    _, expected = trained("plain", "plain")
    torch._dynamo.reset()
    counters.clear()
    _, weights = trained(loop, "plain", compiled="default")
    assert counters["stats"]["unique_graphs"] == 1
    assert all(torch.allclose(weights[name], expected[name], atol=1e-5) for name in expected)


# --- in arms


def test_they_race_with_equal_ledgers(bench: Bench) -> None:
    records = bench.run("overhead", "batch_size=64", ALL, options=LOOKED_AT)
    assert {str(record.point["loop"]) for record in records} == {"plain", *EXTRAS}
    for record in records:
        assert record.outcome == "ok", (record.cell, record.reason)
        assert record.ledger.get("equal", BITS) == BITS
        assert record.effective["lightning_imported"] is record.effective["pandas_imported"] is False
        assert record.effective["callbacks"] == record.effective["logged"] == "none"
        assert {key: record.effective[key] for key in record.requested} == record.requested
    transformers = next(record for record in records if record.point["loop"] == "transformers-trainer")
    assert transformers.effective["progress_bar"] == "ProgressCallback"
    assert transformers.effective["checkpoint"] == "Trainer, by the 500 steps"
    instrumented = store.read_run(bench.folder).instrumented
    assert {str(record.point["loop"]) for record in instrumented} == {"plain", *EXTRAS}
    for record in instrumented:
        assert record.outcome == "ok", (record.cell, record.reason)
        assert record.extra["phases_gap"] <= 0.05


def test_they_end_their_own_epochs(bench: Bench) -> None:
    records = bench.run("epochs", "samples=256", "width=16", ALL, options=QUICK)
    for record in records:
        assert record.outcome == "ok", (record.cell, record.reason)
        assert record.ledger.get("equal", BITS).startswith(BITS)
        assert record.ledger["validation_batches"] > 0


@pytest.mark.long
def test_they_train_on_two_ranks(bench: Bench) -> None:
    records = bench.run("overhead", "batch_size=64", "width=16", "devices=2", ALL, options=QUICK)
    for record in records:
        assert record.outcome == "ok", (record.cell, record.reason)
        assert {key: record.effective[key] for key in record.requested} == record.requested
