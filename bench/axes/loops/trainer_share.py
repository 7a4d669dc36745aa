"""The share of a rank, as a Trainer makes it of a loader that gives every rank the same batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def own_share(trainer: Trainer, loader: Any) -> Any:
    """The loader as this Trainer would set it up: with a DistributedSampler, where it is on several ranks and has none.

    A Trainer does so for DataLoaders only, those in a CombinedLoader among them, and what it is given here is the
    stream. So it is asked before.
    """
    if trainer.world_size == 1:
        return loader
    from lightning.pytorch.trainer.connectors import data_connector
    from lightning.pytorch.trainer.states import RunningStage
    from lightning.pytorch.utilities import CombinedLoader

    def share(one: Any) -> Any:
        shuffle = data_connector._is_dataloader_shuffled(one)  # type: ignore[attr-defined]  # imported there
        return trainer._data_connector._prepare_dataloader(one, shuffle=shuffle, mode=RunningStage.TRAINING)

    if isinstance(loader, CombinedLoader):
        loader.flattened = [share(one) for one in loader.flattened]
        return loader
    return share(loader)
