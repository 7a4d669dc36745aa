"""What a training does otherwise than its script says: remedies and bounds, put in before the script runs.

`changes` are plain JSON, as run.json has them. Whoever calls this does so before the stream attaches itself to torch's
DataLoader, so that the stream sees the loader as it is changed.

    observe         true: count what the training does (`observation`)
    at              the lines that make the loader which is meant by the next three; none: every loader
    loader          arguments of DataLoader over those that the training gives
    batch_factor    batches so many times as large
    cached_batches  the first so many batches are handed out again and again: bounds what any loader can bring
    reuse_loaders   true: loaders, samplers and datasets that are made anew with equal arguments are made once
    trainer         arguments of Trainer over those that the training gives, as LightningCLI has them
    optimizer       switches of torch's optimizers over those that the training gives: `fused`, `foreach`
    every           calls of a kind that are made every n-th time only: `{"log": 50, "checkpoint": 1000}`
    skip            kinds of calls that are left away: bounds what making fewer of them can bring
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from bench.arm.call_sites import CallSites
from bench.arm.import_hooks import put_in_place, when_imported
from bench.arm.loader_changes import keep_batches, mark_loaders, reuse_loaders
from bench.arm.observation import Observer
from bench.arm.skipped_calls import skip_calls, thin_calls
from bench.axes.trainer_arguments import made_arguments
from bench.errors import SpecError, one_of

KNOWN_CHANGES = (
    *("observe", "at", "loader", "batch_factor", "cached_batches", "reuse_loaders"),
    *("trainer", "optimizer", "every", "skip"),
)
TRAINERS = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")
SWITCHES = ("fused", "foreach")


def make_changes(changes: Mapping[str, Any], folder: Path | None = None) -> Callable[[], dict[str, Any]]:
    """Make them; what is imported later is changed when it is.

    Args:
        folder: that the training's own files are in; None: the working folder.

    Returns:
        what was observed so far, under names that begin with `observed_`; {} where nobody observes.

    Raises:
        SpecError: there is no such change, or one is not possible.
    """
    if unknown := [name for name in changes if name not in KNOWN_CHANGES]:
        raise SpecError(one_of("change", unknown[0], KNOWN_CHANGES))
    sites = CallSites(folder or Path.cwd())
    at = str(changes.get("at", ""))
    # Innermost first: what observes sees what is left to be done.
    if changes.get("observe") or "cached_batches" in changes or {"loader", "batch_factor"} & {*changes}:
        mark_loaders(sites, at, changes.get("loader"), changes.get("batch_factor", 1))
    if changes.get("reuse_loaders"):
        reuse_loaders(sites)
    if "cached_batches" in changes:
        keep_batches(changes["cached_batches"], at)
    if arguments := changes.get("trainer"):
        for name in TRAINERS:
            when_imported(name, functools.partial(_change_trainer, arguments))
    if "optimizer" in changes:
        _change_optimizers(changes["optimizer"])
    thin_calls(changes.get("every", {}), sites)
    skip_calls(changes.get("skip", ()), sites)
    return Observer(sites).observation if changes.get("observe") else dict


def _change_trainer(arguments: Mapping[str, Any], module: ModuleType) -> None:
    first = module.Trainer.__init__

    @functools.wraps(first)
    def made(self: Any, *given: Any, **named: Any) -> None:
        # Made here: classes of lightning are not all there while its trainer is imported.
        own = made_arguments("changed", arguments, {}, "")
        names = [name for name in inspect.signature(first).parameters if name != "self"]
        first(self, **{**dict(zip(names, given, strict=False)), **named, **own})

    put_in_place(module.Trainer, "__init__", made)


def _change_optimizers(switches: Mapping[str, Any]) -> None:
    """Give torch's optimizers these switches where they have them; one that is set sets the other back."""
    if unknown := [name for name in switches if name not in SWITCHES]:
        raise SpecError(one_of("switch of optimizers", unknown[0], SWITCHES))
    for own in vars(torch.optim).values():
        if isinstance(own, type) and issubclass(own, torch.optim.Optimizer):
            known = inspect.signature(own.__init__).parameters
            if all(name in known for name in switches):
                others = {name: None for name in SWITCHES if name in known}
                _switch(own, {**others, **switches})


def _switch(own: Any, switches: Mapping[str, Any]) -> None:
    first = own.__init__

    @functools.wraps(first)
    def made(self: Any, *given: Any, **named: Any) -> None:
        first(self, *given, **({**named, **switches} if type(self) is own else named))

    put_in_place(own, "__init__", made)
