"""The immutable result of one cell in one launch, the metrics, the outcomes, the JSON schema. No torch, no pandas.

Everything that crosses a process boundary or reaches a disk is one of these, as JSON. All data is in SI units without
prefixes: seconds, bytes, samples/s.

Schema history:
    1  first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from bench.errors import RunError, one_of

SCHEMA = 1

Outcome = Literal["ok", "unsupported", "downgraded", "unequal-work", "oom", "timeout", "crashed", "noisy"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# An outcome that makes a run exit with 3; the others are honest answers about the machine.
FAILED: frozenset[Outcome] = frozenset({"unequal-work", "oom", "timeout", "crashed"})

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A named quantity with unit and direction; frame, reports and exports read these and know no metric by name."""

    name: str
    unit: str
    better: Better
    description: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("step_time", "s", "lower", "one step, pull to pull, as undisturbed: fetch, forward, backward, update"),
        Metric("throughput", "samples/s", "higher", "samples in a batch over step_time"),
        Metric("cpu_time", "s", "lower", "processor time of all threads of the arm for one step"),
        Metric("first_step_time", "s", "lower", "the first step after a pause, which finds cold caches; kept apart"),
        Metric("page_faults", "faults", "lower", "page faults a step that needed no disk, as fresh memory brings them"),
        Metric("rank_spread", "s", "lower", "what the slowest rank's step takes longer than the fastest's"),
        Metric("peak_memory_host", "bytes", "lower", "largest resident set of an arm's process, interpreter included"),
    )
}


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
        steps: counted steps in each turn, the same for all arms of a group.
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

    def __post_init__(self) -> None:
        columns = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "steps"}
        lengths = {len(column) for name, column in columns.items() if name != "spread" or column}
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

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise RunError(one_of("outcome", self.outcome, OUTCOMES))
        if (self.outcome == "ok") == bool(self.reason):
            raise RunError(f"{self.cell}: outcome {self.outcome!r} with reason {self.reason!r}; each but 'ok' has one")


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
    if schema != SCHEMA:
        raise RunError(one_of("schema version", schema, range(1, SCHEMA + 1)))
    known = {item.name for item in fields(Record)}
    required = ("suite", "cell", "group", "point", "twin", "launch", "outcome")
    missing = [name for name in required if name not in values]
    unknown = sorted(set(values) - known)
    if missing or unknown:
        raise RunError(f"not a record of schema {SCHEMA}: missing {missing}, unknown {unknown}")
    try:
        if values.get("turns") is not None:
            columns = dict(values["turns"])
            steps = columns.pop("steps")
            values["turns"] = Turns(steps, **{name: tuple(column) for name, column in columns.items()})
        for name in ("warmup", "cores"):
            values[name] = tuple(values.get(name, ()))
        return Record(**values)
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        raise RunError(f"not a record of schema {SCHEMA}: {type(error).__name__}: {error}") from None
