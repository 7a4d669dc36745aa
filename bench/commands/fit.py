"""`bench env --fit`: what this machine can resolve, before anything is run. No torch, no pandas.

The same code is raced against itself, twice, as a gate would race it: fresh processes for each launch, turns of the
engine on the arms' cores, a fixed kernel of a step of 1.4 ms (the suite `power`, with nothing put in). So what scatters
is the ratio that a gate judges, with what fresh processes differ by, which no longer look at one process would show.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.commands.gate_forecast import GateForecast, LaunchNoise, forecast_gate, shape_of
from bench.commands.gate_power import AGAIN, POWER_SUITE
from bench.commands.python_arguments import listener
from bench.commands.selection import Selection, allowed_budget, plan_selection
from bench.engine.budget import LEAST_TURNS
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.group_state import GroupState
from bench.engine.interpreter_sets import interpreters_of
from bench.engine.options import Options, Progress
from bench.errors import RunError, SpecError
from bench.machine import cores
from bench.machine.throttling import CoreClock, core_clock
from bench.plan import quantities
from bench.plan.cell import Plan
from bench.plan.plan import plan_document
from bench.plan.quantities import ABOVE_ZERO
from bench.results import store
from bench.results.record import Record
from bench.stats.gate_rule import Rule
from bench.stats.step_times import LEAST_ROUNDS

FIT_SECONDS = 24.0  # wall time, interpreters included
FEWEST_LAUNCHES = 6  # of two ratios each, made whatever they take; of fewer, a spread is known to a third of itself
KERNEL_PATIENCE = 120.0  # seconds of these, where the machine is that slow
FIT_BUDGET = 60.0  # of the gate that is foreseen
ONE_CELL = (POWER_SUITE, f"slowdown={AGAIN}")


@dataclass(frozen=True)
class Fit:
    """What this machine can resolve.

    Attributes:
        gates: of one cell against its baseline, and of the default suite, at one length of step.
        launches: that were made; each gives two ratios.
        step: seconds of the kernel's step.
        sd: of a launch's log ratios as they were measured, over launches, and `between`, `within`: see `LaunchNoise`.
        start_up: seconds of a launch besides its turns.
        stolen: share of the turns' time that the hypervisor took.
        before, after: what is told of the arms' cores.
        throttled: how often heat slowed one of them down meanwhile; None: not told.
        held_back: seconds for which a limit of processor time held processes back meanwhile; None: not told.
        seconds: that all this took.
    """

    gates: tuple[GateForecast, ...]
    threads: int
    cores: tuple[int, ...]
    launches: int
    step: float
    sd: float
    between: float
    within: float
    start_up: float
    stolen: float
    before: CoreClock
    after: CoreClock
    throttled: int | None
    held_back: float | None
    load_average: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": 1, **asdict(self)}


def measure_fit(threads: int, seconds: float | None, progress: Progress) -> Fit:
    """Race the kernel against itself, and foresee gates of so many seconds; None: of a minute, or BENCH_BUDGET.

    Raises:
        SpecError: more threads than usable cores, or a budget in which no gate can do anything.
        RunError: the kernel does not run here, or too few launches could be made.
    """
    usable = len(cores.usable_cores()) or os.cpu_count() or 1
    if threads > usable:
        raise SpecError(f"threads {threads}: allowed: 1 to {usable}, as many cores as can be used here")
    budget = allowed_budget(seconds, FIT_BUDGET)
    shortest = LEAST_TURNS * Rule().looks[0]
    if budget < shortest:
        raise SpecError(
            f"a budget of {budget:g} s: no gate is that short; allowed: {shortest:.2g}s or more, the turns of the "
            f"{Rule().looks[0]} launches that the first look takes"
        )
    began, load = time.monotonic(), os.getloadavg()[0]
    name, setting = ONE_CELL
    made, files = plan_selection(Selection((name,), (setting,), threads=threads))
    layout = cores.layout(threads)
    before = core_clock(layout.arms)
    records, imports = _race(made, files, threads, progress)
    after = core_clock(layout.arms)
    state = known_group(made, records)
    turns = [record.turns for record in records if record.turns is not None]
    noise = noise_of_launches(state, statistics.median([len(own.round) for own in turns] or [math.nan]), imports)
    spent = math.fsum(second for own in turns for second in own.entire)
    stolen = math.fsum(second for own in turns for second in own.stolen) / spent
    alone = 0 if set(layout.conductor) & set(layout.arms) else len(layout.conductor)
    usual, _ = plan_selection(Selection(threads=threads))
    shapes = [shape_of(plan, usable, alone) for plan in (made, usual)]
    return Fit(
        gates=tuple(forecast_gate(shape, noise, budget, Rule()) for shape in shapes),
        threads=threads,
        cores=layout.arms,
        launches=len(state.costs),
        step=statistics.median(second for own in turns for turn in own.seconds for second in turn[own.cold :]),
        sd=noise.sd(statistics.median(state.turns), len(state.cells)),
        between=noise.between,
        within=noise.within,
        start_up=state.start_up,
        stolen=stolen,
        before=before,
        after=after,
        throttled=_grown(before.throttles, after.throttles),
        held_back=_grown(before.held_back, after.held_back),
        load_average=load,
        seconds=round(time.monotonic() - began, 3),
    )


def fit(*, threads: int | None = None, budget: float | str | None = None, progress: bool | Progress = False) -> Fit:
    """What this machine can resolve, before anything is run: `bench env --fit`. Takes half a minute.

    Args:
        threads: of every arm.
        budget: of the gate that is foreseen, in seconds or as `"60s"`, which is the default; BENCH_BUDGET at most.
        progress: True: on standard error, as the command does it.

    Raises:
        SpecError: more threads than usable cores, or a budget in which no gate can do anything.
        BenchError: interpreters do not start, or too few launches could be made.
    """
    given = ABOVE_ZERO.given("threads", threads) or 1, quantities.seconds("budget", budget)
    with listener(progress) as told:
        return measure_fit(*given, told)


def _race(
    made: Plan, files: dict[str, str], threads: int, progress: Progress
) -> tuple[tuple[Record, ...], dict[tuple[str, ...], float]]:
    """The records of launches of this plan, as many as the time allows, and what interpreters took to be there."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-fit-") as place:
        opened = store.create(Path(place))
        opened.write_info({"run": opened.folder.name, "plan": plan_document(made)})
        with Fleet(threads, opened.logs) as fleet:
            progress.phase("starting interpreters")
            seats = interpreters_of([group.runnable for group in made.groups])
            fleet.ensure_fork_servers([(seat, preload) for preload, seat in seats], 0)
            imports = fleet.imports
            left = max(3.0, allowed_budget(None, FIT_SECONDS) - (time.monotonic() - began))
            options = Options(budget=left, precision_goal=1e-9, threads=threads)
            progress.phase("racing a kernel against itself")
            Conductor(made, files, opened, options, progress).run(fleet)
            records = store.read_run(opened.folder).records
            if len({record.launch for record in records if record.outcome == "ok"}) < FEWEST_LAUNCHES:
                more = replace(options, budget=left + KERNEL_PATIENCE, launches=FEWEST_LAUNCHES)
                Conductor(made, files, opened, more, progress, records).run(fleet)
                records = store.read_run(opened.folder).records
            stopped = bool(fleet.interrupts)
        opened.close()
    if stopped:
        raise KeyboardInterrupt
    if failed := next((one for one in records if one.outcome not in ("ok", "void")), None):
        raise RunError(f"the kernel did not run: {failed.cell}: {failed.outcome}: {failed.reason}")
    return records, imports


def known_group(made: Plan, records: Sequence[Record]) -> GroupState:
    """What the launches of a plan's one group told."""
    group = made.groups[0]
    state = GroupState(group, list(group.runnable))
    by_launch: dict[int, list[Record]] = {}
    for record in records:
        by_launch.setdefault(record.launch, []).append(record)
    for number in sorted(by_launch):
        state.learn(by_launch[number])
    return state


def noise_of_launches(state: GroupState, rounds: float, imports: Mapping[tuple[str, ...], float]) -> LaunchNoise:
    """What the launches of a group of equal arms scatter by and take.

    Args:
        rounds: of a launch.

    Raises:
        RunError: there are too few that count.
    """
    if len(state.turns) < FEWEST_LAUNCHES:
        raise RunError(
            f"{len(state.turns)} launches counted, and {FEWEST_LAUNCHES} are the fewest that tell what launches "
            f"scatter by; one took {statistics.median(state.costs or [math.nan]):.1f} s here"
        )
    arms, length = len(state.cells), statistics.median(state.turns)
    within = statistics.fmean(error**2 for error in state.errors)
    whole = statistics.fmean(statistics.variance(values) for values in state.ratios.values())
    return LaunchNoise(
        between=math.sqrt(max(0.0, whole - within)),
        # Where so few launches scatter by less than their rounds tell, they do so by luck; the whole is what is known.
        within=math.sqrt(min(whole, within) * length * 2 / arms),
        arm_start=state.start_up / arms,
        least_turns=length / arms * LEAST_ROUNDS / rounds,
        imports=imports,
    )


def _grown(before: float | None, after: float | None) -> Any:
    return None if before is None or after is None else after - before
