"""What a LightningModule that is driven by hand finds as its `self.trainer`.

It has facts of the loop, and what the module's own methods ask of a Trainer; all else is refused by name. Lightning is
imported when called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.axes.precision import PRECISIONS
from bench.errors import Unsupported

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule
    from lightning.pytorch.plugins.precision import Precision

    from bench.axes.loops.job import Job

Hook = Callable[..., Any]


class ByHandTrainer:
    """A stand-in for a Trainer that takes no part in the training: the loop does, and keeps the counters here.

    Its attributes have Lightning's names, and the values of a barebones Trainer.

    Args:
        job: the loop's.
        module: that is driven.
        batches: in an epoch of the loop.
    """

    def __init__(self, job: Job, module: LightningModule, batches: int) -> None:
        from lightning.pytorch.profilers import PassThroughProfiler

        self.lightning_module = module
        self.callbacks = list(job.callbacks)
        self.profiler = PassThroughProfiler()
        self.precision_plugin = precision_plugin(job)
        self.strategy = ByHandStrategy(self, job.device)
        self.optimizers: list[Any] = []
        self.lr_scheduler_configs: list[Any] = []
        self.current_epoch = self.global_step = 0
        self.num_training_batches, self.is_last_batch = batches, False
        self.max_epochs, self.max_steps = -1 if job.real_epochs else 1, -1
        self.estimated_stepping_batches = float("inf") if job.real_epochs else batches
        self.world_size = self.num_devices = self.num_nodes = self.accumulate_grad_batches = 1
        self.global_rank = self.local_rank = self.node_rank = 0
        self.is_global_zero = self.barebones = self.training = True
        self.validating = self.testing = self.predicting = self.evaluating = self.sanity_checking = False
        self.fast_dev_run = False
        self.log_every_n_steps = 0
        self.logger = self.progress_bar_callback = None
        self.loggers: list[Any] = []
        self.gradient_clip_val = self.gradient_clip_algorithm = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(
            f"the module asks for self.trainer.{name}, which a Trainer has and the loop 'by-hand' has not"
        )

    def hooks(self, name: str) -> tuple[Hook, ...]:
        """What is to be called for this hook, the callbacks' before the module's as in a Trainer; what does nothing is
        left out, as whoever writes a loop by hand leaves it out."""
        from lightning.pytorch import Callback
        from lightning.pytorch.utilities.model_helpers import is_overridden

        module = self.lightning_module
        theirs = [one for one in self.callbacks if getattr(type(one), name, None) is not getattr(Callback, name, None)]
        own = [getattr(module, name)] if is_overridden(name, module) else []
        return (*(partial(getattr(one, name), self, module) for one in theirs), *own)


class ByHandStrategy:
    """What the methods of a LightningModule and of its optimizers ask of a Trainer's strategy, on one device.

    Args:
        trainer: whose strategy it is.
        device: where the module is.
    """

    def __init__(self, trainer: ByHandTrainer, device: torch.device) -> None:
        self._trainer = trainer
        self.root_device = device
        self.lightning_module = trainer.lightning_module
        self.precision_plugin = trainer.precision_plugin
        self.is_global_zero, self.world_size = True, 1
        self._lightning_optimizers: list[Any] = []  # the name by which a module's `optimizers` finds them
        self._before_backward: Sequence[Hook] = ()
        self._after_backward: Sequence[Hook] = ()
        self._before_step: Sequence[Hook] = ()
        self._clip: Sequence[Hook] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(
            f"the module asks for self.trainer.strategy.{name}, which a Trainer has and the loop 'by-hand' has not"
        )

    def set_up(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Begin with these optimizers; from now on the module's hooks are called."""
        from lightning.pytorch.core.optimizer import LightningOptimizer

        hooks = self._trainer.hooks
        several: Any = self  # LightningOptimizer is typed for a real strategy, and asks it what stands here
        self._lightning_optimizers = [LightningOptimizer._to_lightning_optimizer(one, several) for one in optimizers]
        self._before_backward, self._after_backward = hooks("on_before_backward"), hooks("on_after_backward")
        self._before_step = hooks("on_before_optimizer_step")
        self._clip = hooks("configure_gradient_clipping") if self.lightning_module.automatic_optimization else ()

    def backward(self, loss: torch.Tensor, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """The backward pass with the hooks around it."""
        for hook in self._before_backward:
            hook(loss)
        self.lightning_module.backward(loss, *args, **kwargs)
        for hook in self._after_backward:
            hook()

    def optimizer_step(self, optimizer: Any, closure: Callable[[], Any], **kwargs: Any) -> Any:
        """The optimizer's own step; hooks and clipping come after the closure and before the update."""
        if self._before_step or self._clip:
            closure = partial(self._closed, optimizer, closure)
        result = optimizer.step(closure=closure, **kwargs)
        if not self.lightning_module.automatic_optimization:
            self._trainer.global_step += 1
        return result

    def _closed(self, optimizer: Any, closure: Callable[[], Any]) -> Any:
        result = closure()
        for hook in self._before_step:
            hook(optimizer)
        for clip in self._clip:
            clip(optimizer, gradient_clip_val=None, gradient_clip_algorithm=None)
        return result

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Nobody to wait for."""

    def broadcast(self, value: Any, src: int = 0) -> Any:
        """The value, on the only rank."""
        return value

    def reduce(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """The value, on the only rank."""
        return value

    def all_gather(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """The value, on the only rank."""
        return value


def precision_plugin(job: Job) -> Precision:
    """Lightning's own, for this precision.

    Raises:
        Unsupported: it scales the loss, which Trainer does within the optimizer's step.
    """
    from lightning.pytorch.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision

    precision = PRECISIONS[job.precision]
    if precision.scaled:
        raise Unsupported(f"precision {job.precision} scales the loss, which the loop 'by-hand' leaves to a Trainer")
    if precision.autocast:
        return MixedPrecision(job.precision, job.device.type)
    if precision.weights in ("bfloat16", "float16"):
        return HalfPrecision(job.precision)
    return DoublePrecision() if precision.weights == "float64" else Precision()
