"""The referee of a training for a goal: the mean validation loss, while the loop is held and no clock runs.

One measure for all loops, whatever they validate by themselves: the workload's `loss` over its `validation`, in eval
mode, without gradients, in the dtype of the weights and without autocast. The training does not notice: modes of
modules and the state of every random generator are put back.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader

from bench.axes.loops.batch_tree import moved
from bench.axes.loops.workload import Workload
from bench.errors import Unsupported

NOTHING_TO_JUDGE_BY = (
    "it trains for a validation loss, and its workload has no {0}; allowed: a Workload with `loss` and `validation`"
)


class Referee:
    """Judges the model of a workload as often as it is asked.

    Args:
        workload: as its suite built it. Loops move and wrap its model, and train its parameters in place.
        size: counts the samples of a batch.
        strategy: of the arm; sharded weights cannot be judged by one rank.

    Raises:
        Unsupported: there is nothing to judge by.
    """

    def __init__(self, workload: Workload, size: Callable[[Any], int], strategy: str) -> None:
        if workload.loss is None or workload.validation is None:
            raise Unsupported(NOTHING_TO_JUDGE_BY.format("loss" if workload.loss is None else "validation batches"))
        if strategy == "fsdp":
            raise Unsupported("it trains for a validation loss, and strategy=fsdp leaves no rank the whole model")
        self._loss, self._model, self._size = workload.loss, workload.model, size
        self._batches = _in_process(workload.validation)
        self.losses: list[float] = []

    def judge(self) -> None:
        """The loss now, weighted by the samples of each batch, is the next of `losses`."""
        total = samples = 0.0
        with _unnoticed(self._model, self._batches), torch.no_grad():
            first = next(self._model.parameters(), torch.empty(0))
            dtype = None if first.dtype is torch.float32 else first.dtype
            for batch in self._batches:
                count = self._size(batch)
                total += count * float(self._loss(self._model, moved(batch, first.device, dtype)))
                samples += count
        self.losses.append(total / samples if samples else float("nan"))


def _in_process(batches: Any) -> Any:
    """The same batches without workers: these would be helpers of a held arm."""
    if not isinstance(batches, DataLoader) or not batches.num_workers:
        return batches
    own = copy.copy(batches)
    vars(own).update(num_workers=0, persistent_workers=False, prefetch_factor=None, timeout=0)
    return own


@contextmanager
def _unnoticed(model: torch.nn.Module, batches: Any) -> Iterator[None]:
    """In eval mode, and afterwards as before: modes, and the random generators of torch, Python, numpy, the loader."""
    modes = [(module, module.training) for module in model.modules()]
    generators = [getattr(part, "generator", None) for part in (batches, getattr(batches, "sampler", None))]
    states = [(own, own.get_state()) for own in generators if isinstance(own, torch.Generator)]
    numpy: Any = sys.modules.get("numpy")
    python, of_numpy = random.getstate(), None if numpy is None else numpy.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        for own, state in states:
            own.set_state(state)
        random.setstate(python)
        if of_numpy is not None:
            numpy.random.set_state(of_numpy)
