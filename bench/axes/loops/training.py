"""One training step of a workload, whatever loop takes it: several optimizers, schedules, a step of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch

    from bench.axes.loops.job import Job
    from bench.axes.loops.workload import Workload


@dataclass
class TrainingStep:
    """What a workload's own `step(training, batch)` gets; the same in every loop.

    Attributes:
        model: the model as the loop has wrapped it; call it for the forward pass.
        module: the model as the workload made it, for its parts.
        optimizers: in the order in which the workload gave them; each has `step` and `zero_grad`.
        schedulers: of the learning rates; the loop steps them after each training step.
        backward: `backward(loss)`, instead of `loss.backward()`: loops scale, or hand the loss on.
        index: training steps before this one.
    """

    model: Any
    module: torch.nn.Module
    optimizers: Sequence[Any]
    schedulers: Sequence[Any]
    backward: Callable[[Any], None]
    index: int = 0

    @property
    def optimizer(self) -> Any:
        """The only optimizer, or the first."""
        return self.optimizers[0]


def need_sides(workload: Workload) -> None:
    """What loops other than Trainer's cannot do without.

    Raises:
        Unsupported: the workload has no side but its LightningModule.
    """
    missing = [name for name in ("model", "optimizer") if getattr(workload, name) is None]
    if workload.loss is None and workload.step is None:
        missing.append("loss")
    if missing:
        raise Unsupported(
            f"the workload gives no {', no '.join(missing)}: its LightningModule is its only side, and Trainer loops "
            "and by-hand alone can run it"
        )


def optimizers_of(workload: Workload, parameters: Iterator[torch.nn.Parameter]) -> list[torch.optim.Optimizer]:
    """The workload's optimizers, one or several.

    Raises:
        TypeError: what its `optimizer` gave is none.
    """
    given = workload.optimizer(parameters)
    several = list(given) if isinstance(given, list | tuple) else [given]
    for optimizer in several:
        if not callable(getattr(optimizer, "step", None)) or not callable(getattr(optimizer, "zero_grad", None)):
            raise TypeError(
                f"the workload's `optimizer` gave {type(optimizer).__name__}; allowed: an optimizer, or a list of them"
            )
    if not several:
        raise TypeError("the workload's `optimizer` gave an empty list; allowed: an optimizer, or a list of them")
    return several


def schedulers_of(workload: Workload, optimizers: Sequence[torch.optim.Optimizer]) -> list[Any]:
    """The schedulers of the learning rates, one an optimizer; none without `schedule`.

    Raises:
        TypeError: what `schedule` gave is none that can be stepped.
    """
    if workload.schedule is None:
        return []
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    found = [workload.schedule(optimizer) for optimizer in optimizers]
    for scheduler in found:
        if isinstance(scheduler, ReduceLROnPlateau):
            raise TypeError(
                "the workload's `schedule` gave ReduceLROnPlateau, which is told a metric at each step; allowed: a "
                "scheduler that is stepped without one; or a `step` of your own that tells it"
            )
        if not callable(getattr(scheduler, "step", None)):
            raise TypeError(f"the workload's `schedule` gave {type(scheduler).__name__}; allowed: a scheduler")
    return found


def is_tutorial(workload: Workload, optimizers: Sequence[Any], schedulers: Sequence[Any]) -> bool:
    """Whether the loop is the tutorials': one optimizer, no schedule, no step of the user's own."""
    return workload.step is None and len(optimizers) == 1 and not schedulers


def training_step(workload: Workload, training: TrainingStep, batch: Any) -> Any:
    """One step: the user's own, or loss, zero_grad, backward, update of every optimizer; then the schedules."""
    if workload.step is not None:
        result = workload.step(training, batch)
    else:
        result = workload.loss(training.model, batch)
        for optimizer in training.optimizers:
            optimizer.zero_grad()
        training.backward(result)
        for optimizer in training.optimizers:
            optimizer.step()
    for scheduler in training.schedulers:
        scheduler.step()
    training.index += 1
    return result


def train_steps(
    job: Job,
    training: TrainingStep,
    stream: Iterable[Any],
    *,
    move: Callable[[Any], Any],
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    cut: Callable[[], object] | None = None,
) -> None:
    """Training steps over the stream.

    Args:
        stream: the batches, one a step.
        move: puts a batch on the device.
        context: around each step, as autocast.
        cut: ends a step, on a device that runs lazily, or of a scaled loss.
    """
    for batch in stream:
        with context():
            training_step(job.workload, training, move(batch))
        if cut is not None:
            cut()


class Scaling:
    """GradScaler's recipe for a step of several optimizers: each steps through the scaler, which is updated once after.

    An update between the steps of two would unscale the second's gradients by another scale than they have.
    """

    def __init__(self, scaler: torch.amp.GradScaler) -> None:
        self.scaler = scaler
        self.stepped = False

    def backward(self, loss: torch.Tensor) -> None:
        """The backward pass of the loss, scaled."""
        self.scaler.scale(loss).backward()

    def scaled(self, optimizer: torch.optim.Optimizer) -> ScaledOptimizer:
        """The optimizer, with steps that go through the scaler."""
        return ScaledOptimizer(optimizer, self)

    def update(self) -> None:
        """At the end of a training step; not where it only accumulated, which a scaler would refuse."""
        if self.stepped:
            self.scaler.update()
        self.stepped = False


class ScaledOptimizer:
    """An optimizer whose steps go through a scaler; all else is the optimizer's own."""

    def __init__(self, optimizer: torch.optim.Optimizer, scaling: Scaling) -> None:
        self._optimizer = optimizer
        self._scaling = scaling

    def step(self) -> Any:
        """A step if no gradient is infinite."""
        self._scaling.stepped = True
        return self._scaling.scaler.step(self._optimizer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)
