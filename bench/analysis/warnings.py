"""What a reader must know before believing a run: sentences. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.device_warnings import clock_warnings
from bench.analysis.drift import leak_warnings
from bench.analysis.energy import energy_warnings, launch_energies
from bench.analysis.estimates import CellSummary, Twin
from bench.analysis.frames import Frames, short_launches
from bench.analysis.pairs import columns_by_cell, shared_sets
from bench.axes.accelerators import accelerators
from bench.results.forms import FOUND
from bench.results.record import Metric
from bench.results.store import StoredRun
from bench.stats.intervals import (
    LAYOUT_SD,
    SETS_FOR_THEIR_OWN,
    Interval,
    interval_of_differences,
    interval_of_logs,
)
from bench.stats.periods import USUAL_PERIOD
from bench.stats.rounding import percent_of
from bench.stats.step_times import LEAST_ROUNDS

# What place in the round an arm has is balanced, so an effect of it cancels in the ratios. Up to 4 % was seen where the
# arms do nothing while held: an arm that comes late in the round has waited longer, and its caches are colder.
POSITION_EFFECT = 0.06


# Cells that a warning names; of more it says how many.
NAMED = 3

# A ratio that differs by more between the halves of turns is not settled: half of that is what it may be off by.
UNSETTLED = 0.01

# Rounds that others disturbed, as a share; and the processor share of arms that compute all the time, below which their
# cores are others' too. There short turns are favoured by the scheduler: steps took 2.1 to 2.8 times as long as on
# plain at their beginning where they took 1.88 times later.
CONTENDED = 0.05
PROCESSOR_SHARE = 0.9

# With more than 5 % of the turns' time taken by the hypervisor, what was measured is the neighbours too.
STOLEN_SHARE = 0.05


def twin_of(rows: pd.DataFrame) -> Twin | None:
    return Twin(interval_of_logs(rows["log_ratio"].tolist())) if len(rows) else None


def position_effects(turns: pd.DataFrame) -> dict[int, Interval]:
    """How a place in the round changes a step, as intervals over launches of mean log deviations, by position.

    A turn's deviation is that of its log step time from its cell's median in the launch, less the round's mean of
    these, which drift moves.
    """
    if turns.empty:
        return {}
    turns = turns[turns["outcome"] == "ok"].copy()
    turns["log"] = np.log(turns["step_time"])
    turns["log"] -= turns.groupby(["cell", "launch"])["log"].transform("median")
    turns["log"] -= turns.groupby(["group", "launch", "round"])["log"].transform("mean")
    means = turns.groupby(["position", "group", "launch"])["log"].mean()
    return {
        int(str(position)): interval_of_differences(values.tolist())
        for position, values in means.groupby(level="position")
    }


def run_warnings(run: StoredRun, cells: Sequence[CellSummary], frames: Frames) -> list[str]:
    warnings = [*run.info.get("warnings", ())]
    if not run.info.get("finished"):
        warnings.append("the run is not finished: it was cut off or still runs")
    fewest: dict[tuple[str, int], int] = {}
    short = short_launches(run)
    for group, launch, rounds in zip(*(short[name].tolist() for name in ("group", "launch", "rounds")), strict=True):
        fewest[group, launch] = min(rounds, fewest.get((group, launch), rounds))
    suites = run.info["plan"]["suites"]
    # Launches that train for a goal are as long as that takes, and are used for what they were made for.
    trained = {cell["group"] for cell in run.info["plan"]["cells"] if suites[cell["suite"]].get("goal")}
    warnings += [
        f"{group}: launch {launch} is not used: it has {rounds} rounds, fewer than {LEAST_ROUNDS}"
        for (group, launch), rounds in fewest.items()
        if group not in trained
    ]
    by_id = {cell.id: cell for cell in cells}
    for baseline in dict.fromkeys(cell["baseline"] for cell in run.info["plan"]["cells"]):
        if baseline in by_id and by_id[baseline].outcome not in ("ok", "noisy"):
            cell = by_id[baseline]
            warnings.append(f"{cell.group}: no ratios, as the baseline is {cell.outcome}: {cell.reason}")
    if ours := [cell.id for cell in cells if cell.outcome == "internal"]:
        more = f" and {len(ours) - NAMED} more" if len(ours) > NAMED else ""
        warnings.append(
            f"a fault in loopmark's own code, not in yours, stopped {', '.join(ours[:NAMED])}{more}: please report it, "
            "with the reason and the log"
        )
    warnings += _accelerator_warnings(run)
    warnings += leak_warnings(frames.memory)
    warnings += validation_warnings(run)
    changing = _changing(run)
    warnings += [
        f"{cell.id}: effective settings differ between launches: {', '.join(changing[cell.id])}"
        for cell in cells
        if cell.id in changing
    ]
    for cell in cells:
        if again := cell.effective.get("recompiles"):
            warnings.append(
                f"{cell.id}: {again} times a guard failed and a frame was compiled again, as for a short "
                "last batch: compile time is in its steps"
            )
    warnings += [*clock_warnings(run.records), *energy_warnings(launch_energies(run.records))]
    twin = twin_of(frames.pairs[frames.pairs["twin"]])
    if twin and not twin.ratio.contains(1.0):
        warnings.append(
            f"the twin, the same code as the baseline, reads {twin.ratio.estimate:.4f} "
            f"[{twin.ratio.low:.4f}, {twin.ratio.high:.4f}] of its time, which excludes 1: "
            "a difference of this size may be noise"
        )

    def percent(effect: Interval) -> str:
        ends = f"{100 * (effect.low or 0.0):.1f}, {100 * (effect.high or 0.0):.1f}"
        return f"{percent_of(effect.estimate, 1, signed=True)} [{ends}]"

    for position, effect in position_effects(frames.turns).items():
        if not effect.contains(0.0) and abs(effect.estimate) > POSITION_EFFECT:
            warnings.append(
                f"place {position + 1} in the round changes a step by {percent(effect)}: arms disturb each "
                "other. Orders are balanced, so ratios hold, but their intervals are wider than need be"
            )
    warnings += [*_few_sets(frames.pairs), *_unsettled(frames.pairs), *_contended(run, frames.pairs)]
    warnings += _too_short_for_periods(run)
    stolen = _stolen_share(run)
    if stolen > STOLEN_SHARE:
        warnings.append(
            f"the hypervisor took {percent_of(stolen, 0)} of the turns' time: the machine is shared with busy others"
        )
    return warnings


def _few_sets(pairs: pd.DataFrame) -> list[str]:
    """Cells whose launches hang on their set of interpreters, of which there were too few to tell what that does."""
    few: dict[int, list[str]] = {}
    for cell, own in columns_by_cell(pairs, "crossed", "set").items():
        sets = shared_sets(own["crossed"], own["set"])
        if sets is not None and len(set(sets)) < min(SETS_FOR_THEIR_OWN, len(sets)):
            few.setdefault(len(set(sets)), []).append(cell)
    return [
        f"{', '.join(cells[:NAMED])}{f' and {len(cells) - NAMED} more' if len(cells) > NAMED else ''}: launches from "
        f"{count} {'set' if count == 1 else 'sets'} of interpreters, as time had room for, and fewer than "
        f"{SETS_FOR_THEIR_OWN}: intervals allow for layouts that differ by {percent_of(LAYOUT_SD)} (sd), so that none "
        f"is narrower than ±{percent_of(1.96 * LAYOUT_SD / math.sqrt(count), 1)}; a longer run has more sets"
        for count, cells in few.items()
    ]


def _unsettled(pairs: pd.DataFrame) -> list[str]:
    """Ratios that change within a turn: their systematic part."""
    found = []
    for cell, own in columns_by_cell(pairs, "unsettled").items():
        known = interval_of_differences(own["unsettled"])
        if known.low is not None and not known.contains(0.0) and abs(known.estimate) > UNSETTLED:
            apart, half = (percent_of(abs(known.estimate) / part, 1) for part in (1, 2))
            more, much = ("larger", "large") if known.estimate > 0 else ("smaller", "small")
            found.append(
                f"{cell}: its ratio is {apart} {more} in the first half of turns than in the second, so it is perhaps "
                f"{half} too {much}: what a pause costs it, or the baseline, is not over within a turn"
            )
    return found


def _contended(run: StoredRun, pairs: pd.DataFrame) -> list[str]:
    """What others did to the arms' cores."""
    found = []
    share = float(pairs["contended"].mean()) if len(pairs) else 0.0
    if share > CONTENDED:
        found.append(
            f"in {percent_of(share, 0)} of the rounds an arm was pushed off its core by others; they are left out, "
            "unless more than a quarter of a launch's are such"
        )
    alone = [
        record.turns
        for record in run.records
        if record.turns is not None
        and record.requested.get("accelerator", "cpu") == "cpu"
        and not record.effective.get("loader_workers")
        and sum(record.turns.involuntary) > len(record.turns.round)
    ]
    wall = math.fsum(math.fsum(turns.entire) for turns in alone)
    cpu = math.fsum(math.fsum(turns.cpu) for turns in alone)
    if wall and cpu / wall < PROCESSOR_SHARE:
        found.append(
            f"arms had {percent_of(cpu / wall, 0)} of their cores while they took turns: others use them, so steps are "
            "longer than on a free core, and unlike loops suffer unlike from that"
        )
    return found


def _too_short_for_periods(run: StoredRun) -> list[str]:
    """Where the launches of a cell are too few steps for what comes back every 50th of them, on which Trainer logs."""
    steps: dict[str, int] = {}
    for record in run.records:
        if record.turns is not None and record.turns.seconds and not (record.turns.whole or record.turns.behind):
            steps[record.group] = max(steps.get(record.group, 0), sum(record.turns.taken))
    short = [group for group, count in steps.items() if count < USUAL_PERIOD]
    if not short:
        return []
    named = f"{', '.join(short[:NAMED])}{f' and {len(short) - NAMED} more' if len(short) > NAMED else ''}"
    return [
        f"{named}: launches of {min(steps[group] for group in short)} steps or more, fewer than {USUAL_PERIOD}: what "
        f"a loop does every {USUAL_PERIOD}th step, as Trainer's logging, is in some launches and in others not"
    ]


def _accelerator_warnings(run: StoredRun) -> list[str]:
    used = {record.effective.get("accelerator") for record in run.records}
    found = [device.caution for name, device in accelerators().items() if name in used and device.caution]
    compiled: dict[str, list[int]] = {}
    for record in run.records:
        compiled.setdefault(record.cell, []).append(record.effective.get("compilations_timed", 0))
    for cell, counts in compiled.items():
        if sum(counts):
            found.append(
                f"{cell}: XLA compiled {sum(counts)} graphs within timed turns, in {sum(map(bool, counts))} "
                f"of {len(counts)} launches: shapes change, or the warm-up was too short"
            )
    return found


def validation_warnings(run: StoredRun) -> list[str]:
    """Validation that a workload declares and that is in no figure: once a suite, or a loop where others ran it."""
    taken: dict[str, dict[str, int]] = {}
    for record in run.records:
        if record.turns is not None and record.ledger.get("validation_declared"):
            loops = taken.setdefault(record.suite, {})
            loop = str(record.point.get("loop", record.cell))
            loops[loop] = loops.get(loop, 0) + record.ledger["validation_batches"]
    real = {record.suite for record in run.records if record.turns is not None and record.turns.real}
    found = []
    for suite, loops in taken.items():
        if not any(loops.values()) and suite not in real:
            found.append(
                f"{suite}: validation is declared and is not in these figures (validation batches: 0): no turn holds "
                "the end of a loop's own epoch, and Trainer's sanity check comes before all timing; in a suite with "
                'epochs="real" the loops validate'
            )
            continue
        found += [
            f"{loop}: validation is declared and was never run (validation batches: 0): it is not in these figures"
            for loop, batches in loops.items()
            if not batches
        ]
    return found


def instrumented_warnings(run: StoredRun, cells: Sequence[CellSummary], known: Mapping[str, Metric]) -> list[str]:
    """What is wrong with instrumented launches; it spoils nothing that was timed."""
    warnings = [
        f"{record.cell}: instrumented launch {record.launch} is {record.outcome}: {record.reason}"
        for record in run.instrumented
        if record.outcome != "ok"
    ]
    for cell in cells:
        for name, seen in cell.instrumented.items():
            metric = known[name]
            worse = metric.limit is not None and (
                seen.estimate > metric.limit if metric.better == "lower" else seen.estimate < metric.limit
            )
            if worse:
                warnings.append(
                    f"{cell.id}: {name} is {seen.estimate:.3g}, and should be {metric.limit:g} or "
                    f"{'less' if metric.better == 'lower' else 'more'}: {metric.description}"
                )
    return warnings


# What compiling finds differs between a cold cache and a warm one, and is meant to.
_OF_CACHES = frozenset({"compile_cache", "cache_hits", "cache_misses"})


def _changing(run: StoredRun) -> dict[str, list[str]]:
    """The names of settings that differ between a cell's launches, by cell; only cells that have any."""
    first: dict[str, Mapping[str, Any]] = {}
    found: dict[str, set[str]] = {}
    for record in run.records:
        if not record.effective:
            continue
        before = first.setdefault(record.cell, record.effective)
        names = {
            name
            for name in {*before, *record.effective} - _OF_CACHES
            if before.get(name) != record.effective.get(name) and not name.startswith(FOUND)
        }
        if names:
            found.setdefault(record.cell, set()).update(names)
    return {cell: sorted(names) for cell, names in found.items()}


def _stolen_share(run: StoredRun) -> float:
    taken = [record.turns for record in run.records if record.turns is not None]
    total = math.fsum(seconds for item in taken for seconds in item.entire)
    return math.fsum(seconds for item in taken for seconds in item.stolen) / total if total else 0.0
