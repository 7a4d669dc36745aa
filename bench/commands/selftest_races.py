"""Checks of `bench selftest` that conduct arms themselves: how long, how precise and how true a launch is. No torch."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engine import turn_order
from bench.engine.arm_request import request
from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import SEATS, seats_of
from bench.engine.launch import Race, heap_padding
from bench.engine.options import Options, Progress
from bench.machine.cores import layout, own_cores
from bench.plan import discovery, plan
from bench.plan.cell import Cell
from bench.results.turns import Turns
from bench.stats import intervals
from bench.stats.step_times import launch_ratios

SELFTEST_SUITE = "overhead"
BATCHES = (64, 1536)  # the shortest steps of the suite, of which what the tool costs is most, and long ones
SWEEPS = 8  # of uninterrupted stretches in a launch: more leave less drift between them
TOST_CONFIDENCE = 0.90  # two one-sided tests at 5 %


@dataclass(frozen=True)
class TwinRaces:
    """What two identical arms read, interleaved and one after the other."""

    gain: float
    sentence: str
    needed: float
    seconds: float
    ratio: intervals.Interval


@dataclass(frozen=True)
class Bias:
    """By how far interleaved ratios may lie from uninterrupted ones: the farthest end of any loop's 90 % interval."""

    reach: float
    launches: int
    sentences: Sequence[str]


@dataclass(frozen=True)
class SetComponents:
    """Variance components of the A/A log ratio: between sets of interpreters, and between launches of one."""

    between: float
    sentence: str


class CheckBench:
    """Arms of the suite `overhead` for the checks that need live ones.

    Args:
        fleet: with a set of the fork servers that are needed.
        folder: for logs.
    """

    def __init__(self, fleet: Fleet, folder: Path, progress: Progress) -> None:
        self._fleet = fleet
        self._folder = folder
        self._progress = progress
        self._layout = layout(1)
        self._random = random.Random(0)
        self._started = 0
        self._suite, self._file = discovery.look_for_suites().get(SELFTEST_SUITE)

    def _cells(self, batch: int) -> Sequence[Cell]:
        made = plan.make_plan({SELFTEST_SUITE: self._suite}, [SELFTEST_SUITE], settings=[f"batch_size={batch}"])
        return [cell for cell in made.groups[0].cells if not cell.unsupported]

    @contextmanager
    def _race(self, cells: Sequence[Cell], number: int = 0, *, swap: bool | None = None) -> Iterator[Race]:
        """Fresh arms for these cells from that set, started in random order, warm; ended on leaving."""
        arms = {}
        drawn = self._random.random() < 0.5 if swap is None else swap
        seats = seats_of(cells)
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
            preload, seat = seats[cell.id]
            own = SEATS * number + (seat ^ drawn if preload == cells[0].preload and len(cells) > 1 else seat)
            arms[cell.id] = self._fleet.start_arm(preload, asked, self._folder / f"{name}.log", number=own)
        self._fleet.await_ready(list(arms.values()), 60.0)
        for arm in arms.values():
            if arm.lost is not None:
                raise arm.lost
        race = Race(self._fleet, arms, self._layout.arms, 60.0, Options().turn, generator=self._random)
        with own_cores(self._layout):
            race.warm_up(cells[0].id)
            yield race
            race.finish()

    def arm_ready(self, repeats: int) -> list[float]:
        """Seconds of a plain arm alone, again and again; the first finds the fork server's pages untouched."""
        times = []
        for _ in range(repeats + 1):
            with self._race(self._cells(BATCHES[0])[:1]) as race:
                times.append(next(iter(race.arms.values())).ready_after)
        return times[1:]

    def _interleaved(self, race: Race, cells: Sequence[Cell], seconds: float) -> dict[str, float]:
        """Log ratios to the first cell, from turns in balanced random order."""
        before = race.turn_seconds
        for order in turn_order.rounds(len(cells), self._random):
            if race.rounds and race.enough(before + seconds):
                break
            race.take_round([cells[index].id for index in order])
        return race.log_ratios(cells[0].id)

    def _uninterrupted(self, race: Race, cells: Sequence[Cell], seconds: float, sweeps: int) -> dict[str, float]:
        """The same from long turns of each arm in random order, in `sweeps` sweeps; `seconds` for all together."""
        taken: dict[str, list[tuple[float, ...]]] = {cell.id: [] for cell in cells}
        steps = max(20, round(seconds / sweeps / sum(race.pace(cell.id) for cell in cells)))
        for _ in range(sweeps):
            for cell in self._random.sample(list(cells), len(cells)):
                taken[cell.id].append(tuple(race.uninterrupted(cell.id, steps)))
        nothing = (0,) * sweeps
        turns = {
            name: Turns(
                round=tuple(range(sweeps)),
                position=nothing,
                cpu=nothing,
                involuntary=nothing,
                faults=nothing,
                stolen=nothing,
                seconds=tuple(own),
                cold=0,
            )
            for name, own in taken.items()
        }
        return {name: launch_ratios(own, turns[cells[0].id]).mean for name, own in turns.items()}

    def _both_ways(
        self, race: Race, cells: Sequence[Cell], seconds: float, sweeps: int
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Interleaved and uninterrupted, the same arms; which comes first is drawn."""
        ways: list[Callable[[], dict[str, float]]] = [
            lambda: self._interleaved(race, cells, seconds),
            lambda: self._uninterrupted(race, cells, seconds, sweeps),
        ]
        if self._random.random() < 0.5:
            first = ways[0]()
            return first, ways[1]()
        last = ways[1]()
        return ways[0](), last

    def twins(self, launches: int, seconds: float) -> TwinRaces:
        """Interleaved and one after the other, the same two arms, equal measuring time, fresh arms each launch."""
        pair = self._cells(BATCHES[0])[:2]
        interleaved, sequential, spent = [], [], []
        for number in range(launches):
            with self._race(pair) as race:
                short, long = self._both_ways(race, pair, seconds, 1)
                interleaved.append(short[pair[1].id])
                sequential.append(long[pair[1].id])
                spent.append(race.turn_seconds)
            self._progress.update(number, launches, f"A/A launch {number + 1} of {launches}")
        sds = [statistics.stdev(values) for values in (sequential, interleaved)]
        per_launch = statistics.mean(spent)
        return TwinRaces(
            sds[0] / sds[1],
            f"sd {sds[0]:.2%} one after the other, {sds[1]:.2%} interleaved, "
            f"{launches} launches of {per_launch:.1f} s each way",
            max(1.0, (1.96 * sds[1] / 0.01) ** 2),
            per_launch,
            intervals.interval_of_logs(interleaved),
        )

    def bias(self, batch: int, launches: int, seconds: float) -> Bias:
        """Each loop's ratio to plain both ways, the same arms, so that their difference is paired."""
        cells = self._cells(batch)
        short: dict[str, list[float]] = {cell.id: [] for cell in cells}
        long: dict[str, list[float]] = {cell.id: [] for cell in cells}
        for number in range(launches):
            with self._race(cells) as race:
                for kept, found in zip((short, long), self._both_ways(race, cells, seconds, SWEEPS), strict=True):
                    for name, value in found.items():
                        kept[name].append(value)
            self._progress.update(number, launches, f"batch {batch}: launch {number + 1} of {launches}")
        reach, sentences = 0.0, []
        for cell in cells[1:]:
            one, other = (intervals.interval_of_logs(kept[cell.id]) for kept in (short, long))
            apart = intervals.interval_of_differences(
                [a - b for a, b in zip(short[cell.id], long[cell.id], strict=True)], TOST_CONFIDENCE
            )
            reach = max(reach, *(abs(end) for end in (apart.low, apart.high) if end is not None))
            label = "twin" if cell.twin else cell.point["loop"]
            ends = f"[{apart.low:+.2%}, {apart.high:+.2%}]" if apart.low is not None and apart.high is not None else ""
            sentences.append(
                f"batch {batch}, {label}: {describe(one)} interleaved, {describe(other)} uninterrupted, "
                f"difference {apart.estimate:+.2%} {ends}"
            )
        return Bias(reach, launches, sentences)

    def sets(self, count: int, launches: int, seconds: float) -> SetComponents:
        """A/A ratios of launches within sets of interpreters; arms do not change places within one."""
        pair = self._cells(BATCHES[0])[:2]
        values: list[list[float]] = []
        for number in range(count):
            wanted = [(SEATS * number + seat, pair[0].preload) for seat in range(SEATS)]
            self._fleet.ensure_fork_servers(wanted, 0)
            values.append([])
            for launch in range(launches):
                with self._race(pair, number, swap=False) as race:
                    values[-1].append(self._interleaved(race, pair, seconds)[pair[1].id])
                self._progress.update(number, count, f"set {number + 1} of {count}, launch {launch + 1}")
            if number:  # the first is the other checks' too
                self._fleet.retire(number for number, _ in wanted)
        means = [statistics.fmean(own) for own in values]
        within = statistics.fmean(statistics.variance(own) for own in values)
        between = launches * statistics.variance(means)
        ratio = between / within if within else math.inf
        spread = math.sqrt(max(0.0, between - within) / launches)
        return SetComponents(
            spread,
            f"sd {spread:.2%} between {count} sets and {math.sqrt(within):.2%} between {launches} launches of a set; "
            f"F {ratio:.2f} with {count - 1} and {count * (launches - 1)} degrees of freedom; "
            f"mean {statistics.fmean(means):+.2%}",
        )


def describe(interval: intervals.Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.4f}"
    return f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
