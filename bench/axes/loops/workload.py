"""What a loop trains. Torch is imported for types only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.errors import SpecError, Unsupported

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule


# None, where fields are typed as loops find them: the arm fills in, or refuses, what a suite leaves out.
LEFT_OUT: Any = None


@dataclass(frozen=True)
class Workload:
    """What is trained, freshly built on the CPU from the seed that the arm has set: one set of modules for all loops.

    Attributes:
        model: the module whose parameters are trained in place, by every loop; its weights are the ledger's digests.
            None where `lightning` is the only side: then it is the LightningModule.
        loss: `loss(model, batch)` gives the scalar training loss. The model passed may be a wrapper of `model`.
        optimizer: `optimizer(parameters)` gives the optimizer, or a sequence of several.
        batches: the training batches of one epoch; iterated again when exhausted. Of several ranks (RANK and WORLD_SIZE
            in the environment, as torchrun sets them) each gives its own share.
        samples: samples in one batch, of this rank; or `samples(batch)` that counts them; None: counted as the length
            of the batch's first tensor that has a dimension.
        lightning: gives the LightningModule around the same `model`; called only where lightning is imported. None, or
            one that gives None: a module made of `loss` or `step`, `optimizer` and `schedule`.
        validation: validation batches for loops that validate, or None.
        schedule: `schedule(optimizer)` gives the scheduler of the learning rate, which every loop steps after each
            training step; of several optimizers it is called for each.
        step: `step(training, batch)` does one training step instead of `loss`, zero_grad, backward, update: see
            `bench.TrainingStep`.
    """

    model: torch.nn.Module = LEFT_OUT
    loss: Callable[[torch.nn.Module, Any], torch.Tensor] = LEFT_OUT
    optimizer: Callable[[Iterable[torch.nn.Parameter]], Any] = LEFT_OUT
    batches: Iterable[Any] = ()
    samples: int | Callable[[Any], int] | None = None
    lightning: Callable[[], LightningModule] = LEFT_OUT
    validation: Iterable[Any] | None = None
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None
    step: Callable[[Any, Any], Any] | None = None


def complete_workload(given: object, *, lightning: bool) -> Workload:
    """The workload that a suite's `build` gave, with a model.

    Args:
        lightning: whether the loop may import it, so that a LightningModule can be the model.

    Raises:
        Unsupported: its LightningModule is its only side, and the loop runs none.
        SpecError: it is no workload.
    """
    if not isinstance(given, Workload):
        raise SpecError(f"the suite's `build` gave {type(given).__name__}; allowed: a bench.Workload")
    if given.model is not None:
        return given
    if given.lightning is None:
        raise SpecError("the workload has neither `model` nor `lightning`; allowed: one of them, or both")
    if not lightning:
        raise Unsupported(
            "the workload's LightningModule is its only side, and Trainer loops and by-hand alone can run it"
        )
    module = given.lightning()
    return replace(given, model=module, lightning=lambda: module)
