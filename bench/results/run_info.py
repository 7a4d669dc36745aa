"""run.json: what stands in it, as types, and whether it and the records are about the same things. No torch, no pandas.

Runs of schema 1 and 2 may lack keys; a missing one then has the default that is said here. Those of schemas 1 to 3 are
read under the names of today (`old_names`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from bench.borders import json_text
from bench.errors import RunError, one_of
from bench.results import decoding, old_names
from bench.results.chain import Anchor
from bench.results.decoding import COUNT, Count, Number, Scalar, Whole
from bench.results.forms import RANK_AXES
from bench.results.record import METRICS, RECORD_SCHEMA, SCHEMAS, WHOLE_FROM, NonEmpty, Outcome, Record

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def timestamp() -> str:
    """The time now as all files have it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class GoalInfo:
    """What a suite trains for: see `bench.plan.goal.Goal`. Axes of these names say otherwise for a point."""

    target: Number
    epochs: Annotated[int, Meta(ge=1, le=COUNT)]
    seeds: Annotated[int, Meta(ge=1, le=COUNT)]
    margin: Number


@dataclass(frozen=True)
class SuiteInfo:
    """A suite of the plan: see `bench.plan.suite.Suite`; `trainers` are the sets that cells of it name.

    Attributes:
        ladder: by value of the compared axis, the value below; empty where there is no ladder.
        goal: what its arms train for, or None.
    """

    title: str
    compare: NonEmpty
    baseline: Scalar
    axes: Mapping[str, Annotated[tuple[Scalar, ...], Meta(min_length=1)]]
    length_axis: str | None = None
    equal: str = ""
    tolerance: Number | None = None
    trainers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ladder: Mapping[str, str] = field(default_factory=dict)
    goal: GoalInfo | None = None


@dataclass(frozen=True)
class CellInfo:
    """A cell of the plan: see `bench.plan.cell.Cell`; `outcome` is `ok` unless it cannot run here."""

    id: NonEmpty
    suite: NonEmpty
    group: NonEmpty
    point: Mapping[str, Scalar]
    twin: bool
    baseline: NonEmpty | None
    outcome: Outcome = "ok"
    reason: str = ""


@dataclass(frozen=True)
class PlanInfo:
    """The plan: suites by name, ids of groups, cells."""

    suites: Mapping[str, SuiteInfo]
    cells: tuple[CellInfo, ...]
    groups: tuple[NonEmpty, ...] = ()


@dataclass(frozen=True)
class GroupStop:
    """Why a group had no more launches, and how many it had."""

    reason: str
    launches: Count


@dataclass(frozen=True)
class ConditionInfo:
    """What a run says of one condition in one group: see `bench.stats.conditions.Answer`."""

    condition: NonEmpty
    group: NonEmpty
    cell: NonEmpty
    over: NonEmpty
    word: Literal["yes", "no", "open"]
    low: Number | None
    high: Number | None
    launches: Count
    reason: str
    sentence: str


@dataclass(frozen=True)
class Digests:
    """SHA-256 of what a run was made from.

    Attributes:
        options: of the options, as JSON with sorted keys.
        files: of each suite's file and of the modules beside it that it imports, by suite, then by name in its folder.
    """

    options: Digest
    files: Mapping[str, Mapping[str, Digest]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """run.json.

    Attributes:
        run: the run's id.
        loopmark: the version that made it.
        argv: the command line.
        options: see `bench.engine.options.Options`.
        files: suite file by suite.
        environment: facts of machine and software, see `bench.machine.environment`.
        sides: names of the environments that it compares.
        started, finished: UTC times, ISO 8601; None: not yet.
        stops: by group.
        timing: seconds by what they went into.
        warnings: what a reader of the figures should know of how the run went.
        answers: what its launches say of the conditions of `--until`, where there were any.
        digests: None in runs of older versions.
        records: where the chain of records.jsonl stood when the run ended, or None.
    """

    schema: Annotated[int, Meta(ge=1, le=RECORD_SCHEMA)]
    run: NonEmpty
    plan: PlanInfo
    loopmark: str = ""
    argv: tuple[str, ...] = ()
    options: Mapping[str, Scalar | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    sides: tuple[str, ...] = ()
    started: str | None = None
    finished: str | None = None
    stops: Mapping[str, GroupStop] = field(default_factory=dict)
    timing: Mapping[str, Number] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    answers: tuple[ConditionInfo, ...] = ()
    digests: Digests | None = None
    records: Anchor | None = None


class _Options(TypedDict, total=False):
    """The options that are known here; see `bench.engine.options.Options`."""

    budget: Annotated[float, Meta(gt=0, le=1e9)]
    precision_goal: Annotated[float, Meta(gt=0, le=1e9)]
    timeout: Annotated[float, Meta(gt=0, le=1e9)]
    turn: Annotated[float, Meta(gt=0, le=1e9)]
    launch: Annotated[float, Meta(gt=0, le=1e9)] | None
    seed: Whole
    threads: Annotated[int, Meta(ge=1, le=COUNT)]
    fork_servers: Annotated[int, Meta(ge=1, le=COUNT)]
    instrument: Count
    launches: Count | None
    until: NonEmpty | None
    memory_limit: Count | None


def decode_run_info(data: bytes, where: Path) -> dict[str, Any]:
    """run.json as a plain mapping in which every key of `RunInfo` is, checked as a whole.

    Raises:
        RunError: something in it is missing, of the wrong type, or contradicts the rest; names the file and the field.
    """
    found = decoding.decode(dict[str, Any], data, f"{where}: not readable as a run")
    if (name := decoding.twice(data)) is not None:
        raise RunError(f"{where}: the key {name!r} is there twice in one object")
    return check_run_info(found, where)


def check_run_info(data: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """The same of a mapping.

    Raises:
        RunError: as `decode`.
    """
    if "run" not in data or "plan" not in data:
        raise RunError(f"{where}: not a run: no 'run' and 'plan' in it")
    schema = data.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema not in SCHEMAS:
        raise RunError(f"{where}: {one_of('schema version', schema, SCHEMAS)}")
    if schema < RECORD_SCHEMA:
        data = old_names.run_of_today(data, schema, where)
    # Runs that were made before there was `--until` have no answers, and those before there were ladders and goals none
    # of these.
    data = old_names.with_later_fields({"answers": [], **data})
    info = decoding.convert(RunInfo, data, where, whole=schema >= WHOLE_FROM, more=True)
    for name in ("digests", "records"):
        if schema >= WHOLE_FROM and getattr(info, name) is None:
            raise RunError(f"{where}: $.{name}: expected `object`; there is None")
    decoding.convert(_Options, dict(info.options), f"{where}: $.options")
    _check_plan(info.plan, where)
    for name, time in (("started", info.started), ("finished", info.finished)):
        _check_time(time, f"{where}: $.{name}")
    return complete_run_info(data)


def complete_run_info(data: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults of what is missing."""
    plan = dict(data["plan"])
    plan.setdefault("groups", list(dict.fromkeys(cell["group"] for cell in plan["cells"])))
    missing: dict[str, Any] = {"length_axis": None, **old_names.SUITE_FIELDS}
    plan["suites"] = {name: {**missing, **suite} for name, suite in plan.get("suites", {}).items()}
    plan["cells"] = [{"outcome": "ok", "reason": "", **cell} for cell in plan["cells"]]
    defaults: dict[str, Any] = dict.fromkeys(("started", "finished", "digests", "records"))
    defaults |= {"loopmark": "", "argv": [], "options": {}, "files": {}, "environment": {}, "sides": [], "stops": {}}
    defaults |= {"timing": {}, "warnings": [], "answers": []}
    return {**defaults, **data, "plan": plan}


def _check_time(text: str | None, where: str) -> None:
    try:
        if text is not None:
            datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise RunError(f"{where}: expected a time, ISO 8601; there is {text!r}") from None


def _check_plan(plan: PlanInfo, where: Path) -> None:
    """Raises:
    RunError: cells name what is not there, or two have one id.
    """
    baselines: dict[str, str | None] = {}
    groups = {cell.id: cell.group for cell in plan.cells}
    seen: set[str] = set()
    for index, cell in enumerate(plan.cells):
        at = f"{where}: $.plan.cells[{index}]"
        if cell.id in seen:
            raise RunError(f"{at}.id: {cell.id!r} is the id of an earlier cell, too")
        seen.add(cell.id)
        if cell.suite not in plan.suites:
            raise RunError(f"{at}.suite: {one_of('suite', cell.suite, plan.suites)}")
        if plan.groups and cell.group not in plan.groups:
            raise RunError(f"{at}.group: {one_of('group', cell.group, plan.groups)}")
        if cell.baseline is not None and groups.get(cell.baseline) != cell.group:
            own = [name for name, group in groups.items() if group == cell.group]
            raise RunError(f"{at}.baseline: {one_of('cell of its group', cell.baseline, own)}")
        if baselines.setdefault(cell.group, cell.baseline) != cell.baseline:
            raise RunError(f"{at}.baseline: {cell.baseline!r}, but its group's is {baselines[cell.group]!r}")
        suite = plan.suites[cell.suite]
        for axis in (suite.compare, suite.length_axis):
            if axis is not None and axis not in cell.point:
                raise RunError(f"{at}.point: {one_of('axis', axis, cell.point)}, which its suite names")
        if suite.compare in RANK_AXES and not _is_count(cell.point[suite.compare]):
            there = cell.point[suite.compare]
            raise RunError(f"{at}.point.{suite.compare}: expected a count above 0; there is {there!r}")
        if (cell.outcome == "ok") == bool(cell.reason):
            raise RunError(f"{at}.reason: outcome {cell.outcome!r} with reason {cell.reason!r}; each but 'ok' has one")
    for group in plan.groups:
        if group not in baselines:
            raise RunError(f"{where}: $.plan.groups: {group!r} has no cells")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def check_records(info: Mapping[str, Any], records: Iterable[tuple[str, Record]]) -> None:
    """Whether records are of cells of the plan, each once, with metrics that somebody declares.

    Args:
        info: run.json, checked.
        records: each with the place that it was read from.

    Raises:
        RunError: one is not; names its place.
    """
    planned = {cell["id"]: cell for cell in info["plan"]["cells"]}
    seen: dict[tuple[str, int, bool], str] = {}
    declared = dict(METRICS)
    kept = list(records)
    for where, record in kept:
        cell = planned.get(record.cell)
        if cell is None:
            raise RunError(f"{where}: $.cell: {one_of('cell', record.cell, planned)}")
        for name in ("suite", "group", "twin"):
            if getattr(record, name) != cell[name]:
                raise RunError(f"{where}: $.{name}: {getattr(record, name)!r}, but the plan has {cell[name]!r}")
        for axis, value in record.point.items():
            if axis in cell["point"] and cell["point"][axis] != value:
                raise RunError(f"{where}: $.point: {axis} is {value!r}, but the plan has {cell['point'][axis]!r}")
        key = (record.cell, record.launch, record.instrumented)
        if key in seen:
            kind = "instrumented launch" if record.instrumented else "launch"
            raise RunError(f"{where}: {kind} {record.launch} of {record.cell} is there already, in {seen[key]}")
        seen[key] = where
        for metric in record.declared:
            first = declared.setdefault(metric.name, metric)
            if (first.unit, first.better) != (metric.unit, metric.better):
                raise RunError(
                    f"{where}: metric {metric.name!r} in {metric.unit}, {metric.better} is better; "
                    f"elsewhere in {first.unit}, {first.better} is better"
                )
    for where, record in kept:
        for name in record.extra:
            if name not in declared:
                raise RunError(f"{where}: $.extra: {one_of('metric', name, declared)}")


def options_digest(options: Mapping[str, Any], schema: int = RECORD_SCHEMA) -> str:
    """SHA-256 of a run's options, as a run.json of that schema names them."""
    if schema < old_names.RENAMED_IN:
        options = old_names.old_options(options)
    ordered = {name: options[name] for name in sorted(options)}
    return hashlib.sha256(json_text(ordered).encode()).hexdigest()
