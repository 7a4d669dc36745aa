"""Checks of `bench selftest` that are made of whole runs, as `bench run` makes them. No torch."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.engine.conductor import Conductor
from bench.engine.group_state import GroupState
from bench.engine.options import Options, Progress
from bench.plan import discovery, plan
from bench.plan.cell import Plan
from bench.results import store
from bench.results.record import Record
from bench.stats.intervals import LAYOUT_SD, Interval, interval_of_differences, interval_of_logs
from bench.stats.periods import periods_of
from bench.stats.step_times import launch_ratios, pair_ratios

MISSED_AT_MOST = 0.01  # and the width that its interval may have to either side
DOUBLED = 0.05  # what a step of which every 20th is doubled takes longer, in the mean


@dataclass(frozen=True)
class SelftestFigure:
    """A value with what was seen."""

    value: float
    sentence: str
    ok: bool | None = None


@dataclass(frozen=True)
class PairRun:
    """What a run of two identical arms took for what it knows."""

    variance_time: float
    sentence: str
    efficiency: float
    best_sentence: str


@dataclass(frozen=True)
class _Made:
    """A run: its plan, its records, where its time went, and how many launches it made."""

    plan: Plan
    records: tuple[Record, ...]
    timing: dict[str, float]
    launches: int


def _run(folder: Path, suite: str, settings: list[str], options: Options, progress: Progress) -> _Made:
    found, file = discovery.look_for_suites().get(suite)
    made = plan.make_plan({suite: found}, [suite], settings=settings)
    opened = store.create(folder)
    opened.write_info({"run": opened.folder.name, "plan": plan.plan_document(made)})
    conductor = Conductor(made, {suite: file}, opened, options, progress)
    stops = conductor.run()
    opened.close()
    launches = sum(int(stop["launches"]) for stop in stops.values())
    return _Made(made, store.read_run(opened.folder).records, conductor.timing, launches)


def pair(folder: Path, launches: int, progress: Progress) -> PairRun:
    """V and efficiency: a run of plain and its twin, of launches as long as the run itself finds best."""
    options = Options(budget=900.0, launches=launches, fork_servers=1)
    made = _run(folder, "overhead", ["batch_size=64", "loop=plain"], options, progress)
    state = GroupState(made.plan.groups[0], list(made.plan.groups[0].runnable))
    by_launch: dict[int, list[Record]] = {}
    for record in made.records:
        by_launch.setdefault(record.launch, []).append(record)
    for own in by_launch.values():
        state.learn(own)
    (logs,) = state.ratios.values()
    wall = (made.timing["wall"] - made.timing["fork_servers"]) / made.launches
    variance = statistics.variance(logs) * 1e4
    turns, start_up = statistics.median(state.turns), state.start_up
    within = 1e4 * statistics.fmean(error**2 for error in state.errors)
    between = max(0.0, variance - within)
    best = (math.sqrt(between * start_up) + math.sqrt(within * turns)) ** 2
    known = interval_of_logs(logs)
    ends = "" if known.low is None or known.high is None else f" [{known.low:.4f}, {known.high:.4f}]"
    return PairRun(
        variance * wall,
        f"sd {math.sqrt(variance):.2f} % of {len(logs)} launches of {wall:.2f} s, of which {turns:.2f} s in turns; "
        f"A/A ratio {known.estimate:.4f}{ends}; known to 1 % after {3.84 * variance * wall:.1f} s",
        best / (variance * wall),
        f"V {best:.2f} with the run's own {math.sqrt(between):.2f} % between launches, "
        f"{math.sqrt(within * turns):.2f} % of a second of turns and {start_up:.2f} s of start-up",
    )


def mean_cost(folder: Path, launches: int, progress: Progress) -> SelftestFigure:
    """How far the mean cost of a step of which every 20th is doubled lies from what was put in."""
    options = Options(budget=900.0, launches=launches, launch=0.75, fork_servers=1)
    made = _run(folder, "power", ["slowdown=every-20th"], options, progress)
    baseline = made.plan.groups[0].cells[0].id
    slow = next(cell.id for cell in made.plan.groups[0].cells if cell.id != baseline and not cell.twin)
    turns = {(record.cell, record.launch): record.turns for record in made.records}
    pairs = [
        (own, base)
        for (cell, launch), own in turns.items()
        if cell == slow and own is not None and (base := turns.get((baseline, launch))) is not None
    ]
    found, periods = pair_ratios(pairs).launches, periods_of([own for own, _ in pairs])
    mean, typical = (
        interval_of_differences(values) for values in ([one.mean for one in found], [one.typical for one in found])
    )
    truth = math.log1p(DOUBLED)
    events = "; ".join(f"every {period.every} steps +{period.extra:.0%}" for period in periods) or "no period found"
    return SelftestFigure(
        max(abs(mean.estimate - truth), _half(mean)),  # an interval that holds everything has found nothing
        f"mean {_percent(mean)}, {DOUBLED:.0%} is true; typical {_percent(typical)}; {events}; {len(found)} launches",
        ok=mean.contains(truth) and _half(mean) <= MISSED_AT_MOST,
    )


def null_cost(folder: Path, progress: Progress) -> SelftestFigure:
    """How well each loop's own cost is known after 30 s."""
    made = _run(folder, "null", [], Options(budget=30.0), progress)
    group = made.plan.groups[0]
    records = {(record.cell, record.launch): record for record in made.records}
    shares, seen = [], []
    for cell in group.runnable[1:]:
        if cell.twin:
            continue
        found = [
            (launch_ratios(own.turns, base.turns), base.fork_server)
            for (name, launch), own in records.items()
            if name == cell.id
            and own.turns is not None
            and (base := records.get((group.cells[0].id, launch))) is not None
            and base.turns is not None
        ]
        values = [ratios.difference for ratios, _ in found]
        layout = LAYOUT_SD * statistics.median(ratios.step + ratios.difference for ratios, _ in found)
        known = interval_of_differences(values, sets=[number for _, number in found], layout=layout)
        widths = [_half(known), _half(interval_of_differences(values))]
        shares.append(widths[0] / abs(known.estimate))
        seen.append(
            f"{cell.point['loop']} {known.estimate * 1e6:.1f} µs ±{widths[0] * 1e6:.1f} (±{widths[1] * 1e6:.1f} by "
            "launches alone)"
        )
    sets = len({record.fork_server for record in made.records})
    return SelftestFigure(max(shares), f"{made.launches} launches of {sets} sets of interpreters; {'; '.join(seen)}")


def _half(known: Interval) -> float:
    return math.inf if known.low is None or known.high is None else (known.high - known.low) / 2


def usual_run(folder: Path, options: Options, progress: Progress) -> dict[str, SelftestFigure]:
    """One run of `overhead` as users see it, by check."""
    made = _run(folder, "overhead", [], options, progress)
    timing = made.timing
    return {
        "time_in_turns": SelftestFigure(
            timing["turns"] / timing["wall"],
            f"{timing['turns']:.0f} s of {timing['wall']:.0f} s; interpreters {timing['fork_servers']:.0f} s; "
            f"{made.launches} launches",
        ),
        "conductor_cpu": SelftestFigure(
            timing["conductor_cpu"] / timing["turns"],
            f"{timing['conductor_cpu']:.2f} s in {timing['turns']:.0f} s of turns",
        ),
    }


def _percent(log: Interval) -> str:
    ends = "" if log.low is None or log.high is None else f" [{math.expm1(log.low):+.2%}, {math.expm1(log.high):+.2%}]"
    return f"{math.expm1(log.estimate):+.2%}{ends}"
