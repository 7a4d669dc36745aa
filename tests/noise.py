"""Races on eight kinds of machine, as arrays: what launches would read where the truth is known. Seeded.

Not the launches' ratios are drawn, but the turns they are made of: processes with a speed of their own, turns in the
orders that `bench.engine.turn_order` gives, noise along the time that passes. Of the typical step a launch's value is
the median over its rounds, of the mean step the ratio of the arms' means, with turns of over twice the arm's median
counted as twice. All sizes are logs: 0.01 is 1 %.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from bench.engine import turn_order

Array = NDArray[np.float64]
ROUNDS = 12
ARMS = 3  # baseline, twin, head
MODELS = ("gaussian", "spikes", "lognormal", "ar1", "drift", "position", "bimodal", "correlated")


@dataclass(frozen=True)
class Races:
    """Arrays of (gates, launches), and of (gates, launches, rounds) for `rounds`.

    Attributes:
        twin, head: log ratios to the baseline of the typical step, median over rounds.
        twin_mean, head_mean: of the mean step.
        rounds: the head's log ratio of each round, which a naive test would pool.
        base: log of the baseline's step time, median over rounds; its truth is 0.
    """

    twin: Array
    head: Array
    rounds: Array
    base: Array
    twin_mean: Array
    head_mean: Array


def races(
    model: str, gates: int, launches: int, seed: int, slowdown: float = 0.0, *, intermittent: float = 0.0
) -> Races:
    """Races on a machine of that kind.

    Args:
        slowdown: what each step of the head takes longer.
        intermittent: what its mean step takes longer, and no other but every 20th: a typical turn has none of it.
    """
    rng = np.random.default_rng([seed, MODELS.index(model)])
    shape = (gates, launches, ROUNDS, ARMS)
    turns = _orders(rng, gates, launches)  # the place in time, within the launch, of each arm's turn of each round
    along = _in_time(model, rng, gates, launches)
    logs = np.take_along_axis(along.reshape(gates, launches, -1), turns.reshape(gates, launches, -1), axis=2)
    logs = logs.reshape(shape) + _of_process(model, rng, gates, launches)[:, :, None, :]
    logs[..., 2] += math.log1p(slowdown)
    ratios = np.median(logs[..., 1:] - logs[..., :1], axis=2)
    means = _means(logs)
    # A launch of 120 steps has 6 such events; where its turns begin and end makes it one more or less.
    means[..., 2] += np.log1p(intermittent * (1 + rng.integers(-1, 2, (gates, launches)) / 6))
    apart = means[..., 1:] - means[..., :1]
    base = np.median(logs[..., 0], axis=2)
    return Races(ratios[..., 0], ratios[..., 1], logs[..., 2] - logs[..., 0], base, apart[..., 0], apart[..., 1])


def _means(logs: Array) -> Array:
    """The log of each arm's mean turn in a launch: (gates, launches, arms)."""
    times = np.exp(logs)
    return np.asarray(np.log(np.minimum(times, 2 * np.median(times, axis=2, keepdims=True)).mean(axis=2)))


def of_few_sets(values: Array, sets: int, sd: float, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """The same with the layout of the interpreters that launches came from, which take `sets` of them in turn.

    Args:
        values: (gates, launches).
        sd: of what a layout adds, over sets.

    Returns:
        The values, and the set of each launch.
    """
    gates, launches = values.shape
    chosen = np.arange(launches) % sets
    layouts = np.random.default_rng([seed, sets]).normal(0.0, sd, (gates, sets))
    return values + layouts[:, chosen], chosen


def _orders(rng: np.random.Generator, gates: int, launches: int) -> NDArray[np.int64]:
    drawn = []
    for seed in range(64):
        rounds = list(islice(turn_order.rounds(ARMS, random.Random(seed)), ROUNDS))
        drawn.append([[ARMS * number + order.index(arm) for arm in range(ARMS)] for number, order in enumerate(rounds)])
    return np.asarray(drawn)[rng.integers(0, len(drawn), (gates, launches))]


def _in_time(model: str, rng: np.random.Generator, gates: int, launches: int) -> Array:
    """What the machine does to a turn at its moment: (gates, launches, turns)."""
    shape = (gates, launches, ROUNDS * ARMS)
    noise = rng.normal(0.0, 0.003 if model in ("bimodal", "correlated") else 0.02, shape)
    if model == "spikes":
        hit = rng.random(shape) < 0.1
        return 0.005 * noise / 0.02 + hit * rng.exponential(0.3, shape)
    if model == "lognormal":
        return 0.02 * rng.lognormal(0.0, 1.0, shape)
    if model == "ar1":
        return np.asarray(lfilter([1.0], [1.0, -0.5], noise, axis=2))
    if model == "drift":
        passed = np.arange(launches * ROUNDS * ARMS).reshape(launches, -1)
        return noise + 0.01 * passed / (ROUNDS * ARMS)  # 1 % a launch
    if model == "position":
        return noise + 0.02 * (np.arange(ROUNDS * ARMS) % ARMS)
    return noise


def _of_process(model: str, rng: np.random.Generator, gates: int, launches: int) -> Array:
    """The speed that a process keeps: (gates, launches, arms)."""
    shape = (gates, launches, ARMS)
    speed = rng.normal(0.0, 0.03 if model == "correlated" else 0.007, shape)
    if model == "spikes":
        return 0.004 * speed / 0.007 + (rng.random(shape) < 0.1) * rng.exponential(0.03, shape)
    if model == "lognormal":
        return 0.007 * rng.lognormal(0.0, 1.0, shape)
    if model == "bimodal":
        return speed + 0.04 * (rng.random(shape) < 0.5)
    return speed
