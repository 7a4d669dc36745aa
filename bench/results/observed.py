"""What was seen of a training that runs as it is: its loader, its calls beside training, where a step's time goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from bench.results import decoding

OBSERVED_PREFIX = "observed_"  # of the names under which an arm's effective settings have it


def lines_of_site(site: str) -> list[str]:
    """The user's lines of a place as observations tell it, innermost first: `data.py:7 < train.py:42 by train`."""
    return site.partition(" by ")[0].split(" < ")


@dataclass(frozen=True)
class ObservedLoader:
    """The training loader: the one between whose pulls optimizers stepped.

    Attributes:
        at: the user's lines that made it, innermost first; "" where none did.
        arguments: those of DataLoader that matter to its speed, as they came out.
        dataset, sampler: their classes.
        batches: in an epoch; 0 where it has no length.
    """

    at: str
    arguments: Mapping[str, bool | int | float | str | None]
    dataset: str
    sampler: str
    batches: int


@dataclass(frozen=True)
class ObservedTrainer:
    """A Trainer: the lines that made it, and the arguments that it was given; of what JSON lacks the classes."""

    at: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ObservedOptimizer:
    """An optimizer that stepped: its class, the lines that made it, its switches, its parameter tensors."""

    name: str
    at: str
    fused: bool | None
    foreach: bool | None
    tensors: int


@dataclass(frozen=True)
class Observed:
    """All that was seen, of steps of the training loader alone: what validation does is not among it.

    Attributes:
        steps: pulls of the training loader, and `epochs` how often it was iterated.
        updates: steps of optimizers between them.
        step_seconds: the mean step; `between_seconds` the median time from the end of an epoch to the next one's first
            pull; 0 where none was seen.
        seconds: of a mean step, by what they were spent on: `waiting` for batches, `backward`, and kinds of calls.
        calls: a step, by kind (`call_targets`), and `lines`: the user's lines that make most of them.
        made: how often the same lines made a loader, a sampler or a dataset, as `BalancedSampler at train.py:34`.
        worker_starts: how often workers of the training loader were started.
        loss: what was last handed to `backward`, as text; "" where nothing was.
        ended: whether it ended by itself while it was looked at.
        loaders: how many loaders there are between whose pulls optimizers stepped.
    """

    steps: int = 0
    epochs: int = 0
    updates: int = 0
    step_seconds: float = 0.0
    between_seconds: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, float] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    worker_starts: int = 0
    loss: str = ""
    loaders: int = 0
    loader: ObservedLoader | None = None
    trainer: ObservedTrainer | None = None
    optimizers: tuple[ObservedOptimizer, ...] = ()
    accelerator: bool = False
    ended: bool = False


def observed_of(effective: Mapping[str, Any], where: str) -> Observed:
    """What an arm's effective settings have of it.

    Raises:
        RunError: it is not what an arm says; `where` begins the message.
    """
    names = {f"{OBSERVED_PREFIX}{one.name}": one.name for one in fields(Observed)}
    return decoding.convert(Observed, {names[name]: effective[name] for name in names if name in effective}, where)
