"""What a workload may say of its training, and what is told where it says something else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bench.axes.loops.training import (
    Scaling,
    TrainingStep,
    is_tutorial,
    need_sides,
    optimizers_of,
    schedulers_of,
    training_step,
)
from bench.axes.loops.workload import Workload, complete_workload
from bench.errors import SpecError, Unsupported

MODEL = nn.Linear(2, 2)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.1)


def of(**changes: Any) -> Workload:
    return Workload(**{"model": MODEL, "loss": lambda model, batch: model(batch).sum(), "optimizer": sgd, **changes})


def test_one_optimizer_or_several_and_a_scheduler_each() -> None:
    several = of(optimizer=lambda parameters: (sgd(MODEL.parameters()), sgd(MODEL.parameters())))
    assert len(optimizers_of(of(), MODEL.parameters())) == 1
    optimizers = optimizers_of(several, MODEL.parameters())
    scheduled = of(schedule=lambda one: torch.optim.lr_scheduler.StepLR(one, 1))
    schedulers = schedulers_of(scheduled, optimizers)
    assert [scheduler.optimizer for scheduler in schedulers] == optimizers
    assert is_tutorial(of(), optimizers[:1], [])
    assert not is_tutorial(of(), optimizers, [])
    assert not is_tutorial(of(step=print), optimizers[:1], [])
    assert not is_tutorial(of(), optimizers[:1], schedulers[:1])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "`optimizer` gave NoneType; allowed: an optimizer, or a list of them"),
        ([], "gave an empty list"),
        ([1], "gave int; allowed"),
    ],
)
def test_what_is_no_optimizer_is_told(given: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        optimizers_of(of(optimizer=lambda parameters: given), MODEL.parameters())


def test_what_is_no_scheduler_is_told() -> None:
    optimizers = [sgd(MODEL.parameters())]
    with pytest.raises(TypeError, match="`schedule` gave int; allowed: a scheduler"):
        schedulers_of(of(schedule=lambda one: 3), optimizers)
    with pytest.raises(TypeError, match="gave ReduceLROnPlateau, which is told a metric at each step"):
        schedulers_of(of(schedule=torch.optim.lr_scheduler.ReduceLROnPlateau), optimizers)


def test_a_lightning_module_may_be_the_only_side() -> None:
    made = nn.Linear(3, 3)
    only = Workload(lightning=lambda: made)
    whole = complete_workload(only, lightning=True)
    assert whole.model is made
    assert whole.lightning() is made
    with pytest.raises(Unsupported, match="its only side, and Trainer loops and by-hand alone"):
        complete_workload(only, lightning=False)
    with pytest.raises(Unsupported, match="gives no optimizer, no loss"):
        need_sides(whole)
    with pytest.raises(SpecError, match="neither `model` nor `lightning`"):
        complete_workload(Workload(), lightning=True)
    with pytest.raises(SpecError, match=r"`build` gave NoneType; allowed: a bench\.Workload"):
        complete_workload(None, lightning=True)


def test_a_step_of_ones_own_is_taken_instead_and_schedules_follow_it() -> None:
    told: list[str] = []

    class Told:
        def step(self) -> None:
            told.append("schedule")

    workload = of(step=lambda training, batch: told.append(f"step {training.index}"))
    training = TrainingStep(MODEL, MODEL, [sgd(MODEL.parameters())], [Told()], lambda loss: loss.backward())
    for _ in range(2):
        training_step(workload, training, torch.ones(1, 2))
    assert told == ["step 0", "schedule", "step 1", "schedule"]
    assert training.optimizer is training.optimizers[0]


def test_the_scale_is_updated_once_a_step_whichever_optimizer_steps_last() -> None:
    """Two optimizers move their weights as without a scale, in either order, though the scale grows each time."""

    def moved(order: tuple[int, int], scale: float | None) -> list[torch.Tensor]:
        torch.manual_seed(0)
        parts = [nn.Linear(2, 1), nn.Linear(2, 1)]
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, growth_interval=1, enabled=scale is not None)
        scaling = Scaling(scaler)
        optimizers = [scaling.scaled(torch.optim.SGD(part.parameters(), 0.1)) for part in parts]
        for _ in range(3):
            for part, optimizer in zip(parts, optimizers, strict=True):
                optimizer.zero_grad()
                scaling.backward(part(torch.ones(1, 2)).sum())
            for index in order:
                optimizers[index].step()
            scaling.update()
        return [part.weight.detach() for part in parts]

    wanted = moved((0, 1), None)
    for order in ((0, 1), (1, 0)):
        for mine, theirs in zip(moved(order, 4.0), wanted, strict=True):
            assert torch.allclose(mine, theirs)


def test_a_step_that_only_accumulates_updates_no_scale() -> None:
    scaling = Scaling(torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1))
    scaling.update()
    assert scaling.scaler.get_scale() == 4.0
