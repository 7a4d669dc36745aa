"""The referee of a training for a goal: what it reads is the validation loss, and the training does not notice."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bench.arm.referee import Referee
from bench.axes.loops.batch_tree import batch_size
from bench.axes.loops.workload import Workload
from bench.errors import Unsupported


class Noisy(nn.Module):
    """All that a look may disturb: dropout, running statistics, a frozen part, noise from every generator."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop, self.last = (
            nn.Linear(8, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(0.5),
            nn.Linear(8, 8),
        )
        self.frozen = nn.Dropout(0.9).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = random.random() + float(np.random.rand()) + torch.rand(())
        made: torch.Tensor = self.last(self.frozen(self.drop(self.norm(self.first(x))))) + 0.01 * noise
        return made


def loss(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[0])


def workload(**more: Any) -> Workload:
    data = TensorDataset(torch.randn(96, 8))
    own = torch.Generator().manual_seed(5)
    given: dict[str, Any] = {
        "model": Noisy(),
        "loss": loss,
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        "batches": DataLoader(data, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(7)),
        "validation": DataLoader(TensorDataset(torch.randn(40, 8)), batch_size=16, shuffle=True, generator=own),
    }
    return Workload(**{**given, **more})


def train(*, judged: bool) -> tuple[list[torch.Tensor], list[float]]:
    """Two epochs, each with a validation pass of its own, as loops do."""
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(3)
    work = workload()
    optimizer = work.optimizer(work.model.parameters())
    referee = Referee(work, batch_size, "single_device")
    for _ in range(2):
        for batch in work.batches:
            optimizer.zero_grad()
            work.loss(work.model, batch).backward()
            optimizer.step()
        with torch.no_grad():
            for batch in work.validation:
                work.loss(work.model, batch)
        if judged:
            referee.judge()
            assert torch.is_grad_enabled()
    assert [module.training for module in work.model.modules()] == [True] * 5 + [False]
    return [*work.model.state_dict().values()], referee.losses


def test_the_training_does_not_notice_it() -> None:
    (plain, none), (watched, losses) = train(judged=False), train(judged=True)
    assert not none
    assert len(losses) == 2
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))


@pytest.mark.parametrize("sizes", [(16, 16, 16), (16, 16, 1), (5,)])
def test_the_loss_is_the_mean_over_samples(sizes: tuple[int, ...]) -> None:
    """Not over batches, of which the last one may be of one sample."""
    model = nn.Linear(8, 8)
    batches = [(torch.randn(size, 8),) for size in sizes]
    referee = Referee(workload(model=model, validation=batches), batch_size, "single_device")
    referee.judge()
    every = torch.cat([batch[0] for batch in batches])
    with torch.no_grad():
        assert referee.losses == [pytest.approx(float(loss(model, (every,))), rel=1e-6)]


def test_it_judges_in_the_dtype_of_the_weights() -> None:
    model = nn.Linear(8, 8).to(torch.bfloat16)
    referee = Referee(workload(model=model), batch_size, "single_device")
    referee.judge()
    assert 0 < referee.losses[0] < 10


def test_a_training_that_diverged_is_judged_so() -> None:
    model = nn.Linear(8, 8)
    nn.init.constant_(model.weight, math.inf)
    referee = Referee(workload(model=model), batch_size, "single_device")
    referee.judge()
    assert not math.isfinite(referee.losses[0])


def test_workers_of_the_loader_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    data = TensorDataset(torch.randn(32, 8))
    loader = DataLoader(data, batch_size=16, num_workers=2, persistent_workers=True, timeout=5)
    referee = Referee(workload(validation=loader), batch_size, "single_device")
    monkeypatch.setattr("torch.utils.data.dataloader._MultiProcessingDataLoaderIter", None)
    referee.judge()
    assert loader.num_workers == 2
    assert len(referee.losses) == 1


@pytest.mark.parametrize(
    ("more", "strategy", "word"),
    [
        ({"validation": None}, "ddp", "has no validation batches"),
        ({"loss": None, "lightning": object}, "ddp", "has no loss"),
        ({}, "fsdp", "strategy=fsdp"),
    ],
)
def test_what_cannot_be_judged_is_unsupported(more: dict[str, Any], strategy: str, word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        Referee(workload(**more), batch_size, strategy)
