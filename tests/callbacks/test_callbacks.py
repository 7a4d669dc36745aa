"""The public callbacks together, in a Trainer as a user writes it and in hand-written loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lightning.pytorch import Callback
from watching import (
    Attention,
    Broken,
    fit,
    hand_written,
    loader,
    with_fabric,
)

from bench.callbacks import DeviceStats, FLOPs, Measuring, PeakMemory, Phases, Throughput
from bench.errors import SpecError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]  # Trainer advises a lot


EACH: list[Callable[[], Any]] = [
    lambda: Throughput(window=4),
    lambda: PeakMemory(every=2),
    lambda: Phases(),
    lambda: FLOPs(),
]
NAMES = ["Throughput", "PeakMemory", "Phases", "FLOPs"]  # DeviceStats needs a device: test_callbacks_device.py


@pytest.mark.parametrize("make", EACH, ids=NAMES)
def test_metrics_are_declared_and_the_same_in_every_loop(make: Callable[[], Any]) -> None:
    ways: list[Callable[[Any], object]] = [
        lambda callback: fit(Attention(), loader(12), callback),
        lambda callback: fit(Attention(), loader(12), callback, barebones=True),
        lambda callback: hand_written([callback]),
        lambda callback: with_fabric([callback]),
    ]
    found: list[set[str]] = []
    for train in ways:
        callback = make()
        train(callback)
        measuring: Measuring = callback
        assert set(measuring.metrics) <= {metric.name for metric in measuring.METRICS}
        assert [name for name, value in measuring.metrics.items() if type(value) is not float or value < 0] == []
        found.append(set(measuring.metrics))
    assert found[0]
    assert all(names == found[0] for names in found)


def test_no_two_callbacks_share_a_name() -> None:
    names = [metric.name for kind in (Throughput, PeakMemory, Phases, FLOPs, DeviceStats) for metric in kind.METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("make", EACH, ids=NAMES)
def test_a_callback_can_be_used_in_a_second_fit(make: Callable[[], Any]) -> None:
    callback = make()
    fit(Attention(), loader(12), callback)
    first = callback.metrics
    fit(Attention(), loader(12), callback)
    assert set(callback.metrics) == set(first)


def test_all_together_in_one_trainer() -> None:
    throughput, memory, phases, flops, device = Throughput(window=4), PeakMemory(), Phases(), FLOPs(), DeviceStats()
    watching = [throughput, memory, phases, flops, device]
    fit(Attention(0.005), loader(12), *watching, max_epochs=2, validation=loader(2))
    assert flops.metrics
    assert device.metrics or device.notes
    assert throughput.metrics
    assert memory.metrics
    assert len(phases.steps) == 23


@pytest.mark.parametrize(
    "make",
    [lambda: Throughput(0), lambda: PeakMemory(0), lambda: Phases(-1), lambda: Phases(keep=-1), lambda: FLOPs(-1)],
)
def test_bad_arguments_are_refused_with_what_is_allowed(make: Callable[[], Any]) -> None:
    with pytest.raises(SpecError, match=r"allowed: [01] or more"):
        make()


@pytest.mark.parametrize("loop", ["trainer", "plain"])
def test_a_hook_that_raises_is_not_swallowed(loop: str) -> None:
    others: list[Callback] = [Phases(), PeakMemory(), Broken()]
    train: Callable[[], object] = (
        (lambda: hand_written(others)) if loop == "plain" else (lambda: fit(Attention(), loader(4), *others))
    )
    with pytest.raises(ZeroDivisionError, match="in the hook"):
        train()


def test_a_batch_without_a_length_is_an_error_that_a_user_sees() -> None:
    def count(batch: Any) -> int:
        raise TypeError("no samples in this")

    with pytest.raises(TypeError, match="no samples in this"):
        fit(Attention(), loader(4), Throughput(batch_size=count))
