"""A ladder whose rungs cost what is known: processor time of each step, at each epoch's end, or both; of a tiny module.

Its workload is a LightningModule and nothing else, as users have one.
"""

from __future__ import annotations

from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

if TYPE_CHECKING:
    from lightning.pytorch import Callback

BATCHES, ROWS = 24, 8
STEP, END = 2e-3, 150e-3  # seconds that rungs burn: of each step, and of each epoch
LEAST = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}


def burn(seconds: float) -> None:
    end = thread_time_ns() + round(1e9 * seconds)
    while thread_time_ns() < end:
        pass


def of_steps() -> Callback:
    """Burns in each step."""
    from lightning.pytorch import Callback

    class Steps(Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            burn(STEP)

    return Steps()


def of_epochs() -> Callback:
    """Burns at each epoch's end."""
    from lightning.pytorch import Callback

    class Ends(Callback):
        def on_train_epoch_end(self, *arguments: Any) -> None:
            burn(END)

    return Ends()


def build(point: Point) -> Workload:
    import torch
    from lightning.pytorch import LightningModule
    from torch.utils.data import DataLoader, TensorDataset

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(16, 16)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return (self.layer(batch[0]) - batch[0]).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    rows = torch.randn(ROWS * BATCHES, 16, generator=torch.Generator().manual_seed(1))
    return Workload(lightning=Module, batches=DataLoader(TensorDataset(rows), batch_size=ROWS), samples=ROWS)


suite = Suite(
    name="climbing",
    title="a ladder of known costs",
    axes={"trainer": ("least", "steps", "both", "nothing"), "loop": ("trainer",)},
    compare="trainer",
    baseline="least",
    build=build,
    epochs="real",
    trainers={
        "least": LEAST,
        "steps": {**LEAST, "callbacks": [of_steps]},
        "both": {**LEAST, "callbacks": [of_steps, of_epochs]},
        "nothing": {**LEAST, "log_every_n_steps": 10},
    },
    ladder={"steps": "least", "both": "steps", "nothing": "least"},
)
