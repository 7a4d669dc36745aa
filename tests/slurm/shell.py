"""Commands as a user of the cluster gives them, each a process of its own, in a folder that all nodes see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.results import store
from tests.slurm.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0  # on a machine that is busy with other tests; each waits for 20 s or so


class Shell:
    """A folder, and `bench` in it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder

    def bench(self, *words: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=self.folder,
            env={**os.environ, **self.cluster.environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def submit(self, *words: str) -> str:
        """A job's name."""
        done = self.bench("submit", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[1]

    def tasks(self, job: str) -> list[dict[str, Any]]:
        done = self.bench("status", job, "--format", "json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
        return found

    def wait(self, job: str, wanted: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        """The status of a job's task, the first that is as wanted."""
        end = time.monotonic() + PATIENCE_S
        while True:
            (found,) = self.tasks(job)
            if wanted(found):
                return found
            assert time.monotonic() < end, f"{found}\n{self.printed(found)}"
            time.sleep(0.3)

    def printed(self, status: Mapping[str, Any]) -> str:
        """What a task has printed so far."""
        log = self.folder / status["log"]
        return log.read_text() if log.exists() else ""

    def records(self, job: str) -> bytes:
        return (self.folder / "results" / job / store.RECORDS).read_bytes()


def measured(status: Mapping[str, Any]) -> bool:
    """Whether a launch of it is on the disk, while it still runs."""
    assert status["state"] in ("pending", "running"), status
    return bool(status["records"])
