"""A function of known cost, deep in Trainer's calls: its rounds are counted, not timed, so that sampling adds none."""

from __future__ import annotations

from time import thread_time_ns
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

BURNT = 1.0e-3  # seconds of processor time
ROWS, WIDTH = 64, 128


def burn(rounds: int) -> int:
    """So many rounds of arithmetic."""
    found = 0
    for number in range(rounds):
        found += number * number
    return found


def rounds_of(seconds: float) -> int:
    """How many rounds take so long here."""
    best = min(_took(20_000) for _ in range(15))
    return round(20_000 * seconds / best)


def _took(rounds: int) -> float:
    began = thread_time_ns()
    burn(rounds)
    return (thread_time_ns() - began) / 1e9


def plant(rounds: int) -> None:
    """Have the logger connector burn, which Trainer asks after each step, whatever is logged."""
    from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector

    original = _LoggerConnector.on_batch_end

    def slower(self: Any) -> None:
        burn(rounds)
        original(self)

    _LoggerConnector.on_batch_end = slower  # type: ignore[method-assign]  # as somebody's change would


def build(point: Point) -> Workload:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    rows = torch.randn(ROWS * 16, WIDTH, generator=torch.Generator().manual_seed(1))
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH))
    if point["loop"] == "trainer" and point["planted"]:
        plant(rounds_of(BURNT))

    def loss(trained: torch.nn.Module, batch: Any) -> torch.Tensor:
        return (trained(batch[0]) - batch[0]).square().mean()

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=1e-3)

    return Workload(
        model=model,
        loss=loss,
        optimizer=optimizer,
        batches=DataLoader(TensorDataset(rows), batch_size=ROWS),
        samples=ROWS,
    )


suite = Suite(
    name="burner",
    title="a function of a millisecond, planted in one loop",
    axes={"planted": (True, False), "loop": ("plain", "trainer")},
    compare="loop",
    baseline="plain",
    build=build,
)
