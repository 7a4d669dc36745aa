"""Operators of a step by hand: forward and backward, copies, and what the host waits for."""

from __future__ import annotations

import pytest
import torch

from bench.arm.operator_count import OperatorCount, _waits

META, CPU = torch.device("meta"), torch.device("cpu")


def test_operators_of_a_step_forward_and_backward() -> None:
    weight = torch.ones(3, requires_grad=True)
    with OperatorCount() as count:
        loss = (weight * 2).sum()
        loss.backward()
    assert count.operators["aten::mul"] == 2  # the second one is the gradient's
    assert count.operators["aten::sum"] == 1
    assert count.operators["aten::ones_like"] == 1
    assert (count.copies, count.host_syncs) == ({}, {})
    assert set(count.callers()["aten::sum"]) == {f"{__name__}:test_operators_of_a_step_forward_and_backward"}


def test_what_copies_and_what_the_host_waits_for() -> None:
    tensor = torch.arange(3.0)
    with OperatorCount() as count:
        tensor.clone()
        tensor.to(torch.float64)
        tensor.copy_(torch.zeros(3))
        bool(tensor[0] > 0)
        tensor.nonzero()
    assert count.copies == {"aten::clone": 1, "aten::_to_copy": 1, "aten::copy_": 1}
    assert count.host_syncs == {"aten::_local_scalar_dense": 1, "aten::nonzero": 1}


@pytest.mark.parametrize(
    ("source", "target", "non_blocking", "waits"),
    [(CPU, META, False, True), (CPU, META, True, False), (CPU, CPU, False, False), (META, CPU, False, True)],
)
def test_the_host_waits_for_copies_between_devices(
    source: torch.device, target: torch.device, non_blocking: bool, waits: bool
) -> None:
    first, second = torch.empty(2, device=source), torch.empty(2, device=target)
    assert _waits("aten::_to_copy", (first,), {"device": target, "non_blocking": non_blocking}, second) is waits
    assert _waits("aten::copy_", (second, first, non_blocking), {}, second) is waits


def test_what_only_tells_a_profiler_is_no_operator() -> None:
    with OperatorCount() as count, torch.profiler.record_function("told"):
        torch.ones(2)
    assert set(count.operators) == {"aten::ones"}
