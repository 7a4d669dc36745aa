"""Calls that trainings make beside training, by kind: what is counted, thinned out or left away is named here once."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from bench.arm.import_hooks import put_in_place, when_imported

Call = Callable[..., Any]

_LIGHTNINGS = ("lightning.pytorch", "pytorch_lightning")


def _both(*paths: str) -> tuple[str, ...]:
    """The same in both packages that lightning comes as."""
    return tuple(f"{package}.{path}" for package in _LIGHTNINGS for path in paths)


# By kind: `module:name`, each the innermost function that all ways of doing it come through, so that one call is one.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "log": (
        *_both("core.module:LightningModule.log"),  # log_dict calls it once a key
        *("lightning.fabric.fabric:Fabric.log_dict", "lightning_fabric.fabric:Fabric.log_dict"),
        "torch.utils.tensorboard.writer:SummaryWriter.add_scalar",
        "torch.utils.tensorboard.writer:SummaryWriter.add_scalars",
        "logging:Logger._log",
    ),
    "logger": _both("trainer.connectors.logger_connector.logger_connector:_LoggerConnector.log_metrics"),
    "bar": (
        "tqdm.std:tqdm.set_postfix",  # draws the bar, however short ago it was drawn
        "tqdm.std:tqdm.set_description",
        *_both(
            "callbacks.progress.tqdm_progress:TQDMProgressBar.on_train_batch_end",
            "callbacks.progress.rich_progress:RichProgressBar.on_train_batch_end",
        ),
    ),
    "print": ("builtins:print",),
    "checkpoint": ("torch:save", *_both("trainer.trainer:Trainer.save_checkpoint")),
    "item": tuple(f"torch:Tensor.{name}" for name in ("item", "tolist", "cpu", "__float__", "__int__", "__bool__")),
}


def replace_calls(kind: str, wrap: Callable[[str, Call], Call]) -> None:
    """Put `wrap(path, function)` in the place of each function of a kind, as soon as its module is imported."""
    for path in TARGETS[kind]:
        module, _, name = path.partition(":")
        when_imported(module, functools.partial(_replaced, path, name, wrap))


def _replaced(path: str, name: str, wrap: Callable[[str, Call], Call], module: ModuleType) -> None:
    *owners, last = name.split(".")
    owner = operator.attrgetter(".".join(owners))(module) if owners else module
    before = getattr(owner, last)
    made = wrap(path, before)
    if made is not before:
        put_in_place(owner, last, functools.wraps(before)(made))
