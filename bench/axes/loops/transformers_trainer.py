"""transformers.Trainer over a model and a loss of one's own. An extra: `pip install loopmark[loops]`."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.axes.loops import register
from bench.axes.loops.accelerate import precision_for_accelerate
from bench.axes.loops.training import need_sides, optimizers_of, schedulers_of
from bench.axes.precision import PRECISIONS
from bench.errors import Unsupported

if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments

    from bench.axes.loops.batches import Stream
    from bench.axes.loops.job import Job

MOST_EPOCHS = 10**6  # the stream ends before; Trainer multiplies it by the steps of one
SPARSE = "transformers.Trainer takes the norm of all gradients in each step, and torch has none of sparse ones"
BATCH = "batch"  # the key of all that a batch is: Trainer's batches are mappings


@register("transformers-trainer", preload=("torch", "accelerate", "transformers"))
def transformers_trainer(job: Job) -> None:
    """transformers.Trainer: its defaults, with progress bar, log and checkpoint as they come, and no clipping"""
    refuse_foreign_steps(job)
    with same_randomness():  # Trainer seeds all generators when it is made
        trainer = made_trainer(job)
    try:
        trainer.train()
    except NotImplementedError as error:
        if any(one.grad is not None and one.grad.is_sparse for one in job.workload.model.parameters()):
            raise Unsupported(SPARSE) from error
        raise
    job.note(
        {
            "progress_bar": "none" if trainer.args.disable_tqdm else "ProgressCallback",
            "logger": "none",
            "log_every_n_steps": int(trainer.args.logging_steps),
            "checkpoint": f"Trainer, by the {'epoch' if job.real_epochs else f'{int(trainer.args.save_steps)} steps'}",
            "gradient_clip_val": "none",
        }
    )


def refuse_foreign_steps(job: Job) -> None:
    """Refuse what this Trainer does not do.

    Raises:
        Unsupported: with a sentence.
    """
    workload = job.workload
    need_sides(workload)
    if workload.step is not None:
        raise Unsupported("transformers.Trainer zeroes, steps and clips itself; a workload's own `step` has no place")
    if job.device.type == "xla":
        raise Unsupported("the loop 'transformers-trainer' is written for the CPU, CUDA and MPS")
    if job.strategy == "fsdp":
        raise Unsupported("transformers.Trainer shards by settings of its own; allowed: single_device, ddp")


def made_trainer(job: Job) -> Trainer:
    """A Trainer whose loss is the workload's, and whose batches are the stream's."""
    from torch.utils.data import DataLoader
    from transformers import Trainer

    workload = job.workload
    own = workload.model.to(job.device, PRECISIONS[job.precision].dtype())
    optimizers = optimizers_of(workload, own.parameters())
    if len(optimizers) > 1:
        raise Unsupported("transformers.Trainer has one optimizer, and the workload gives several")
    schedulers = schedulers_of(workload, optimizers)
    cast = PRECISIONS[job.precision].weights != "float32"

    class WorkloadTrainer(Trainer):  # type: ignore[misc,unused-ignore]  # an extra, not there where types are checked
        """As transformers' documentation has it: what differs is overridden."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            batch = inputs[BATCH]
            loss = workload.loss(model, job.to_device(batch) if cast else batch)
            return (loss, {"loss": loss}) if return_outputs else loss

        def get_train_dataloader(self) -> Any:
            batches = workload.batches
            prepared = isinstance(batches, DataLoader) and not share_of_rank(batches)
            return NamedBatches(job.stream(self.accelerator.prepare(batches) if prepared else batches), self.passed)

        def passed(self) -> None:
            # Where there are no more batches, Trainer asks for the next one until its steps are all done.
            if job.ending.over or not job.real_epochs:
                self.control.should_training_stop = True
                self.args.eval_strategy = self.args.save_strategy = "no"  # nothing comes after the end

        def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
            return NamedBatches(workload.validation)

    return WorkloadTrainer(
        model=own,
        args=training_arguments(job),
        eval_dataset=workload.validation,
        optimizers=(optimizers[0], schedulers[0] if schedulers else None),
    )


def training_arguments(job: Job) -> TrainingArguments:
    """What a user writes; all else is as it comes.

    Clipping, which Trainer does by default, and a sampler of its own would make other weights and other batches than
    those of the loops that it is compared with. Of the checkpoints that it writes every 500 steps it keeps the last, as
    a run may have thousands.
    """
    from transformers import TrainingArguments

    mixed = precision_for_accelerate(job, "transformers.Trainer")
    validates = job.real_epochs and job.workload.validation is not None
    arguments = TrainingArguments(
        output_dir="trainer_output",
        num_train_epochs=MOST_EPOCHS if job.real_epochs else 1,
        max_grad_norm=0.0,
        lr_scheduler_type="constant",
        eval_strategy="epoch" if validates else "no",
        save_strategy="epoch" if job.real_epochs else "steps",
        save_total_limit=1,
        prediction_loss_only=True,
        label_names=[BATCH],
        report_to="none",
        accelerator_config={"use_seedable_sampler": False},
        use_cpu=job.device.type == "cpu",
        bf16=mixed == "bf16",
        fp16=mixed == "fp16",
        torch_compile=job.compile != "off",
        torch_compile_mode=None if job.compile == "off" else job.compile,
    )
    if job.devices * job.num_nodes == 1:
        arguments._n_gpu = min(arguments.n_gpu, 1)  # it would train on all that it sees, by nn.DataParallel
    return arguments


def share_of_rank(batches: Any) -> bool:
    """Whether a loader gives a rank its share already, which Accelerate would share out once more."""
    from torch.utils.data import DistributedSampler

    return isinstance(getattr(batches, "sampler", None), DistributedSampler)


class NamedBatches:
    """Batches under a name, as the mappings that Trainer takes.

    Args:
        passed: is called at the end of each pass.
    """

    def __init__(self, batches: Stream | Any, passed: Callable[[], None] = lambda: None) -> None:
        self._batches = batches
        self._passed = passed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._batches:
            yield {BATCH: batch}
        self._passed()

    def __len__(self) -> int:
        return len(self._batches)


@contextmanager
def same_randomness() -> Iterator[None]:
    """Leave the generators of torch, Python and numpy as they were, whatever is seeded within."""
    import torch

    numpy: Any = sys.modules.get("numpy")
    python, theirs = random.getstate(), None if numpy is None else numpy.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    if theirs is not None:
        numpy.random.set_state(theirs)
