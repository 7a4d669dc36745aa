"""The immutable result of one cell in one launch, the metrics, the outcomes, the JSON schema. No torch, no pandas.

Everything that crosses a process boundary or reaches a disk is one of these, as JSON. All data is in SI units without
prefixes: seconds, bytes, samples/s.

Schema history:
    1  first version.
    2  `looking` and `declared`: launches that carry callbacks, and what their metrics are. Version 1 is read as it is:
       none of its launches did.
    3  every field is there, losses that are not finite are words (`nan`, `inf`, `-inf`), and every line of
       records.jsonl carries its `chain` (`chain`). Versions 1 and 2 lack some fields, and have none.
    4  names only: `looking` is `instrumented`, `zygote` is `fork_server`, the metric `looked_step_time` is
       `instrumented_step_time`; in run.json the options `looks`, `target` and `zygotes` are `instrument`,
       `precision_goal` and `fork_servers`, their times go by the same names, and a group that stops at its precision
       goal says `precision-goal` for `target`. `old_names` reads versions 1 to 3 under these names.
    5  ledgers tell of watched updates, of optimizers and their learning rates, and of what was equal; work is judged by
       the kind of equality that the suite asks for. Nothing is renamed.
       Turns have `began`, `resident` and `allocated`, from which slopes over steps are made. Those of versions 1 to 4
       are read with these columns empty. In run.json suites have `equal`, `tolerance` and `trainers`.
    6  turns hold the seconds of every step (`seconds`, `cold`) instead of those of the first and the sum of the others,
       and are of several lengths; records have `seat`. Versions 1 to 5 have sums, and are read as they are.
    7  records have `nodes`, turns what meters said (`sm_clock` to `meter_step`). Those of versions 1 to 6 are read with
       none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from bench.errors import RunError, one_of
from bench.results import decoding, old_names
from bench.results.decoding import COUNT, Count, Number, Scalar, Seconds
from bench.results.forms import LedgerForm, SettingsForm
from bench.results.turns import Turns

RECORD_SCHEMA = 7
SCHEMAS = range(1, RECORD_SCHEMA + 1)  # those that are read
WHOLE_FROM = 3  # the first schema in which every field is there

Outcome = Literal[
    "ok",
    "unsupported",
    "downgraded",
    "unequal-settings",
    "unequal-work",
    "oom",
    "timeout",
    "crashed",
    "internal",
    "drifting",
    "noisy",
    "void",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# An outcome that makes a run exit with 3; the others are honest answers about the machine.
FAILED_OUTCOMES: frozenset[Outcome] = frozenset(
    {"unequal-settings", "unequal-work", "oom", "timeout", "crashed", "internal", "void"}
)

# Outcomes of which the arm's log may say more.
_LOGGED: frozenset[Outcome] = frozenset({"unsupported", "oom", "timeout", "crashed", "internal"})

NonEmpty = Annotated[str, Meta(min_length=1)]

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A named quantity with unit and direction; frame, reports and exports read these and know no metric by name.

    Attributes:
        name, unit, better, description: what it is; units are SI without prefixes, "1" for a plain number.
        part_of: the metric that this one and its like add up to, or ""; the report draws the parts of a whole.
        limit: the summary warns where the estimate is worse than this; None: nowhere.
    """

    name: NonEmpty
    unit: str
    better: Better
    description: str
    part_of: str = ""
    limit: Number | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("step_time", "s", "lower", "the mean step, pull to pull, settled: fetch, forward, backward, update"),
        Metric("typical_step_time", "s", "lower", "the median step, which does not see what hits one step in twenty"),
        Metric("step_time_p95", "s", "lower", "the step that 95 of 100 steps are not longer than"),
        Metric("step_time_p99", "s", "lower", "the step that 99 of 100 steps are not longer than"),
        Metric("throughput", "samples/s", "higher", "samples of a step, as counted, over step_time, the mean"),
        Metric("cpu_time", "s", "lower", "processor time of all threads of the arm for one step"),
        Metric("data_time", "s", "lower", "the part of step_time in which the loop waits for its batch"),
        Metric("epoch_gap", "s", "lower", "what the first step of an epoch takes longer than the epoch's other steps"),
        Metric("epoch_time", "s", "lower", "one epoch of the loop, with its start and its end: validation, checkpoint"),
        Metric(
            "epoch_end", "s", "lower", "what an epoch's last step, up to the next epoch, takes longer than the others"
        ),
        Metric("first_step_time", "s", "lower", "the first step after a pause, which finds cold caches; kept apart"),
        Metric("page_faults", "faults", "lower", "page faults a step that needed no disk, as fresh memory brings them"),
        Metric("setup_time", "s", "lower", "from the start of the loop to its first pull of a batch"),
        Metric("time_to_first_step", "s", "lower", "from the start of the loop to the end of its first step"),
        Metric("time_to_first_step_cold", "s", "lower", "the same with torch.compile and an empty cache of its own"),
        Metric("time_to_first_step_warm", "s", "lower", "the same with the cache of an earlier launch"),
        Metric("rank_spread", "s", "lower", "what the slowest rank's step takes longer than the fastest's"),
        Metric("peak_memory_host", "bytes", "lower", "largest resident set of an arm's process, interpreter included"),
        Metric("memory_growth_host", "bytes", "lower", "by how much the resident set of an arm grows a step"),
        Metric("memory_growth_device", "bytes", "lower", "by how much the tensors of an arm on its device grow a step"),
        Metric("sm_clock", "Hz", "higher", "clock of the device's multiprocessors at the end of a turn"),
        Metric("power", "W", "lower", "power of the devices' boards at the end of a turn, idle share included"),
        Metric("samples_per_joule", "samples/J", "higher", "samples of turns over what their devices took meanwhile"),
        Metric("idle_energy_share", "1", "lower", "the part of that energy that an idle device takes, too"),
        Metric("metering", "s", "lower", "reading the meters after a turn, while all arms are held; in no step"),
    )
}


# Metrics that begin at 0, as sound cells have them: of them differences are taken, and never logarithms.
ADDITIVE: frozenset[str] = frozenset({"memory_growth_host", "memory_growth_device"})


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
        ledger: the work that was done; see `bench.results.work_ledger`.
        turns: raw samples of the timed turns, or None.
        warmup: seconds of each step before the first turn, audited ones first.
        samples_per_step: samples of a step, all ranks together: the mean over all steps, rounded; in records whose
            ledger has no `largest_batch`, as the suite declared it. `sample_counts` has it unrounded.
        memory: bytes by name, e.g. `peak_memory_host`, `start_memory_host`.
        extra: launch-level metrics by name, of callbacks.
        instrumented: whether the launch carried callbacks. Then it has no turns, is never compared and never decides.
        declared: what the metrics of `extra` are, as their callbacks declare them.
        fork_server: number of the set of fork servers that the arm was forked from.
        seat: which of the set's two interpreters of its kind that was; the baseline's is shared with no arm, and arms
            that import what it imports change places with it (`bench.engine.interpreter_sets`).
        order: the order in which the arm was started within the launch, from 0.
        ready: seconds from the request for the arm to its first pull of a batch.
        launch_seconds: wall time of the whole launch, start-up, warm-up and turns of all arms.
        cores: the cores that the arm was pinned to.
        started: UTC time of the launch, ISO 8601.
        log: the arm's log file, relative to the run's folder, or "".
        nodes: the machine of each rank, by name, where a launcher has placed them; none: the conductor's own.
    """

    suite: NonEmpty
    cell: NonEmpty
    group: NonEmpty
    point: Mapping[str, Scalar]
    twin: bool
    launch: Annotated[int, Meta(ge=-1, le=COUNT)]
    outcome: Outcome
    reason: str = ""
    requested: Mapping[str, Any] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    turns: Turns | None = None
    warmup: tuple[Seconds, ...] = ()
    samples_per_step: Count = 0
    memory: Mapping[str, Count] = field(default_factory=dict)
    extra: Mapping[str, Number] = field(default_factory=dict)
    fork_server: Count = 0
    seat: Count = 0
    order: Count = 0
    ready: Seconds = 0.0
    launch_seconds: Seconds = 0.0
    cores: tuple[Count, ...] = ()
    started: str = ""
    log: str = ""
    instrumented: bool = False
    declared: tuple[Metric, ...] = ()
    nodes: tuple[NonEmpty, ...] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise RunError(one_of("outcome", self.outcome, OUTCOMES))
        if (self.outcome == "ok") == bool(self.reason):
            raise RunError(f"{self.cell}: outcome {self.outcome!r} with reason {self.reason!r}; each but 'ok' has one")
        if self.instrumented and self.turns is not None:
            raise RunError(f"{self.cell}: an instrumented launch has no timed turns")

    @property
    def reason_and_log(self) -> str:
        """The reason, and where there is more of it: the log of an arm that failed."""
        named = self.outcome in _LOGGED and self.log and self.log not in self.reason
        return f"{self.reason}; its log: {self.log}" if named else self.reason


@dataclass(frozen=True, kw_only=True)
class RecordLine(Record):
    """A record as it stands in records.jsonl, without its `chain`."""

    schema: Annotated[int, Meta(ge=1, le=RECORD_SCHEMA)]


LOSSES = ("losses", "rank_losses", "validation_losses")  # what they are called in a ledger
# JSON has no number for these, which a loss may well be; an arm whose loss is one of them did unequal work.
NOT_FINITE: Mapping[str, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def counted_records(records: Iterable[Record]) -> list[Record]:
    """The records that tell of their cells: a void launch was made again, and tells only where it stands alone."""
    kept = list(records)
    others = {record.cell for record in kept if record.outcome != "void"}
    return [record for record in kept if record.outcome != "void" or record.cell not in others]


def encode_record(record: Record) -> dict[str, Any]:
    """The record as plain JSON data, with its schema version.

    Raises:
        RunError: a number in it is not finite, and is none of a loss; names the cell and the number's place.
    """
    values = {"schema": RECORD_SCHEMA, **asdict(record)}
    if record.turns is not None:
        values["turns"]["seconds"] = [list(turn) for turn in record.turns.seconds]
    ledger = values["ledger"]
    for name in LOSSES:
        if name in ledger:
            values["ledger"] = ledger = {**ledger, name: _spelled(ledger[name])}
    for path, number in _not_finite(values, ""):
        raise RunError(f"{record.cell}, launch {record.launch}: {path} is {number}, which is no number for a record")
    return values


def _spelled(losses: Any) -> Any:
    if isinstance(losses, list | tuple):
        return [_spelled(loss) for loss in losses]
    return losses if not isinstance(losses, float) or math.isfinite(losses) else str(losses)


def _read_back(losses: Any) -> Any:
    if isinstance(losses, list | tuple):
        return [_read_back(loss) for loss in losses]
    return NOT_FINITE.get(losses, losses) if isinstance(losses, str) else losses


def _not_finite(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _not_finite(part, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _not_finite(part, f"{path}[{index}]")


class _Head(msgspec.Struct):
    schema: int


def decode_record(data: object, where: str | Path = "not a record") -> Record:
    """A record from JSON data.

    Args:
        where: what the message begins with.

    Raises:
        RunError: it is not a record, or of a schema version that this program does not know; says which it knows.
    """
    schema = _known(decoding.convert(_Head, data, where).schema, where)
    if schema < RECORD_SCHEMA and isinstance(data, Mapping):
        data = old_names.record_of_today(data, schema, where)
    return _checked(decoding.convert(Record, data, where, form=RecordLine, whole=schema >= WHOLE_FROM), where)


def decode_line(line: bytes | str, where: str | Path) -> Record:
    """A record from a line of records.jsonl, without its `chain`.

    Raises:
        RunError: as `from_json`.
    """
    text = line if isinstance(line, bytes) else line.encode()
    try:
        schema = decoding.decode(_Head, text, where).schema
    except RunError:
        if (old := _with_losses(text)) is None:
            raise
        return decode_record(old, where)
    if _known(schema, where) < RECORD_SCHEMA:
        return decode_record(decoding.decode(dict[str, Any], text, where), where)
    return _checked(decoding.decode(Record, text, where, form=RecordLine, whole=True), where)


def _known(schema: int, where: str | Path) -> int:
    if schema not in SCHEMAS:
        raise RunError(f"{where}: {one_of('schema version', schema, SCHEMAS)}")
    return schema


def _with_losses(line: bytes) -> dict[str, Any] | None:
    """A record of an older version whose losses are not finite: there they stand as Python writes them; else None."""
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        data = json.loads(line)
        if data["schema"] < RECORD_SCHEMA:
            data["ledger"]["losses"] = _spelled(data["ledger"]["losses"])
            data["ledger"]["rank_losses"] = _spelled(data["ledger"].get("rank_losses", []))
            return dict(data)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass  # it is no such record, and the reader says what it is not
    return None


def _checked(record: Record, where: str | Path) -> Record:
    """With the losses as numbers.

    Raises:
        RunError: ledger or settings hold what the program cannot read, or two turns are of one round.
    """
    if record.turns is not None and len(set(record.turns.round)) < len(record.turns.round):
        raise RunError(f"{where}: $.turns.round: two turns of one round")
    ledger = dict(record.ledger)
    for name in LOSSES:
        if name in ledger:
            ledger[name] = _read_back(ledger[name])
    decoding.convert(LedgerForm, ledger, f"{where}: ledger")
    for name in ("requested", "effective"):
        decoding.convert(SettingsForm, getattr(record, name), f"{where}: {name}")
    return replace(record, ledger=ledger) if ledger != record.ledger else record
