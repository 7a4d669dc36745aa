"""A suite whose cells differ in threads, and in what is set in Trainer: sets of its own with callbacks and a logger."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule

CHECKED_STEP = 40  # when the threads that have computed are counted; by then each has some of the kernel's ticks


def ticks() -> list[int]:
    """Processor time of each thread of this process, in the kernel's ticks."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/stat") as file:
            found.append(sum(map(int, file.read().rpartition(")")[2].split()[11:13])))
    return found


def build(point: Point) -> Workload:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    width, threads, steps = int(point["width"]), int(point["threads"]), 0
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if point["counted"] and steps == CHECKED_STEP:
            busy = sum(1 for own in ticks() if own > 2)
            said = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
            if busy != threads or set(said.values()) != {str(threads)}:
                raise RuntimeError(f"{busy} threads have computed, not {threads}; {said}")
        return nn.functional.mse_loss(model(batch[0]), batch[0])

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.01)

    def lightning() -> LightningModule:
        from lightning.pytorch import LightningModule

        class Module(LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def training_step(self, batch: Any, index: int) -> torch.Tensor:
                return loss(self.model, batch)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return optimizer(self.parameters())

        return Module()

    return Workload(
        model=model,
        loss=loss,
        optimizer=optimizer,
        batches=DataLoader(TensorDataset(torch.randn(64 * width // 8, width)), batch_size=width // 2),
        samples=width // 2,
        lightning=lightning,
    )


def burning() -> Callback:
    """A callback that burns 30 % of the step; a function that makes it, since the parent imports no lightning."""
    from .burning import Burning

    return Burning(0.3)


suite = Suite(
    name="settled",
    title="threads, and what is set in Trainer",
    axes={"loop": ("plain",), "width": (256,), "counted": (False,), "threads": (1,), "trainer": ("default",)},
    compare="trainer",
    baseline="default",
    build=build,
    trainers={
        "burnt": {"callbacks": [burning]},
        "burnt-by-path": {"callbacks": [{"class_path": "burning.Burning", "init_args": {"share": 0.0}}]},
        "logging": {"callbacks": "burning:Logging"},
        "gone": {"callbacks": [{"class_path": "no_such_module.Callback"}]},
        "raising": {"callbacks": [{"class_path": "burning.Burning", "init_args": {"shares": 0.1}}]},
        "no-callback": {"callbacks": "collections.OrderedDict"},
        "two-bars": {"enable_progress_bar": False, "callbacks": ["TQDMProgressBar"]},
        "summary-of-all": {"callbacks": [{"class_path": "ModelSummary", "init_args": {"max_depth": -1}}]},
        "stopping": {"callbacks": "burning.Stopping"},
    },
)
