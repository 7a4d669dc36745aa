"""How the summary's time grows with the number of cells: a made-up run of any size, and the clock on what reads it."""

from __future__ import annotations

import random
from pathlib import Path
from time import process_time

from bench.results.record import Record
from bench.results.store import StoredRun
from bench.results.turns import Turns

LOOPS = ("plain", "fabric", "trainer")
LAUNCHES, ROUNDS, COUNTED_STEPS = 3, 10, 2


def synthetic_run(cells: int, launches: int = LAUNCHES) -> StoredRun:
    """A run of so many cells, a multiple of 4, in groups of 4: three loops and the twin at as many step lengths."""
    generator = random.Random(0)
    arms = [(loop, False) for loop in LOOPS] + [("plain", True)]
    planned, records = [], []
    for group in range(cells // 4):
        name = f"made-up[size={group + 1}]"
        for place, (loop, twin) in enumerate(arms):
            cell = f"made-up[loop={loop},size={group + 1}]{'#twin' * twin}"
            point: dict[str, str | bool | int | float] = {"loop": loop, "size": group + 1}
            baseline = f"made-up[loop=plain,size={group + 1}]"
            planned.append(
                {
                    "id": cell,
                    "suite": "made-up",
                    "group": name,
                    "point": point,
                    "twin": twin,
                    "baseline": baseline,
                    "outcome": "ok",
                    "reason": "",
                }
            )
            for launch in range(launches):
                step = (1e-3 + group * 1e-5) * generator.lognormvariate(0, 0.01)
                once, counted, none = (step,) * ROUNDS, (step * COUNTED_STEPS,) * ROUNDS, (0,) * ROUNDS
                turns = Turns(
                    COUNTED_STEPS,
                    tuple(range(ROUNDS)),
                    (place,) * ROUNDS,
                    once,
                    counted,
                    once,
                    none,
                    none,
                    (0.0,) * ROUNDS,
                )
                settings = {"loop": loop, "threads": 1}
                records.append(
                    Record(
                        "made-up",
                        cell,
                        name,
                        point,
                        twin,
                        launch,
                        "ok",
                        requested=settings,
                        effective=settings,
                        turns=turns,
                        samples_per_step=32,
                        order=place,
                    )
                )
    suite = {
        "title": "made up",
        "compare": "loop",
        "baseline": "plain",
        "length_axis": "size",
        "axes": {"loop": list(LOOPS), "size": list(range(1, cells // 4 + 1))},
    }
    info = {
        "run": "made-up",
        "options": {},
        "plan": {"suites": {"made-up": suite}, "cells": planned},
        "finished": "now",
    }
    return StoredRun(Path(), info, tuple(records))


def seconds_to_summarize(cells: int, repeats: int = 3) -> float:
    """Processor seconds of the summary of a made-up run, the least of some repetitions."""
    from bench.analysis.summary import summarize

    run = synthetic_run(cells)
    taken = []
    for _ in range(repeats):
        began = process_time()
        summarize(run)
        taken.append(process_time() - began)
    return min(taken)
