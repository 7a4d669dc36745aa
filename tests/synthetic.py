"""Whole runs with a known truth: each loop costs a known time a step, each launch and turn has known noise. Seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.results.record import Metric, Outcome, Record
from bench.results.store import StoredRun
from bench.results.turns import Turns

SUITE = "overhead"
PLAIN, FABRIC, TRAINER = "plain", "fabric", "trainer"

Noise = Literal["none", "gaussian", "spikes"]

DECLARED = (
    Metric("half_one", "s", "lower", "the first half of a step", part_of="whole_step"),
    Metric("half_two", "s", "lower", "the other half", part_of="whole_step"),
    Metric("whole_step", "s", "lower", "both of them"),
    Metric("stalls", "1", "lower", "how often it stood still", limit=0.5),
    Metric("grip", "bytes", "higher", "what it held"),
)


@dataclass(frozen=True)
class Truth:
    """What the run is made of.

    Attributes:
        costs: seconds that each loop adds to a step; the baseline's is 0.
        lengths: seconds of a plain step by batch size.
        launches, rounds, steps: of each group; steps are the counted ones of a turn.
        launch_sd: sd of the log factor that an arm keeps through a launch (layout).
        turn_sd: sd of the log factor of a turn.
        drift_sd: sd of the log factor that all arms of a round share; pairing removes it.
        noise: "none", "gaussian", or "spikes": lognormal stalls in 5 % of turns and of launches besides.
        position: log factor added per place in the round, for the position check.
        instrument: instrumented launches of each group.
        failures: outcome and reason by (cell's loop, batch size, launch); launch -1 for a cell never started.
    """

    costs: Mapping[str, float] = field(default_factory=lambda: {PLAIN: 0.0, FABRIC: 60e-6, TRAINER: 430e-6})
    lengths: Mapping[int, float] = field(default_factory=lambda: {32: 0.8e-3, 256: 2.5e-3, 2048: 9.0e-3})
    launches: int = 8
    rounds: int = 12
    steps: int = 2
    launch_sd: float = 0.005
    turn_sd: float = 0.01
    drift_sd: float = 0.05
    noise: Noise = "gaussian"
    position: float = 0.0
    instrument: int = 0
    failures: Mapping[tuple[str, int, int], tuple[Outcome, str]] = field(default_factory=dict)
    seed: int = 0


def cell_id(loop: str, batch: int, *, twin: bool = False) -> str:
    return f"{SUITE}[loop={loop},batch_size={batch},data=synthetic]{'#twin' if twin else ''}"


def group_id(batch: int) -> str:
    return f"{SUITE}[batch_size={batch},data=synthetic]"


def ledger(loop: str, batch: int, steps: int) -> dict[str, Any]:
    return {
        "steps": steps,
        "samples": steps * batch,
        "samples_digest": "d1f0" * 4,
        "audited": steps,
        "forward": steps,
        "backward": steps,
        "optimizer_updates": steps,
        "initial_weights": "aa" * 8,
        "final_weights": "bb" * 8,
        "losses": [0.25, 0.2],
        "nonzero_gradients": 8,
    }


def settings(loop: str) -> dict[str, Any]:
    return {
        "loop": loop,
        "accelerator": "cpu",
        "precision": "32-true",
        "devices": 1,
        "threads": 1,
        "cores": [0],
        "matmul_dtype": "float32",
    }


def _noise(truth: Truth, random_: random.Random, sd: float) -> float:
    if truth.noise == "none":
        return 0.0
    # Stalls of some times the noise, seldom far more: the median of this lognormal is 4.5 sd, one in 40 is over 30.
    stall = random_.lognormvariate(1.5, 1) if truth.noise == "spikes" and random_.random() < 0.05 else 0.0
    return random_.gauss(0, sd) + stall * sd


def _fate(truth: Truth, loop: str, batch: int, launch: int, twin: bool) -> tuple[Outcome, str]:
    return ("ok", "") if twin else truth.failures.get((loop, batch, launch), ("ok", ""))


def _launch(truth: Truth, random_: random.Random, batch: int, launch: int) -> list[Record]:
    arms = [(loop, False) for loop in truth.costs] + [(PLAIN, True)]
    layout = {arm: _noise(truth, random_, truth.launch_sd) for arm in arms}
    columns: dict[tuple[str, bool], dict[str, list[float]]] = {
        arm: {name: [] for name in ("round", "position", "first", "counted", "cpu", "involuntary", "faults", "stolen")}
        for arm in arms
    }
    for round_ in range(truth.rounds):
        drift = random_.gauss(0, truth.drift_sd) if truth.noise != "none" else 0.0
        for position, arm in enumerate(random_.sample(arms, len(arms))):
            true = truth.lengths[batch] + truth.costs[arm[0]]
            log = drift + layout[arm] + _noise(truth, random_, truth.turn_sd) + truth.position * position
            step = true * math.exp(log)
            row = {
                "round": round_,
                "position": position,
                "first": step * 1.2,
                "counted": step * truth.steps,
                "cpu": step * (truth.steps + 1.2),
                "involuntary": 0,
                "faults": 0,
                "stolen": 0.0,
            }
            for name, value in row.items():
                columns[arm][name].append(value)
    records = []
    for order, (loop, twin) in enumerate(arms):
        outcome, reason = _fate(truth, loop, batch, launch, twin)
        turns = Turns(truth.steps, **{name: tuple(values) for name, values in columns[loop, twin].items()})
        record = Record(
            suite=SUITE,
            cell=cell_id(loop, batch, twin=twin),
            group=group_id(batch),
            point={"loop": loop, "batch_size": batch, "data": "synthetic"},
            twin=twin,
            launch=launch,
            outcome=outcome,
            reason=reason,
            requested=settings(loop),
            effective=settings(loop),
            ledger=ledger(loop, batch, truth.rounds * truth.steps),
            turns=turns,
            samples_per_step=batch,
            memory={"peak_memory_host": 300 * 2**20, "start_memory_host": 200 * 2**20},
            order=order,
            seat=int(twin or loop != PLAIN),
            ready=0.1,
            launch_seconds=3.0,
            cores=(0,),
            started="2025-01-01T00:00:00+00:00",
        )
        failed = outcome not in ("ok", "downgraded", "unequal-work")
        records.append(replace(record, turns=None, memory={}, ledger={}, effective={}) if failed else record)
    return records


def instrumented_records(truth: Truth, batch: int, launch: int) -> list[Record]:
    """Of each cell, known to the bit: halves of a quarter and three quarters of a step, no stall, 2 MiB."""
    found = []
    for loop, cost in truth.costs.items():
        step = (truth.lengths[batch] + cost) * 1.2**launch
        seen = {"half_one": step / 4, "half_two": 3 * step / 4, "whole_step": step, "stalls": 0.0, "grip": 2.0**21}
        found.append(
            Record(
                suite=SUITE,
                cell=cell_id(loop, batch),
                group=group_id(batch),
                point={"loop": loop, "batch_size": batch, "data": "synthetic"},
                twin=False,
                launch=launch,
                outcome="ok",
                requested=settings(loop),
                effective={**settings(loop), "lightning_imported": True},
                ledger=ledger(loop, batch, 24),
                extra=seen,
                declared=DECLARED,
                instrumented=True,
                launch_seconds=2.0,
            )
        )
    return found


def make(truth: Truth | None = None, **changes: Any) -> StoredRun:
    """A run as `store.read` would give it; `changes` are fields of Truth."""
    truth = replace(truth or Truth(), **changes)
    random_ = random.Random(truth.seed)
    records: list[Record] = []
    for launch in range(truth.launches):
        for batch in truth.lengths:
            records += [
                record
                for record in _launch(truth, random_, batch, launch)
                if (record.point["loop"], batch, -1) not in truth.failures or record.twin
            ]
    planned = []
    for batch in truth.lengths:
        for loop, twin in [*((loop, False) for loop in truth.costs), (PLAIN, True)]:
            point = {"loop": loop, "batch_size": batch, "data": "synthetic"}
            outcome, reason = _fate(truth, loop, batch, -1, twin)
            cell = cell_id(loop, batch, twin=twin)
            if outcome != "ok":
                records.append(
                    Record(SUITE, cell, group_id(batch), point, twin, -1, outcome, reason, requested=settings(loop))
                )
            planned.append(
                {
                    "id": cell,
                    "suite": SUITE,
                    "group": group_id(batch),
                    "point": point,
                    "twin": twin,
                    "baseline": cell_id(PLAIN, batch),
                    "outcome": outcome,
                    "reason": reason,
                }
            )
    info = {
        "run": "20250101-000000-abcd",
        "schema": 1,
        "loopmark": "0.1.0",
        "argv": ["bench", "run", "overhead", "--set", "loop=plain,fabric"],
        "options": {"seed": truth.seed},
        "plan": {
            "suites": {
                SUITE: {
                    "title": "what each loop costs a step",
                    "compare": "loop",
                    "baseline": PLAIN,
                    "length_axis": "batch_size",
                    "axes": {"loop": list(truth.costs), "batch_size": list(truth.lengths), "data": ["synthetic"]},
                }
            },
            "cells": planned,
        },
        "environment": {"cpu": "a <fast> one & only", "cores": 2, "python": "3.11.9", "torch": "2.9.0"},
        "started": "2025-01-01T00:00:00+00:00",
        "finished": "2025-01-01T00:03:00+00:00",
        "stops": {group_id(batch): {"reason": "precision-goal", "launches": truth.launches} for batch in truth.lengths},
        "timing": {"wall": 180.0, "fork_servers": 20.0, "launches": 30.0, "turns": 120.0, "conductor_cpu": 1.0},
    }
    seen = [
        record
        for launch in range(truth.instrument)
        for batch in truth.lengths
        for record in instrumented_records(truth, batch, launch)
    ]
    return StoredRun(Path("results") / "20250101-000000-abcd", info, tuple(records), tuple(seen))


def wide(cells: int, **changes: Any) -> StoredRun:
    """A run of so many cells, a multiple of 4, in groups of 4: three loops and the twin at as many lengths of step."""
    lengths = {32 + number: 1e-3 * (1 + 9 * number * 4 / cells) for number in range(cells // 4)}
    return make(Truth(lengths=lengths, launches=2, rounds=8, **changes))


@dataclass(frozen=True)
class Arm:
    """One value of a compared axis.

    Attributes:
        step: seconds a step.
        samples: in a step.
        equal: what the judge says was equal.
        waiting: share of the step that it waits for its batch.
        starts: seconds to the first step, by metric.
        outcome, reason: in every launch.
    """

    step: float
    samples: int = 32
    equal: str = ""
    waiting: float = 0.0
    starts: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = "ok"
    reason: str = ""


def race(
    axis: str,
    arms: Mapping[Any, Arm],
    *,
    where: Sequence[Mapping[str, Any]] = ({},),
    suite: str = "made-up",
    launches: int = 5,
    sd: float = 0.002,
    twin_factor: float = 1.0,
    seed: int = 0,
) -> StoredRun:
    """A run of a suite without step lengths: the first arm is the baseline, in a group for each place of `where`."""
    random_ = random.Random(seed)
    base, *_ = arms
    planned, records = [], []
    for place in where:
        rest = ",".join(f"{name}={value}" for name, value in place.items())
        group = f"{suite}[{rest}]"

        def identity(value: Any, twin: bool, rest: str = rest) -> str:
            return f"{suite}[{axis}={value}{',' * bool(rest)}{rest}]{'#twin' * twin}"

        entries = [*((value, False) for value in arms), (base, True)]
        for value, twin in entries:
            cell = {"id": identity(value, twin), "suite": suite, "group": group, "twin": twin, "outcome": "ok"}
            planned.append({**cell, "point": {axis: value, **place}, "baseline": identity(base, False), "reason": ""})
        for launch in range(launches):
            for order, (value, twin) in enumerate(entries):
                arm, rounds = arms[value], 8
                steps = arm.step * (twin_factor if twin else 1.0) * math.exp(random_.gauss(0, sd))
                once, zero = (steps,) * rounds, (0,) * rounds
                fetching = tuple(2 * arm.waiting * steps for _ in range(rounds))
                taken = (tuple(range(rounds)), (order % 4,) * rounds, once, (2 * steps,) * rounds, once, zero, zero)
                record = Record(
                    suite=suite, cell=identity(value, twin), group=group, point={axis: value, **place}, twin=twin,
                    launch=launch, outcome=arm.outcome, reason=arm.reason, requested={axis: value},
                    effective={axis: value}, ledger={**ledger("plain", arm.samples, 24), "equal": arm.equal},
                    turns=Turns(2, *taken, stolen=(0.0,) * rounds, fetching=fetching),
                    samples_per_step=arm.samples, extra=arm.starts, order=order, seat=int(order > 0),
                )  # fmt: skip
                records.append(record)
    axes = {axis: list(arms), **{name: [place[name] for place in where] for name in where[0]}}
    suites = {suite: {"title": suite, "compare": axis, "baseline": base, "length_axis": None, "axes": axes}}
    info = {
        "run": "20250101-000000-abcd", "schema": 1, "loopmark": "0.1.0", "argv": ["bench", "run", suite],
        "options": {"seed": seed}, "plan": {"suites": suites, "cells": planned},
        "environment": {"cpu": "made up", "python": "3.11.9", "torch": "2.9.0"}, "timing": {}, "stops": {},
        "started": "2025-01-01T00:00:00+00:00", "finished": "2025-01-01T00:03:00+00:00",
    }  # fmt: skip
    return StoredRun(Path("results") / "20250101-000000-abcd", info, tuple(records))
