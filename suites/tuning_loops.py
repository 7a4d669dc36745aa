"""Trainers that look for a setting before they train: with Lightning's Tuner, or over a grid. No torch at the top.

Each tells what it found as `found_learning_rate` or `found_batch_size`. A search sees the batches of the training, over
a loader of its own, and begins and ends with the weights that the training begins with.
"""

from __future__ import annotations

import copy
import math
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning.pytorch import LightningModule
    from torch.utils.data import DataLoader

# Half-decades around Adam's usual 1e-3. Each is tried for one epoch.
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
# Each is tried for so many steps after some that warm up; the one of most samples a second is taken.
SIZES = (16, 32, 64, 128, 256, 512)
TIMED_STEPS, FIRST_STEPS = 10, 3


def lr_find(job: Job) -> None:
    """Trainer after Tuner.lr_find, with the learning rate that it suggests"""
    from lightning.pytorch.tuner.tuning import Tuner

    trainer, module = _trainer(job), _module(job)
    found = Tuner(trainer).lr_find(module, _own_loader(job), update_attr=True)
    suggested = None if found is None else found.suggestion()
    job.note({"found_learning_rate": float(suggested) if suggested else "none"})
    _fit(job, trainer, module, job.workload.batches)


def lr_grid(job: Job) -> None:
    """Trainer after one epoch at each of six learning rates, with that of the least validation loss"""
    module = _module(job)
    losses = {rate: _loss_after_an_epoch(job, module, rate) for rate in RATES}
    best = min(losses, key=lambda rate: losses[rate] if math.isfinite(losses[rate]) else math.inf)
    vars(module)["learning_rate"] = best
    job.note({"found_learning_rate": best})
    _fit(job, _trainer(job), module, job.workload.batches)


def batch_size_finder(job: Job) -> None:
    """Trainer after Tuner.scale_batch_size, with the largest batch size that runs"""
    from lightning.pytorch import LightningDataModule
    from lightning.pytorch.tuner.tuning import Tuner

    class Batches(LightningDataModule):
        """The training batches, of a size that the Tuner may set."""

        def __init__(self) -> None:
            super().__init__()
            self.batch_size = 2

        def train_dataloader(self) -> DataLoader[Any]:
            return _own_loader(job, self.batch_size)

        def val_dataloader(self) -> Any:
            return job.workload.validation

    trainer, module = _trainer(job), _module(job)
    found = Tuner(trainer).scale_batch_size(module, datamodule=Batches(), mode="power")
    # As many as there are samples run on a CPU: nothing runs out of memory there.
    size = min(int(found or _batch_size(job)), len(_digits(job)))
    job.note({"found_batch_size": size})
    _fit(job, _trainer(job), module, _own_loader(job, size))


def batch_size_grid(job: Job) -> None:
    """Trainer after some steps at each of six batch sizes, with that of the most samples a second"""
    module = _module(job)
    enough = [size for size in SIZES if size * (FIRST_STEPS + 2) <= len(_digits(job))]
    throughput = {size: _samples_a_second(job, module, size) for size in enough or SIZES[:1]}
    best = max(throughput, key=lambda size: throughput[size])
    job.note({"found_batch_size": best})
    _fit(job, _trainer(job), module, _own_loader(job, best))


def _trainer(job: Job) -> Any:
    from bench.axes.loops.trainer import make_trainer

    return make_trainer(job)


def _module(job: Job) -> LightningModule:
    from bench.axes.loops.workload_module import module_of

    return module_of(job.workload)


def _digits(job: Job) -> Any:
    return vars(job.workload.batches)["dataset"]


def _batch_size(job: Job) -> int:
    return int(vars(job.workload.batches)["batch_size"])


def _own_loader(job: Job, size: int | None = None) -> DataLoader[Any]:
    """A loader as that of the training, with its own order, so that the training's is not drawn from."""
    import torch

    from .digits import make_loader

    return make_loader(_digits(job), size or _batch_size(job), torch.initial_seed(), train=True)


def _fit(job: Job, trainer: Any, module: LightningModule, loader: Any) -> None:
    from bench.axes.loops.epoch import epochs_of_trainer, trainers_validation
    from bench.axes.loops.trainer import trainer_features
    from bench.axes.loops.trainer_share import own_share

    epochs_of_trainer(job, trainer)
    trainer.fit(job.compiled(module), job.stream(own_share(trainer, loader)), trainers_validation(job))
    job.note(trainer_features(trainer))


def _quick_trainer(job: Job, **more: Any) -> Any:
    """A Trainer for a trial: no logger, no bar, no checkpoint."""
    from lightning.pytorch import Trainer

    quiet = {name: False for name in ("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary")}
    return Trainer(accelerator=job.accelerator, devices=1, precision=job.precision, **{**quiet, **more})


def _loss_after_an_epoch(job: Job, module: LightningModule, rate: float) -> float:
    """The validation loss of a copy that trained for an epoch at this rate."""
    import torch

    trial = copy.deepcopy(module)
    vars(trial)["learning_rate"] = rate
    _quick_trainer(job, max_epochs=1, num_sanity_val_steps=0).fit(trial, _own_loader(job))
    total = samples = 0.0
    trial.eval()
    with torch.no_grad():
        for images, _ in job.workload.validation or ():
            total += len(images) * float(torch.nn.functional.mse_loss(trial(images), images))
            samples += len(images)
    return total / samples if samples else math.inf


class Marks:
    """Batches, with the time of each pull."""

    def __init__(self, batches: DataLoader[Any]) -> None:
        self._batches = batches
        self.times: list[float] = []

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            self.times.append(perf_counter())
            yield batch

    def __len__(self) -> int:
        return len(self._batches)


def _samples_a_second(job: Job, module: LightningModule, size: int) -> float:
    """How fast a copy trains on batches of this size, after its first steps."""
    batches = Marks(_own_loader(job, size))
    trial = _quick_trainer(job, max_steps=FIRST_STEPS + TIMED_STEPS, max_epochs=1, limit_val_batches=0)
    trial.fit(copy.deepcopy(module), batches)
    timed = batches.times[FIRST_STEPS:]
    return size * (len(timed) - 1) / (timed[-1] - timed[0]) if len(timed) > 1 else 0.0
