"""What a loop trains. Torch is imported for types only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule
    from torch.utils.data import DataLoader


@dataclass(frozen=True)
class Workload:
    """What is trained, freshly built on the CPU from the seed that the arm has set: one set of modules for all loops.

    Attributes:
        model: the module whose parameters are trained in place, by every loop; its weights are the ledger's digests.
        loss: `loss(model, batch)` gives the scalar training loss. The model passed may be a wrapper of `model`.
        optimizer: `optimizer(parameters)` gives the optimizer.
        batches: the training batches of one epoch; iterated again when exhausted. Of several ranks (RANK and WORLD_SIZE
            in the environment, as torchrun sets them) each gives its own share.
        samples: samples in one batch, of this rank.
        lightning: gives the LightningModule around the same `model`; called only where lightning is imported.
        validation: validation batches for loops that validate, or None.
    """

    model: torch.nn.Module
    loss: Callable[[torch.nn.Module, Any], torch.Tensor]
    optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]
    batches: DataLoader[Any]
    samples: int
    lightning: Callable[[], LightningModule]
    validation: Iterable[Any] | None = None
