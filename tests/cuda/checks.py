"""What is checked on a machine with CUDA devices: a table of checks, each with what it takes and how it judges.

Checks that measure run `bench` as a user does, in processes of its own, and look at the records. The first ones tell
most, so that a short budget leaves out the last.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.energy import launch_energies
from bench.analysis.summary import Summary, summarize
from bench.engine.turn_meters import idle_of
from bench.machine.meters import NVMLMeter
from bench.machine.nvml import REASONS, NVMLDevice, NVMLError
from bench.report.units import quantity
from bench.results import store
from bench.results.record import Record
from bench.results.store import StoredRun

from .page import table
from .record import record_at_work, write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
START_UP = 45.0  # seconds that interpreters may take over a run's budget


@dataclass(frozen=True)
class Bed:
    """Where checks run.

    Attributes:
        folder: for runs and what else is written.
        driver: what NVML is asked through.
        uuids: of the devices.
        limit: seconds that this check may take at most.
    """

    folder: Path
    driver: Any
    uuids: Sequence[str]
    limit: float


@dataclass(frozen=True)
class Found:
    """What a check saw, as lines of Markdown, and what of it is wrong."""

    seen: Sequence[str]
    wrong: Sequence[str] = ()


@dataclass(frozen=True)
class Check:
    """One check: its name, what it asks, the seconds that it is expected to take, the devices that it needs."""

    name: str
    what: str
    seconds: float
    look: Callable[[Bed], Found]
    devices: int = 1


# --- the driver


def driver_answers(bed: Bed) -> Found:
    """Every quantity of every device, what a reading costs, and how the idle device's counter moves."""
    rows, wrong, more = [], [], []
    for uuid in bed.uuids:
        try:
            device = NVMLDevice(uuid, bed.driver)
        except NVMLError as error:
            wrong.append(f"{uuid}: {error}")
            continue
        meter = NVMLMeter(device)
        readings = [meter.read()]
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            time.sleep(0.002)
            readings.append(meter.read())
        last, (watts, step) = readings[-1], idle_of(readings)
        bits = last.reasons or 0
        reasons = ", ".join(name for bit, name in REASONS.items() if bits & bit) or "none"
        rows.append(
            [
                device.name(),
                "-" if last.clock is None else quantity(last.clock, "Hz"),
                "-" if last.power is None else quantity(last.power, "W"),
                quantity(watts, "W"),
                "no counter" if last.energy is None else quantity(step, "s"),
                reasons,
                quantity(statistics.median(one.took for one in readings), "s"),
            ]
        )
        wrong += [f"{uuid}: {name}: {why}" for name, why in meter.failed.items() if name != "faults"]
        if why := meter.failed.get("faults"):  # as in many containers; faults then have torch's words only
            more.append(f"- {uuid} tells no Xids: {why}")
        if meter.lost:
            wrong.append(f"{uuid}: {meter.lost}")
        meter.close()
    header = ("device", "clock", "power", "idle, by the counter", "a step of the counter", "reasons", "one reading")
    return Found([*table(header, rows), *([""] if more else []), *more], wrong)


def recording(bed: Bed) -> Found:
    """A recording of the driver's answers, for the replays."""
    made = record_at_work(bed.driver, 12.0)
    path = write(made, bed.folder / "recordings")
    points = {name: len(answers) for name, answers in made["devices"][0]["answers"].items()}
    wrong = [f"{name} never changed" for name in ("nvmlDeviceGetPowerUsage",) if points[name] < 3]
    return Found([f"`{path.name}`: {', '.join(f'{name} {count}' for name, count in points.items())} answers."], wrong)


# --- runs of bench


def bench_run(bed: Bed, name: str, *arguments: str, budget: float) -> tuple[StoredRun | None, list[str]]:
    """A run on CUDA and its run's folder, and what went wrong with the command itself."""
    out = bed.folder / name
    command = [sys.executable, "-m", "bench", "run", *arguments, "--budget", f"{budget:g}s", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=bed.limit, check=False
        )
    except subprocess.TimeoutExpired:
        return None, [f"`{' '.join(command[3:])}` took more than {bed.limit:.0f} s"]
    folders = sorted(out.glob("2*"))
    if not folders:
        return None, [f"`{' '.join(command[3:])}` ended with {done.returncode}: {done.stderr.strip()[-500:]}"]
    return store.read_run(folders[-1]), []


def judged(run: StoredRun | None, wrong: list[str], fine: Iterable[str] = ("ok", "noisy")) -> tuple[Summary, list[str]]:
    """The summary of a run, with what of its outcomes is not as it should be.

    Raises:
        ValueError: there is no run; says why.
    """
    if run is None:
        raise ValueError("; ".join(wrong))
    summary = summarize(run)
    allowed = set(fine)
    return summary, [
        *wrong, *(f"{one.id}: {one.outcome}: {one.reason}" for one in summary.cells if one.outcome not in allowed)
    ]  # fmt: skip


def figures(summary: Summary, *metrics: str) -> list[str]:
    """A table of cells: outcome, step, ratio, and more metrics; the warnings below."""
    rows = []
    for cell in summary.cells:
        ratio = cell.versus.ratio if cell.versus is not None else None
        shown = [cell.metrics.get(name) for name in ("step_time", *metrics)]
        rows.append(
            [
                cell.id,
                cell.outcome,
                *("-" if one is None else quantity(one.estimate, one.unit, one.low, one.high) for one in shown),
                "-" if ratio is None else quantity(ratio.estimate, "1", ratio.low, ratio.high),
            ]
        )
    names = [name.replace("_", " ") for name in ("step_time", *metrics)]
    return [*table(("cell", "outcome", *names, "ratio"), rows), "", *(f"- {text}" for text in summary.warnings)]


def metered(records: Sequence[Record]) -> list[str]:
    """What is wrong with what meters said in these records."""
    timed = [record for record in records if record.turns is not None]
    unread = [record.cell for record in timed if record.turns is not None and not record.turns.sm_clock]
    return [f"{', '.join(sorted(set(unread)))}: no clock was read at its turns' ends"] if unread else []


def loops(bed: Bed) -> Found:
    run, wrong = bench_run(bed, "loops", "overhead", *CUDA, "--set", "batch_size=512", "--no-instrument", budget=70)
    summary, wrong = judged(run, wrong)
    assert run is not None
    equal = {cell.equal for cell in summary.cells if cell.versus is not None and cell.outcome == "ok"}
    lines = [*figures(summary, "sm_clock", "metering"), f"- Equal work: {', '.join(sorted(equal)) or 'not told'}."]
    return Found(lines, [*wrong, *metered(run.records)])


def energy(bed: Bed) -> Found:
    """Turns long enough for the counter's steps; two meters."""
    cells = ("--set", "loop=plain,trainer", "--set", "batch_size=512", "--no-instrument")
    run, wrong = bench_run(bed, "energy", "overhead", *CUDA, *cells, "--turn", "2.5s", budget=110)
    summary, wrong = judged(run, wrong)
    assert run is not None
    lines = figures(summary, "samples_per_joule", "idle_energy_share", "power", "sm_clock")
    for (group, launch), own in launch_energies(run.records).items():
        apart = "there is one meter only"
        if own.apart is not None:
            apart = f"the counter says {100 * own.apart:+.1f} % more than power, integrated"
        edge = f"a step of it is {100 * own.smeared:.1f} % of a turn"
        lines.append(f"- {group}, launch {launch}: {own.source or 'no meter'}; {apart}; {edge}.")
    told = any("samples_per_joule" in cell.metrics for cell in summary.cells)
    said = any("nothing is told of their energy" in text or "none is told" in text for text in summary.warnings)
    return Found(lines, [*wrong, *([] if told or said else ["neither energy nor why there is none"])])


def graphs(bed: Bed) -> Found:
    """CUDA graphs where they can be, and a downgrade where they cannot."""
    modes = ("--set", "compile=off,default,reduce-overhead", "--set", "loop=plain", "--no-instrument")
    run, wrong = bench_run(bed, "graphs", "compile", *CUDA, *modes, budget=70)
    summary, wrong = judged(run, wrong)
    for cell in summary.cells:
        wanted = {"off": None, "default": "off", "reduce-overhead": "yes"}[str(cell.point["compile"])]
        if cell.effective.get("cuda_graphs") != wanted:
            wrong.append(f"{cell.id}: cuda_graphs is {cell.effective.get('cuda_graphs')!r}, and should be {wanted!r}")
    left_out = ("--suites", str(HERE / "suites"), "--set", "fault=none,on-the-cpu", "--set", "compile=reduce-overhead")
    other, more = bench_run(bed, "no-graphs", "device_faults", *left_out, *CUDA, "--no-instrument", budget=20)
    if other is None:
        return Found(figures(summary), [*wrong, *more])
    reasons = {str(record.point["fault"]): (record.outcome, record.reason) for record in other.records}
    outcome, reason = reasons.get("on-the-cpu", ("not run", ""))
    if outcome != "downgraded" or "cuda_graphs: asked for yes, got" not in reason:
        more.append(f"a step with work on the CPU, which is no graph, is {outcome}: {reason}")
    return Found([*figures(summary), f"- A step with work on the CPU: {outcome}: {reason}"], [*wrong, *more])


def device_faults(bed: Bed) -> Found:
    """Faults become outcomes, and others go on."""
    where = ("--suites", str(HERE / "suites"), "--no-instrument")
    run, wrong = bench_run(bed, "faults", "device_faults", *where, *CUDA, budget=25)
    if run is None:
        return Found([], wrong)
    seen = {str(record.point["fault"]): record for record in run.records if record.launch == 0 and not record.twin}
    for fault, outcome in (("none", "ok"), ("out-of-memory", "oom"), ("assertion", "crashed")):
        found = seen[fault].outcome if fault in seen else "not run"
        if found != outcome:
            wrong.append(f"{fault} is {found}, and should be {outcome}: {seen[fault].reason if fault in seen else ''}")
    rows = [[fault, record.outcome, record.reason] for fault, record in seen.items()]
    return Found(table(("fault", "outcome", "reason"), rows), wrong)


def precisions(bed: Bed) -> Found:
    cells = ("--set", "loop=plain", "--no-instrument")
    run, wrong = bench_run(bed, "precision", "precision", *CUDA, *cells, budget=50)
    summary, wrong = judged(run, wrong)
    return Found(figures(summary), wrong)


def ranks(bed: Bed) -> Found:
    cells = ("--set", "scaling=weak", "--no-instrument")
    run, wrong = bench_run(bed, "ranks", "scaling", *CUDA, *cells, budget=80)
    summary, wrong = judged(run, wrong)
    return Found(figures(summary, "rank_spread"), wrong)


def sharded(bed: Bed) -> Found:
    cells = ("--set", "strategy=fsdp", "--set", "devices=2", "--set", "scaling=weak", "--compare", "loop")
    run, wrong = bench_run(bed, "fsdp", "scaling", *CUDA, *cells, "--no-instrument", budget=60)
    summary, wrong = judged(run, wrong)
    for cell in summary.cells:
        if cell.effective and cell.effective.get("strategy") != "fsdp":
            wrong.append(f"{cell.id}: strategy is {cell.effective.get('strategy')!r}")
    return Found(figures(summary, "peak_memory_host"), wrong)


# --- other commands


def tests_on_the_device(bed: Bed) -> Found:
    """Tests that train on CUDA where there is one."""
    files = ["tests/arm/test_updates.py", "tests/callbacks/test_device_stats.py", "tests/cuda/test_replay.py"]
    return _command(bed, "pytest", "-q", "-p", "no:cacheprovider", *files)


def ceilings(bed: Bed) -> Found:
    return _command(bed, "bench", "env", "--calibrate", "--budget", "20s")


def _command(bed: Bed, *module: str) -> Found:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *module],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=bed.limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Found([], [f"`{' '.join(module)}` took more than {bed.limit:.0f} s"])
    last = [line for line in done.stdout.splitlines() if line.strip()][-12:]
    wrong = [] if done.returncode == 0 else [f"`{' '.join(module)}` ended with {done.returncode}: {done.stderr[-500:]}"]
    return Found(["```text", *last, "```"], wrong)


CUDA = ("--set", "accelerator=cuda")
CHECKS = (
    Check("driver", "what NVML tells of each device, what a reading costs, how counters move", 3, driver_answers),
    Check("loops", "all loops train on CUDA and do equal work; clocks are read at turns' ends", 85, loops),
    Check("faults", "memory used up is `oom`, an assertion `crashed`, and others go on", 40, device_faults),
    Check("graphs", "CUDA graphs are there where they are asked for, and a downgrade where not", 110, graphs),
    Check("energy", "samples per joule by two meters that agree, or why there are none", 125, energy),
    Check("ranks", "DDP over nccl in every loop, equal ledgers", 95, ranks, devices=2),
    Check("fsdp", "FSDP in every loop, read back as such", 75, sharded, devices=2),
    Check("tests", "tests that train on CUDA where there is one", 70, tests_on_the_device),
    Check("ceilings", "`bench env --calibrate`", 35, ceilings),
    Check("recording", "the driver's answers, idle and at work, for replays", 15, recording),
    Check("precision", "every precision keeps the loss", 65, precisions),
)
