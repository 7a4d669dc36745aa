"""Runs of several machines with a known truth: each machine is so many times as fast, each run has its own day."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from histories import ENVIRONMENT
from synthetic import make

from bench.results.record import Metric, Record
from bench.results.store import StoredRun

DEVICE_METRICS = (
    Metric("energy_per_step", "J", "lower", "energy of the whole board over the steps, validation left out"),
    Metric("peak_memory_device", "bytes", "lower", "most that tensors held on the device"),
    Metric("ceiling_share", "1", "higher", "time that the step needs at the measured ceilings over its time"),
)
GPU = "Example GPU 80GB"
LENGTHS = {32: 2e-3, 256: 8e-3}
JOULES, DEVICE_MEMORY, SHARE = 0.05, 2.0**30, 0.31  # of a step at batch 32; energy grows with the batch


@dataclass(frozen=True)
class MachineTruth:
    """A machine.

    Attributes:
        speed: how many times as fast as the first one.
        device: its accelerator's name, "" of a CPU.
        run_sd: of the log factor that a whole run has.
        environment: what it has otherwise.
    """

    speed: float = 1.0
    device: str = ""
    run_sd: float = 0.0
    environment: Mapping[str, Any] = field(default_factory=dict)


CPU_BOX = MachineTruth()
GPU_BOX = MachineTruth(12.0, GPU, environment={"cpu": "Other CPU @ 3.0GHz", "cores": 16})


def run_on(machine: MachineTruth, number: int, node: str = "", **truth: Any) -> StoredRun:
    """A run of the machine; runs of other numbers are of other days, and of other launches.

    Args:
        truth: fields of `synthetic.Truth`.
    """
    day = random.Random(f"day {number} {machine.device}").gauss(0, machine.run_sd)
    factor = math.exp(day) / machine.speed
    quiet = {"launches": 4, "rounds": 8, "launch_sd": 0.004, "turn_sd": 0.004, "drift_sd": 0.004}
    lengths = {batch: step * factor for batch, step in LENGTHS.items()}
    costs = {"plain": 0.0, "fabric": 2e-4 * factor}
    made = make(seed=number, **{**quiet, "lengths": lengths, "costs": costs, **truth})
    kind = "cuda" if machine.device else "cpu"
    point = {"accelerator": kind, "devices": 1}
    settings = {"accelerator": kind, **({"device": machine.device} if machine.device else {})}

    def on(record: Record) -> Record:
        placed = replace(record, point={**record.point, **point})
        return replace(placed, effective={**record.effective, **settings}) if record.effective else placed

    cells = [{**cell, "point": {**cell["point"], **point}} for cell in made.info["plan"]["cells"]]
    records = tuple(on(record) for record in made.records)
    info = {
        **made.info,
        "run": f"20260101-{number:06}-{'beef' if machine.device else 'cafe'}",
        "options": {"seed": 0, "threads": 1},
        "plan": {**made.info["plan"], "cells": cells},
        "environment": {**ENVIRONMENT, **machine.environment, **({"node": node} if node else {})},
        "schema": 7,
    }
    looked = tuple(_instrumented(record) for record in records if not record.twin) if machine.device else ()
    return replace(made, info=info, records=records, instrumented=looked)


def _instrumented(record: Record) -> Record:
    batch = int(record.point["batch_size"])
    seen = {"energy_per_step": JOULES * batch / 32, "peak_memory_device": DEVICE_MEMORY, "ceiling_share": SHARE}
    return replace(record, turns=None, extra=seen, declared=DEVICE_METRICS, instrumented=True, memory={})


def shifted(run: StoredRun, loop: str, log: float) -> StoredRun:
    """The run with the steps of one loop longer by a log factor, as a node may suit one loop less than another."""

    def longer(record: Record) -> Record:
        if record.turns is None or record.point["loop"] != loop or record.twin:
            return record
        columns = {
            name: tuple(value * math.exp(log) for value in getattr(record.turns, name))
            for name in ("first", "counted", "cpu")
        }
        return replace(record, turns=replace(record.turns, **columns))

    return replace(run, records=tuple(map(longer, run.records)))
