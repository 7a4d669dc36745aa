"""Lightning Trainer: as lean as it comes, and with the defaults that a user gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.epoch import epochs_of_trainer, trainers_validation
from bench.axes.loops.trainer_share import own_share
from bench.axes.loops.workload_module import module_of
from bench.axes.trainer_arguments import refusals_told
from bench.axes.trainer_sets import LOGGER_OF_STEPS, LOGGING_EACH_STEP, LOGGING_OF_MODULE, LOGGING_OFF

if TYPE_CHECKING:
    from bench.axes.loops.job import Job


@register("trainer-barebones", preload=("torch", "lightning"), trainer="barebones")
def trainer_barebones(job: Job) -> None:
    """Trainer(barebones=True): no logger, no progress bar, no checkpoint, no sanity check"""
    trainer = make_trainer(job, barebones=True)
    epochs_of_trainer(job, trainer)
    # Barebones leaves validation on; within an epoch that does not end there is none.
    validation = trainers_validation(job) if job.real_epochs else None
    model = job.compiled(module_of(job.workload))
    trainer.fit(model, job.stream(own_share(trainer, job.workload.batches)), validation)
    job.note(trainer_features(trainer))


@register("trainer", preload=("torch", "lightning"), trainer="full")
def trainer(job: Job) -> None:
    """Trainer: its defaults, with logger, progress bar, checkpoint and sanity check as they come"""
    trainer = make_trainer(job)
    epochs_of_trainer(job, trainer)
    model = job.compiled(module_of(job.workload))
    trainer.fit(model, job.stream(own_share(trainer, job.workload.batches)), trainers_validation(job))
    job.note(trainer_features(trainer))


def make_trainer(job: Job, **more: Any) -> Trainer:
    """A Trainer as the cell and its set of arguments ask for it."""
    from lightning.pytorch import Trainer

    own = settings(job)
    callbacks = [*own["callbacks"], *job.trainer.get("callbacks", ())]
    with refusals_told(job.trainer):
        return Trainer(**{**own, **job.trainer, "callbacks": callbacks, **more})


def settings(job: Job) -> dict[str, Any]:
    """What both Trainers are told. Lightning's name for one device without a strategy is `auto`."""
    return {
        "accelerator": job.accelerator,
        "devices": job.devices,
        "num_nodes": job.num_nodes,
        "strategy": "auto" if job.strategy == "single_device" else job.strategy,
        "precision": job.precision,
        "max_epochs": -1 if job.real_epochs else 1,
        "callbacks": list(job.callbacks),
    }


def trainer_features(trainer: Trainer) -> dict[str, Any]:
    """What this Trainer really had switched on, classes by name."""
    lazy = type(trainer.precision_plugin).__name__ == "XLAPrecision"
    profiler = type(vars(trainer)["profiler"]).__name__
    return {
        **({"graph_cut": "xm.mark_step(), by Trainer's XLAPrecision, after optimizer.step(closure)"} if lazy else {}),
        "logger": type(trainer.logger).__name__ if trainer.logger else "none",
        "progress_bar": type(trainer.progress_bar_callback).__name__ if trainer.progress_bar_callback else "none",
        "checkpoint": type(trainer.checkpoint_callback).__name__ if trainer.checkpoint_callback else "none",
        "sanity_steps": str(trainer.num_sanity_val_steps),
        "log_every_n_steps": vars(trainer)["log_every_n_steps"],
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "gradient_clip_val": "none" if trainer.gradient_clip_val is None else trainer.gradient_clip_val,
        "limit_val_batches": trainer.limit_val_batches,
        "logging": _logging(trainer),
        "trainer_profiler": "none" if profiler == "PassThroughProfiler" else profiler,
        "gradient_clip_algorithm": str(getattr(trainer.gradient_clip_algorithm, "value", "none")),
        "trainer_callbacks": ", ".join(type(callback).__name__ for callback in vars(trainer)["callbacks"]) or "none",
    }


def _logging(trainer: Trainer) -> str:
    if trainer.barebones:
        return LOGGING_OFF
    callbacks = [type(callback).__name__ for callback in vars(trainer)["callbacks"]]
    return LOGGING_EACH_STEP if LOGGER_OF_STEPS in callbacks else LOGGING_OF_MODULE


if TYPE_CHECKING:
    from lightning.pytorch import Trainer
