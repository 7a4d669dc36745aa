"""Epochs of a ladder's arms where the truth is known: what a step and what an epoch cost is planted. Seeded.

As `step_races`, with turns that are whole epochs: each has a beginning that a pause makes longer, steps, and an end in
its last step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import step_races

from bench.engine import turn_order
from bench.results.turns import Turns

LENGTH, STEP = 48, 1.5e-3


@dataclass(frozen=True)
class TrueRung:
    """What is true of an arm.

    Attributes:
        step: seconds of its step, events left out.
        epoch: seconds that each epoch costs besides, `begin` of them in its first step and the rest in its last.
        every, event: every so many steps one takes so many seconds longer; 0: none.
        seldom, rare: every so many epochs one costs so many seconds longer; 0: none.
    """

    step: float = STEP
    epoch: float = 0.0
    begin: float = 0.0
    every: int = 0
    event: float = 0.0
    seldom: int = 0
    rare: float = 0.0

    @property
    def mean(self) -> float:
        """Seconds of its mean step."""
        return self.step + (self.event / self.every if self.every else 0.0)

    @property
    def whole(self) -> float:
        """Seconds that an epoch costs besides its steps, in the mean."""
        return self.epoch + (self.rare / self.seldom if self.seldom else 0.0)


@dataclass(frozen=True)
class Noise:
    """What the machine does: sd of a step, of a round, of a process in a launch, and of an epoch's edges, all as logs
    but for the last, seconds; the share of steps that stall, for 2 to 20 ms; what a pause costs, as `step_races`."""

    step: float = 0.05
    round: float = 0.05
    process: float = 0.004
    edges: float = 0.2e-3
    stalls: float = 0.001
    pause: float = 1.1
    rounds: int = 8
    length: int = LENGTH
    shapes: Mapping[str, float] = field(default_factory=lambda: {"quick": 1.0, "slow": 3.0, "tail": 0.15})


QUIET = Noise(step=0.0, round=0.0, process=0.0, edges=0.0, stalls=0.0, pause=1.0)


def climb(rng: np.random.Generator, rungs: Sequence[TrueRung], noise: Noise = Noise()) -> list[Turns]:
    """One launch of these arms."""
    count = len(rungs)
    speed = np.exp(rng.normal(0.0, noise.process, count))
    taken = rng.integers(2, 5, count) * noise.length  # steps so far: whole epochs
    columns: list[dict[str, list[Any]]] = [
        {name: [] for name in ("seconds", "began", "position", "cpu")} for _ in rungs
    ]
    machine = step_races.Machine(shapes=noise.shapes)
    generator = random.Random(int(rng.integers(2**31)))
    for order in islice(turn_order.rounds(count, generator), noise.rounds):
        slowed = math.exp(noise.round * rng.normal())
        for position, arm in enumerate(order):
            true, place = rungs[arm], np.arange(noise.length)
            number = taken[arm] + place
            seconds = true.step * speed[arm] * np.exp(rng.normal(0.0, noise.step, noise.length) - noise.step**2 / 2)
            seconds *= 1 + step_races.decay(place, machine) * (noise.pause - 1)
            if true.every:
                seconds += true.event * (number % true.every == true.every - 1)
            seconds[0] += true.begin
            seconds[-1] += true.epoch - true.begin + abs(rng.normal(0.0, noise.edges))
            if true.seldom and (taken[arm] // noise.length) % true.seldom == 0:
                seconds[-1] += true.rare
            seconds *= slowed
            seconds += (rng.random(noise.length) < noise.stalls) * rng.uniform(2e-3, 20e-3, noise.length)
            own = columns[arm]
            own["seconds"].append(tuple(seconds.tolist()))
            own["began"].append(int(taken[arm]))
            own["position"].append(position)
            own["cpu"].append(float(seconds.sum()))
            taken[arm] += noise.length
    return [_turns(own) for own in columns]


def _turns(columns: Mapping[str, Sequence[Any]]) -> Turns:
    count = len(columns["seconds"])
    seconds = columns["seconds"]
    middles = [float(np.median(turn[1:-1])) for turn in seconds]
    return Turns(
        round=tuple(range(count)),
        position=tuple(columns["position"]),
        cpu=tuple(columns["cpu"]),
        involuntary=(0,) * count,
        faults=(0,) * count,
        stolen=(0.0,) * count,
        began=tuple(columns["began"]),
        seconds=tuple(seconds),
        gap=tuple(turn[0] - middle for turn, middle in zip(seconds, middles, strict=True)),
        end=tuple(turn[-1] - middle for turn, middle in zip(seconds, middles, strict=True)),
        cold=0,
        whole=True,
        real=True,
    )
