"""Runs of many commits with a known truth, and the git repositories that they belong to."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import make

from bench.analysis.history_points import RATIO, CellPoint, CellPoints, RunPoints
from bench.results import store
from bench.results.store import StoredRun

ENVIRONMENT: dict[str, Any] = {
    "cpu": "Example(R) CPU @ 2.00GHz",
    "cores": 2,
    "machine": "x86_64",
    "system": "Linux",
    "python": "3.11.9",
    "torch": "2.13.0",
    "lightning": "2.6.6",
    "threads": 1,
    "memory": 8 * 2**30 - 5_000_000,
    "kernel": "6.1.0",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path, commits: int) -> list[str]:
    """A new git repository with as many commits; their hashes, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for number in range(commits):
        (folder / "code.py").write_text(f"number = {number}\n")
        git(folder, "add", "code.py")
        git(folder, "commit", "--quiet", "--message", f"commit {number}")
    return git(folder, "rev-list", "--reverse", "HEAD").split()


def run_of(
    number: int, commit: str, factor: float = 1.0, environment: Mapping[str, Any] | None = None, **truth: Any
) -> StoredRun:
    """One run of two groups at a commit, with all steps times the factor; runs are an hour apart.

    Args:
        truth: fields of synthetic.Truth, over a launch noise of 0.4 %.
    """
    lengths = {32: 0.8e-3 * factor, 256: 2.5e-3 * factor}
    costs = {"plain": 0.0, "fabric": 60e-6 * factor, "trainer": 430e-6 * factor}
    quiet = {"lengths": lengths, "costs": costs, "launch_sd": 0.004, "turn_sd": 0.004, "drift_sd": 0.004}
    made = make(seed=number, **{**quiet, **truth})
    day, hour = divmod(number, 24)
    info = {
        **made.info,
        "run": f"202601{day + 1:02}-{hour:02}0000-{number:04x}",
        "started": f"2026-01-{day + 1:02}T{hour:02}:00:00+00:00",
        "environment": {**ENVIRONMENT, "commit": commit, **(environment or {})},
    }
    return replace(made, info=info)


def save(run: StoredRun, out: Path) -> Path:
    """The run as a folder, as `bench run` writes it."""
    folder = out / run.id
    folder.mkdir(parents=True)
    opened = store.RunFolder(folder)
    opened.write_info({key: value for key, value in run.info.items() if key != "schema"})
    opened.append([*run.records, *run.instrumented])
    opened.close()
    return folder


def commit_of(number: int) -> str:
    """A hash for each number, unlike from its first letters on."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def many_points(commits: int, series: int, *, changed_at: int, by: float, changed: int = 1) -> list[RunPoints]:
    """The points of so many runs, one a commit, as `points_of_run` would give them: quickly, and with a known truth.

    Args:
        changed_at: the number of the commit from which on the first `changed` series are `by` as large again.
    """
    random = np.random.default_rng(7)
    logs = np.log(1.2) + random.normal(0, 0.004, (commits, series))
    logs[changed_at:, :changed] += np.log1p(by)
    return [
        RunPoints(
            run=f"20260101-{number:06}-cafe",
            commit=commit_of(number),
            started=f"2026-01-{1 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}:00+00:00",
            software={"python": "3.11.9", "torch": "2.13.0", "lightning": "2.6.6"},
            suites=("overhead",),
            metrics=("step_time", RATIO),
            cells=tuple(
                CellPoints(
                    "overhead",
                    f"overhead[batch_size={place}]",
                    f"overhead[loop=trainer,batch_size={place}]",
                    "Example CPU, 2 cores, Linux x86_64, 1 threads",
                    "w",
                    "",
                    {RATIO: CellPoint("1", "lower", float(log), 0.004, 5)},
                )
                for place, log in enumerate(own)
            ),
        )
        for number, own in enumerate(logs)
    ]
