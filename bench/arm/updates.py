"""Counts what optimizers do: their steps over the whole loop, and in watched steps whether parameters really changed.

Version counters are no proof: fused optimizers change parameters and move none, foreach ones move none under a dispatch
mode (torch 2.13). Every step of every torch.optim.Optimizer calls the global step hooks; those are counted, at 0.4 µs a
step, and where steps are watched the parameters' bits are compared before and after.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

# Integers of the same width as an element, whose sums tell one changed bit.
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

IN_A_THREAD = (
    "an optimizer steps in a thread of its own, so that its updates belong to no step; allowed: in the loop's thread, "
    "or in hooks of the backward pass"
)


class Updates:
    """The optimizers' steps, from now to the end of the process.

    Attributes:
        steps: optimizer steps; one within another's, as of a wrapper around an optimizer, is a part of it.
        watched, changed: of these, how many were watched, and how many of those changed a parameter.
        nonzero_gradients: the smallest share of an optimizer's parameters that had a gradient other than zero, over its
            watched steps.
        learning_rates: of the first group of the optimizer, at each watched step, before the step.
        optimizers: their classes, with `foreach` or `fused` behind those that were told so.
        backward: whether a backward pass is under way; set by whoever watches it.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.watched = 0
        self.changed = 0
        self.nonzero_gradients = 1.0
        self.learning_rates: list[float] = []
        self.optimizers: list[str] = []
        self.faults: list[str] = []
        self.backward = False
        self.watching = False
        self._thread = threading.get_ident()
        self._depth = 0  # of steps under way: a wrapper's, and in it that of its optimizer
        self._before: list[tuple[torch.Tensor, int]] = []
        self._skipped: list[torch.Tensor] = []  # told by the scaler's own tensors, which are read between turns
        register_optimizer_step_pre_hook(self._begin)
        register_optimizer_step_post_hook(self._end)

    def _begin(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth += 1
        if self.watching and self._depth == 1:
            self._look(optimizer)

    def _end(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth -= 1
        if self._depth:
            return
        self.steps += 1
        # A fused optimizer is handed the scaler's finding, and leaves the parameters as they are if it is not 0.
        found = getattr(optimizer, "found_inf", None)
        if found is not None:
            self._skipped.append(found)
        if self.watching:
            self._compare(optimizer, found)

    def settle(self) -> None:
        """Between turns, when no step is under way: take off the steps that a scaler has let a fused optimizer skip."""
        self._depth = 0  # more where a step has raised, and the loop went on
        self.steps -= sum(bool(found) for found in self._skipped)
        self._skipped.clear()

    def _look(self, optimizer: torch.optim.Optimizer) -> None:
        if threading.get_ident() != self._thread and not self.backward and IN_A_THREAD not in self.faults:
            self.faults.append(IN_A_THREAD)
        rate = optimizer.param_groups[0].get("lr")
        if rate is not None:
            self.learning_rates.append(float(rate))
        if (name := implementation(optimizer)) not in self.optimizers:
            self.optimizers.append(name)
        self._before = [(parameter, checksum(parameter)) for parameter in parameters_of(optimizer)]

    def _compare(self, optimizer: torch.optim.Optimizer, skipped: torch.Tensor | None) -> None:
        before, self._before = self._before, []
        if skipped is not None and bool(skipped):
            return
        self.watched += 1
        self.changed += any(checksum(parameter) != bits for parameter, bits in before)
        gradients = [parameter.grad for parameter, _ in before if parameter.grad is not None]
        # Some take the gradients away themselves; of those nothing can be said here.
        if gradients:
            alive = sum(map(nonzero, gradients))
            self.nonzero_gradients = min(self.nonzero_gradients, alive / len(before))


def parameters_of(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """All that an optimizer trains."""
    for group in optimizer.param_groups:
        yield from (parameter for parameter in group["params"] if parameter.requires_grad)


def implementation(optimizer: torch.optim.Optimizer) -> str:
    """The optimizer's class, and torch's word for how it updates where it was told one, as `AdamW fused`."""
    told = [word for word in ("foreach", "fused") if optimizer.param_groups[0].get(word)]
    return " ".join([type(optimizer).__name__, *told])


def checksum(tensor: torch.Tensor) -> int:
    """The sum of a tensor's elements read as integers, this rank's part; another where a single bit has changed."""
    own = local(tensor).detach()
    if own.device.type == "xla":  # its tensors cannot be read as integers
        own = own.cpu()
    if own.layout is not torch.strided:
        own = own.coalesce().values() if own.layout is torch.sparse_coo else own.to_dense()
    if own.is_complex():
        own = torch.view_as_real(own.resolve_conj())
    kind = _INTEGERS.get(own.element_size())
    return int(own.view(kind).sum(dtype=torch.int64)) if kind is not None else hash(own.cpu().numpy().tobytes())


def nonzero(gradient: torch.Tensor) -> bool:
    """Whether any element of a gradient is other than zero."""
    own = local(gradient).detach()
    if own.layout is torch.sparse_coo:
        own = own.coalesce().values()
    return bool(own.any())


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This rank's part of a tensor that is sharded; others as they are."""
    to_local = getattr(tensor, "to_local", None)
    return tensor if to_local is None else to_local()
