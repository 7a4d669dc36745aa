"""Floating-point operations of a step, the rate at which they are done, and the share of what this machine can do.

One step is counted, early and uncompiled (`bench.callbacks.flop_counter` says why); all others run as they always do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from time import perf_counter
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from bench.axes.accelerators.base import Accelerator
from bench.callbacks.callback_list import accelerator_of
from bench.callbacks.flop_counter import Formula, OperationCount
from bench.errors import SpecError
from bench.machine.calibration import Calibration, find_calibration, fingerprint, refusal
from bench.results.record import Metric

OTHER_SHAPES = 0.1  # share of steps with other shapes than the counted one, from which on there is no rate
FEW = 3  # steps with other shapes that are no reason yet, however few steps there were


class FLOPs(Callback):
    """Operations of one step, operations a second over the steps after it, and the share of the measured ceiling.

    Counted are matrix products, convolutions and attention, a multiplication and an addition as two, in forward,
    backward and update; element-wise arithmetic is not. What is computed twice (activation checkpoints) counts twice.
    The step after `warmup` is counted, uncompiled; it is slow, and not in the rate (with no warm-up, nor is the step
    after it, which may be the first to be compiled). The rate's clock runs from step to step, stands still during
    validation and between epochs, and waits for the device only where it starts and stops. Steps whose batch has other
    shapes than the counted one's are left out, with a wait before and after them.

    Args:
        warmup: steps before the counted one, 0 or more.
        formulas: operations of operators that torch has no formula for, by `torch.ops.NAMESPACE.NAME`: a function of
            the shapes of its arguments. As for `FlopCounterMode(custom_mapping=...)`.
        calibration: the ceilings; by default those that `bench env --calibrate` kept for this environment.

    Raises:
        SpecError: `warmup` is below 0.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric("flops_per_step", "FLOP", "lower", "products, convolutions, attention of one step, this rank"),
        Metric("flop_rate", "FLOP/s", "higher", "the same over the time of the steps after it, this rank"),
        Metric("ceiling_share", "1", "higher", "time that the step needs at the measured ceilings over its time"),
    )

    def __init__(
        self,
        warmup: int = 1,
        *,
        formulas: Mapping[Any, Formula] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if warmup < 0:
            raise SpecError(f"FLOPs: warmup is {warmup!r}; allowed: 0 or more steps")
        self.warmup = warmup
        self._formulas = dict(formulas or {})
        self._given = calibration
        self._open: OperationCount | None = None
        self._begin()

    def _begin(self) -> None:
        self._device: Accelerator | None = None
        self._calibration: Calibration | None = None
        self._why = ""  # there is no calibration
        self._seen = 0
        self._kinds: dict[str, int] | None = None  # of the counted step
        self._unknown: tuple[str, ...] = ()
        self._shapes: object = None
        self._other = False  # whether this batch has other shapes
        self._odd = 0
        self._steps, self._seconds = 0, 0.0  # of closed spans
        self._span, self._since, self._last = 0, 0.0, 0.0
        self._running = False

    @property
    def by_arithmetic(self) -> dict[str, int]:
        """Operations of the counted step by what they were computed in (`float32`, `tf32`, `bfloat16`, ...)."""
        return dict(self._kinds or {})

    @property
    def metrics(self) -> dict[str, float]:
        """Values by name, those of `METRICS` that are known; `notes` has the reasons for the others."""
        flops = sum(self.by_arithmetic.values())
        if not flops or self._unknown:
            return {}
        values = {"flops_per_step": float(flops)}
        if self._steps and self._seconds > 0 and not self._many_shapes():
            values["flop_rate"] = flops * self._steps / self._seconds
            best = self._best_seconds()
            if best is not None:
                values["ceiling_share"] = best * self._steps / self._seconds
        return values

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps values away, and what was left out of them."""
        if self._kinds is None:
            return (f"no step was counted: {self._seen} steps were seen, and the one after {self.warmup} is counted",)
        if self._unknown:
            names = ", ".join(self._unknown)
            return (f"not counted: there is no formula for {names}; give one with FLOPs(formulas=...)",)
        if not self._kinds:
            return ("no matrix product, convolution or attention was seen in the counted step",)
        notes = []
        if self._many_shapes():
            notes.append(f"no rate: {self._odd} of {self._seen} batches had other shapes than the counted one")
        elif self._odd:
            notes.append(f"{self._odd} of {self._seen} steps had batches of other shapes and are not in the rate")
        if self._why:
            notes.append(f"no share of a ceiling: {self._why}")
        elif self._calibration is not None:
            notes += [
                f"no share of a ceiling: matmul_{kind}: {ceiling.reason or 'it has no figure'}"
                for kind in self._kinds
                if not (ceiling := self._calibration.ceiling(f"matmul_{kind}")).settled
            ]
        if self.metrics.get("ceiling_share", 0.0) > 1:
            notes.append("more than the ceiling: it was measured when this machine could do less; calibrate again")
        return tuple(notes)

    def _best_seconds(self) -> float | None:
        """How long the counted step would take at the ceilings, all other work for nothing; None if one is missing."""
        if self._calibration is None:
            return None
        seconds = 0.0
        for kind, flops in self.by_arithmetic.items():
            ceiling = self._calibration.ceiling(f"matmul_{kind}")
            if ceiling.value is None or not ceiling.settled:
                return None
            seconds += flops / ceiling.value
        return seconds

    def _many_shapes(self) -> bool:
        return self._odd > max(FEW, OTHER_SHAPES * self._seen)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()
        self._begin()
        self._device = accelerator_of(pl_module)
        here = fingerprint(self._device.name, self._device.describe(), torch.get_num_threads())
        if self._given is None:
            self._calibration, self._why = find_calibration(here)
        else:
            self._why = refusal(self._given, here)
            self._calibration = None if self._why else self._given

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._kinds is None:
            if self._seen >= self.warmup:
                self._close()
                self._open = OperationCount(self._formulas)
            return
        self._other = shapes(batch) != self._shapes
        if self._running and self._other:
            self._stop()
        # Where the very first step was counted, the next one is the first to be compiled.
        elif not self._running and not self._other and self._seen > 1 and not self._many_shapes():
            self._since = self._last = self._now()
            self._running = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._seen += 1
        if self._open is not None:
            self._kinds, self._unknown = self._open.flops, self._open.unknown
            self._shapes = shapes(batch)
            self._close()
        elif self._running:
            self._span += 1
            self._last = perf_counter()
        elif self._kinds is not None and self._other:
            self._odd += 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()
        self._running, self._span = False, 0  # the device may be beyond answering: the open span is given up

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _now(self) -> float:
        if self._device is not None and self._device.asynchronous:
            self._device.synchronize()
        return perf_counter()

    def _pause(self) -> None:
        self._close()  # a step that was skipped after it had begun has no end
        if self._running:
            self._stop()

    def _stop(self) -> None:
        # Where the host does the work, it was done at the end of the last step; what came after it is not counted.
        assert self._device is not None
        self._seconds += max(0.0, (self._now() if self._device.asynchronous else self._last) - self._since)
        self._steps += self._span
        self._running, self._span = False, 0


def shapes(batch: Any) -> object:
    """The shapes of all tensors of a batch, as something that can be compared; what it cannot look into is left out."""
    if isinstance(batch, torch.Tensor):
        return tuple(batch.shape)
    if isinstance(batch, Mapping):
        return tuple((key, shapes(part)) for key, part in batch.items())
    if isinstance(batch, list | tuple):
        return tuple(shapes(part) for part in batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return tuple(shapes(getattr(batch, field.name)) for field in fields(batch))
    return None
