"""What a training does as it is: counted while it runs, for the doctor. Never in a timed launch: it costs."""

from __future__ import annotations

import functools
import inspect
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from time import perf_counter
from types import ModuleType
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook
from torch.utils.data import DataLoader
from torch.utils.data import dataloader as torch_loaders

from bench.arm.call_sites import CallSites
from bench.arm.call_targets import TARGETS, Call, replace_calls
from bench.arm.import_hooks import put_in_place, when_imported
from bench.arm.loader_changes import SITE, each_maker
from bench.results.observed import OBSERVED_PREFIX, Observed, ObservedLoader, ObservedOptimizer, ObservedTrainer

TRAINER_MODULES = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")
LOADER_ARGUMENTS = (
    *("batch_size", "num_workers", "persistent_workers", "prefetch_factor", "pin_memory", "drop_last", "timeout"),
)
OF_THE_USER = ("item", "print")  # kinds of calls that libraries make for reasons of their own
MOST_LINES = 3  # of a kind of calls that are told
_NOBODY = ""


class Observer:
    """Counts from the moment that it is made.

    Calls belong to the loader that was pulled last, so that those of validation are apart from those of training. The
    last step of an epoch is not among the steps: nobody tells where it ends and what comes between epochs begins.
    """

    def __init__(self, sites: CallSites) -> None:
        self._sites = sites
        self._at = _NOBODY  # the loader that was pulled last, to which updates belong
        self._counted_at = _NOBODY  # the same, in steps whose calls are counted
        self._goes_on: dict[str, bool] = {}  # whether the step of each loader's last batch is followed by another
        self._others: Counter[str] = Counter()  # batches of other loaders since
        self._pulls: Counter[str] = Counter()
        self._epochs: Counter[str] = Counter()
        self._updates: Counter[str] = Counter()
        self._worker_starts: Counter[str] = Counter()
        self._calls: dict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._lines: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._steps: dict[str, list[float]] = defaultdict(list)
        self._between: dict[str, list[float]] = defaultdict(list)
        self._begun: dict[str, float] = {}  # the last pull of each loader
        self._waited: dict[str, float] = {}  # for the last batch of each loader
        self._loaders: dict[str, DataLoader[Any]] = {}
        self._lengths: dict[str, int] = {}
        self._made: Counter[str] = Counter()
        self._depth: Counter[str] = Counter()
        self._optimizers: dict[int, tuple[Optimizer, str]] = {}
        self._trainer: ObservedTrainer | None = None
        self._loss: torch.Tensor | None = None
        self._watch_loaders()
        self._watch_optimizers()
        for kind in TARGETS:
            replace_calls(kind, functools.partial(self._counted, kind))
        for name in TRAINER_MODULES:
            when_imported(name, self._watch_trainer)

    @property
    def training(self) -> str:
        """The lines that made the training loader, the one between whose pulls most updates were; "" before any."""
        return max(self._updates, key=self._updates.__getitem__, default=_NOBODY)

    def observation(self) -> dict[str, Any]:
        """What was seen so far, as plain JSON under names that begin with `observed_`."""
        return {f"{OBSERVED_PREFIX}{name}": value for name, value in asdict(self.seen()).items()}

    def seen(self) -> Observed:
        """What was seen so far."""
        at = self.training
        steps = self._pulls[at]
        counted = len(self._steps[at])
        share = 1 / counted if counted else 0.0
        step = statistics.fmean(self._steps[at]) if counted else 0.0
        between = statistics.median(self._between[at]) if self._between[at] else 0.0
        return Observed(
            steps=steps if at in self._loaders else 0,
            epochs=self._epochs[at],
            updates=self._updates[at],
            step_seconds=step,
            between_seconds=max(0.0, between - step),  # it holds the last step of its epoch
            seconds={kind: took * share for kind, took in self._seconds[at].items()},
            calls={kind: count * share for kind, count in self._calls[at].items()},
            lines={kind: dict(self._lines[at, kind].most_common(MOST_LINES)) for kind in self._calls[at]},
            made={what: count for what, count in self._made.items() if count > 1},
            worker_starts=self._worker_starts[at],
            loss=self._told_loss(),
            loaders=sum(1 for name, updates in self._updates.items() if name and updates > 1),
            loader=_loader(self._loaders[at], at) if at in self._loaders else None,
            trainer=self._trainer,
            optimizers=tuple(_optimizer(*one) for one in self._optimizers.values()),
            accelerator=torch.accelerator.is_available(),
        )

    def _told_loss(self) -> str:
        if self._loss is None:
            return ""
        value = float(self._loss.detach().float().mean())
        return f"{value:.6g}" if math.isfinite(value) else "nan" if math.isnan(value) else "inf"

    def _watch_loaders(self) -> None:
        first_iterate, first_next = DataLoader.__iter__, torch_loaders._BaseDataLoaderIter.__next__
        first_workers = torch_loaders._MultiProcessingDataLoaderIter.__init__

        def iterate(loader: DataLoader[Any]) -> Any:
            site = getattr(loader, SITE, "")
            self._loaders[site] = loader
            self._lengths[site] = _length(loader)
            iterator = first_iterate(loader)
            setattr(iterator, SITE, site)
            return iterator

        def pull(iterator: Any) -> Any:
            if not iterator._num_yielded:
                self._epochs[getattr(iterator, SITE, "")] += 1
            return self._pulled(getattr(iterator, SITE, ""), iterator, functools.partial(first_next, iterator))

        def start_workers(iterator: Any, loader: DataLoader[Any]) -> None:
            self._worker_starts[getattr(loader, SITE, "")] += 1
            first_workers(iterator, loader)

        put_in_place(DataLoader, "__iter__", iterate)
        put_in_place(torch_loaders._BaseDataLoaderIter, "__next__", pull)
        put_in_place(torch_loaders._MultiProcessingDataLoaderIter, "__init__", start_workers)
        each_maker(self._count_made)

    def _pulled(self, site: str, iterator: Any, fetch: Call) -> Any:
        began = perf_counter()
        first = not iterator._num_yielded
        # A second loader may give a batch to each step; more than one is a validation, which is no part of a step.
        if self._goes_on.get(site) and self._others[site] <= 1:
            self._steps[site].append(began - self._begun[site])
            self._seconds[site]["waiting"] += self._waited[site]
        elif site in self._begun and first:
            self._between[site].append(began - self._begun[site])
        self._counted_at, self._goes_on[site], self._others[site] = _NOBODY, False, 0
        batch = fetch()
        self._others.update(other for other in self._begun if other != site)
        self._waited[site] = perf_counter() - began
        self._at = site
        self._begun[site] = began
        self._pulls[site] += 1
        if iterator._num_yielded != self._lengths.get(site):
            self._counted_at, self._goes_on[site] = site, True
        return batch

    def _count_made(self, own: Any) -> None:
        first = own.__init__

        @functools.wraps(first)
        def made(this: Any, *arguments: Any, **named: Any) -> None:
            site = "" if self._depth["made"] else self._sites.chain()
            self._depth["made"] += 1
            try:
                first(this, *arguments, **named)
            finally:
                self._depth["made"] -= 1
            if site:
                self._made[f"{type(this).__name__} at {site}"] += 1

        put_in_place(own, "__init__", made)

    def _counted(self, kind: str, path: str, before: Call) -> Call:
        """A function of a kind of calls that is counted and timed; one inside another is one call."""
        own, of_device = kind in OF_THE_USER, path.endswith(":Tensor.cpu")

        def counted(*arguments: Any, **named: Any) -> Any:
            at = self._counted_at
            line = self._sites.line() if at else ""
            if not at or self._depth[kind] or (own and not line) or (of_device and _is_on_host(arguments[0])):
                return before(*arguments, **named)
            self._depth[kind] += 1
            began = perf_counter()
            try:
                return before(*arguments, **named)
            finally:
                self._seconds[at][kind] += perf_counter() - began
                self._depth[kind] -= 1
                self._calls[at][kind] += 1
                self._lines[at, kind][line or path] += 1

        return counted

    def _watch_optimizers(self) -> None:
        first_backward: Call = torch.Tensor.backward
        first_made = Optimizer.__init__

        def backward(loss: torch.Tensor, *arguments: Any, **named: Any) -> None:
            began = perf_counter()
            first_backward(loss, *arguments, **named)
            self._loss = loss.detach()
            self._seconds[self._counted_at]["backward"] += perf_counter() - began

        def made(optimizer: Optimizer, *arguments: Any, **named: Any) -> None:
            setattr(optimizer, SITE, self._sites.chain())
            first_made(optimizer, *arguments, **named)

        def stepped(optimizer: Optimizer, *_: Any) -> None:
            self._updates[self._at] += 1
            self._optimizers.setdefault(id(optimizer), (optimizer, getattr(optimizer, SITE, "")))

        put_in_place(torch.Tensor, "backward", functools.wraps(first_backward)(backward))
        put_in_place(Optimizer, "__init__", functools.wraps(first_made)(made))
        register_optimizer_step_post_hook(stepped)

    def _watch_trainer(self, module: ModuleType) -> None:
        first = module.Trainer.__init__
        names = [name for name in inspect.signature(first).parameters if name != "self"]

        @functools.wraps(first)
        def made(this: Any, *given: Any, **named: Any) -> None:
            arguments = {**dict(zip(names, given, strict=False)), **named}
            plain = {name: _plain_argument(value) for name, value in arguments.items()}
            self._trainer = ObservedTrainer(self._sites.chain(), plain)
            first(this, *given, **named)

        put_in_place(module.Trainer, "__init__", made)


def _loader(loader: DataLoader[Any], at: str) -> ObservedLoader:
    return ObservedLoader(
        at=at,
        arguments={name: _plain_argument(getattr(loader, name)) for name in LOADER_ARGUMENTS},
        dataset=type(loader.dataset).__name__,
        sampler=type(loader.sampler).__name__,
        batches=_length(loader),
    )


def _length(loader: DataLoader[Any]) -> int:
    try:
        return len(loader)
    except TypeError:  # its dataset has no length
        return 0


def _optimizer(optimizer: Optimizer, at: str) -> ObservedOptimizer:
    groups = optimizer.param_groups
    switch = {name: groups[0].get(name) if groups else None for name in ("fused", "foreach")}
    return ObservedOptimizer(
        name=type(optimizer).__name__, at=at, tensors=sum(len(group["params"]) for group in groups), **switch
    )


def _is_on_host(tensor: Any) -> bool:
    """Whether copying it to the host copies nothing."""
    return bool(tensor.device.type == "cpu")


def _plain_argument(value: Any) -> Any:
    """A value as JSON has it; of others their classes."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_plain_argument(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _plain_argument(part) for key, part in value.items()}
    return type(value).__name__
