"""A module that takes over what can be taken over: step, zero_grad, backward, transfer, schedule, and all other hooks.

`heard` has the hooks in the order in which they came.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

WIDTH, BATCH, WARM = 12, 16, 10


def loaders() -> tuple[DataLoader, list[DataLoader]]:
    validation = [DataLoader(torch.randn(rows, WIDTH), batch_size=BATCH) for rows in (2 * BATCH, BATCH)]
    return DataLoader(torch.randn(20 * BATCH, WIDTH), batch_size=BATCH, shuffle=True), validation


class OwnHooks(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Linear(8, WIDTH))
        self.mean_net = copy.deepcopy(self.net).requires_grad_(False)
        self.heard: list[str] = []

    # --- what it takes over

    def transfer_batch_to_device(self, batch: torch.Tensor, device: torch.device, dataloader_idx: int) -> torch.Tensor:
        self.heard.append("transfer_batch_to_device")
        return batch.to(device)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor | None:
        self.heard.append(f"training_step {self.current_epoch} {batch_idx} {self.global_step}")
        if batch_idx == 6 and self.current_epoch == 0:
            return None  # a batch that is left out
        return (self.net(batch) - batch).square().mean()

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        self.heard.append(f"optimizer_step {epoch} {batch_idx}")
        for group in optimizer.param_groups:  # a warm-up
            group["lr"] = 0.05 * min(1.0, (self.global_step + 1) / WARM)
        optimizer.step(closure=optimizer_closure)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        self.heard.append("optimizer_zero_grad")
        optimizer.zero_grad(set_to_none=False)

    def backward(self, loss: torch.Tensor, *arguments: Any, **more: Any) -> None:
        self.heard.append("backward")
        (2 * loss).backward(*arguments, **more)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        self.heard.append(f"configure_gradient_clipping {gradient_clip_val}")
        self.clip_gradients(optimizer, gradient_clip_val=0.1, gradient_clip_algorithm="value")

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        self.heard.append(f"lr_scheduler_step {metric}")
        scheduler.step()

    def validation_step(self, batch: torch.Tensor, batch_idx: int, dataloader_idx: int = 0) -> torch.Tensor:
        self.heard.append(f"validation_step {batch_idx} {dataloader_idx} {self.training} {torch.is_grad_enabled()}")
        loss = (self.mean_net(batch) - batch).square().mean()
        self.log("val_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        self.heard.append("configure_optimizers")
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.99**step)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 3}}

    # --- what it listens to

    def prepare_data(self) -> None:
        self.heard.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.heard.append(f"setup {stage} {self.device.type}")

    def configure_model(self) -> None:
        self.heard.append("configure_model")

    def on_fit_start(self) -> None:
        self.heard.append("on_fit_start")

    def on_train_start(self) -> None:
        self.heard.append("on_train_start")

    def on_train_epoch_start(self) -> None:
        self.heard.append("on_train_epoch_start")

    def on_before_batch_transfer(self, batch: torch.Tensor, dataloader_idx: int) -> torch.Tensor:
        self.heard.append("on_before_batch_transfer")
        return batch

    def on_after_batch_transfer(self, batch: torch.Tensor, dataloader_idx: int) -> torch.Tensor:
        self.heard.append("on_after_batch_transfer")
        return batch * 0.5

    def on_train_batch_start(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.heard.append("on_train_batch_start")

    def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        self.heard.append("on_before_zero_grad")

    def on_before_backward(self, loss: torch.Tensor) -> None:
        self.heard.append("on_before_backward")

    def on_after_backward(self) -> None:
        self.heard.append("on_after_backward")

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.heard.append("on_before_optimizer_step")

    def on_train_batch_end(self, outputs: Any, batch: torch.Tensor, batch_idx: int) -> None:
        self.heard.append(f"on_train_batch_end {sorted(outputs)}")
        with torch.no_grad():  # a moving mean of the weights
            for mean, own in zip(self.mean_net.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(own, 0.1)

    def on_train_epoch_end(self) -> None:
        self.heard.append("on_train_epoch_end")

    def on_validation_model_zero_grad(self) -> None:
        self.heard.append("on_validation_model_zero_grad")
        super().on_validation_model_zero_grad()

    def on_validation_start(self) -> None:
        self.heard.append("on_validation_start")

    def on_validation_epoch_start(self) -> None:
        self.heard.append("on_validation_epoch_start")

    def on_validation_batch_start(self, batch: torch.Tensor, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.heard.append("on_validation_batch_start")

    def on_validation_batch_end(
        self, outputs: Any, batch: torch.Tensor, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.heard.append(f"on_validation_batch_end {type(outputs).__name__}")

    def on_validation_epoch_end(self) -> None:
        self.heard.append("on_validation_epoch_end")

    def on_validation_end(self) -> None:
        self.heard.append("on_validation_end")

    def on_train_end(self) -> None:
        self.heard.append("on_train_end")

    def on_fit_end(self) -> None:
        self.heard.append("on_fit_end")

    def teardown(self, stage: str) -> None:
        self.heard.append(f"teardown {stage}")
