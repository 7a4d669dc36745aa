"""`bench selftest`: the tool measured by itself, on the machine at hand. Benchmarks, not tests: figures with limits.

Each check gives name, value, unit, limit, whether it is met, and what else was seen. No torch, no pandas here.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis import synthetic
from bench.commands import selftest_fit, selftest_races, selftest_runs
from bench.commands.selftest_counts import counts_spread
from bench.engine.fleet import Fleet
from bench.engine.interpreter_sets import SEATS
from bench.engine.options import Options, Progress
from bench.machine.process_env import PACKAGE_PARENT
from bench.stats import intervals


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
        Check("script_cost", "what a race adds to a script's step of about 1.4 ms", "s", 2e-6),
        Check(
            "interleaving_gain",
            "sd of the A/A log ratio, one after the other over interleaved",
            "1",
            3.0,
            at_most=False,
        ),
        Check("time_to_1_percent", "measuring time until an A/A ratio is known to 1 % (95 %)", "s", 30.0),
        Check(
            "interleaving_bias",
            "how far a loop's log ratio may lie from that of uninterrupted stretches (two one-sided tests, 90 %)",
            "1",
            0.01,
        ),
        Check("set_sd", "what interpreters differ by, as sd of the A/A log ratio over sets of them", "1", 0.01),
        Check(
            "variance_time", "V of two arms: variance of a launch's log ratio, in %², times its wall time", "%² s", 1.5
        ),
        Check("efficiency", "least wall time for that precision over what it takes", "1", 0.5, at_most=False),
        Check(
            "mean_cost",
            "every 20th step doubled: by how far the mean cost of 5 % may be missed",
            "1",
            selftest_runs.MISSED_AT_MOST,
        ),
        Check("null_cost", "half width of a loop's own cost over that cost, largest, after 30 s", "1", 0.02),
        Check("counts_sd", "sd of what a step of each loop does, over launches of other hash seeds", "1", 0.0),
        Check("time_in_turns", "share of the wall time of a run of `overhead` spent in turns", "1", 0.6, at_most=False),
        Check("conductor_cpu", "the conductor's own processor share while a turn runs", "1", 0.02),
        Check(
            "fit",
            "the slowdown that `env --fit` foresees over that which gates of 60 s reach, or the other way round",
            "1",
            selftest_fit.FORESEEN_WITHIN,
        ),
        Check("summary_growth", "processor time of a summary of 1,000 cells, over that of 100", "1", 12.0),
    )
}
OF_ARMS = frozenset({"arm_ready", "interleaving_gain", "time_to_1_percent", "interleaving_bias", "set_sd"})


def run_checks(names: Sequence[str], *, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """Measure these checks, in the order of CHECKS.

    Args:
        quick: few repetitions, for a look; the sds it gives are rough.
    """
    wanted = set(names)
    results: list[dict[str, Any]] = []
    if "stream_cost" in wanted:
        progress.phase("stream_cost: the stream against the bare loop")
        results.append(stream_cost("stream_cost", *((3, 200) if quick else (8, 1000))))
    if "script_cost" in wanted:
        progress.phase("script_cost: real steps in a race's stream and without it, in turns")
        results.append(stream_cost("script_cost", *((3, 20) if quick else (8, 60))))
    with tempfile.TemporaryDirectory(prefix="bench-selftest-") as folder:
        if wanted & OF_ARMS:
            with Fleet(1, Path(folder)) as fleet:
                results += _of_arms(wanted, fleet, Path(folder), progress, quick=quick)
        if wanted & {"variance_time", "efficiency"}:
            progress.phase("variance_time, efficiency: a run of two identical arms")
            pair = selftest_runs.pair(Path(folder), 8 if quick else 40, progress)
            results.append(CHECKS["variance_time"].result(pair.variance_time, pair.sentence))
            results.append(CHECKS["efficiency"].result(pair.efficiency, pair.best_sentence))
        if "mean_cost" in wanted:
            progress.phase("mean_cost: every 20th step doubled")
            missed = selftest_runs.mean_cost(Path(folder), 6 if quick else 12, progress)
            results.append(CHECKS["mean_cost"].result(missed.value, missed.sentence, ok=missed.ok))
        if "null_cost" in wanted:
            progress.phase("null_cost: every loop over an empty step")
            own = selftest_runs.null_cost(Path(folder), progress)
            results.append(CHECKS["null_cost"].result(own.value, own.sentence))
        if "counts_sd" in wanted:
            progress.phase("counts_sd: what a step does, again and again")
            loops = ("plain",) if quick else ("plain", "fabric", "trainer-barebones", "trainer")
            counted = counts_spread(Path(folder), 2 if quick else 5, 2 if quick else 10, loops, progress)
            results.append(CHECKS["counts_sd"].result(counted.value, counted.sentence))
        if wanted & {"time_in_turns", "conductor_cpu"}:
            progress.phase(f"time_in_turns, conductor_cpu: a run of {selftest_races.SELFTEST_SUITE}")
            whole = selftest_runs.usual_run(Path(folder), Options(budget=60.0) if quick else Options(), progress)
            results += [CHECKS[name].result(one.value, one.sentence) for name, one in whole.items()]
        if "fit" in wanted:
            progress.phase("fit: what is foreseen, and gates of the same code against itself")
            reached = selftest_fit.foreseen_and_reached(Path(folder), 2 if quick else 5, progress)
            results.append(CHECKS["fit"].result(reached.value, reached.sentence))
    if "summary_growth" in wanted:  # last, as it imports pandas
        progress.phase("summary_growth: summaries of 100 and 1,000 cells")
        results.append(summary_growth())
    order = list(CHECKS)
    return sorted(
        (result for result in results if result["name"] in wanted), key=lambda item: order.index(item["name"])
    )


def _of_arms(wanted: set[str], fleet: Fleet, folder: Path, progress: Progress, *, quick: bool) -> list[dict[str, Any]]:
    """The checks that conduct arms of their own."""
    progress.phase("starting interpreters")
    preloads = [("torch",)] + [("torch", "lightning")] * ("interleaving_bias" in wanted)
    fleet.ensure_fork_servers([(number, preload) for number in range(SEATS) for preload in preloads], 0)
    arms = selftest_races.CheckBench(fleet, folder, progress)
    results: list[dict[str, Any]] = []
    if "arm_ready" in wanted:
        progress.phase("arm_ready: forking arms, one by one")
        times = arms.arm_ready(5 if quick else 25)
        seen = f"{len(times)} arms, {min(times):.3f} to {max(times):.3f} s"
        results.append(CHECKS["arm_ready"].result(statistics.median(times), seen))
    if wanted & {"interleaving_gain", "time_to_1_percent"}:
        progress.phase("interleaving_gain, time_to_1_percent: two identical arms")
        twins = arms.twins(4 if quick else 16, 1.0 if quick else 3.0)
        results.append(CHECKS["interleaving_gain"].result(twins.gain, twins.sentence))
        seen = (
            f"{twins.needed:.1f} launches of {twins.seconds:.1f} s in turns; A/A ratio "
            f"{selftest_races.describe(twins.ratio)}"
        )
        results.append(CHECKS["time_to_1_percent"].result(twins.needed * twins.seconds, seen))
    if "interleaving_bias" in wanted:
        progress.phase("interleaving_bias: every loop, interleaved and uninterrupted")
        found = [arms.bias(batch, 3 if quick else 12, 2.5 if quick else 5.0) for batch in selftest_races.BATCHES]
        launches = found[0].launches
        seen = "; ".join([f"{launches} launches", *(sentence for one in found for sentence in one.sentences)])
        results.append(CHECKS["interleaving_bias"].result(max(one.reach for one in found), seen))
    if "set_sd" in wanted:
        progress.phase("set_sd: launches within sets of interpreters")
        sets = arms.sets(3 if quick else 6, 2 if quick else 4, 1.0)
        results.append(CHECKS["set_sd"].result(sets.between, sets.sentence))
    return results


STREAM_COSTS = {"stream_cost": ("time_stream", 50), "script_cost": ("time_script_stream", 30)}  # steps of a turn


def stream_cost(name: str, processes: int, repeats: int) -> dict[str, Any]:
    """Bare loop and streamed loop over the same batches, turns in pairs, in processes with torch."""
    function, steps = STREAM_COSTS[name]
    code = f"from bench.arm.stream_cost import {function}; {function}({repeats})"
    root = str(PACKAGE_PARENT)
    medians = []
    for _ in range(processes):
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
        medians.append(statistics.median(json.loads(said.stdout.splitlines()[-1])))
    # Rounds within one process are not independent; processes are.
    known = intervals.interval_of_differences(medians)
    ends = "" if known.low is None or known.high is None else f" [{known.low * 1e6:.2f}, {known.high * 1e6:.2f}]"
    seen = f"{known.estimate * 1e6:.2f} µs{ends}, {processes} processes of {repeats} paired rounds of {steps} steps"
    return CHECKS[name].result(known.estimate, seen)


def summary_growth() -> dict[str, Any]:
    """Summaries of made-up runs: linear is 10, and the square of that is 100."""
    synthetic.seconds_to_summarize(4)  # imports
    few, many = synthetic.seconds_to_summarize(100), synthetic.seconds_to_summarize(1000)
    return CHECKS["summary_growth"].result(many / few, f"{few:.3f} s for 100 cells, {many:.2f} s for 1,000")
