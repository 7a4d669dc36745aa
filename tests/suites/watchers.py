"""Callbacks as others write them, good and bad ones."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from lightning.pytorch import Callback

from bench.results.record import Metric


class Counting(Callback):
    METRICS: ClassVar[tuple[Metric, ...]] = (Metric("batches_seen", "batches", "higher", "batches it was told of"),)

    def __init__(self) -> None:
        self.batches = 0

    @property
    def metrics(self) -> dict[str, float]:
        return {"batches_seen": float(self.batches)}

    def on_train_batch_end(self, *args: Any) -> None:
        self.batches += 1


class Raising(Counting):
    def on_before_backward(self, *args: Any) -> None:
        raise ZeroDivisionError("in the hook")


class Endless(Counting):
    @property
    def metrics(self) -> dict[str, float]:
        return {"batches_seen": math.inf}


class Thief(Counting):
    METRICS: ClassVar[tuple[Metric, ...]] = (Metric("step_time", "s", "lower", "not its own"),)


class Undeclared(Counting):
    @property
    def metrics(self) -> dict[str, float]:
        return {"other": 1.0}


class Stranger:
    """No callback."""
