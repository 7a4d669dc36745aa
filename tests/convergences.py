"""Trainings towards a target where the truth is known: how losses fall, what an epoch takes. Seeded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns
from bench.stats.time_to_target import Wait

STEPS, SAMPLES = 4, 32
TARGET, EPOCHS = 0.1, 20


@dataclass(frozen=True)
class TrueCell:
    """What is true of a cell. The loss after e epochs is `floor` + exp(-`rate` x the seed's x e).

    Attributes:
        epoch, setup: seconds.
        rate: by which its loss falls an epoch.
        floor: what its loss falls to.
        rate_sd: sd of the log of its rate, in a seed, which no other cell shares.
        own: sd of the log of its loss, in a seed, which no other cell shares; 0: bit for bit as another of its rate.
        diverges: seeds from which the loss is nan from the third epoch on.
        outcome, reason: in every launch.
    """

    epoch: float = 1.0
    setup: float = 0.5
    rate: float = 0.25
    floor: float = 0.02
    rate_sd: float = 0.0
    own: float = 0.0
    diverges: Sequence[int] = ()
    outcome: Any = "ok"
    reason: str = ""


@dataclass(frozen=True)
class Machine:
    """What is not the code: sd of the log of a seed's rate, which cells share, of an arm in a launch, of an epoch."""

    seed: float = 0.15
    arm: float = 0.01
    epoch: float = 0.02


QUIET = Machine(seed=0.1, arm=0.0, epoch=0.0)


@dataclass(frozen=True)
class Training:
    """One training: seconds of each epoch, and the loss after it."""

    setup: float
    seconds: tuple[float, ...]
    losses: tuple[float, ...]

    def wait(self, target: float = TARGET) -> Wait:
        """Its seconds until the target, by a loop of its own."""
        total = self.setup
        for taken, loss in zip(self.seconds, self.losses, strict=True):
            total += taken
            if loss <= target:
                return Wait(total, reached=True)
        return Wait(total, reached=False)


def trained(
    rng: np.random.Generator,
    cells: Sequence[TrueCell],
    epochs: int = EPOCHS,
    machine: Machine = Machine(),
    seed: int = 0,
) -> list[Training]:
    """One launch: every cell trained from one seed."""
    shared = math.exp(rng.normal(0.0, machine.seed))
    found = []
    for cell in cells:
        speed = math.exp(rng.normal(0.0, machine.arm))
        noise = np.exp(rng.normal(0.0, machine.epoch, epochs))
        own = math.exp(rng.normal(0.0, cell.own))
        rate = cell.rate * shared * math.exp(rng.normal(0.0, cell.rate_sd))
        losses = [own * (cell.floor + math.exp(-rate * number)) for number in range(1, epochs + 1)]
        if seed in cell.diverges:
            losses[2:] = [math.nan] * (epochs - 2)
        seconds = tuple((cell.epoch * speed * noise).tolist())
        found.append(Training(cell.setup * speed, seconds, tuple(losses)))
    return found


@cache
def true_ratio(cell: TrueCell, base: TrueCell, target: float = TARGET) -> float:
    """The median over seeds of the ratio of times, of trainings that all come to their target."""
    rng = np.random.default_rng(0)
    logs = []
    for _ in range(3000):
        mine, other = (one.wait(target) for one in trained(rng, [cell, base], 200))
        assert mine.reached
        assert other.reached
        logs.append(math.log(mine.amount / other.amount))
    return math.exp(float(np.median(logs)))


# Of real loops: one and the same loss, bit for bit, and other times.
LOOPS: Mapping[str, TrueCell] = {
    "plain": TrueCell(),
    "fabric": TrueCell(epoch=1.05, setup=0.6),
    "trainer": TrueCell(epoch=1.9, setup=0.95),
}


def cell_id(value: str, where: Mapping[str, Any], twin: bool = False) -> str:
    rest = "".join(f",{axis}={one}" for axis, one in where.items())
    return f"reach[loop={value}{rest}]{'#twin' * twin}"


def reached_run(
    cells: Mapping[str, TrueCell] = LOOPS,
    *,
    seeds: int = 5,
    epochs: int = EPOCHS,
    target: float = TARGET,
    where: Sequence[tuple[Mapping[str, Any], float]] = (({}, 1.0),),
    machine: Machine = Machine(),
    seed: int = 0,
    margin: float = 0.02,
) -> StoredRun:
    """A run of a suite with a goal, the first cell being the baseline, as it would be recorded.

    Args:
        where: other axes of each group, with what an epoch takes there, relative.
    """
    arms = [*((value, False) for value in cells), (next(iter(cells)), True)]
    planned, records = [], []
    for other, factor in where:
        group = f"reach[{','.join(f'{axis}={one}' for axis, one in other.items())}]"
        rng = np.random.default_rng(seed)  # the same seeds in each group
        for value, twin in arms:
            planned.append(
                {"id": cell_id(value, other, twin), "suite": "reach", "group": group, "twin": twin, "outcome": "ok",
                 "reason": "", "point": {"loop": value, **other}, "baseline": cell_id(next(iter(cells)), other)}
            )  # fmt: skip
        for launch in range(seeds):
            truths = [replace(cells[value], epoch=cells[value].epoch * factor) for value, _ in arms]
            for order, ((value, twin), training) in enumerate(
                zip(arms, trained(rng, truths, epochs, machine, launch), strict=True)
            ):
                true = cells[value]
                records.append(
                    Record(
                        suite="reach",
                        cell=cell_id(value, other, twin),
                        group=group,
                        twin=twin,
                        launch=launch,
                        point={"loop": value, **other},
                        outcome=true.outcome,
                        reason=true.reason,
                        requested={"loop": value},
                        effective={"loop": value},
                        samples_per_step=SAMPLES,
                        ledger={"equal": "weights", "validation_losses": list(training.losses)},
                        extra={"setup_time": training.setup},
                        turns=_turns(training, order),
                        order=order,
                        seat=int(order > 0),
                    )
                )
    axes = {"loop": list(cells)}
    for other, _ in where:
        for axis, one in other.items():
            axes[axis] = list(dict.fromkeys([*axes.get(axis, []), one]))
    goal = {"target": target, "epochs": epochs, "seeds": seeds, "margin": margin}
    suite = {"title": "reach", "compare": "loop", "baseline": next(iter(cells)), "length_axis": None, "axes": axes,
             "goal": goal}  # fmt: skip
    info: dict[str, Any] = {
        "run": "20250101-000000-abcd", "schema": 6, "loopmark": "0", "argv": ["bench", "run", "reach"], "options": {},
        "plan": {"suites": {"reach": suite}, "cells": planned}, "environment": {}, "stops": {}, "timing": {},
        "started": "2025-01-01T00:00:00+00:00", "finished": "2025-01-01T00:03:00+00:00",
    }  # fmt: skip
    return StoredRun(Path("results") / "20250101-000000-abcd", info, tuple(records))


def _turns(training: Training, place: int) -> Turns:
    count = len(training.seconds)
    steps = [[taken / STEPS] * STEPS for taken in training.seconds]
    return Turns(
        round=tuple(range(count)),
        position=(place,) * count,
        cpu=training.seconds,
        involuntary=(0,) * count,
        faults=(0,) * count,
        stolen=(0.0,) * count,
        began=tuple(number * STEPS for number in range(count)),
        seconds=tuple(tuple(epoch) for epoch in steps),
        gap=(0.0,) * count,
        end=(0.0,) * count,
        cold=0,
        whole=True,
        real=True,
    )
