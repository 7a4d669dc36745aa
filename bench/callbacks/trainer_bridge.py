"""What stands in a Trainer for callbacks that look at a part of its training only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.callbacks.callback_list import CallbackList

if TYPE_CHECKING:
    import torch


class TrainerBridge(Callback):
    """Passes a Trainer's hooks on to a `CallbackList` while it is open; tells it at the beginning which Trainer it is.

    `on_fit_start`, the beginning and the end are whose who opens it to call.

    Attributes:
        attached: whether a Trainer has it.
        open: whether hooks are passed on.
    """

    def __init__(self, hooks: CallbackList) -> None:
        self._hooks = hooks
        self.attached = False
        self.open = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hooks.attach(trainer, pl_module)
        self.attached = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.open:
            self._hooks.on_train_batch_start(batch, batch_idx)

    def on_before_zero_grad(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self.open:
            self._hooks.on_before_zero_grad(optimizer)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: torch.Tensor) -> None:
        if self.open:
            self._hooks.on_before_backward(loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.open:
            self._hooks.on_after_backward()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self.open:
            self._hooks.on_before_optimizer_step(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.open:
            self._hooks.on_train_batch_end(outputs, batch, batch_idx)
