"""Real parameter changes are counted once each, whatever optimizer makes them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from optimizers import IMPLEMENTATIONS, WAYS, optimizer_classes, seen, table
from torch import nn

from bench.arm.audit import Audit
from bench.arm.updates import IN_A_THREAD, Updates, checksum, implementation
from bench.axes.accelerators import accelerators
from bench.results.work_ledger import own_faults

DOC = Path(__file__).resolve().parents[2] / "docs" / "optimizers.md"
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", optimizer_classes())
def test_an_update_is_an_update(name: str, way: str, device: str) -> None:
    found = {how: seen(name, how, way, device) for how in IMPLEMENTATIONS}
    assert found["default"] is not None
    for how, one in found.items():
        if one is not None:
            truth, told = one
            assert truth.changes > 0, how
            assert told == truth, how


def test_the_table_of_the_documentation_is_what_is_counted() -> None:
    assert table("cpu") in DOC.read_text(), "python tests/arm/optimizers.py cpu"


def watched() -> Updates:
    updates = Updates()
    updates.watching = True
    return updates


def trained(optimizer: torch.optim.Optimizer, model: nn.Module, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).square().sum().backward()
        optimizer.step()


def test_a_wrapper_around_an_optimizer_updates_once() -> None:
    class Lookahead(torch.optim.Optimizer):
        def __init__(self, inner: torch.optim.Optimizer) -> None:
            super().__init__(inner.param_groups, {})
            self.inner = inner

        def step(self, closure: Any = None) -> Any:
            return self.inner.step(closure)

    model, updates = nn.Linear(4, 4), watched()
    trained(Lookahead(torch.optim.SGD(model.parameters(), 0.1)), model)
    assert (updates.steps, updates.watched, updates.changed) == (3, 3, 3)


def test_a_loop_that_goes_on_after_a_step_that_raised_is_counted_on() -> None:
    class Raising(torch.optim.SGD):
        raises = True

        def step(self, closure: Any = None) -> Any:
            if self.raises:
                raise RuntimeError("not yet")
            return super().step(closure)

    model, updates = nn.Linear(4, 4), watched()
    optimizer = Raising(model.parameters(), 0.1)
    with pytest.raises(RuntimeError, match="not yet"):
        trained(optimizer, model, 1)
    updates.settle()
    optimizer.raises = False
    trained(optimizer, model)
    assert (updates.steps, updates.changed) == (3, 3)


def test_a_step_that_changes_nothing_is_a_step_and_no_change() -> None:
    model, updates = nn.Linear(4, 4), watched()
    trained(torch.optim.SGD(model.parameters(), lr=0.0), model)
    assert (updates.steps, updates.changed) == (3, 0)
    ledger = {**Audit(model, accelerators()["cpu"]).ledger(), "audited_updates": 3, "audited_changes": 0}
    told = own_faults({**ledger, "steps": 3, "initial_weights": "x", "final_weights": "y"})
    assert told == ["3 optimizer updates were watched, and none of them changed a parameter"]


def test_steps_that_nobody_watches_are_counted_too() -> None:
    model, updates = nn.Linear(4, 4), Updates()
    trained(torch.optim.AdamW(model.parameters(), fused=True), model, 5)
    assert (updates.steps, updates.watched) == (5, 0)


def test_an_optimizer_in_hooks_of_the_backward_pass_is_counted_and_one_in_a_thread_is_told() -> None:
    model, updates = nn.Linear(4, 4), watched()
    owners = {parameter: torch.optim.SGD([parameter], 0.1) for parameter in model.parameters()}
    for parameter in owners:
        parameter.register_post_accumulate_grad_hook(lambda own: owners[own].step())
    model(torch.ones(2, 4)).square().sum().backward()
    assert (updates.steps, updates.changed, updates.faults) == (2, 2, [])

    other, (optimizer,) = nn.Linear(4, 4), [torch.optim.SGD(model.parameters(), 0.1)]
    other(torch.ones(2, 4)).sum().backward()
    thread = threading.Thread(target=optimizer.step)
    thread.start()
    thread.join()
    assert updates.faults == [IN_A_THREAD]


def test_a_scaler_that_lets_a_fused_optimizer_skip_is_believed() -> None:
    """The optimizer's step is called, and changes nothing: the scaler's own tensor says so."""
    model, updates = nn.Linear(4, 4), watched()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(2, 4)).square().sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    updates.settle()
    assert (updates.steps, updates.watched, updates.changed) == (2, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_the_checksum_tells_one_changed_bit_and_nothing_else(dtype: torch.dtype) -> None:
    tensor = torch.randn(7, 5, dtype=dtype)
    other = tensor.clone()
    assert checksum(tensor) == checksum(other) == checksum(tensor.t().contiguous().t())
    other[3, 2] += 0.01
    assert checksum(tensor) != checksum(other)


def test_implementations_are_told_by_what_they_were_told() -> None:
    parameters = [nn.Parameter(torch.ones(2))]
    assert implementation(torch.optim.Adam(parameters)) == "Adam"
    assert implementation(torch.optim.Adam(parameters, foreach=True)) == "Adam foreach"
    assert implementation(torch.optim.AdamW(parameters, fused=True)) == "AdamW fused"


def test_version_counters_are_no_proof() -> None:
    """What was counted before: the truth that is asked for above would not have come back."""
    moves = {}
    for way in ("foreach", "fused"):
        model = nn.Linear(4, 4)
        optimizer = torch.optim.AdamW(model.parameters(), **{way: True})
        trained(optimizer, model, 1)
        before = sum(parameter._version for parameter in model.parameters())
        trained(optimizer, model, 4)
        moves[way] = sum(parameter._version for parameter in model.parameters()) - before
    assert moves["fused"] == 0
    assert moves["foreach"] > 0
