"""A suite whose arms turn a switch of their process that nobody asked for: the axis `switch` says which, and when."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from bench.axes.engine_axes import Point
from bench.axes.loops.workload import Workload
from bench.plan.suite import Suite

STEP = 40  # after the first watched steps, so that what is turned there is on in timed turns and later watched steps


def build(point: Point) -> Workload:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    switch, steps = str(point["switch"]), 0
    turns: dict[str, Callable[[], Any]] = {
        "none": lambda: None,
        "gc off": gc.disable,
        "gc rare": lambda: gc.set_threshold(100_000, 50, 50),
        "gc frozen": gc.freeze,
        "gc thawed": gc.unfreeze,
        "cudnn benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
        "cudnn deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
        "deterministic": lambda: torch.use_deterministic_algorithms(True),
        "no fill": lambda: torch._C._set_deterministic_fill_uninitialized_memory(False),
        "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
        "profiler": lambda: sys.setprofile(lambda frame, event, argument: None),
    }

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == STEP and switch in turns:
            turns[switch]()
        if switch == "gc off within a step":
            gc.disable()
        (images,) = batch
        return nn.functional.mse_loss(model(images), images)

    def optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        made = torch.optim.SGD(parameters, lr=0.01)
        step = made.step

        def and_back(closure: Any = None) -> Any:
            step()
            gc.enable()

        if switch == "gc off within a step":
            made.step = and_back  # what a callback's hooks can do as well
        return made

    warnings.simplefilter("ignore")  # of anomaly detection, and of memory that cannot be pinned here
    options: dict[str, Any] = {
        "persisting workers": {"num_workers": 1, "persistent_workers": True},
        "pinned memory": {"pin_memory": True},
    }.get(switch, {})
    if switch == "other prefetching":
        options = {"num_workers": 1, "prefetch_factor": 7}
    data = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    loader: Any = DataLoader(TensorDataset(data), batch_size=16, drop_last=True, **options)
    return Workload(
        model=nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)),
        loss=loss,
        optimizer=optimizer,
        batches=Wrapper(loader) if point["wrapped"] else loader,  # what wrappers are like
        samples=16,
        lightning=lambda: None,  # plain loops only
    )


class Wrapper:
    """Shows the attributes of a loader without workers, as Fabric's copies those of the one it was made from."""

    num_workers, persistent_workers, pin_memory, prefetch_factor = 0, False, False, None

    def __init__(self, loader: Any) -> None:
        self._dataloader = loader

    def __len__(self) -> int:
        return len(self._dataloader)

    def __iter__(self) -> Any:
        return iter(self._dataloader)


suite = Suite(
    name="turning",
    title="arms that turn a switch",
    axes={"switch": ("none", "gc off"), "wrapped": (False,)},
    compare="switch",
    baseline="none",
    choices={
        "switch": (
            *("none", "gc off", "gc off within a step", "gc rare", "gc frozen", "gc thawed"),
            *("cudnn benchmark", "cudnn deterministic", "deterministic", "no fill", "anomaly", "profiler"),
            *("persisting workers", "pinned memory", "other prefetching"),
        )
    },
    build=build,
)
