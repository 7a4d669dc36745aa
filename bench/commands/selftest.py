"""`bench selftest`: the tool measured by itself, on the machine at hand. Benchmarks, not tests: figures with limits.

Each check gives name, value, unit, limit, whether it is met, and what else was seen. No torch, no pandas here.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis import synthetic
from bench.engine import turn_order
from bench.engine.arm_request import request
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.launch import Race, heap_padding
from bench.engine.options import Options, Progress
from bench.machine.cores import layout
from bench.machine.process_env import PACKAGE_PARENT
from bench.plan import discovery, plan
from bench.plan.cell import Cell
from bench.results import store
from bench.stats import intervals

SELFTEST_SUITE = "overhead"
BATCH = 64  # the shortest step of the suite: what the tool costs shows most
FORK_SERVERS = 2  # sets of interpreters, as in a run


@dataclass(frozen=True)
class Check:
    """A figure of the tool, with its limit.

    Attributes:
        name: as in `bench selftest --format json`.
        what: what it is, for the table.
        unit: of value and limit.
        limit: the figure that must be reached.
        at_most: whether the value must be at most the limit, else at least.
    """

    name: str
    what: str
    unit: str
    limit: float
    at_most: bool = True

    def result(self, value: float, detail: str, *, ok: bool | None = None) -> dict[str, Any]:
        met = value <= self.limit if self.at_most else value >= self.limit
        return {
            "name": self.name,
            "value": value,
            "unit": self.unit,
            "limit": self.limit,
            "ok": met if ok is None else ok,
            "what": self.what,
            "detail": detail,
        }


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("arm_ready", "from the request for a plain arm to its first pull of a batch, median", "s", 0.2),
        Check("stream_cost", "what the stream adds to a step, over the bare loop", "s", 2e-6),
        Check(
            "interleaving_gain",
            "sd of the A/A log ratio, one after the other over interleaved",
            "1",
            3.0,
            at_most=False,
        ),
        Check("time_to_1_percent", "measuring time until an A/A ratio is known to 1 % (95 %)", "s", 30.0),
        Check(
            "interleaving_bias", "largest difference of a loop's log ratio, interleaved less uninterrupted", "1", 0.0
        ),
        Check("time_in_turns", "share of the wall time of a run of `overhead` spent in turns", "1", 0.6, at_most=False),
        Check("conductor_cpu", "the conductor's own processor share while a turn runs", "1", 0.02),
        Check("summary_growth", "processor time of a summary of 1,000 cells, over that of 100", "1", 12.0),
    )
}


def run_checks(names: Sequence[str], *, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """Measure these checks, in the order of CHECKS.

    Args:
        quick: few repetitions, for a look; the sds it gives are rough.
    """
    wanted = set(names)
    results: list[dict[str, Any]] = []
    if "stream_cost" in wanted:
        progress.phase("stream_cost: the stream against the bare loop")
        results.append(stream_cost(400 if quick else 2000))
    with tempfile.TemporaryDirectory(prefix="bench-selftest-") as folder:
        if wanted & {"arm_ready", "interleaving_gain", "time_to_1_percent", "interleaving_bias"}:
            with Fleet(1, Path(folder)) as fleet:
                progress.phase("starting interpreters")
                preloads = [("torch",)] + [("torch", "lightning")] * ("interleaving_bias" in wanted)
                fleet.ensure_fork_servers(
                    [(number, preload) for number in range(FORK_SERVERS) for preload in preloads], 0
                )
                bench = CheckBench(fleet, Path(folder), progress)
                if "arm_ready" in wanted:
                    progress.phase("arm_ready: forking arms, one by one")
                    results.append(bench.arm_ready(5 if quick else 25))
                if wanted & {"interleaving_gain", "time_to_1_percent"}:
                    progress.phase("interleaving_gain, time_to_1_percent: two identical arms")
                    results += bench.twins(4 if quick else 16, 1.0 if quick else 4.0)
                if "interleaving_bias" in wanted:
                    progress.phase("interleaving_bias: every loop, interleaved and uninterrupted")
                    results.append(bench.bias(3 if quick else 12, 2.5))
        if wanted & {"time_in_turns", "conductor_cpu"}:
            progress.phase(f"time_in_turns, conductor_cpu: a run of {SELFTEST_SUITE}")
            results += whole_run(Path(folder), Options(budget=60.0) if quick else Options(), progress)
    if "summary_growth" in wanted:  # last, as it imports pandas
        progress.phase("summary_growth: summaries of 100 and 1,000 cells")
        results.append(summary_growth())
    order = list(CHECKS)
    return sorted(
        (result for result in results if result["name"] in wanted), key=lambda item: order.index(item["name"])
    )


def stream_cost(repeats: int) -> dict[str, Any]:
    """Bare loop and streamed loop over the same batches, turns of 50 steps in random order, in a process with torch."""
    code = f"from bench.arm.stream_cost import time_stream; time_stream({repeats})"
    root = str(PACKAGE_PARENT)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    costs = json.loads(said.stdout.splitlines()[-1])
    # Rounds within one process are not independent launches: the spread says how steady, not how certain.
    quartiles = statistics.quantiles(costs, n=4)
    return CHECKS["stream_cost"].result(
        statistics.median(costs),
        f"{len(costs)} paired rounds of 50 steps; quartiles {quartiles[0] * 1e6:.2f} to {quartiles[2] * 1e6:.2f} µs",
    )


class CheckBench:
    """Arms of the suite `overhead` for the checks that need live ones.

    Args:
        fleet: with FORK_SERVERS sets of a fork server of each preload that is needed.
        folder: for logs.
    """

    def __init__(self, fleet: Fleet, folder: Path, progress: Progress) -> None:
        self._fleet = fleet
        self._folder = folder
        self._progress = progress
        self._layout = layout(1)
        self._random = random.Random(0)
        self._started = 0
        self._launches = 0
        self._suite, self._file = discovery.look_for_suites().get(SELFTEST_SUITE)
        made = plan.make_plan({SELFTEST_SUITE: self._suite}, [SELFTEST_SUITE], settings=[f"batch_size={BATCH}"])
        self._cells = made.groups[0].cells

    @contextmanager
    def _race(self, cells: Sequence[Cell]) -> Iterator[Race]:
        """Fresh arms for these cells, started in random order, warm; ended on leaving."""
        arms = {}
        self._launches += 1
        chosen = self._launches % FORK_SERVERS
        for cell in self._random.sample(list(cells), len(cells)):
            self._started += 1
            name = f"selftest-{self._started}"
            asked = request(
                cell,
                self._file,
                self._layout,
                threads=1,
                seed=0,
                caches=self._fleet.caches,
                padding=heap_padding(self._random),
            )
            arms[cell.id] = self._fleet.start_arm(cell.preload, asked, self._folder / f"{name}.log", number=chosen)
        self._fleet.await_ready(list(arms.values()), 60.0)
        for arm in arms.values():
            if arm.lost is not None:
                raise arm.lost
        race = Race(self._fleet, arms, self._layout.arms, 60.0, Options().turn)
        race.warm_up(cells[0].id)
        yield race
        race.finish()

    def arm_ready(self, repeats: int) -> dict[str, Any]:
        """A plain arm alone, again and again; the first is left out, as it finds the fork server's pages untouched."""
        times = []
        for _ in range(repeats + 1):
            with self._race(self._cells[:1]) as race:
                times.append(next(iter(race.arms.values())).ready_after)
        times = times[1:]
        return CHECKS["arm_ready"].result(
            statistics.median(times), f"{len(times)} arms, {min(times):.3f} to {max(times):.3f} s"
        )

    def _interleaved(self, race: Race, cells: Sequence[Cell], seconds: float) -> dict[str, float]:
        """Log ratios to the first cell, from turns in balanced random order; and the time they took in `race`."""
        for order in turn_order.rounds(len(cells), self._random):
            if race.enough(seconds):
                break
            race.take_round([cells[index].id for index in order])
        return race.log_ratios(cells[0].id)

    def _uninterrupted(self, race: Race, cells: Sequence[Cell], seconds: float, sweeps: int) -> dict[str, float]:
        """The same from long turns of each arm in random order, in `sweeps` sweeps; `seconds` for all together."""
        logs: dict[str, list[float]] = {cell.id: [] for cell in cells}
        for _ in range(sweeps):
            medians = {}
            for cell in self._random.sample(list(cells), len(cells)):
                steps = max(20, round(seconds / sweeps / len(cells) / race.pace(cell.id)))
                medians[cell.id] = statistics.median(race.uninterrupted(cell.id, steps))
            for name, value in medians.items():
                logs[name].append(math.log(value / medians[cells[0].id]))
        return {name: statistics.fmean(values) for name, values in logs.items()}

    def _one_after_the_other(self, race: Race, cells: Sequence[Cell], seconds: float) -> dict[str, float]:
        """All of one arm, then all of the next: what a benchmark does that runs its subjects in sequence."""
        return self._uninterrupted(race, cells, seconds, 1)

    def _long_stretches(self, race: Race, cells: Sequence[Cell], seconds: float) -> dict[str, float]:
        """Stretches of 0.1 to 0.2 s, undisturbed, each arm's several times: less drift between them."""
        return self._uninterrupted(race, cells, seconds, 4)

    def twins(self, launches: int, seconds: float) -> list[dict[str, Any]]:
        """Interleaved and one after the other, the same two arms, equal measuring time, fresh arms each launch."""
        pair = self._cells[:2]
        interleaved: list[float] = []
        sequential: list[float] = []
        spent = []
        for number in range(launches):
            with self._race(pair) as race:
                # Which way comes first is drawn: neither always gets the younger processes.
                ways = [(self._interleaved, interleaved), (self._one_after_the_other, sequential)]
                for way, kept in ways if self._random.random() < 0.5 else ways[::-1]:
                    kept.append(way(race, pair, seconds)[pair[1].id])
                spent.append(race.turn_seconds)
            self._progress.update(number, launches, f"A/A launch {number + 1} of {launches}")
        sds = [statistics.stdev(values) for values in (sequential, interleaved)]
        per_launch = statistics.mean(spent)
        needed = max(1.0, (1.96 * sds[1] / 0.01) ** 2)
        seen = (
            f"sd {sds[0]:.2%} one after the other, {sds[1]:.2%} interleaved, "
            f"{launches} launches of {per_launch:.1f} s each way"
        )
        mean = intervals.interval_of_logs(interleaved)
        return [
            CHECKS["interleaving_gain"].result(sds[0] / sds[1], seen),
            CHECKS["time_to_1_percent"].result(
                needed * per_launch, f"{needed:.1f} launches of {per_launch:.1f} s in turns; A/A ratio {describe(mean)}"
            ),
        ]

    def bias(self, launches: int, seconds: float) -> dict[str, Any]:
        """Each loop's ratio to plain both ways, the same arms; met when the intervals of every loop overlap."""
        cells = [cell for cell in self._cells if not cell.unsupported]
        short: dict[str, list[float]] = {cell.id: [] for cell in cells}
        long: dict[str, list[float]] = {cell.id: [] for cell in cells}
        for number in range(launches):
            with self._race(cells) as race:
                ways = [(self._interleaved, short), (self._long_stretches, long)]
                for way, kept in ways if self._random.random() < 0.5 else ways[::-1]:
                    for name, value in way(race, cells, seconds).items():
                        kept[name].append(value)
            self._progress.update(number, launches, f"launch {number + 1} of {launches}")
        largest, overlap, seen = 0.0, True, []
        for cell in cells[1:]:
            one, other = intervals.interval_of_logs(short[cell.id]), intervals.interval_of_logs(long[cell.id])
            # Both ways were taken by the same arms, so their difference is paired.
            difference = intervals.interval_of_differences(
                [a - b for a, b in zip(short[cell.id], long[cell.id], strict=True)]
            )
            overlap = overlap and one.overlaps(other)
            largest = max(largest, abs(difference.estimate))
            label = "twin" if cell.twin else cell.point["loop"]
            seen.append(
                f"{label}: {describe(one)} interleaved, {describe(other)} uninterrupted, "
                f"difference {difference.estimate:+.1%}"
            )
        return CHECKS["interleaving_bias"].result(
            largest,
            f"{launches} launches; {'intervals overlap' if overlap else 'INTERVALS DO NOT OVERLAP'}; "
            + "; ".join(seen),
            ok=overlap,
        )


def whole_run(folder: Path, options: Options, progress: Progress) -> list[dict[str, Any]]:
    """One run of the suite as `bench run` does it."""
    suite, file = discovery.look_for_suites().get(SELFTEST_SUITE)
    made = plan.make_plan({SELFTEST_SUITE: suite}, [SELFTEST_SUITE])
    opened = store.create(folder)
    conductor = Conductor(made, {SELFTEST_SUITE: file}, opened, options, progress)
    stops = conductor.run()
    opened.close()
    timing = conductor.timing
    launches = sum(int(stop["launches"]) for stop in stops.values())
    return [
        CHECKS["time_in_turns"].result(
            timing["turns"] / timing["wall"],
            f"{timing['turns']:.0f} s of {timing['wall']:.0f} s; interpreters {timing['fork_servers']:.0f} s; "
            f"{launches} launches",
        ),
        CHECKS["conductor_cpu"].result(
            timing["conductor_cpu"] / timing["turns"],
            f"{timing['conductor_cpu']:.2f} s in {timing['turns']:.0f} s of turns",
        ),
    ]


def summary_growth() -> dict[str, Any]:
    """Summaries of made-up runs: linear is 10, and the square of that is 100."""
    synthetic.seconds_to_summarize(4)  # imports
    few, many = synthetic.seconds_to_summarize(100), synthetic.seconds_to_summarize(1000)
    return CHECKS["summary_growth"].result(many / few, f"{few:.3f} s for 100 cells, {many:.2f} s for 1,000")


def describe(interval: intervals.Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.4f}"
    return f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
