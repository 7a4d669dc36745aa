"""Trainings of many kinds, each small: the axis `kind` says which, and TRUTHS what the ledger must say of each.

`planted` is the compared axis of `planted`, a slowdown of a known size; `trainings` compares the loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

ROWS, WIDTH, BATCH = 256, 16, 16
SLOWDOWNS = {"none": 0.0, "fifth": 0.2}


@dataclass(frozen=True)
class Truth:
    """What one training step of a kind is.

    Attributes:
        forward: calls of the first module that holds parameters.
        every: steps to an update of each optimizer.
    """

    forward: int = 1
    backward: int = 1
    optimizers: int = 1
    every: int = 1
    samples: float = BATCH


TRUTHS: dict[str, Truth] = {
    "plain": Truth(),
    "siamese": Truth(forward=2),
    "gan": Truth(forward=2, backward=2, optimizers=2),
    "two-optimizers": Truth(optimizers=2),
    "accumulation": Truth(every=4),
    "schedule": Truth(),
    "clipping": Truth(),
    "two-losses": Truth(backward=2),
    "lbfgs": Truth(forward=3, backward=3),
    "fused": Truth(),
    "groups": Truth(),
    "frozen": Truth(),
    "unused": Truth(),
    "dropout": Truth(),
    "lstm": Truth(),
    "embedding": Truth(),
    "sparse-gradients": Truth(),
    "elementwise": Truth(),
    "tied": Truth(),
    "short-last-batch": Truth(samples=(ROWS + 6) / 17),
    "counted": Truth(samples=3 * BATCH),
}


def build(point: Point) -> Workload:
    workload = KINDS[str(point["kind"])]()
    slowdown = SLOWDOWNS[str(point["planted"])]
    if slowdown or point["planted"] != "none" or point["burning"]:
        from bench.arm.slow_loader import Burn

        return replace(workload, batches=Burn(workload.batches, slowdown))
    return workload


def regression(model: Any, rows: int = ROWS, **changes: Any) -> Workload:
    """A model that learns its own input."""
    import torch

    data = torch.utils.data.DataLoader(torch.randn(rows, WIDTH), batch_size=BATCH)
    whole: dict[str, Any] = {
        "model": model,
        "loss": lambda model, batch: (model(batch) - batch).square().mean(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, 0.05),
        "batches": data,
        "samples": BATCH,
    }
    return Workload(**{**whole, **changes})


def layers() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))


def siamese() -> Workload:
    return regression(layers(), loss=lambda model, batch: (model(batch) - model(batch + 0.1)).square().mean() + 1)


def gan() -> Workload:
    import torch
    from torch import nn

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator, self.critic = nn.Linear(4, WIDTH), layers()

    pair = Pair()

    def step(training: Any, batch: Any) -> None:
        for optimizer, sign in zip(training.optimizers, (1, -1), strict=True):
            made = pair.generator(torch.ones(BATCH, 4, device=batch.device))
            loss = sign * (pair.critic(made).mean() - pair.critic(batch).mean()) + 2
            optimizer.zero_grad()
            training.backward(loss)
            optimizer.step()

    return regression(
        pair,
        step=step,
        loss=None,
        optimizer=lambda parameters: [
            torch.optim.SGD(part.parameters(), 1e-3) for part in (pair.critic, pair.generator)
        ],
    )


def two_optimizers() -> Workload:
    import torch

    model = layers()
    return regression(
        model,
        optimizer=lambda parameters: [
            torch.optim.SGD(model[0].parameters(), 0.05),
            torch.optim.Adam(model[2].parameters()),
        ],
    )


def accumulation() -> Workload:
    def step(training: Any, batch: Any) -> None:
        training.backward((training.model(batch) - batch).square().mean() / 4)
        if training.index % 4 == 3:
            training.optimizer.step()
            training.optimizer.zero_grad()

    return regression(layers(), step=step, loss=None)


def schedule() -> Workload:
    import torch

    return regression(
        layers(), schedule=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.999)
    )


def clipping() -> Workload:
    import torch

    def step(training: Any, batch: Any) -> None:
        training.optimizer.zero_grad()
        training.backward((training.model(batch) - batch).square().mean())
        torch.nn.utils.clip_grad_norm_(training.module.parameters(), 0.1)
        training.optimizer.step()

    return regression(layers(), step=step, loss=None)


def two_losses() -> Workload:
    def step(training: Any, batch: Any) -> None:
        training.optimizer.zero_grad()
        first, second = training.model(batch), batch
        training.backward((first[:8] - second[:8]).square().mean() + (first[8:] - second[8:]).square().mean())
        training.backward(training.module[0].weight.square().sum() * 1e-4)
        training.optimizer.step()

    return regression(layers(), step=step, loss=None)


def lbfgs() -> Workload:
    import torch

    def step(training: Any, batch: Any) -> None:
        def closure() -> Any:
            training.optimizer.zero_grad()
            loss = (training.model(batch) - batch).square().mean()
            training.backward(loss)
            return loss

        training.optimizer.step(closure)

    return regression(
        layers(),
        step=step,
        loss=None,
        optimizer=lambda parameters: torch.optim.LBFGS(
            parameters, lr=0.01, max_iter=3, tolerance_change=0, tolerance_grad=0
        ),
    )


def fused() -> Workload:
    import torch

    return regression(layers(), optimizer=lambda parameters: torch.optim.AdamW(parameters, fused=True))


def groups() -> Workload:
    import torch

    model = layers()
    parts = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters(), "lr": 0.1}]
    return regression(model, optimizer=lambda parameters: torch.optim.SGD(parts, momentum=0.9))


def frozen() -> Workload:
    model = layers()
    model[0].requires_grad_(False)
    return regression(model)


def unused() -> Workload:
    from torch import nn

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = layers(), nn.Linear(3, 3)  # a part that this training does not need

        def forward(self, rows: Any) -> Any:
            return self.body(rows)

    return regression(Half())


def dropout() -> Workload:
    from torch import nn

    return regression(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.2), nn.Linear(WIDTH, WIDTH)))


def lstm() -> Workload:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(8, 8, batch_first=True)

        def forward(self, rows: Any) -> Any:
            return self.rnn(rows)[0]

    data = torch.utils.data.DataLoader(torch.randn(ROWS, 3, 8), batch_size=BATCH)
    return regression(Net(), batches=data)


def embedding(*, sparse: bool = False) -> Workload:
    import torch
    from torch import nn

    optimizer = torch.optim.SparseAdam if sparse else torch.optim.Adam
    words = torch.randint(0, 50, (ROWS, 5))
    return regression(
        nn.EmbeddingBag(50, 8, mode="sum", sparse=sparse),
        loss=lambda model, batch: model(batch).square().mean(),
        optimizer=lambda parameters: optimizer(parameters, 1e-3),
        batches=torch.utils.data.DataLoader(words, batch_size=BATCH),
    )


def elementwise() -> Workload:
    import torch
    from torch import nn

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(WIDTH) * 2)

        def forward(self, rows: Any) -> Any:
            return rows * self.scale

    return regression(Scale())


def tied() -> Workload:
    model = layers()
    model[2].weight = model[0].weight
    return regression(model)


KINDS: dict[str, Callable[[], Workload]] = {
    "plain": lambda: regression(layers()),
    "siamese": siamese,
    "gan": gan,
    "two-optimizers": two_optimizers,
    "accumulation": accumulation,
    "schedule": schedule,
    "clipping": clipping,
    "two-losses": two_losses,
    "lbfgs": lbfgs,
    "fused": fused,
    "groups": groups,
    "frozen": frozen,
    "unused": unused,
    "dropout": dropout,
    "lstm": lstm,
    "embedding": embedding,
    "sparse-gradients": lambda: embedding(sparse=True),
    "elementwise": elementwise,
    "tied": tied,
    "short-last-batch": lambda: regression(layers(), rows=ROWS + 6),
    "counted": lambda: regression(layers(), samples=lambda batch: 3 * len(batch)),
}

suite = Suite(
    name="trainings",
    title="trainings of many kinds",
    axes={
        "kind": ("plain",),
        "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
        "planted": ("none",),
        "burning": (False,),
    },
    choices={"kind": tuple(KINDS), "planted": tuple(SLOWDOWNS), "burning": (False, True)},
    compare="loop",
    baseline="plain",
    build=build,
)
