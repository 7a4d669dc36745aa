"""Lightning Trainer: as lean as it comes, and with the defaults that a user gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.loops import register

if TYPE_CHECKING:
    from bench.arm import Job


@register("trainer-barebones", preload=("torch", "lightning"))
def trainer_barebones(job: Job) -> None:
    """Trainer(barebones=True): no logger, no progress bar, no checkpoint, no sanity check"""
    from lightning.pytorch import Trainer

    trainer = Trainer(
        accelerator=job.accelerator, devices=job.devices, precision=job.precision, max_epochs=1, barebones=True
    )
    trainer.fit(job.workload.lightning(), job.stream(job.workload.batches))
    job.note(trainer_features(trainer))


@register("trainer", preload=("torch", "lightning"))
def trainer(job: Job) -> None:
    """Trainer: its defaults, with logger, progress bar, checkpoint and sanity check as they come"""
    from lightning.pytorch import Trainer

    trainer = Trainer(accelerator=job.accelerator, devices=job.devices, precision=job.precision, max_epochs=1)
    trainer.fit(job.workload.lightning(), job.stream(job.workload.batches), job.workload.validation)
    job.note(trainer_features(trainer))


def trainer_features(trainer: Trainer) -> dict[str, str]:
    """What this Trainer really had switched on, by class name."""
    lazy = type(trainer.precision_plugin).__name__ == "XLAPrecision"
    return {
        **({"graph_cut": "xm.mark_step(), by Trainer's XLAPrecision, after optimizer.step(closure)"} if lazy else {}),
        "logger": type(trainer.logger).__name__ if trainer.logger else "none",
        "progress_bar": type(trainer.progress_bar_callback).__name__ if trainer.progress_bar_callback else "none",
        "checkpoint": type(trainer.checkpoint_callback).__name__ if trainer.checkpoint_callback else "none",
        "sanity_steps": str(trainer.num_sanity_val_steps),
    }


if TYPE_CHECKING:
    from lightning.pytorch import Trainer
