"""A GAN: manual optimization of two networks in turns, each with an optimizer and a schedule of its own."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as judged
from torch.utils.data import DataLoader

NOISE, WIDTH, BATCH = 8, 32, 16


def loaders() -> DataLoader:
    return DataLoader(torch.randn(24 * BATCH, WIDTH) * 2 + 1, batch_size=BATCH, shuffle=True)


class Gan(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(NOISE, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.critic = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(WIDTH, 1))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        of_generator, of_critic = self.optimizers()
        real, false = torch.ones(len(batch), 1), torch.zeros(len(batch), 1)
        noise = torch.randn(len(batch), NOISE, device=self.device)

        self.toggle_optimizer(of_generator)
        loss = judged(self.critic(self.generator(noise)), real)
        self.log("generator_loss", loss, prog_bar=True)
        of_generator.zero_grad()
        self.manual_backward(loss)
        of_generator.step()
        self.untoggle_optimizer(of_generator)

        with of_critic.toggle_model():
            made = self.generator(noise).detach()
            loss = (judged(self.critic(batch), real) + judged(self.critic(made), false)) / 2
            self.log("critic_loss", loss, prog_bar=True)
            of_critic.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(of_critic, gradient_clip_val=0.5, gradient_clip_algorithm="norm")
            of_critic.step()

        for schedule in self.lr_schedulers():
            schedule.step()

    def configure_optimizers(self) -> Any:
        optimizers = [
            torch.optim.Adam(self.generator.parameters(), lr=2e-3, betas=(0.5, 0.999)),
            torch.optim.Adam(self.critic.parameters(), lr=1e-3, betas=(0.5, 0.999)),
        ]
        return optimizers, [torch.optim.lr_scheduler.ExponentialLR(one, 0.999) for one in optimizers]
