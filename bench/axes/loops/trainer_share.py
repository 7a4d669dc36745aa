"""The share of a rank, as a Trainer makes it of a loader that gives every rank the same batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def own_share(trainer: Trainer, loader: Any) -> Any:
    """The loader as this Trainer would set it up: with a DistributedSampler, where it is on several ranks and has none.

    A Trainer does so for a DataLoader only, and what it is given here is the stream. So it is asked before.
    """
    if trainer.world_size == 1:
        return loader
    from lightning.pytorch.trainer.connectors import data_connector
    from lightning.pytorch.trainer.states import RunningStage

    shuffle = data_connector._is_dataloader_shuffled(loader)  # type: ignore[attr-defined]  # imported there
    return trainer._data_connector._prepare_dataloader(loader, shuffle=shuffle, mode=RunningStage.TRAINING)
