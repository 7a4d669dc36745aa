"""Reads back, in the arm, the switches that a loop can turn unasked, its loader's settings, and who listens in.

Switches are read inside the watched steps and after every turn: a loop that turns one only while it trains, or only
after it was watched, is seen. Reading all of them takes some microseconds, and none is read in a timed step.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import torch
from torch.utils.data import DataLoader

# Attributes under which wrappers keep the loader that they iterate: Fabric's, ours and accelerate's among them.
LOADER_ATTRIBUTES = ("_dataloader", "_loader", "dataloader", "loader", "base_dataloader")
# What Trainer adds by itself (lightning 2.6.6, callback_connector.py:61-84). Only these very classes: one of a user's
# that is derived from them is the user's.
DEFAULTS = ("ModelCheckpoint", "ModelSummary", "RichModelSummary", "RichProgressBar", "TQDMProgressBar")
AS_FORKED = "as forked"
# Calls of gc.freeze and gc.unfreeze. To count the frozen objects at an arm's end takes 60 ms, since it visits some
# hundred thousand, and that is more than all else that an arm does there.
_freezing_calls: list[str] = []


def _told(function: Callable[[], None], word: str) -> Callable[[], None]:
    @wraps(function)
    def called() -> None:
        _freezing_calls.append(word)
        function()

    return called


def watch_freezing() -> None:
    """Have gc.freeze and gc.unfreeze tell of their calls from now on."""
    for name, word in (("freeze", "by the loop"), ("unfreeze", "undone")):
        if not hasattr(getattr(gc, name), "__wrapped__"):
            setattr(gc, name, _told(getattr(gc, name), word))
    _freezing_calls.clear()


watch_freezing()  # before whatever an arm imports can take the functions from where they are


def switches() -> dict[str, Any]:
    """The switches as they stand now, by the names of the effective settings."""
    return {
        "gc_enabled": gc.isenabled(),
        "gc_threshold": list(gc.get_threshold()),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_enabled": torch.backends.cudnn.enabled,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "deterministic_fill": torch._C._get_deterministic_fill_uninitialized_memory(),
        "anomaly_detection": torch.is_anomaly_enabled(),
        "profiler": profilers(),
    }


def profilers() -> str:
    """Profilers and tracers that see what this thread does now, by name, or `none`."""
    found = {
        "torch.profiler": torch._C._autograd._profiler_enabled(),
        "sys.setprofile": sys.getprofile() is not None,
        "sys.settrace": sys.gettrace() is not None,
    }
    return ", ".join(name for name, there in found.items() if there) or "none"


class Switches:
    """What the switches were, each time that they were read."""

    def __init__(self) -> None:
        self._seen: dict[str, list[Any]] = {}

    def read(self) -> None:
        """Read them once more."""
        for name, value in switches().items():
            values = self._seen.setdefault(name, [])
            if value not in values:
                values.append(value)

    def effective(self) -> dict[str, Any]:
        """Each switch's value; the list of its values, in their order, where it had several, which nobody asks for."""
        found = {name: values[0] if len(values) == 1 else values for name, values in self._seen.items()}
        # A fork server freezes what it has imported, so arms begin with frozen objects, more with lightning.
        return {**found, "gc_frozen": [AS_FORKED, _freezing_calls[-1]] if _freezing_calls else AS_FORKED}


def loader_settings(loader: Any) -> dict[str, Any]:
    """Settings of the loader that is really iterated, whatever is around it."""
    real = innermost(loader)
    return {
        "sampler": type(sampler_of(real)).__name__,
        "loader_workers": int(getattr(real, "num_workers", 0)),
        "persistent_workers": bool(getattr(real, "persistent_workers", False)),
        "pin_memory": bool(getattr(real, "pin_memory", False)),
        "prefetch_factor": getattr(real, "prefetch_factor", None),
    }


def sampler_of(loader: Any) -> Any:
    """The sampler that really orders a loader's samples, or None.

    A DataLoader that was made with a batch sampler, as Accelerate's are, shows a sequential one that nobody asks; and a
    batch sampler may hold another.
    """
    batches = getattr(loader, "batch_sampler", None)
    while (inner := getattr(batches, "batch_sampler", None)) is not None:
        batches = inner
    return getattr(batches, "sampler", getattr(loader, "sampler", None))


def innermost(loader: Any) -> Any:
    """The torch DataLoader inside of wrappers, or the innermost thing that there is where none is one.

    A wrapper may show the attributes of the loader that it was made from, as Fabric's does, and iterate another.
    """
    known: list[Any] = []
    while not isinstance(loader, DataLoader) and not any(loader is one for one in known):
        known.append(loader)
        inner = (getattr(loader, name, None) for name in LOADER_ATTRIBUTES)
        loader = next((one for one in inner if one is not None), loader)
    return loader


def listeners() -> dict[str, str]:
    """Callbacks of the Trainers and Fabrics that there are, Trainer's own left out, and what is logged; `none` of each.

    Found among all objects, so that it is no matter what a loop tells of itself.
    """
    callbacks, logged = [], []
    for trainer in _alive("lightning.pytorch", "Trainer"):
        callbacks += vars(trainer)["callbacks"]
        logged += list(trainer.callback_metrics)
    for fabric in _alive("lightning.fabric", "Fabric"):
        callbacks += fabric._callbacks
    return {"callbacks": callback_names(callbacks), "logged": ", ".join(sorted(set(logged))) or "none"}


def callback_names(callbacks: Iterable[Any]) -> str:
    """Callbacks by class, Trainer's own left out; `none` of none."""
    return ", ".join(sorted({type(one).__name__ for one in callbacks if not _own(one)})) or "none"


def _alive(module: str, name: str) -> Iterator[Any]:
    kind = getattr(sys.modules.get(module), name, None)
    if kind is not None:
        yield from (found for found in gc.get_objects() if issubclass(type(found), kind))


def _own(callback: Any) -> bool:
    module = sys.modules["lightning.pytorch.callbacks"]
    return type(callback) in [getattr(module, name) for name in DEFAULTS]
