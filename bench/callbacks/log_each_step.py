"""`self.log` once a step, of a module that is not touched."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class LogEachStep(Callback):
    """Logs the loss of each step through the module's own `log`, as a line in its `training_step` would.

    A callback, so that what logging costs can be priced in anybody's module by an argument of Trainer: its
    `training_step` stays as it is, and Lightning's `log` takes the same way from a callback's hook as from there.
    Measures nothing, and is in no instrumented launch.

    Args:
        name: of what is logged.
    """

    def __init__(self, name: str = "rung_loss") -> None:
        self.name = name
        self._nothing = torch.zeros(())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Of manual optimization there may be no loss here; what is logged then is as dear, and no figure.
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        pl_module.log(self.name, loss if isinstance(loss, torch.Tensor) else self._nothing)
