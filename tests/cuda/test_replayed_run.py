"""`bench run` in its own processes, on an accelerator whose driver is replayed: joules in records and table."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from adding import install
from conftest import ROOT

from bench.results import store
from bench.results.store import StoredRun

from .replay import Recording
from .virtual import ADDRESS

ACCELERATOR = f'''
"""The processor, as a device that runs behind its loop and has a meter."""

import platform

from bench import Accelerator


class Replayed(Accelerator):
    name = "replayed"
    lightning = "cpu"
    device_type = "cpu"
    asynchronous = True

    def unavailable(self):
        return None

    def synchronize(self):
        pass

    def describe(self):
        return platform.machine()

    def meter(self):
        return {ADDRESS!r}
'''


def replayed(folder: Path, recording: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`bench ARGUMENTS` where this recording is played as the driver's answers."""
    if not (folder / "replayed.py").exists():
        install(folder, "replayed", "bench.accelerators", replayed="replayed:Replayed")
        (folder / "replayed.py").write_text(ACCELERATOR)
    (folder / "recording.json").write_text(json.dumps(recording))
    paths = os.pathsep.join(map(str, (ROOT / "tests" / "cuda" / "fake", ROOT, folder)))
    environment = {**os.environ, "PYTHONPATH": paths, "BENCH_REPLAY": str(folder / "recording.json")}
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def run_on(folder: Path, recording: dict[str, Any], *more: str) -> tuple[subprocess.CompletedProcess[str], StoredRun]:
    cells = ("--set", "accelerator=replayed", "--set", "loop=plain", "--set", "batch_size=64", "--no-instrument")
    sizes = ("--turn", "250ms", "--budget", "12s")
    done = replayed(folder, recording, "run", "overhead", *cells, *sizes, "--out", "results", *more)
    (run,) = (folder / "results").glob("2*")
    return done, store.read_run(run)


@pytest.fixture(scope="module")
def measured(
    processes: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str], StoredRun]:
    """A run at 100 W whose counter moves every 5 ms."""
    folder = tmp_path_factory.mktemp("replayed")
    recording = dict(Recording.named("steady").data)
    recording["devices"][0]["answers"]["nvmlDeviceGetTotalEnergyConsumption"]["every"] = 0.005
    return folder, *run_on(folder, recording)


@pytest.mark.long
def test_the_joules_of_a_real_run_are_its_seconds_times_the_watts(
    measured: tuple[Path, subprocess.CompletedProcess[str], StoredRun],
) -> None:
    _, done, run = measured
    assert done.returncode == 0, done.stderr
    assert {record.outcome for record in run.records} == {"ok"}
    for record in run.records:
        turns = record.turns
        assert turns is not None
        assert turns.meter == "nvml"
        assert turns.idle_power == pytest.approx(100.0, rel=0.05)
        assert len(turns.energy) == len(turns.integrated) == len(turns.sm_clock) == len(turns.metering)
        # Between readings there is the turn, and what the conductor does besides.
        seconds = math.fsum(turns.entire)
        assert 100.0 * seconds * 0.98 < math.fsum(turns.energy) < 100.0 * seconds * 1.25
        assert math.fsum(turns.energy) == pytest.approx(math.fsum(turns.integrated), rel=0.02)


def test_the_table_has_samples_per_joule_and_they_are_throughput_over_watts(
    measured: tuple[Path, subprocess.CompletedProcess[str], StoredRun],
) -> None:
    folder, _, run = measured
    shown = replayed(
        folder, json.loads((folder / "recording.json").read_text()), "show", "--format", "json", str(run.folder)
    )
    assert shown.returncode == 0, shown.stderr
    for cell in json.loads(shown.stdout)["cells"]:
        metrics = cell["metrics"]
        watts = metrics["throughput"]["estimate"] / metrics["samples_per_joule"]["estimate"]
        assert 95.0 < watts < 130.0
        assert metrics["power"]["estimate"] == pytest.approx(100.0)
        assert metrics["sm_clock"]["estimate"] == pytest.approx(1.98e9)
        assert 0 < metrics["metering"]["estimate"] < 0.05


@pytest.mark.long
def test_a_meter_that_cannot_be_had_is_a_sentence_and_the_run_is_as_ever(processes: None, tmp_path: Path) -> None:
    recording = {**Recording.named("steady").data, "init_error": 9}
    done, run = run_on(tmp_path, recording, "--turn", "50ms", "--budget", "6s")
    assert done.returncode == 0, done.stderr
    assert {record.outcome for record in run.records} == {"ok"}
    assert {record.turns.meter for record in run.records if record.turns} == {""}
    told = [text for text in run.info["warnings"] if "no clocks, power or energy" in text]
    assert told == [f"no clocks, power or energy of {ADDRESS}: nvmlInit: Driver Not Loaded (NVML error 9)"]
