"""Which order the samples of an epoch have, and a loader that goes on in the middle of one. No lightning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler


class ShuffledEpochs(Sampler[int]):
    """Every sample once an epoch, in an order that depends on the seed and the number of the epoch only.

    Each pass is the next epoch; Trainer says by `set_epoch` which one it is, so that a training that goes on from a
    checkpoint has the order that it would have had. Epoch e has permutation 2 e of the seed's generator: torch's
    `RandomSampler` draws two for each pass, the second for a remainder that is empty here, and the orders are its own.

    Not the loader's own generator: a loader draws from that for every epoch's workers, once only if they persist, and
    so the order of the batches would hang on the setting.
    """

    def __init__(self, samples: Sized, seed: int) -> None:
        self.samples, self.seed, self.epoch = samples, seed, 0
        self._start_over()

    def _start_over(self) -> None:
        self._generator, self._drawn = torch.Generator().manual_seed(self.seed), 0

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[int]:
        if self._drawn > 2 * self.epoch:
            self._start_over()
        while self._drawn < 2 * self.epoch:
            self._permutation()
        self.epoch += 1
        return iter(self._permutation())

    def _permutation(self) -> list[int]:
        self._drawn += 1
        order: list[int] = torch.randperm(len(self.samples), generator=self._generator).tolist()
        return order


class ResumableLoader(DataLoader[Any]):
    """A DataLoader with a state, as Trainer saves it with a checkpoint: the epoch, and how many batches it has given.

    A pass begins where the state says, if it is the epoch of the state, by leaving out batches that were given before.
    Its sampler has the number of the epoch in `epoch`, as torch's DistributedSampler has it. It is looked at when the
    first batch is asked for: Trainer makes the iterator before it says which epoch it is.
    """

    _given = (0, 0)  # the epoch of the newest pass, and its batches so far
    _goes_on = (0, 0)  # the epoch that is to begin in the middle, and how many batches are left out

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._given[0], "batches": self._given[1]}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self._goes_on = self._given = int(state["epoch"]), int(state["batches"])

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a generator, where torch has a class of its own
        epoch = int(getattr(self.sampler, "epoch", 0))
        before = self._goes_on[1] if self._goes_on[0] == epoch else 0
        self._goes_on = (0, 0)
        for number, batch in enumerate(super().__iter__()):
            if number >= before:
                self._given = epoch, number + 1
                yield batch
