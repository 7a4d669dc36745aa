"""Misdeeds of loaders, and of their workers."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from . import parts
from .misdeeds import LOADING, raising, sleeping


class Loader:
    """An iterable that is no DataLoader, with a length of its own."""

    def __init__(self, length: Any, batches: Any = None) -> None:
        self.length, self.batches = length, batches

    def __len__(self) -> int:
        if isinstance(self.length, BaseException):
            raise self.length
        return self.length

    def __iter__(self) -> Iterator[Any]:
        yield from parts.loader() if self.batches is None else self.batches()


class Dying(Dataset[Any]):
    """Its worker dies at the second batch."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        self.deed = deed

    def __len__(self) -> int:
        return 128

    def __getitem__(self, index: int) -> torch.Tensor:
        if index > 60 and torch.utils.data.get_worker_info() is not None:
            self.deed()
        return torch.ones(parts.WIDTH)


def _dying(deed: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: DataLoader(Dying(deed), batch_size=8, num_workers=1, collate_fn=lambda rows: (torch.stack(rows),))


def _raises_later(error: BaseException) -> Callable[[], Iterator[Any]]:
    def batches() -> Iterator[Any]:
        yield from list(parts.loader())[:4]
        raise error

    return batches


LOADING |= {
    "loader-empty": lambda: Loader(0, lambda: iter(())),
    "loader-one-batch": lambda: Loader(1, lambda: iter(list(parts.loader())[:1])),
    "loader-len-1030": lambda: Loader(10**30),
    "loader-len-negative": lambda: Loader(-1),
    "loader-len-raises": lambda: Loader(ValueError("how long?")),
    "loader-len-str": lambda: Loader("long"),
    "loader-batch-none": lambda: Loader(4, lambda: iter([None] * 4)),
    "loader-batch-str": lambda: Loader(4, lambda: iter(["batch"] * 4)),
    "loader-enospc": lambda: Loader(16, _raises_later(OSError(errno.ENOSPC, "No space left on device"))),
    "loader-interrupt": lambda: Loader(16, _raises_later(KeyboardInterrupt())),
    "loader-exit": lambda: Loader(16, _raises_later(SystemExit(0))),
    "loader-not-iterable": lambda: 7,
    "worker-exits": _dying(lambda: os._exit(3)),
    "worker-killed": _dying(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "worker-raises": _dying(raising(ValueError("a bad row"))),
    "worker-hangs": _dying(sleeping),
}
