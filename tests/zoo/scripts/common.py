"""What the training scripts of this folder share, as users have a module beside theirs: network, data, a slowdown."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import deque

import torch
from torch import nn
from torch.utils.data import TensorDataset

FEATURES, CLASSES = 64, 10
BATCHES, BATCH_SIZE = 60, 32  # of an epoch, unless --batch-size says otherwise


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that all of the scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=0, help="of the training loader")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--slow", type=float, default=0.0, metavar="PERCENT", help="make each step so much longer")
    parser.add_argument("--out", default="checkpoints", help="folder of the checkpoints")
    return parser


class Net(nn.Module):
    """A perceptron that tells ten kinds of points apart."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, CLASSES),
        )

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.layers(points)


def datasets() -> tuple[TensorDataset, TensorDataset]:
    """Points around ten centres, and the number of the centre: for training and for validation, always the same."""
    generator = torch.Generator().manual_seed(0)
    centres = 0.3 * torch.randn(CLASSES, FEATURES, generator=generator)  # so near that some points are told wrong

    def points(count: int) -> TensorDataset:
        labels = torch.randint(CLASSES, (count,), generator=generator)
        return TensorDataset(centres[labels] + torch.randn(count, FEATURES, generator=generator), labels)

    return points(BATCHES * BATCH_SIZE), points(6 * BATCH_SIZE)


class Slowdown:
    """Keeps the processor busy for a share of what a step takes. What is learnt stays the same.

    A step is read on the main thread's own clock, which stands still while somebody holds the process.
    """

    def __init__(self, percent: float) -> None:
        self.share = percent / 100
        self.steps: deque[float] = deque(maxlen=31)
        self.began: float | None = None

    def __call__(self) -> None:
        """At the end of each step."""
        if not self.share:
            return
        now = time.thread_time()
        if self.began is not None:
            self.steps.append(now - self.began)
            end = time.perf_counter() + self.share * statistics.median(self.steps)
            while time.perf_counter() < end:
                pass
        self.began = time.thread_time()
