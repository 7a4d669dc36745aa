"""Launches of two or more arms, step by step, where the truth is known: what turns would take. Seeded.

Each step is the arm's settled step, times what the machine does to the round, times noise, times what the pause before
the turn costs at its place in it, and, in steps of certain numbers, an event. All of it is put into `Turns` as arms
report them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bench.engine import turn_order
from bench.results.turns import Turns

STEP, COLD = 1.5e-3, 10
LENGTHS = (15, 46)  # steps of a turn, from and below


@dataclass(frozen=True)
class TrueArm:
    """What is true of an arm.

    Attributes:
        ratio: its settled step over STEP, without events.
        pause: how many times as long its second and third step of a turn take, the mean of both.
        every, extra: an event comes every so many steps and takes so many settled steps; 0: none. Steps are numbered as
            the loop numbers them, so that it comes at the same ones in each launch.
        stalls: share of its steps, drawn, that take `extra` settled steps longer.
        kin: the number of the arm that shares its interpreter, or -1.
    """

    ratio: float = 1.0
    pause: float = 1.1
    every: int = 0
    extra: float = 0.0
    stalls: float = 0.0
    kin: int = -1

    def mean(self, machine: Machine) -> float:
        """Its mean step over STEP; noise makes steps longer in the mean, and events are as long as they are."""
        return self.ratio * (
            math.exp(machine.noise**2 / 2) + self.extra * (1 / self.every if self.every else self.stalls)
        )


@dataclass(frozen=True)
class Machine:
    """What the machine does.

    Attributes:
        noise: sd of a step, as a log.
        drift: sd of what it does to a round.
        process: sd of what a process is faster or slower by in a launch.
        layout: sd of what an interpreter is; `sets`: the set of each launch, none: they share nothing.
        spikes: share of steps that take 1.5 to 6 times as long, of all arms.
        warmth: what is left of a pause's cost behind an arm that shares the interpreter.
        rounds: of a launch.
    """

    noise: float = 0.10
    drift: float = 0.05
    process: float = 0.007
    layout: float = 0.0
    sets: Sequence[int] = ()
    spikes: float = 0.0
    warmth: float = 1.0
    rounds: int = 17
    lengths: tuple[int, int] = LENGTHS
    cold: int = COLD
    shapes: Mapping[str, float] = field(default_factory=lambda: {"quick": 1.0, "slow": 3.0, "tail": 0.15})


def race(
    rng: np.random.Generator, arms: Sequence[TrueArm], machine: Machine, layouts: Sequence[float] | None = None
) -> list[Turns]:
    """One launch of these arms: the turns of each."""
    count = len(arms)
    began = rng.integers(60, 120, count)
    speed = np.exp(rng.normal(0.0, machine.process, count) + (0.0 if layouts is None else np.asarray(layouts)))
    columns: list[dict[str, list[object]]] = [
        {name: [] for name in ("seconds", "began", "position", "cpu")} for _ in arms
    ]
    before = -1
    generator = random.Random(int(rng.integers(2**31)))
    for order in islice(turn_order.rounds(count, generator), machine.rounds):
        steps = int(rng.integers(*machine.lengths))
        place = np.arange(steps)
        level = STEP * math.exp(machine.drift * rng.normal())
        for position, arm in enumerate(order):
            true = arms[arm]
            cost = decay(place, machine) * (true.pause - 1)
            cost *= machine.warmth if before == true.kin else 1.0
            numbers = began[arm] + place
            seconds = level * true.ratio * speed[arm] * np.exp(rng.normal(0.0, machine.noise, steps)) * (1 + cost)
            if true.every:
                seconds += STEP * true.ratio * true.extra * (numbers % true.every == true.every - 1)
            if true.stalls:
                seconds += STEP * true.ratio * true.extra * (rng.random(steps) < true.stalls)
            if machine.spikes:
                hit = rng.random(steps) < machine.spikes
                seconds = np.where(hit, seconds * rng.uniform(1.5, 6.0, steps), seconds)
            own = columns[arm]
            own["seconds"].append(tuple(seconds.tolist()))
            own["began"].append(int(began[arm]))
            own["position"].append(position)
            own["cpu"].append(float(seconds.sum()))
            began[arm] += steps
            before = arm
    return [made(own, machine.cold) for own in columns]


def decay(place: NDArray[np.int64], machine: Machine) -> NDArray[np.float64]:
    """What a pause costs at each place of a turn, 1 in the mean of the second and third step; as it was measured, most
    of it is over at the third and a tail at the eighth."""
    shape = machine.shapes

    def at(places: NDArray[np.float64]) -> NDArray[np.float64]:
        quick = np.exp(-places / shape["quick"])
        return (1 - shape["tail"]) * quick + shape["tail"] * np.exp(-places / shape["slow"])

    found: NDArray[np.float64] = at(place.astype(np.float64)) / at(np.array([1.0, 2.0])).mean()
    return found


def made(columns: Mapping[str, Sequence[object]], cold: int) -> Turns:
    count = len(columns["seconds"])
    nothing = (0,) * count
    return Turns(
        round=tuple(range(count)),
        position=tuple(columns["position"]),
        cpu=tuple(columns["cpu"]),
        involuntary=nothing,
        faults=nothing,
        stolen=(0.0,) * count,
        began=tuple(columns["began"]),
        seconds=tuple(columns["seconds"]),
        cold=cold,
    )


def launches(rng: np.random.Generator, arms: Sequence[TrueArm], machine: Machine, count: int = 12) -> list[list[Turns]]:
    """So many launches."""
    sets = machine.sets or range(count)
    layouts = {number: rng.normal(0.0, machine.layout, len(arms)) for number in set(sets)}
    return [race(rng, arms, machine, layouts[number]) for number in list(sets)[:count]]


def of_short_turns(turns: Turns) -> list[float]:
    """The seconds of each turn's second and third step together: what was counted of a step over 1.5 ms before."""
    return [math.fsum(turn[1:3]) for turn in turns.seconds]


def median_of_paired_ratios(arm: Turns, baseline: Turns) -> float:
    """The estimator that mean and typical step replaced: short turns, each round paired with itself, the median."""
    pairs = zip(of_short_turns(arm), of_short_turns(baseline), strict=True)
    return float(np.median([math.log(one / other) for one, other in pairs]))
