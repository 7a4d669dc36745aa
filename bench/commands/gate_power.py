"""`bench selftest --power`: how often the gate alarms where nothing differs, and sees a slowdown that was put in.

Real gates of the suite `power` on this machine: the same code against itself, with 1 to 10 % of each step burnt, and
with each 20th step doubled, of which the typical step shows nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.commands import false_alarms, gate, gate_setup
from bench.engine.options import Options, Progress
from bench.errors import RunError
from bench.plan import discovery, plan
from bench.stats import binomial
from bench.stats.gate_rule import Rule

POWER_SUITE = "power"
AGAIN = "again"
PERCENT = ("1", "2", "3", "5", "10")
EVERY = 20  # of the intermittent slowdown: each 20th step takes twice as long
INTERMITTENT = f"every-{EVERY}th"
INTERMITTENT_KEY = f"{1 / EVERY:g}/{EVERY}"  # in the tally: what it adds to the mean step, and how often
POWER_REPEATS = 10
POWER_BUDGET = 120.0  # of one gate


@dataclass(frozen=True)
class PowerPoint:
    """Gates of one slowdown.

    Attributes:
        slowdown: of the mean step, as a fraction, 0 for equal sides.
        every: which steps are slowed down: 1 is each of them, 20 each 20th.
        verdicts: how many of each.
        share: of regressions; between equal sides these are false alarms.
        low, high: exact one-sided 95 % bounds of that share.
        seconds: wall time of a gate, mean.
    """

    slowdown: float
    every: int
    verdicts: Mapping[str, int]
    gates: int
    share: float
    low: float
    high: float
    seconds: float


def run_power(repeats: int, options: Options, rule: Rule, folder: Path, progress: Progress) -> list[PowerPoint]:
    """Gates of each slowdown, in random order, every one counted in the tally of this machine.

    Args:
        options: budget is that of one gate.
        folder: for the gates' runs.

    Raises:
        RunError: it was interrupted before each slowdown had a gate.
    """
    suite, file = discovery.look_for_suites().get(POWER_SUITE)
    wanted = (AGAIN, *PERCENT, INTERMITTENT)
    generator = random.Random(options.seed)
    counted = false_alarms.Tally()
    seconds: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for asked in generator.sample(wanted, len(wanted)):
            made = plan.make_plan(
                {POWER_SUITE: suite}, [POWER_SUITE], settings=[f"slowdown={asked}"], threads=options.threads
            )
            own = folder / f"{repeat}-{asked}"
            own.mkdir()
            progress.phase(f"gate {repeat + 1} of {repeats} with a slowdown of {asked}")
            seeded = replace(options, seed=generator.randrange(2**30))
            found = gate.run_gate(gate_setup.Setup(made, {POWER_SUITE: file}), rule, seeded, own, progress)
            if found.interrupted:
                if len(seconds) < len(wanted):
                    raise RunError("interrupted before each slowdown had a gate; what was measured is in the tally")
                return _points(counted, seconds)
            key = _key(asked)
            counted = counted.count(key, found.verdict)
            false_alarms.count_gate(options.threads, key, found.verdict)
            seconds.setdefault(key, []).append(found.seconds)
            progress.note(f"slowdown {asked}: {found.verdict} after {found.seconds:.0f} s")
    return _points(counted, seconds)


def _key(asked: str) -> str:
    known = {AGAIN: false_alarms.SAME, INTERMITTENT: INTERMITTENT_KEY}
    return known[asked] if asked in known else f"{float(asked) / 100:g}"


def _parts(key: str) -> tuple[int, float]:
    """How often, and by how much, from a key of the tally; in the order of the table."""
    slowdown, _, every = key.partition("/")
    return int(every or 1), float(slowdown)


def _points(counted: false_alarms.Tally, seconds: Mapping[str, Sequence[float]]) -> list[PowerPoint]:
    points = []
    for key in sorted(counted.gates, key=_parts):
        every, slowdown = _parts(key)
        n, x = counted.gates_at(key), counted.caught(key)
        bounds = binomial.lower(x, n), binomial.upper(x, n)
        points.append(
            PowerPoint(slowdown, every, counted.gates[key], n, x / n, *bounds, sum(seconds[key]) / len(seconds[key]))
        )
    return points


def keeps_its_promise(points: Sequence[PowerPoint], rule: Rule) -> bool:
    """Whether the false alarms that were seen are what the rule promises: their lower bound is not above its alpha."""
    return all(point.low <= rule.alpha for point in points if point.slowdown == 0)


def power_document(points: Sequence[PowerPoint], sentence: str) -> dict[str, Any]:
    """The same as plain JSON data."""
    return {"schema": 2, "points": [vars(point) for point in points], "tally": sentence}
