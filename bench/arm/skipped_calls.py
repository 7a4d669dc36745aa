"""Calls that are made seldom, which is a remedy, or not at all, which bounds what any remedy can bring."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer

from bench.arm.call_sites import CallSites
from bench.arm.call_targets import Call, replace_calls
from bench.arm.import_hooks import put_in_place, when_imported
from bench.errors import SpecError, one_of

SKIPPED = ("log", "logger", "bar", "print", "checkpoint", "item", "optimizer")
NUDGE = 1e-6  # what is added to one number of a parameter where the optimizer's work is left away


def skip_calls(kinds: Iterable[str], sites: CallSites) -> None:
    """Leave these kinds of calls away.

    `optimizer` adds `NUDGE` to one number of each parameter group, so that a training is still seen to train; `item`
    asks the device once a line and gives that number ever after. torch's own calls of it are left as they are.

    Raises:
        SpecError: there is no such kind.
    """
    for kind in kinds:
        if kind not in SKIPPED:
            raise SpecError(one_of("kind of calls to skip", kind, SKIPPED))
        if kind == "optimizer":
            _without_updates()
        elif kind == "item":
            replace_calls(kind, lambda path, before: _remembered(path, before, sites))
        else:
            replace_calls(kind, lambda path, before: _nothing)
            if kind == "bar":
                when_imported("tqdm.std", _disable_bars)


def thin_calls(every: Mapping[str, int], sites: CallSites) -> None:
    """Make every n-th of these kinds of calls only: of each line the first, then the n-th after it.

    What a LightningModule logs is counted by the number of its batch, as `if batch_idx % n == 0` would do it.

    Raises:
        SpecError: there is no such kind, or a number below 1.
    """
    for kind, number in every.items():
        if kind not in SKIPPED or kind in ("item", "optimizer"):
            raise SpecError(one_of("kind of calls to thin out", kind, SKIPPED[:-2]))
        if type(number) is not int or number < 1:
            raise SpecError(f"every {number!r}-th call of {kind!r} is not possible; allowed: a whole number from 1 on")
        replace_calls(kind, _Seldom(number).wrap)


def _nothing(*arguments: Any, **named: Any) -> None:
    return None


class _Seldom:
    """Every n-th call of a kind. What is made inside of one that is made is a part of it, and is made."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._counts: dict[tuple[str, int], int] = {}
        self._inside = False

    def wrap(self, path: str, before: Call) -> Call:
        of_module = path.endswith(":LightningModule.log")

        def seldom(*arguments: Any, **named: Any) -> Any:
            if not self._inside and not self._is_turn(arguments[0] if of_module else None, sys._getframe(1)):
                return None
            outer, self._inside = self._inside, True
            try:
                return before(*arguments, **named)
            finally:
                self._inside = outer

        return seldom

    def _is_turn(self, module: Any, caller: FrameType) -> bool:
        if module is not None and (batch := _batch_number(module)) is not None:
            return batch % self._number == 0
        line = caller.f_code.co_filename, caller.f_lineno
        count = self._counts.get(line, 0)
        self._counts[line] = count + 1
        return count % self._number == 0


def _batch_number(module: Any) -> int | None:
    """The number of the training batch that a LightningModule is at; None outside of training."""
    trainer = getattr(module, "_trainer", None)
    return int(trainer.fit_loop.batch_idx) if trainer is not None and trainer.training else None


def _remembered(path: str, before: Call, sites: CallSites) -> Call:
    if path.endswith(("__bool__", "cpu")):  # a loop may wait for the first to change; the second is no number
        return before
    kept: dict[str, Any] = {}

    def remembered(*arguments: Any, **named: Any) -> Any:
        line = sites.line()
        if not line:
            return before(*arguments, **named)
        if line not in kept:
            kept[line] = before(*arguments, **named)
        return kept[line]

    return remembered


def _disable_bars(module: Any) -> None:
    first = module.tqdm.__init__

    def disabled(self: Any, *arguments: Any, **named: Any) -> None:
        first(self, *arguments, **{**named, "disable": True})

    put_in_place(module.tqdm, "__init__", disabled)


def _without_updates() -> None:
    first = Optimizer.__init__

    def made(self: Optimizer, *arguments: Any, **named: Any) -> None:
        # torch wraps the class's own step, once, with what calls the hooks that tell of updates: this one is wrapped.
        if not getattr(type(self).step, "hooked", None):
            put_in_place(type(self), "step", _nudge)
        first(self, *arguments, **named)

    put_in_place(Optimizer, "__init__", made)


def _nudge(self: Optimizer, closure: Call | None = None) -> Any:
    loss = None
    if closure is not None:
        with torch.enable_grad():
            loss = closure()
    with torch.no_grad():
        for group in self.param_groups:
            own = next((one for one in group["params"] if one.grad is not None and one.numel()), None)
            if own is not None:
                own.view(-1)[0].add_(NUDGE)
    return loss
