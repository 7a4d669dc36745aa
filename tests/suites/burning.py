"""Callbacks of a suite's own: one with a cost that is known, one that logs, and one that a stream has no use for."""

from __future__ import annotations

import statistics
from collections import deque
from time import thread_time_ns
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer


class Burning(Callback):
    """Burns a share of the loop's own step, read on the clock of this thread: what others do costs both alike.

    From hook to hook: what the stream does at the edges of a turn, on this thread, is no part of a step.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.steps: deque[int] = deque(maxlen=31)
        self.began = 0

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *rest: Any) -> None:
        self.began = thread_time_ns()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest: Any) -> None:
        now = thread_time_ns()
        self.steps.append(now - self.began)
        end = now + self.share * statistics.median(self.steps)
        while thread_time_ns() < end:
            pass


class Logging(Callback):
    """Logs a number at each step."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest: Any) -> None:
        module.log("own", 1.0)


class Stopping(Timer):
    """Ends the training by itself."""
