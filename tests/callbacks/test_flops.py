"""Operations of a step against numbers counted by hand, in real Trainers, hand-written loops and compiled models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from lightning.pytorch import Callback, LightningModule
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils.data import DataLoader, TensorDataset
from watching import Attention, Batch, fit, loader

from bench.callbacks import Drive, FLOPs
from bench.machine import calibration
from bench.machine.calibration import Calibration, Ceiling, fingerprint

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread", "cache")]

ROWS, IN, HIDDEN, OUT = 16, 32, 64, 8
# Forward: two products. Backward: two for the weights, one for the hidden layer's gradient; the inputs need none.
BY_HAND = 2 * ROWS * (2 * IN * HIDDEN + 3 * HIDDEN * OUT)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder: whatever this machine's user has calibrated is not in these tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Stack(LightningModule):
    """Two linear layers; keeps how many dispatch modes there were in each of its steps."""

    def __init__(self, compile_with: Callable[..., Any] | None = None, **options: Any) -> None:
        super().__init__()
        self.layers: Any = nn.Sequential(nn.Linear(IN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUT))
        self.run: Any = self.layers
        if compile_with is not None:
            self.run = torch.compile(self.layers, backend=compile_with, **options)
        self.modes: list[int] = []

    def loss(self, batch: Batch) -> torch.Tensor:
        self.modes.append(len(_get_current_dispatch_mode_stack()))
        return nn.functional.mse_loss(self.run(batch[0]), batch[1])

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def rows(number: int, size: int = ROWS) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.randn(number, IN), torch.randn(number, OUT)), batch_size=size)


def by_hand(callbacks: list[Callback], module: Any, data: DataLoader[Any]) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with Drive(callbacks, module, [optimizer]) as drive:
        for index, batch in enumerate(drive.batches(data)):
            drive.on_train_batch_start(batch, index)
            loss = module.loss(batch)
            optimizer.zero_grad()
            drive.on_before_backward(loss)
            loss.backward()
            drive.on_after_backward()
            drive.on_before_optimizer_step(optimizer)
            optimizer.step()
            drive.on_train_batch_end(loss, batch, index)


def calibrated(kinds: dict[str, float], *, settled: bool = True, **changed: Any) -> Calibration:
    """A calibration of this environment, or of one that differs in `changed`."""
    here = fingerprint("cpu", "", torch.get_num_threads())
    ceilings = tuple(
        Ceiling(f"matmul_{kind}", "FLOP/s", rate, rate, 3, 512, settled, "" if settled else "no time")
        for kind, rate in kinds.items()
    )
    return Calibration({**here, **changed}, ceilings, "2026-11-23T00:00:00+00:00", 1.0, 0.0, (0,))


@pytest.mark.parametrize("loop", ["trainer", "barebones", "plain"])
def test_operations_of_a_step_are_those_counted_by_hand(loop: str) -> None:
    flops, module = FLOPs(), Stack()
    if loop == "plain":
        by_hand([flops], module, rows(6 * ROWS))
    else:
        fit(module, rows(6 * ROWS), flops, barebones=loop == "barebones")
    assert flops.metrics["flops_per_step"] == BY_HAND
    assert flops.by_arithmetic == {"float32": BY_HAND}
    assert flops.metrics["flop_rate"] > 0
    assert module.modes[-6:] == [0, 2, 0, 0, 0, 0]  # all but the counted step are free of it


def test_the_optimizers_products_are_counted() -> None:
    class Turning(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            loss = super().step(closure)
            (torch.ones(3, 5) @ torch.ones(5, 7)).sum()
            return loss

    class Module(Stack):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return Turning(self.parameters(), lr=0.1)

    flops = FLOPs()
    fit(Module(), rows(4 * ROWS), flops)
    assert flops.metrics["flops_per_step"] == BY_HAND + 2 * 3 * 5 * 7


def test_mixed_precision_is_counted_as_what_it_computes_in() -> None:
    flops = FLOPs()
    fit(Stack(), rows(4 * ROWS), flops, precision="bf16-mixed")
    assert flops.by_arithmetic == {"bfloat16": BY_HAND}


def test_a_substitute_for_float32_has_no_share_of_its_ceiling() -> None:
    flops = FLOPs(calibration=calibrated({"float32": 1e9}))
    try:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        fit(Stack(), rows(4 * ROWS), flops)
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"
    assert flops.by_arithmetic == {"float32 as bf16": BY_HAND}
    assert "ceiling_share" not in flops.metrics
    assert "matmul_float32 as bf16: it was not measured" in flops.notes[0]


def test_attention_on_the_cpu_is_counted() -> None:
    """torch 2.13 has no formula for the CPU's fused attention and would count nothing for it."""

    class Fused(Stack):
        def loss(self, batch: Batch) -> torch.Tensor:
            split = self.layers[0](batch[0]).view(2, 2, 8, IN)  # batch, heads, rows, width
            return nn.functional.scaled_dot_product_attention(split, split, split, is_causal=True).sum()

    flops = FLOPs()
    fit(Fused(), rows(4 * ROWS), flops)
    layer = 2 * 2 * ROWS * IN * HIDDEN
    scores = 2 * 2 * 2 * 8 * 8 * IN
    assert flops.metrics["flops_per_step"] == layer + 2 * scores + 5 * scores


class Recurrent(Stack):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(IN, OUT)

    def loss(self, batch: Batch) -> torch.Tensor:
        return nn.functional.mse_loss(self.cell(batch[0])[0], batch[1])


def test_an_operator_without_a_formula_is_named_and_no_figure_given() -> None:
    flops = FLOPs(calibration=calibrated({"float32": 1e9}))
    fit(Recurrent(), rows(4 * ROWS), flops)
    assert flops.metrics == {}
    assert "no formula for aten.mkldnn_rnn_layer" in flops.notes[0]


def test_a_formula_can_be_given() -> None:
    layer, backward = torch.ops.aten.mkldnn_rnn_layer, torch.ops.aten.mkldnn_rnn_layer_backward
    flops = FLOPs(formulas={layer: lambda *shapes, **options: 1000, backward: lambda *shapes, **options: 2000})
    fit(Recurrent(), rows(4 * ROWS), flops)
    assert flops.metrics["flops_per_step"] == 3000


@pytest.mark.parametrize("warmup", [0, 1, 2])
@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_compiled_model_is_counted_uncompiled_and_stays_compiled(warmup: int, fullgraph: bool) -> None:
    """torch 2.13: a frame that is first run under a dispatch mode is never compiled (pytorch issue 190286)."""
    ran: list[int] = []
    compiled: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(1)

        def run(*arguments: Any) -> Any:
            ran.append(len(module.modes))
            return graph(*arguments)

        return run

    module = Stack(backend, fullgraph=fullgraph)
    torch._dynamo.reset()
    flops = FLOPs(warmup)
    fit(module, rows(6 * ROWS), flops)
    assert flops.metrics["flops_per_step"] == BY_HAND
    assert steps_in_the_rate(flops) == 6 - max(2, warmup + 1)  # compilation is never in it
    assert compiled == [1]  # once, and not once more after it was counted
    assert ran == [step for step in range(1, 7) if step != warmup + 1]


def test_without_a_calibration_there_is_no_share_and_one_says_why() -> None:
    flops = FLOPs()
    fit(Stack(), rows(6 * ROWS), flops)
    assert set(flops.metrics) == {"flops_per_step", "flop_rate"}
    assert f"`bench env --calibrate --threads {torch.get_num_threads()}` makes one" in flops.notes[0]


def test_the_share_is_that_of_the_ceiling_that_was_kept(cache: Path) -> None:
    calibration.save_calibration(calibrated({"float32": 4e12}))
    flops = FLOPs()
    fit(Stack(), rows(6 * ROWS), flops)
    assert flops.metrics["ceiling_share"] == pytest.approx(flops.metrics["flop_rate"] / 4e12)
    assert flops.notes == ()


def test_a_step_of_two_arithmetics_is_measured_by_both_ceilings() -> None:
    class Both(Stack):
        def loss(self, batch: Batch) -> torch.Tensor:
            (torch.ones(3, 5, dtype=torch.float64) @ torch.ones(5, 7, dtype=torch.float64)).sum()
            return super().loss(batch)

    flops = FLOPs(calibration=calibrated({"float32": 4e12, "float64": 1e11}))
    fit(Both(), rows(6 * ROWS), flops)
    assert flops.by_arithmetic == {"float32": BY_HAND, "float64": 210}
    seconds = (BY_HAND + 210) / flops.metrics["flop_rate"]
    assert flops.metrics["ceiling_share"] == pytest.approx((BY_HAND / 4e12 + 210 / 1e11) / seconds)
    lacking = FLOPs(calibration=calibrated({"float32": 4e12}))
    fit(Both(), rows(6 * ROWS), lacking)
    assert "ceiling_share" not in lacking.metrics
    assert "matmul_float64: it was not measured" in lacking.notes[0]


@pytest.mark.parametrize("changed", [{"threads": 64}, {"torch": "2.0.0"}, {"device": "Another processor"}])
def test_a_calibration_of_another_environment_is_refused(changed: dict[str, Any]) -> None:
    given = FLOPs(calibration=calibrated({"float32": 4e12}, **changed))
    calibration.save_calibration(calibrated({"float32": 4e12}, **changed))
    found = FLOPs()
    for flops in (given, found):
        fit(Stack(), rows(6 * ROWS), flops)
        assert "ceiling_share" not in flops.metrics
        (key, value) = next(iter(changed.items()))
        assert f"{key}: {value!r} there" in flops.notes[0]


def test_a_ceiling_that_had_not_settled_gives_no_share() -> None:
    flops = FLOPs(calibration=calibrated({"float32": 4e12}, settled=False))
    fit(Stack(), rows(6 * ROWS), flops)
    assert "ceiling_share" not in flops.metrics
    assert "matmul_float32: no time" in flops.notes[0]


def test_more_than_the_ceiling_is_said_and_not_cut() -> None:
    flops = FLOPs(calibration=calibrated({"float32": 1.0}))
    fit(Stack(), rows(6 * ROWS), flops)
    assert flops.metrics["ceiling_share"] > 1
    assert "more than the ceiling" in flops.notes[0]


def steps_in_the_rate(flops: FLOPs) -> int:
    return flops._steps


def test_a_batch_of_another_shape_is_not_in_the_rate() -> None:
    flops = FLOPs()
    fit(Stack(), rows(6 * ROWS + 3), flops, max_epochs=2)
    assert steps_in_the_rate(flops) == 12 - 2  # the warm-up and the counted step are not in it either
    assert flops.metrics["flops_per_step"] == BY_HAND
    assert flops.notes[0].startswith("2 of 14 steps had batches of other shapes")


def test_batches_of_ever_other_shapes_give_no_rate() -> None:
    batches: Any = [(torch.randn(size, IN), torch.randn(size, OUT)) for size in range(5, 25)]
    flops = FLOPs()
    fit(Stack(), DataLoader(batches, batch_size=None), flops)
    assert set(flops.metrics) == {"flops_per_step"}
    assert "no rate: 18 of 20 batches had other shapes" in flops.notes[0]


def test_validation_and_what_lies_between_epochs_are_not_in_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.callbacks.flops.perf_counter", lambda: now[0])

    class Clockwork(Stack):
        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            now[0] += 1
            return super().training_step(batch, index)

        def validation_step(self, batch: Batch, index: int) -> None:
            now[0] += 1000

        def on_train_epoch_start(self) -> None:
            now[0] += 1000

    flops = FLOPs()
    fit(Clockwork(), rows(6 * ROWS), flops, max_epochs=2, validation=rows(ROWS), val_check_interval=3)
    assert steps_in_the_rate(flops) == 10
    assert flops.metrics["flop_rate"] == pytest.approx(BY_HAND)  # a second a step


class Counted:
    """An accelerator that runs ahead, and counts how often it is waited for."""

    name = "cpu"
    asynchronous = True

    def __init__(self) -> None:
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1

    def describe(self) -> str:
        return ""


def test_the_device_is_waited_for_at_the_ends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Counted()
    monkeypatch.setattr("bench.callbacks.flops.accelerator_of", lambda module: device)
    fit(Stack(), rows(20 * ROWS), FLOPs())
    assert device.waits == 2


def test_a_step_that_fails_while_it_is_counted_leaves_nothing_behind() -> None:
    class Fails(Stack):
        def training_step(self, batch: Batch, index: int) -> torch.Tensor:
            raise ZeroDivisionError("in the step")

    flops = FLOPs(0)
    with pytest.raises(ZeroDivisionError):
        fit(Fails(), rows(4 * ROWS), flops)
    assert _get_current_dispatch_mode_stack() == []
    assert flops.metrics == {}
    assert "no step was counted" in flops.notes[0]


def test_a_step_that_the_module_skips_is_not_the_counted_one() -> None:
    class Skips(Stack):
        def on_train_batch_start(self, batch: Batch, index: int) -> int | None:
            return -1 if self.current_epoch == 0 and index == 1 else None  # the rest of the epoch

    module, flops = Skips(), FLOPs()
    fit(module, rows(4 * ROWS), flops, max_epochs=2)
    assert module.modes == [0, 2, 0, 0, 0]
    assert flops.metrics["flops_per_step"] == BY_HAND


def test_a_run_that_is_too_short_says_so() -> None:
    flops = FLOPs(warmup=5)
    fit(Stack(), rows(4 * ROWS), flops)
    assert flops.metrics == {}
    assert "4 steps were seen" in flops.notes[0]


def test_a_transformer_block_in_a_trainer() -> None:
    """Dropout keeps it from the fused kernel: plain products, of which each batched one has two in the backward."""
    flops = FLOPs()
    fit(Attention(), loader(4), flops)
    tokens, width, inner, heads, batch, length = 4 * 8, 32, 64, 2, 4, 8
    projections = 2 * tokens * width * (3 * width + width + 2 * inner + 1)
    attention = 2 * 2 * batch * heads * length * length * (width // heads)
    first = 2 * tokens * width * 3 * width  # the inputs need no gradient
    assert flops.metrics["flops_per_step"] == 3 * (projections + attention) - first


def test_importing_a_calibration_needs_no_torch() -> None:
    code = "import sys\nfrom bench.machine import calibrate, calibration\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
