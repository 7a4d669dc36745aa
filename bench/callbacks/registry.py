"""Which callbacks an instrumented launch carries: those of one tuple, and of the entry points `bench.callbacks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import cast

from lightning.pytorch import Callback

from bench.callbacks.callback_list import MeasuringCallback
from bench.callbacks.device_stats import DeviceStats
from bench.callbacks.flops import FLOPs
from bench.callbacks.peak_memory import PeakMemory
from bench.callbacks.phases import Phases
from bench.callbacks.throughput import Throughput
from bench.errors import SpecError, one_of
from bench.results.record import METRICS, Metric

# A callback's place decides whose cost it sees: Phases comes last, so that what the others do at the beginning of a
# hook is in the phase before. Windows of 10 fit twice into the least number of instrumented steps.
# FLOPs counts the first of these steps, which is slow by that, and which neither Phases nor Throughput's rate has.
INSTRUMENTS: tuple[Callable[[], Callback], ...] = (
    lambda: FLOPs(warmup=0),
    lambda: DeviceStats(),
    lambda: Throughput(window=10),
    lambda: PeakMemory(every=20),
    lambda: Phases(warmup=1),
)


def instruments(engine: Sequence[Metric] = ()) -> list[Callback]:
    """New callbacks for one instrumented launch, those of `INSTRUMENTS` last.

    Args:
        engine: metrics beside `record.METRICS` whose names are taken.

    Raises:
        SpecError: an entry point gives no measuring callback, or two declare a metric of the same name; says all.
    """
    made: list[Callback] = []
    mistakes: list[str] = []
    for entry in entry_points(group="bench.callbacks"):
        callback = entry.load()()
        if isinstance(callback, Callback) and hasattr(callback, "METRICS") and hasattr(callback, "metrics"):
            made.append(callback)
        else:
            mistakes.append(
                f"entry point bench.callbacks:{entry.name}: {type(callback).__name__} is no callback that measures; "
                "allowed: a lightning.pytorch.Callback with METRICS and metrics"
            )
    made += [make() for make in INSTRUMENTS]
    owners = dict.fromkeys([*METRICS, *(metric.name for metric in engine)], "the engine")
    for callback in made:
        for metric in as_measuring(callback).METRICS:
            if metric.name in owners:
                mistakes.append(
                    f"metric {metric.name!r} of {type(callback).__name__} is one of {owners[metric.name]} already"
                )
            owners[metric.name] = type(callback).__name__
    if mistakes:
        raise SpecError(mistakes)
    return made


def as_measuring(callback: Callback) -> MeasuringCallback:
    """The same callback by what it measures."""
    return cast(MeasuringCallback, callback)


def callback_values(callback: Callback) -> dict[Metric, float]:
    """What a callback has measured, by what it declares.

    Raises:
        SpecError: it has a metric that it does not declare; says which it does.
    """
    declared = {metric.name: metric for metric in as_measuring(callback).METRICS}
    found = as_measuring(callback).metrics
    unknown = [one_of(f"metric of {type(callback).__name__}", name, declared) for name in found if name not in declared]
    if unknown:
        raise SpecError(unknown)
    return {declared[name]: float(value) for name, value in found.items()}
