"""The immutable result of one cell in one launch, the metrics, the outcomes, the JSON schema. No torch, no pandas.

Everything that crosses a process boundary or reaches a disk is one of these, as JSON. All data is in SI units without
prefixes: seconds, bytes, samples/s.

Schema history:
    1  first version.
    2  `looking` and `declared`: launches that carry callbacks, and what their metrics are. Version 1 is read as it is:
       none of its launches looked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from bench.errors import RunError, one_of

SCHEMA = 2
SCHEMAS = range(1, SCHEMA + 1)  # those that are read

Outcome = Literal[
    "ok", "unsupported", "downgraded", "unequal-settings", "unequal-work", "oom", "timeout", "crashed", "noisy", "void"
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# An outcome that makes a run exit with 3; the others are honest answers about the machine.
FAILED: frozenset[Outcome] = frozenset({"unequal-settings", "unequal-work", "oom", "timeout", "crashed", "void"})

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A named quantity with unit and direction; frame, reports and exports read these and know no metric by name.

    Attributes:
        name, unit, better, description: what it is; units are SI without prefixes, "1" for a plain number.
        part_of: the metric that this one and its like add up to, or ""; the report draws the parts of a whole.
        limit: the summary warns where the estimate is worse than this; None: nowhere.
    """

    name: str
    unit: str
    better: Better
    description: str
    part_of: str = ""
    limit: float | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("step_time", "s", "lower", "one step, pull to pull, as undisturbed: fetch, forward, backward, update"),
        Metric("throughput", "samples/s", "higher", "samples in a batch over step_time"),
        Metric("cpu_time", "s", "lower", "processor time of all threads of the arm for one step"),
        Metric("data_time", "s", "lower", "the part of step_time in which the loop waits for its batch"),
        Metric("epoch_gap", "s", "lower", "what the first step of an epoch takes longer than the epoch's other steps"),
        Metric("first_step_time", "s", "lower", "the first step after a pause, which finds cold caches; kept apart"),
        Metric("page_faults", "faults", "lower", "page faults a step that needed no disk, as fresh memory brings them"),
        Metric("time_to_first_step", "s", "lower", "from the start of the loop to the end of its first step"),
        Metric("time_to_first_step_cold", "s", "lower", "the same with torch.compile and an empty cache of its own"),
        Metric("time_to_first_step_warm", "s", "lower", "the same with the cache of an earlier launch"),
        Metric("rank_spread", "s", "lower", "what the slowest rank's step takes longer than the fastest's"),
        Metric("peak_memory_host", "bytes", "lower", "largest resident set of an arm's process, interpreter included"),
    )
}


# Columns that some turns do not have.
LATER = ("spread", "fetching", "gap")


@dataclass(frozen=True)
class Turns:
    """What the turns of one arm in one launch took: columns of equal length, one entry a turn, in order of time.

    Attributes:
        round: the round the turn belongs to, from 0.
        position: its place within the round, from 0.
        first: seconds of the turn's first step, which finds cold caches.
        counted: seconds of all steps after the first together; counted / steps is the step time of the turn.
        cpu: processor seconds of the arm over the whole turn, all `steps` + 1 steps.
        involuntary: involuntary context switches during the turn.
        faults: page faults during the turn, all `steps` + 1 steps, that needed no disk.
        stolen: seconds that the hypervisor took from the arm's cores during the turn, in the kernel's ticks (10 ms).
        spread: seconds that the slowest rank's counted steps took longer than the fastest's; of one process, nothing.
            All other columns are of all ranks: times are the slowest's, processor time, switches and faults are sums.
        fetching: seconds of the counted steps in which the loop waited for its batch; nothing in older records.
        gap: seconds by which the turn's first step took longer than the middle one of the others; only of whole epochs.
        steps: counted steps in each turn, the same for all arms of a group.
        whole: whether a turn is a whole epoch; its first step is then counted too.
    """

    steps: int
    round: tuple[int, ...] = ()
    position: tuple[int, ...] = ()
    first: tuple[float, ...] = ()
    counted: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    involuntary: tuple[int, ...] = ()
    faults: tuple[int, ...] = ()
    stolen: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    fetching: tuple[float, ...] = ()
    gap: tuple[float, ...] = ()
    whole: bool = False

    @property
    def taken(self) -> int:
        """Steps in each turn, counted or not."""
        return self.steps + (not self.whole)

    @property
    def seconds(self) -> float:
        """Of all turns together."""
        return math.fsum(self.counted) + (0.0 if self.whole else math.fsum(self.first))

    def __post_init__(self) -> None:
        columns = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("steps", "whole")}
        lengths = {len(column) for name, column in columns.items() if name not in LATER or column}
        if len(lengths) > 1:
            raise RunError(f"turns: columns of unequal length {sorted(lengths)}")


@dataclass(frozen=True)
class Record:
    """What became of one cell in one launch. Written once, never changed.

    Attributes:
        suite, cell, group: names; `cell` is the stable id, a twin's ends in `#twin`.
        point: the value of every axis.
        twin: whether this is the baseline's second copy, the A/A control.
        launch: number of the launch within the group, from 0; -1 for a cell that was never started.
        outcome, reason: what became of it; every outcome but `ok` has its reason.
        requested, effective: settings as asked for and as read back inside the steps, same keys.
        ledger: the work that was done; see `bench.ledger`.
        turns: raw samples of the timed turns, or None.
        warmup: seconds of each step before the first turn, audited ones first.
        samples_per_step: samples in one batch, all ranks together.
        memory: bytes by name, e.g. `peak_memory_host`, `start_memory_host`.
        extra: launch-level metrics by name, of callbacks.
        looking: whether the launch carried callbacks. Then it has no turns, is never compared and never decides.
        declared: what the metrics of `extra` are, as their callbacks declare them.
        zygote: number of the set of zygotes that the arm was forked from.
        order: the order in which the arm was started within the launch, from 0.
        ready: seconds from the request for the arm to its first pull of a batch.
        launch_seconds: wall time of the whole launch, start-up, warm-up and turns of all arms.
        cores: the cores that the arm was pinned to.
        started: UTC time of the launch, ISO 8601.
        log: the arm's log file, relative to the run's folder, or "".
    """

    suite: str
    cell: str
    group: str
    point: Mapping[str, Any]
    twin: bool
    launch: int
    outcome: Outcome
    reason: str = ""
    requested: Mapping[str, Any] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    turns: Turns | None = None
    warmup: tuple[float, ...] = ()
    samples_per_step: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    zygote: int = 0
    order: int = 0
    ready: float = 0.0
    launch_seconds: float = 0.0
    cores: tuple[int, ...] = ()
    started: str = ""
    log: str = ""
    looking: bool = False
    declared: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise RunError(one_of("outcome", self.outcome, OUTCOMES))
        if (self.outcome == "ok") == bool(self.reason):
            raise RunError(f"{self.cell}: outcome {self.outcome!r} with reason {self.reason!r}; each but 'ok' has one")
        if self.looking and self.turns is not None:
            raise RunError(f"{self.cell}: a looking launch has no timed turns")


def to_json(record: Record) -> dict[str, Any]:
    """The record as plain JSON data, with its schema version."""
    return {"schema": SCHEMA, **asdict(record)}


def from_json(data: object) -> Record:
    """A record from JSON data.

    Raises:
        RunError: it is not a record, or of a schema version that this program does not know; says which it knows.
    """
    if not isinstance(data, dict) or "schema" not in data:
        raise RunError(f"not a record: {str(data)[:80]!r}")
    values = dict(data)
    schema = values.pop("schema")
    if schema not in SCHEMAS:
        raise RunError(one_of("schema version", schema, SCHEMAS))
    known = {item.name for item in fields(Record)}
    required = ("suite", "cell", "group", "point", "twin", "launch", "outcome")
    missing = [name for name in required if name not in values]
    unknown = sorted(set(values) - known)
    if missing or unknown:
        raise RunError(f"not a record of schema {schema}: missing {missing}, unknown {unknown}")
    try:
        if values.get("turns") is not None:
            columns = dict(values["turns"])
            steps, whole = columns.pop("steps"), columns.pop("whole", False)
            values["turns"] = Turns(steps, **{name: tuple(column) for name, column in columns.items()}, whole=whole)
        for name in ("warmup", "cores"):
            values[name] = tuple(values.get(name, ()))
        values["declared"] = tuple(Metric(**metric) for metric in values.get("declared", ()))
        return Record(**values)
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        raise RunError(f"not a record of schema {schema}: {type(error).__name__}: {error}") from None
