"""Whose time a call stack is: one table, by the place of the code. Pure.

From the innermost frame outwards, the first that the table knows owns the time. So forward, backward and the
optimizer's step are the same work in every loop, whoever calls them and however deeply (Trainer runs forward and
backward inside of `Optimizer.step`), and what a framework does between them is its own. What the table calls `neutral`,
and the standard library, belongs to whoever called it. Code of others, the user's model or a callback, keeps its name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

# work: what every loop has to do. own: what this loop does besides. neutral: its caller's. ours: the stream's, cut out.
OwnerKind = Literal["work", "own", "neutral", "ours"]

FORWARD_PASS, DATA_LOADING, CALLBACK_CODE, CALLING_HOOKS, OWN_LINES = (
    "forward pass",
    "data loading",
    "callbacks",
    "calling hooks",
    "loop's own lines",
)
UNNAMED: Final = "unnamed"

# By the beginning of `module:qualified name`, the longest one that fits: what it is, in plain words.
OWNERS: Final[Mapping[str, tuple[OwnerKind, str]]] = {
    "torch.nn.modules.module:Module._call_impl": ("work", FORWARD_PASS),
    "torch.nn.modules.module:Module._wrapped_call_impl": ("work", FORWARD_PASS),
    "torch._dynamo.eval_frame:OptimizedModule": ("work", FORWARD_PASS),
    "torch._tensor:Tensor.backward": ("work", "backward pass"),
    "torch.autograd:backward": ("work", "backward pass"),
    "torch.autograd.graph": ("work", "backward pass"),
    "torch.optim": ("work", "optimizer step"),
    "torch.amp.grad_scaler": ("work", "scaling of gradients"),
    "torch.nn.parallel": ("work", "exchange of gradients"),
    "torch.distributed": ("work", "exchange of gradients"),
    "torch.utils.data": ("work", DATA_LOADING),
    "bench.axes.loops.job:Job.to_device": ("work", "moving batches"),
    "lightning.fabric.utilities.apply_func:move_data_to_device": ("work", "moving batches"),
    # Both loops ask; with PYTORCH_NVML_BASED_CUDA_CHECK=1, which importing lightning sets, NVML is asked each time.
    "torch.accelerator": ("own", "looking for a GPU"),
    "torch.cuda:is_available": ("own", "looking for a GPU"),
    "torch.cuda:device_count": ("own", "looking for a GPU"),
    "lightning.pytorch.trainer.call": ("own", CALLING_HOOKS),
    "lightning.pytorch.trainer.connectors.logger_connector": ("own", "logger connector"),
    "lightning.pytorch.trainer.connectors.data_connector": ("own", "data fetching"),
    "lightning.pytorch.trainer.connectors": ("own", "connectors"),
    "lightning.pytorch.trainer": ("own", "Trainer's properties"),
    "lightning.pytorch.loggers": ("own", "loggers"),
    "lightning.fabric.loggers": ("own", "loggers"),
    "tensorboard": ("own", "loggers"),
    "lightning.pytorch.callbacks.progress": ("own", "progress bar"),
    "tqdm": ("own", "progress bar"),
    "rich": ("own", "progress bar"),
    "lightning.pytorch.callbacks": ("own", CALLBACK_CODE),
    "lightning.pytorch.core.optimizer": ("own", "optimizer wrapping"),
    "lightning.fabric.wrappers": ("own", "Fabric's wrappers"),
    "lightning.pytorch.core": ("own", "LightningModule"),
    "bench.axes.loops.workload_module": ("own", "LightningModule"),
    "lightning.pytorch.plugins.precision": ("own", "precision plugin"),
    "lightning.fabric.plugins.precision": ("own", "precision plugin"),
    "lightning.pytorch.strategies": ("own", "strategy"),
    "lightning.fabric.strategies": ("own", "strategy"),
    "lightning.pytorch.accelerators": ("own", "strategy"),
    "lightning.fabric.accelerators": ("own", "strategy"),
    "lightning.pytorch.loops.fetchers": ("own", "data fetching"),
    "lightning.pytorch.utilities.combined_loader": ("own", "data fetching"),
    "lightning.pytorch.loops": ("own", "loops"),
    "lightning.pytorch.profilers": ("own", "profiler hooks"),
    "lightning.fabric.fabric": ("own", "Fabric"),
    "torchmetrics": ("own", "metrics"),
    "accelerate": ("own", "Accelerate"),
    "ignite": ("own", "Ignite"),
    "transformers.trainer": ("own", "Transformers' Trainer"),
    "bench.axes.loops": ("own", OWN_LINES),
    "lightning": ("neutral", ""),
    "lightning_utilities": ("neutral", ""),
    "torch": ("neutral", ""),
    "numpy": ("neutral", ""),
    "bench.axes.loops.batch_tree": ("neutral", ""),
    "bench.callbacks": ("neutral", ""),
    "bench.plan": ("neutral", ""),
    "bench.axes.loops.batches": ("ours", ""),
    "bench.arm": ("ours", ""),
}

# Who calls the user's model and loss. What else calls code that the table does not know has it for its own.
MODEL_CALLERS: Final = (
    OWN_LINES, CALLING_HOOKS, "strategy", "LightningModule", "Fabric's wrappers", "Fabric", "Accelerate", "Ignite",
    "Transformers' Trainer",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """Whose time a stack is.

    Attributes:
        group: in plain words.
        path: from the function that owns it to the innermost one.
    """

    kind: OwnerKind
    group: str
    path: tuple[str, ...]

    @property
    def function(self) -> str:
        return self.path[0]


@cache
def _entry(function: str) -> tuple[OwnerKind, str] | None:
    """The row of a function; None for code of others."""
    fitting = [start for start in OWNERS if function == start or function.startswith((f"{start}.", f"{start}:"))]
    if fitting:
        return OWNERS[max(fitting, key=len)]
    top = function.partition(":")[0].partition(".")[0]
    return ("neutral", "") if top in sys.stdlib_module_names or top in ("?", "importlib") else None


def _others(caller: str, kind: OwnerKind, group: str) -> tuple[OwnerKind, str]:
    """What somebody else's code is, by the function of the table that called it."""
    if group in (DATA_LOADING, "data fetching"):
        return "work", DATA_LOADING
    if caller.endswith(":_call_callback_hooks"):
        return "own", CALLBACK_CODE
    return ("work", FORWARD_PASS) if group in MODEL_CALLERS else (kind, group)


def owner_of(stack: Sequence[str]) -> Owner:
    """Whose time it is.

    Args:
        stack: functions as `module:qualified name`, the outermost first.
    """
    others: int | None = None  # where the innermost frame of somebody else's code is
    for place in range(len(stack) - 1, -1, -1):
        entry = _entry(stack[place])
        if entry is None:
            others = place if others is None else others
        elif entry[0] != "neutral":
            kind, group = entry
            if others is None:
                return Owner(kind, group, tuple(stack[place:]))
            return Owner(*_others(stack[place], kind, group), tuple(stack[others:]))
    if others is not None:
        return Owner("work", FORWARD_PASS, tuple(stack[others:]))
    return Owner("neutral", UNNAMED, tuple(stack[-1:] or (UNNAMED,)))
