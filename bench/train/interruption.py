"""What a signal does to a training: the first lets the step end and saves where it was, the second ends it at once.

An exception in the middle of an optimizer's step would leave weights of which some are new and some old, and a
checkpoint of them would be none that the training had ever come to.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Checkpoint

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class StoppedTraining(BaseException):
    """Somebody asked the training to stop. No Exception: nothing on the way is to take it for an error of its own.

    Attributes:
        saved: the checkpoint of where it was, or None where nothing could be saved.
    """

    def __init__(self, saved: Path | None = None) -> None:
        super().__init__()
        self.saved = saved


class StopRequests:
    """The signals that have come, and whether a step is under way that the first of them is to let end."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.count = 0
        self.in_training = False
        self._tell = tell
        self._over = False

    def note(self, signum: int, frame: FrameType | None) -> None:
        """The handler of SIGINT, SIGTERM and SIGHUP."""
        if self._over:  # the training is being taken down
            return
        self.count += 1
        if self.in_training and self.count == 1:
            self._tell("stopping after this step, or after the validation; once more stops at once, and saves nothing")
            return
        self.stop(None)

    def stop(self, saved: Path | None) -> None:
        """Leave the training; what comes later is not listened to.

        Raises:
            StoppedTraining: always.
        """
        self._over = True
        raise StoppedTraining(saved)


class StopWhenAsked(Checkpoint):
    """Ends a training between two steps when somebody asked for it, with a checkpoint from which it can go on.

    A `Checkpoint`, so that Trainer calls it after all others: what they do at the end of an epoch is a part of it.
    """

    def __init__(self, requests: StopRequests, path: Path) -> None:
        self.requests, self.path = requests, path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.requests.in_training = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # After the last batch of an epoch come validation, schedulers and the epoch's own checkpoint.
        if not trainer.is_last_batch and self._asked(trainer):
            self._save_and_stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        last = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= (trainer.max_epochs or 0)
        if not last and self._asked(trainer):
            self._save_and_stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.requests.in_training = False

    def _asked(self, trainer: Trainer) -> bool:
        asked = self.requests.count > 0
        if trainer.world_size == 1:
            return asked
        # Ranks get their signals at different steps, and have to leave after the same one.
        return bool(trainer.strategy.reduce_boolean_decision(asked, all=False))

    def _save_and_stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        self.requests.stop(self.path)
