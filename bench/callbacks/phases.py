"""Where a step's time goes: data, transfer, forward, backward, optimizer, and the rest.

A step is cut by marks into consecutive pieces, each of which belongs to one phase, so that nothing is counted twice and
the phases add up to the step. Nothing waits for the device: on CUDA a mark is an event in the current stream, read when
the device has passed it; elsewhere it is the host's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast, get_args

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import Profiler

from bench.callbacks.callback_list import FETCH, TRANSFER
from bench.errors import SpecError
from bench.results.record import Metric

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle

Phase = Literal["data", "transfer", "forward", "backward", "optimizer", "rest"]
PHASES: tuple[Phase, ...] = get_args(Phase)
WHOLE = "phase_step"  # the metric that they add up to


class Mark(Protocol):
    """A point in time, perhaps one that the device has not reached yet."""

    def reached(self) -> bool:
        """Whether it can be read without waiting."""
        ...

    def since(self, earlier: Mark) -> float:
        """Seconds from an earlier mark of the same kind; both have been reached."""
        ...

    def wait(self) -> None:
        """Until it is reached."""
        ...


class HostMark:
    """Now, by the host's clock."""

    __slots__ = ("ns",)

    def __init__(self) -> None:
        self.ns = perf_counter_ns()

    def reached(self) -> bool:
        return True

    def since(self, earlier: Mark) -> float:
        assert isinstance(earlier, HostMark)
        return (self.ns - earlier.ns) / 1e9

    def wait(self) -> None:
        pass


class CUDAMark:
    """An event in the current stream. Resolution about 0.5 µs (torch.cuda.Event.elapsed_time)."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        import torch

        self._event = torch.cuda.Event(enable_timing=True)
        self._event.record()

    def reached(self) -> bool:
        return bool(self._event.query())

    def since(self, earlier: Mark) -> float:
        assert isinstance(earlier, CUDAMark)
        return float(earlier._event.elapsed_time(self._event)) / 1e3  # milliseconds

    def wait(self) -> None:
        self._event.synchronize()


class HasProfiler(Protocol):
    """What lightning 2.6.6 sets on every Trainer, and declares nowhere (pytorch/trainer/setup.py:149)."""

    profiler: Profiler


def mark_for(device_type: str) -> Callable[[], Mark]:
    """How to mark a point in time on that type of device."""
    return CUDAMark if device_type == "cuda" else HostMark


def _part(phase: Phase, description: str) -> Metric:
    return Metric(f"phase_{phase}", "s", "lower", description, part_of=WHOLE)


@dataclass(frozen=True)
class PhaseTimes:
    """Seconds of one step, from the pull of its batch to the pull of the next, or to validation or the epoch's end.

    Where the module pulls batches by itself (`training_step(self, dataloader_iter)`) from one `on_train_batch_start` to
    the next.

    Attributes:
        seconds: the whole step, by its first and last mark.
        data: inside the loader's `next`.
        transfer: moving the batch to the device, with the module's transfer hooks.
        forward: from `on_train_batch_start` to `on_before_zero_grad` or `on_before_backward`, the loss included.
        backward: from `on_before_backward` to `on_after_backward`, with DDP's all-reduce.
        optimizer: from `on_before_optimizer_step` to the end of the update, clipping included; 0 while accumulating.
        rest: seconds less all others: zeroing gradients, schedulers, logging, other callbacks, the loop itself.
    """

    seconds: float
    data: float
    transfer: float
    forward: float
    backward: float
    optimizer: float
    rest: float


@dataclass
class _Open:
    """A step whose marks are being set: the phase that begins at each."""

    marks: list[tuple[Phase, Mark]]
    trained: bool = False


@dataclass
class _Sums:
    """Seconds over all steps that count."""

    steps: int = 0
    seconds: float = 0.0
    phases: dict[Phase, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))


class Phases(Callback):
    """Mean seconds per step of each phase, the first `warmup` steps left out.

    From `on_train_start` to `on_train_end` it stands in front of the Trainer's profiler, the only place that is told of
    the fetch and of the transfer, and passes every action on. `Trainer(barebones=True)` permits that.

    Args:
        warmup: steps at the start of training that are not counted, 0 or more.
        keep: how many of the latest steps `steps` holds, 0 or more; the means are over all.

    Raises:
        SpecError: `warmup` or `keep` is negative.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        _part("data", "a step's time inside the loader's next"),
        _part("transfer", "a step's time moving the batch to the device"),
        _part("forward", "a step's forward pass and loss"),
        _part("backward", "a step's backward pass, gradient reduction included"),
        _part("optimizer", "a step's clipping and update, averaged over steps that have none too"),
        _part("rest", "a step's time in no other phase"),
        Metric(WHOLE, "s", "lower", "the whole step, of which the phases are parts; seen with this callback on"),
    )

    def __init__(self, warmup: int = 1, *, keep: int = 10_000) -> None:
        mistakes = [
            f"Phases: {name} is {value!r}; allowed: 0 or more steps"
            for name, value in (("warmup", warmup), ("keep", keep))
            if value < 0
        ]
        if mistakes:
            raise SpecError(mistakes)
        self.warmup = warmup
        self._steps: deque[PhaseTimes] = deque(maxlen=keep)
        self._listener: Listener | None = None
        self._handles: list[RemovableHandle] = []
        self._mark: Callable[[], Mark] = HostMark
        self._begin()

    def _begin(self) -> None:
        self._open: _Open | None = None
        self._pending: deque[tuple[_Open, Mark]] = deque()
        self._steps.clear()
        self._skipped = 0
        self._sums = _Sums()

    @property
    def steps(self) -> tuple[PhaseTimes, ...]:
        """The latest counted steps in order of time, as far as the device has finished them."""
        return tuple(self._steps)

    @property
    def metrics(self) -> dict[str, float]:
        """Mean seconds per step by name; empty until a step after the warm-up is finished."""
        sums = self._sums
        if not sums.steps:
            return {}
        means = {f"phase_{phase}": seconds / sums.steps for phase, seconds in sums.phases.items()}
        return {**means, WHOLE: sums.seconds / sums.steps}

    @property
    def shares(self) -> dict[str, float]:
        """Each phase's share of the step, 0 to 1; empty until a step after the warm-up is finished."""
        sums = self._sums
        return {phase: seconds / sums.seconds for phase, seconds in sums.phases.items()} if sums.steps else {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        profiled = cast(HasProfiler, trainer)
        if isinstance(profiled.profiler, Listener):
            raise SpecError("Phases: another Phases is at work in this Trainer; one is allowed")
        self._begin()
        self._mark = mark_for(pl_module.device.type)
        self._listener = Listener(profiled.profiler, self)
        profiled.profiler = self._listener
        # The hook of an optimizer runs after its update; its pre-hook would run before the closure, and with it before
        # forward and backward (lightning 2.6.6, plugins/precision/precision.py: closure first, then the update).
        self._handles = [optimizer.register_step_post_hook(self._updated) for optimizer in trainer.optimizers]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._open is None or self._open.trained:
            self._begin_step("forward")  # nothing was fetched before it: a training_step that takes the iterator
        else:
            self._enter("forward")

    def on_before_zero_grad(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._enter("rest")

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: torch.Tensor) -> None:
        self._enter("backward")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._enter("rest")

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._enter("optimizer")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._enter("rest")  # ends `optimizer` too where a gradient scaler has skipped the update
        if self._open is not None:
            self._open.trained = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_step()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_step()
        self._let_go(trainer)
        if self._pending:
            self._pending[-1][1].wait()
        self._resolve()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # The device may be beyond answering, so steps that it has not finished are given up.
        self._open = None
        self._let_go(trainer)
        self._pending.clear()

    def fetching(self) -> Phase:
        """The loop pulls a batch; a step ends and the next begins. Returns the phase to go back to."""
        if self._open is None or self._open.trained:
            self._begin_step("data")
            return "rest"
        return self.enter("data")

    def enter(self, phase: Phase) -> Phase:
        """Begin a phase within the step. Returns the phase that it interrupts."""
        before: Phase = self._open.marks[-1][0] if self._open is not None else "rest"
        self._enter(phase)
        return before

    def _enter(self, phase: Phase) -> None:
        if self._open is not None:
            self._open.marks.append((phase, self._mark()))

    def _updated(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._open is not None and self._open.marks[-1][0] == "optimizer":
            self._enter("rest")

    def _begin_step(self, phase: Phase) -> None:
        mark = self._mark()
        self._end_step(mark)
        self._open = _Open([(phase, mark)])

    def _end_step(self, mark: Mark | None = None) -> None:
        if self._open is None:
            return
        if self._open.trained:  # else no batch came, or the module skipped the rest of the epoch
            self._pending.append((self._open, mark or self._mark()))
            self._resolve()
        self._open = None

    def _resolve(self) -> None:
        """Count the steps that the device has finished, without waiting for one."""
        while self._pending and self._pending[0][1].reached():
            opened, end = self._pending.popleft()
            if self._skipped < self.warmup:
                self._skipped += 1
                continue
            step = times_between(opened.marks, end)
            self._steps.append(step)
            self._sums.steps += 1
            self._sums.seconds += step.seconds
            for phase in PHASES:
                self._sums.phases[phase] += getattr(step, phase)

    def _let_go(self, trainer: Trainer) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        profiled = cast(HasProfiler, trainer)
        if self._listener is not None and profiled.profiler is self._listener:
            profiled.profiler = self._listener.inner
        self._listener = None


def times_between(marks: list[tuple[Phase, Mark]], end: Mark) -> PhaseTimes:
    """The step that begins at the first mark and ends at `end`.

    Raises:
        RuntimeError: the named phases are longer than the step, by more than a clock's noise (10 µs and 1 %).
    """
    seconds = end.since(marks[0][1])
    spent: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
    for (phase, begin), (_, until) in pairwise([*marks, ("rest", end)]):
        spent[phase] += until.since(begin)
    named = sum(spent[phase] for phase in PHASES if phase != "rest")
    rest = seconds - named
    if rest < -(1e-5 + 0.01 * seconds):
        raise RuntimeError(f"the phases of a step take {named:.6f} s and the step {seconds:.6f} s: {spent}")
    return PhaseTimes(
        seconds=seconds,
        data=spent["data"],
        transfer=spent["transfer"],
        forward=spent["forward"],
        backward=spent["backward"],
        optimizer=spent["optimizer"],
        rest=rest,
    )


class Listener(Profiler):
    """Stands in front of a profiler: hears of the fetch and of the transfer, passes everything on.

    Args:
        inner: the Trainer's own.
        phases: is told.
    """

    def __init__(self, inner: Profiler, phases: Phases) -> None:
        super().__init__(dirpath=inner.dirpath, filename=inner.filename)
        self.inner = inner
        self._local_rank = inner._local_rank
        self._stage = inner._stage
        self._phases = phases
        self._before: dict[str, Phase] = {}  # by action, since one may lie within the other

    def start(self, action_name: str) -> None:
        self.inner.start(action_name)
        if action_name.endswith(FETCH):
            self._before[action_name] = self._phases.fetching()
        elif action_name.endswith(TRANSFER):
            self._before[action_name] = self._phases.enter("transfer")

    def stop(self, action_name: str) -> None:
        # One that began before this listener did is not known here.
        if action_name in self._before:
            self._phases.enter(self._before.pop(action_name))
        self.inner.stop(action_name)

    def summary(self) -> str:
        return self.inner.summary()

    def describe(self) -> None:
        self.inner.describe()
