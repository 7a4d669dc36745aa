"""The arm's half of an instrumented launch: its callbacks, driven from the places that every loop must pass.

A Trainer calls the hooks by itself; it gets a bridge to them. Other loops know nothing of callbacks and stay as they
are. For them the hooks are called from the outside, as `bench.arm.audit` watches them: around `next` of the loader (the
fetch; the pull of the next batch is the end of the step before), around the move of a batch to the device, when the
workload's loss is called (the forward pass), around `torch.autograd.backward`, and before `zero_grad` and the
optimizer's step. All of this is there only in an instrumented launch, and only while its instrumented steps last.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from bench.errors import SpecError
from bench.protocol import CallbackMetrics
from bench.results.record import Metric

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from bench.axes.loops.workload import Workload

STEP_METRIC = Metric(
    "instrumented_step_time", "s", "lower", "a step with callbacks on, pull to pull by the stream's clock"
)
# The phases are cut out of a step by marks of their own, in other places than the stream's: two clocks that must agree.
GAP = Metric(
    "phases_gap", "1", "lower", "share of instrumented_step_time by which the sum of phases misses it", limit=0.05
)
_Call = TypeVar("_Call", bound=Callable[..., Any] | None)

UNCOUNTED = 1  # instrumented steps at the beginning that no phase counts: a Trainer's first fetch has begun before them


class Instruments:
    """The callbacks of one instrumented launch. They hear of the beginning of the arm, then only of instrumented steps.

    Args:
        workload: whose model is trained.
        device: where.
        move: the class whose method `to_device` plain loops move their batches with.

    Raises:
        SpecError: an out-of-tree callback cannot be used.
    """

    def __init__(self, workload: Workload, device: torch.device, move: type) -> None:
        from bench.callbacks.callback_list import CallbackList
        from bench.callbacks.registry import instruments
        from bench.callbacks.trainer_bridge import TrainerBridge

        self._callbacks = instruments((STEP_METRIC, GAP))
        self._hooks = CallbackList(self._callbacks, workload.model, [], device=device)
        self._bridge = TrainerBridge(self._hooks)
        self._move = move
        self._places = ExitStack()
        self._open = False
        self._scaling = False  # within GradScaler.step, whose optimizer step is not announced a second time
        self._batch: Any = None  # handed out and not over yet
        self._begun = False  # whether its forward pass has begun
        self._index = 0
        self._outputs: torch.Tensor | None = None
        self._seconds: Sequence[float] = ()
        self.workload = replace(workload, loss=self._heard(workload.loss), step=self._heard(workload.step))

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """For a Trainer."""
        return (self._bridge,)

    @property
    def names(self) -> str:
        return ", ".join(type(callback).__name__ for callback in self._callbacks)

    def begin(self) -> None:
        """Before the loop: `on_fit_start`, from which memory counts, at the same place for all loops."""
        self._hooks.on_fit_start()
        # Optimizers are met in the warm-up, at their first step.
        self._places.callback(register_optimizer_step_post_hook(self._meet).remove)

    def start(self) -> None:
        """The instrumented steps begin: `on_train_start`."""
        self._places.close()
        self._open = self._bridge.open = True
        self._hooks.on_train_start()
        if not self._bridge.attached:
            self._listen(self._places)

    def stop(self, seconds: Sequence[float]) -> None:
        """They are over, and took these seconds each by the stream's clock: the ends of epoch and training."""
        self._over()
        self._open = self._bridge.open = False
        self._places.close()
        self._hooks.on_train_epoch_end()
        self._hooks.on_train_end()
        self._seconds = seconds

    def watch(self, loader: Iterable[Any]) -> InstrumentedLoader:
        """The loader, with its fetches heard."""
        return InstrumentedLoader(self, loader)

    def result(self) -> CallbackMetrics:
        """Metrics by name, and what they are.

        Raises:
            SpecError: a value is no finite number, or not declared.
        """
        from bench.callbacks.phases import WHOLE
        from bench.callbacks.registry import callback_values

        found: dict[Metric, float] = {}
        for callback in reversed(self._callbacks):  # Phases first: reports show metrics in this order
            for metric, value in callback_values(callback).items():
                if not math.isfinite(value):
                    raise SpecError(f"{type(callback).__name__}: {metric.name} is {value}; allowed: a finite number")
                found[metric] = value
        counted = self._seconds[UNCOUNTED:]
        if counted:
            step = statistics.fmean(counted)
            parts = [value for metric, value in found.items() if metric.part_of == WHOLE]
            found = {STEP_METRIC: step, **({GAP: abs(sum(parts) / step - 1)} if parts else {}), **found}
        return CallbackMetrics({metric.name: value for metric, value in found.items()}, tuple(found))

    def fetches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """One pass over the loader; the start of its iterator, and of its workers, is part of the first fetch."""
        iterator: Iterator[Any] | None = None
        while True:
            self._over()
            with self._hooks.fetch() if self._driven else nullcontext():
                try:
                    if iterator is None:
                        iterator = iter(loader)
                    batch = next(iterator)
                except StopIteration:
                    return
            if self._driven:
                self._batch, self._begun = batch, False
            yield batch

    @property
    def _driven(self) -> bool:
        """Whether these are instrumented steps, and nobody but us calls the hooks."""
        return self._open and not self._bridge.attached

    def _over(self) -> None:
        """The loop pulls again, so that it is done with the batch before."""
        if self._batch is not None:
            batch, self._batch = self._batch, None
            self._hooks.on_train_batch_end(self._outputs, batch, self._index)
            self._outputs = None
            self._index += 1

    def _meet(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not any(known is optimizer for known in self._hooks.optimizers):
            self._hooks.optimizers.append(optimizer)

    def _heard(self, call: _Call) -> _Call:
        """The workload's loss or step, which is heard; None stays None."""
        if call is None:
            return call

        # The call of the loss, and not a hook of the model: here what Fabric and DDP put around the model is inside,
        # as it is in Trainer's training_step, and no compiled region ever sees us.
        def heard(first: Any, batch: Any) -> Any:
            if not self._driven:
                return call(first, batch)
            if not self._begun:
                self._begun = True
                self._hooks.on_train_batch_start(batch, self._index)
            value = self._outputs = call(first, batch)
            return value

        return cast("_Call", heard)

    def _listen(self, stack: ExitStack) -> None:
        hooks = self._hooks

        @contextmanager
        def moving(*args: Any) -> Iterator[None]:
            with hooks.transfer():
                yield

        @contextmanager
        def zeroing(optimizer: torch.optim.Optimizer, *args: Any) -> Iterator[None]:
            hooks.on_before_zero_grad(optimizer)
            yield

        @contextmanager
        def backward(tensors: Any, *args: Any) -> Iterator[None]:
            hooks.on_before_backward(tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors)))
            yield
            hooks.on_after_backward()

        @contextmanager
        def scaled(scaler: Any, optimizer: torch.optim.Optimizer, *args: Any) -> Iterator[None]:
            hooks.on_before_optimizer_step(optimizer)  # unscaling and the search for infinities belong to the update
            self._scaling = True
            yield
            self._scaling = False

        def step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            if not self._scaling:
                hooks.on_before_optimizer_step(optimizer)

        stack.enter_context(around(self._move, "to_device", moving))
        fabric = sys.modules.get("lightning.fabric.wrappers")
        if fabric is not None:
            stack.enter_context(around(fabric, "move_data_to_device", moving))
        stack.enter_context(around(torch.optim.Optimizer, "zero_grad", zeroing))
        stack.enter_context(around(torch.autograd, "backward", backward))
        stack.enter_context(around(torch.amp.GradScaler, "step", scaled))
        stack.callback(register_optimizer_step_pre_hook(step).remove)


class InstrumentedLoader:
    """A loader whose fetches `Instruments` hear of; `sampler` is the loader's, which the stream tells each epoch."""

    def __init__(self, instruments: Instruments, loader: Iterable[Any]) -> None:
        self._instruments = instruments
        self._loader = loader
        self.sampler = getattr(loader, "sampler", None)

    def __iter__(self) -> Iterator[Any]:
        return self._instruments.fetches(self._loader)


@contextmanager
def around(owner: Any, name: str, context: Callable[..., AbstractContextManager[None]]) -> Iterator[None]:
    """Put a context around every call of a function by that name, those that it makes of itself left out.

    Args:
        owner: the class or module that the function is looked up in.
        context: gets the positional arguments of the call.
    """
    original = getattr(owner, name)
    within = False

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal within
        if within:
            return original(*args, **kwargs)
        within = True
        try:
            with context(*args):
                return original(*args, **kwargs)
        finally:
            within = False

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, original)
