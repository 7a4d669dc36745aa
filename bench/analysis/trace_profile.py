"""What a trace says: operators, copies and waits of one step, by count and time; and how two traces differ. No torch.

A trace is a Chrome trace as torch.profiler writes it: events with a category, a thread, a beginning and a duration.
"""

from __future__ import annotations

import gzip
import json
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from bench.errors import BenchError
from bench.plan.cell import Cell, Group
from bench.results.record import Outcome

OperatorKind = Literal["wait", "copy", "operator", "backward", "runtime", "kernel"]
OPERATOR_KINDS: tuple[OperatorKind, ...] = get_args(OperatorKind)  # in the order in which differences are told

# The first and the last recorded step are not counted: the first finds the profiler's buffers cold, and what the device
# still does in the last is cut off by the profiler's end.
EDGE_STEPS = 2

STEP_EVENT = "ProfilerStep#"
HOST = ("cpu_op", "cuda_runtime", "cuda_driver")  # what the host does; the rest of a step is Python and waiting
DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
# The engine puts an event of this name around each backward node, whose own event follows inside it.
ENGINE = "autograd::engine::evaluate_function"
READS = ("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero")  # the loop needs a number: on a device, a wait
WAITS = ("cudaMemcpy", "hipMemcpy")  # besides all names with Synchronize in them
COPIES = ("aten::copy_", "aten::_to_copy", "aten::to", "aten::clone")


@dataclass(frozen=True)
class Operator:
    """One name in a trace, over all counted steps.

    Attributes:
        count: how often it was called, in all of them together.
        seconds: its self time a step, without what it called: the median over the steps that called it, times their
            share of all steps. Under the profiler, so it is no cost.
    """

    name: str
    kind: OperatorKind
    count: int
    seconds: float


@dataclass(frozen=True)
class Profile:
    """The counted steps of one rank's trace.

    Attributes:
        steps: how many are counted.
        step_seconds: a step's length, median, under the profiler.
        outside_seconds: of these, outside of any operator and any call of the device's runtime: Python, mostly. Median.
        operators: by name.
        device: whether anything ran on a device besides the CPU.
    """

    steps: int
    step_seconds: float
    outside_seconds: float
    operators: Mapping[str, Operator]
    device: bool

    def count(self, *names: str) -> float:
        """Calls a step of these names together."""
        return sum(self.operators[name].count for name in names if name in self.operators) / self.steps

    def total(self, *kinds: OperatorKind) -> float:
        """Calls a step of these kinds together."""
        return sum(operator.count for operator in self.operators.values() if operator.kind in kinds) / self.steps


@dataclass(frozen=True)
class OperatorDifference:
    """A name that two traces do not have equally often. Counts and self times are per step, baseline's first."""

    name: str
    kind: OperatorKind
    count: tuple[float, float]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class TracedCell:
    """What became of one cell.

    Attributes:
        files: the traces, one a rank, rank 0 first.
        profile: of rank 0; None where there is none.
        ranks: profiles of the other ranks.
    """

    cell: Cell
    outcome: Outcome
    reason: str = ""
    files: tuple[Path, ...] = ()
    profile: Profile | None = None
    ranks: tuple[Profile, ...] = field(default=())


def read_trace(path: Path, steps: int) -> Profile:
    """Read a trace of `steps` counted steps.

    Raises:
        BenchError: it is not readable, or holds another number of steps.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
            events = json.load(file)["traceEvents"]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: not readable as a trace: {type(error).__name__}: {error}") from None
    return profile_of(events, steps, str(path))


def profile_of(events: Iterable[Mapping[str, Any]], steps: int, name: str) -> Profile:
    """The profile of a trace's events.

    Raises:
        BenchError: it has another number of steps than `steps` and the two at the edges.
    """
    spans: list[tuple[float, float]] = []
    host: list[Mapping[str, Any]] = []
    device: list[Mapping[str, Any]] = []
    for event in events:
        category = event.get("cat")
        if event.get("ph") != "X":
            continue
        if category == "user_annotation" and str(event["name"]).startswith(STEP_EVENT):
            spans.append((event["ts"], event["ts"] + event["dur"]))
        elif category in HOST:
            host.append(event)
        elif category in DEVICE:
            device.append(event)
    if len(spans) != steps + EDGE_STEPS:
        raise BenchError(f"{name}: holds {len(spans)} steps; expected: {steps} and {EDGE_STEPS} at the edges")
    counted = sorted(spans)[1:-1]
    begins = [begin for begin, _ in counted]

    def step_at(moment: float) -> int | None:
        index = bisect_right(begins, moment) - 1
        return index if index >= 0 and moment < counted[index][1] else None

    found: dict[tuple[str, OperatorKind], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))

    def take(event: Mapping[str, Any], step: int, seconds: float) -> None:
        called = str(event["name"]).partition(": ")[0] if str(event["name"]).startswith(ENGINE) else str(event["name"])
        found[called, kind_of(event["cat"], called)][step].append(seconds)

    inside: list[list[tuple[float, float]]] = [[] for _ in counted]
    for event, own in self_times(host):
        step = step_at(event["ts"])
        if step is not None:
            take(event, step, own)
            inside[step].append((event["ts"], event["ts"] + event["dur"]))
    # Work on the device belongs to the step that launched it, whenever it ran.
    launches = {event["args"]["correlation"]: event["ts"] for event in host if "correlation" in event.get("args", {})}
    ran = False
    for event in device:
        launched = launches.get(event.get("args", {}).get("correlation"))
        step = None if launched is None else step_at(launched)
        if step is not None:
            ran = True
            take(event, step, event["dur"] / 1e6)
    return Profile(
        steps,
        statistics.median(end - begin for begin, end in counted) / 1e6,
        statistics.median(uncovered_time(span, within) for span, within in zip(counted, inside, strict=True)) / 1e6,
        {called: _operator(called, kind, calls, steps) for (called, kind), calls in sorted(found.items())},
        ran,
    )


def _operator(name: str, kind: OperatorKind, calls: Mapping[int, Sequence[float]], steps: int) -> Operator:
    # A median, since a step that lost the processor to somebody else takes many times as long.
    usual = statistics.median(sum(seconds) for seconds in calls.values())
    return Operator(name, kind, sum(map(len, calls.values())), usual * len(calls) / steps)


def kind_of(category: str, name: str) -> OperatorKind:
    """What sort of thing an event is; copies and waits are looked for by name."""
    if category in DEVICE:
        return "kernel" if category == "kernel" else "copy" if category == "gpu_memcpy" else "runtime"
    if category != "cpu_op":
        return "wait" if "Synchronize" in name or name in WAITS else "runtime"
    if name in READS:
        return "wait"
    if name in COPIES:
        return "copy"
    backward = name == ENGINE or name.endswith(("Backward0", "Backward", "AccumulateGrad"))
    return "backward" if backward else "operator"


def self_times(events: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], float]]:
    """Each event with its seconds less those of the events that lie directly in it, thread by thread."""
    threads: dict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        threads[event["pid"], event["tid"]].append(event)
    result = []
    for lane in threads.values():
        open_events: list[int] = []  # indices into `own` of the events around the current one
        own: list[tuple[Mapping[str, Any], float]] = []
        for event in sorted(lane, key=lambda item: (item["ts"], -item["dur"])):
            while open_events and (outer := own[open_events[-1]][0])["ts"] + outer["dur"] <= event["ts"]:
                open_events.pop()
            if open_events:
                outer, seconds = own[open_events[-1]]
                own[open_events[-1]] = (outer, seconds - event["dur"] / 1e6)
            open_events.append(len(own))
            own.append((event, event["dur"] / 1e6))
        result += own
    # Times are rounded to nanoseconds, each by itself, so a sum of inner ones may pass the outer one by a few.
    return [(event, max(0.0, seconds)) for event, seconds in result]


def uncovered_time(span: tuple[float, float], intervals: Iterable[tuple[float, float]]) -> float:
    """How much of the span lies in none of the intervals, which begin in it and may overlap."""
    left, reached = 0.0, span[0]
    for begin, end in sorted(intervals):
        left += max(0.0, begin - reached)
        reached = max(reached, end)
    return left + max(0.0, span[1] - reached)


def operator_differences(baseline: Profile, other: Profile) -> list[OperatorDifference]:
    """All names that the two do not call equally often: waits first, then copies, then by how much they differ."""
    found = []
    for name in baseline.operators.keys() | other.operators.keys():
        mine, theirs = baseline.operators.get(name), other.operators.get(name)
        counts = (mine.count / baseline.steps if mine else 0.0, theirs.count / other.steps if theirs else 0.0)
        if counts[0] != counts[1]:
            seconds = (mine.seconds if mine else 0.0, theirs.seconds if theirs else 0.0)
            either = mine or theirs
            assert either is not None, "the name is from one of the two"
            found.append(OperatorDifference(name, either.kind, counts, seconds))
    return sorted(
        found, key=lambda item: (OPERATOR_KINDS.index(item.kind), -abs(item.count[1] - item.count[0]), item.name)
    )


def trace_document(folder: Path, steps: int, groups: Sequence[tuple[Group, Sequence[TracedCell]]]) -> dict[str, Any]:
    """All of it as JSON: counts and seconds are per step, paths are relative to the folder."""
    return {
        "folder": str(folder),
        "steps": steps,
        "note": NOTE,
        "groups": [_group_document(folder, group, cells) for group, cells in groups],
    }


NOTE = (
    "Counts are exact. Times were taken under the profiler, which lengthens every operator and the Python around it, "
    "and the cells ran one after the other. They show where time goes within one trace and are never to be quoted as "
    "costs; `bench run` measures those."
)


def _group_document(folder: Path, group: Group, cells: Sequence[TracedCell]) -> dict[str, Any]:
    baseline = baseline_of(group, cells)
    return {
        "group": group.id,
        "suite": group.suite,
        "baseline": group.cells[0].id,
        "cells": [_cell_document(folder, cell) for cell in cells],
        "differences": {
            traced.cell.id: [
                {"name": item.name, "kind": item.kind, "count": [*item.count], "self_seconds": [*item.seconds]}
                for item in operator_differences(baseline.profile, traced.profile)
            ]
            for traced in cells
            if baseline is not None and baseline.profile is not None and traced.profile is not None
            if traced is not baseline
        },
    }


def _cell_document(folder: Path, traced: TracedCell) -> dict[str, Any]:
    return {
        "cell": traced.cell.id,
        "point": dict(traced.cell.point),
        "outcome": traced.outcome,
        "reason": traced.reason,
        "files": [str(path.relative_to(folder)) for path in traced.files],
        "ranks": [
            {
                "step_seconds": profile.step_seconds,
                "outside_seconds": profile.outside_seconds,
                "operators": {
                    operator.name: {
                        "kind": operator.kind,
                        "count": operator.count / profile.steps,
                        "self_seconds": operator.seconds,
                    }
                    for operator in profile.operators.values()
                },
            }
            for profile in ([traced.profile, *traced.ranks] if traced.profile is not None else [])
        ],
    }


def baseline_of(group: Group, cells: Sequence[TracedCell]) -> TracedCell | None:
    """The group's baseline, if it has a trace."""
    return next((cell for cell in cells if cell.cell.id == group.cells[0].id and cell.profile is not None), None)
