"""Whose fault an exception is: ours by where it came up, unless it was raised on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from bench.arm import stream, turn_gate
from bench.arm.own_faults import OwnFault, blame_ourselves, is_lightnings_refusal, is_own_fault
from bench.axes.loops.batches import counter, forever, refuse_one_pass
from bench.axes.loops.job import Job


def raised_by(deed: Callable[[], Any]) -> BaseException:
    try:
        deed()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Object:
    def to(self) -> None:  # which takes no device
        pass


class Raising:
    def to(self, device: Any) -> None:
        raise KeyError("of the user's")


def job() -> Job:
    nothing: Any = None
    return Job(nothing, nothing, torch.device("cpu"), "cpu", "32-true", 1, torch.float32, nothing)


@pytest.mark.parametrize(
    "deed",
    [
        lambda: turn_gate.Gatekeeper.after(None, None, None, []),
        lambda: list(stream.BatchStream(None)([])),
    ],
)
def test_a_mistake_in_our_files_is_ours(deed: Callable[[], Any]) -> None:
    assert is_own_fault(raised_by(deed))


@pytest.mark.parametrize(
    "deed",
    [
        lambda: job().to_device(Object()),
        lambda: job().to_device(Raising()),
        lambda: next(forever(7)),
        lambda: next(forever([])),
        lambda: refuse_one_pass(7),
        lambda: counter("64"),
        lambda: counter(lambda batch: batch.size)(None),
        lambda: [][0],
    ],
)
def test_what_others_wrote_and_what_we_refuse_is_not_ours(deed: Callable[[], Any], one_thread: None) -> None:
    assert not is_own_fault(raised_by(deed))


def test_memory_that_ran_out_is_nobodys_fault() -> None:
    import torch

    assert is_own_fault(raised_by(lambda: blame_ourselves(KeyError("x"), "reading a batch")))
    for error in (MemoryError(), torch.OutOfMemoryError("full"), RuntimeError("cannot allocate memory")):
        found = raised_by(lambda error=error: blame_ourselves(error, "reading a batch"))
        assert found is error
        assert not is_own_fault(found)


def test_an_exception_that_cannot_say_what_it_is_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    found = raised_by(lambda: blame_ourselves(Mute(), "reading a batch"))
    assert isinstance(found, OwnFault)
    assert "its text cannot be had" in str(found)


def test_what_lightning_refuses_on_purpose_is_a_refusal_and_what_falls_in_it_is_none() -> None:
    from lightning.fabric import Fabric
    from lightning.fabric.utilities import move_data_to_device

    @dataclass(frozen=True)
    class Frozen:
        rows: Any

    class Falling:
        def to(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError("of the user's")

    fabric = Fabric(accelerator="cpu", devices=1)
    refused: list[Callable[[], Any]] = [
        lambda: fabric.setup_dataloaders([1, 2]),
        lambda: move_data_to_device(Frozen(torch.ones(2)), torch.device("cpu")),
    ]
    for deed in refused:
        assert is_lightnings_refusal(raised_by(deed))
    fallen: list[Callable[[], Any]] = [
        lambda: move_data_to_device(Falling(), torch.device("cpu")),
        lambda: int("x"),
    ]
    for deed in fallen:
        assert not is_lightnings_refusal(raised_by(deed))
