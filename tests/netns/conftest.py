"""Two hosts for all tests of this folder, which `nox -s slurm` runs and nobody else: they need root and iproute2."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.netns import hosts

collect_ignore_glob = [] if os.environ.get("BENCH_SLURM") == "all" else ["test_*.py"]


@pytest.fixture
def pair(processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[hosts.Host, hosts.Host]]:
    """Two hosts with a cable between them."""
    if lacking := hosts.lacking():
        pytest.fail(lacking)
    with hosts.two_hosts(tmp_path_factory.mktemp("names")) as made:
        yield made
