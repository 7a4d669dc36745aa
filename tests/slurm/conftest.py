"""A Slurm for all tests of this folder, which `nox -s slurm` runs and nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.slurm import cluster as slurm
from tests.slurm.shell import Shell

# `nox -s slurm` says so; elsewhere a Slurm that happens to be installed would slow other tiers by a minute.
WANTED = os.environ.get("BENCH_SLURM") == "all"
collect_ignore_glob = [] if WANTED else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster(processes: None) -> Iterator[slurm.Cluster]:
    """Two nodes that run; who kills one of them calls `heal` at its end."""
    lacking = slurm.missing()
    if lacking:
        pytest.fail(lacking)
    with slurm.running(kill_wait_s=10, forget_s=10) as running:
        yield running


@pytest.fixture(scope="module")
def shell(cluster: slurm.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(cluster, tmp_path_factory.mktemp("shared"))
