"""The LightningModule of a workload: its own, or one made of its other side. Lightning is imported when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.axes.loops.training import TrainingStep, need_sides, optimizers_of, schedulers_of, training_step

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from bench.axes.loops.workload import Workload


def module_of(workload: Workload) -> LightningModule:
    """The module that the workload gives, or the plainest one that does what its `loss` or `step` do.

    Raises:
        Unsupported: it gives neither.
    """
    from lightning.pytorch import LightningModule

    own = None if workload.lightning is None else workload.lightning()
    if own is None:
        return made_module(workload)
    if not isinstance(own, LightningModule):
        raise TypeError(f"the workload's `lightning` gave {type(own).__name__}; allowed: a lightning.pytorch module")
    return own


def made_module(workload: Workload) -> LightningModule:
    """A module around the workload's model, whose training step is the workload's loss.

    One optimizer is left to Trainer's automatic optimization. Several, and a step of the user's own, need the manual
    one: there the module does what Lightning's documentation says, `manual_backward` and the optimizers' own steps.
    """
    from lightning.pytorch import LightningModule

    need_sides(workload)

    class WorkloadModule(LightningModule):
        """What Trainer trains."""

        def __init__(self) -> None:
            super().__init__()
            self.model = workload.model
            self._schedules: list[Any] = []
            self._training: TrainingStep | None = None
            self.automatic_optimization = workload.step is None

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if self.automatic_optimization:
                return workload.loss(self.model, batch)
            if self._training is None:
                optimizers = self.optimizers()
                several = list(optimizers) if isinstance(optimizers, list) else [optimizers]
                self._training = TrainingStep(
                    self.model, workload.model, several, self._schedules, self.manual_backward
                )
            return training_step(workload, self._training, batch)

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return None if workload.loss is None else workload.loss(self.model, batch)

        def configure_optimizers(self) -> Any:
            # Here and not before: on some devices a move makes new parameters.
            optimizers = optimizers_of(workload, self.model.parameters())
            self._schedules = schedulers_of(workload, optimizers)
            if len(optimizers) > 1:
                self.automatic_optimization = False
            if self.automatic_optimization and self._schedules:
                return optimizers, [{"scheduler": self._schedules[0], "interval": "step"}]
            return optimizers

    return WorkloadModule()
