"""asv: a benchmark class with `time_step`, `asv run` in the existing environment, twice, each with its own results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from peers.tool import SUBJECTS, Place, Side, Tool, ToolFailed, reduced, run, two_commands

QUICK = ("--quick",)


def side(place: Place) -> Side:
    config = {
        "version": 1,
        "project": "step",
        "repo": str(repository(place.folder)),
        "branches": ["main"],
        "environment_type": "existing",
        "benchmark_dir": str(SUBJECTS / "asv_step"),
        "results_dir": str(place.folder / "results"),
        "env_dir": str(place.folder / "env"),
        "html_dir": str(place.folder / "html"),
    }
    (place.folder / "asv.conf.json").write_text(json.dumps(config))
    # asv keeps facts of the machine in the home folder, and asks for them when they are not there.
    machine = {"machine": "here", "os": "", "arch": "", "cpu": "", "num_cpu": "", "ram": ""}
    (place.folder / ".asv-machine.json").write_text(json.dumps({"here": machine, "version": 1}))
    # It takes PYTHONPATH out of the benchmarks' environment, and puts this in its place.
    path = place.environment["PYTHONPATH"]
    environment = {**place.environment, "HOME": str(place.folder), "ASV_PYTHONPATH": path}
    own = Place(place.folder, place.cores, environment, place.quick)
    # Saved only where a commit is named; --record-samples keeps what was measured, and changes nothing in how.
    command = [sys.executable, "-m", "asv", "run", "--machine", "here", "-E", f"existing:{sys.executable}"]
    command += ["--set-commit-hash", "main", "--record-samples"]
    affinity = ["--cpu-affinity", ",".join(map(str, place.cores))] if place.cores else []
    wall = run(own, [*command, *affinity, *(QUICK if place.quick else ())], pinned=False)
    median, samples = result_of(place.folder / "results" / "here")
    return Side(median, wall, reduced(samples), len(samples))


def repository(folder: Path) -> Path:
    """A git repository with one commit: asv saves no result without one to put it to."""
    made = folder / "repository"
    git = ["git", "-C", str(made), "-c", "user.name=peers", "-c", "user.email=peers@localhost"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(made)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "A"], check=True)
    return made


def result_of(folder: Path) -> tuple[float, list[float]]:
    """Median and samples of the one benchmark in asv's results, format 2."""
    for path in folder.glob("*.json"):
        kept = json.loads(path.read_text())
        for row in kept.get("results", {}).values():
            named = dict(zip(kept["result_columns"], row, strict=False))
            if named.get("result") and named["result"][0] is not None:
                return float(named["result"][0]), [float(value) for value in named["samples"][0]]
    raise ToolFailed(f"asv wrote no result into {folder}")


ASV = Tool(
    "asv",
    "asv",
    "`asv run -E existing`, one command a side, 2 processes each by default; the median that asv saves",
    "asv",
    lambda place: two_commands(place, side),
)
