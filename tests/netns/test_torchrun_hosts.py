"""`bench run --launcher torchrun` on two hosts that share a cable and a folder, by torch's own rendezvous."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from conftest import ROOT

from bench.results import store
from bench.results.store import StoredRun
from tests.netns.hosts import Host

RENDEZVOUS = "alpha:29400"


def torchrun(host: Host, out: Path, *words: str) -> subprocess.Popen[str]:
    """The same command that a user types on each host."""
    launched = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", RENDEZVOUS]
    command = [sys.executable, "-m", "torch.distributed.run", *launched, "-m", "bench", "run", "scaling"]
    asked = ["--launcher", "torchrun", "--set", "scaling=weak", "--no-instrument", "--out", str(out), *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    with open(out / f"{host.name}.txt", "w") as said:
        return host.start([*command, *asked], environ, stdout=said, stderr=subprocess.STDOUT)


def run_of(out: Path) -> StoredRun:
    (folder,) = (path for path in out.iterdir() if (path / store.RUN).is_file())
    return store.read_run(folder)


def by_nodes(run: StoredRun) -> dict[tuple[str, int], list[Any]]:
    """Records by loop and number of nodes, without twins."""
    found: dict[tuple[str, int], list[Any]] = {}
    for one in run.records:
        if not one.twin:
            found.setdefault((str(one.point["loop"]), int(one.point["num_nodes"])), []).append(one)
    return found


def test_all_four_loops_train_on_two_hosts_and_do_equal_work(pair: tuple[Host, Host], tmp_path: Path) -> None:
    started = [torchrun(host, tmp_path, "--devices", "1", "--budget", "70s") for host in pair]
    codes = [process.wait(timeout=300) for process in started]
    said = "\n".join((tmp_path / f"{host.name}.txt").read_text() for host in pair)
    assert codes == [0, 0], said
    found = by_nodes(run_of(tmp_path))
    loops = ("plain", "fabric", "trainer-barebones", "trainer")
    assert {*found} == {(loop, nodes) for loop in loops for nodes in (1, 2)}
    for (loop, nodes), records in found.items():
        for one in records:
            assert one.outcome == "ok", (loop, nodes, one.reason)
            assert one.nodes == ("alpha", "beta")[:nodes]
            assert one.effective["num_nodes"] == nodes
    for loop in loops:
        two = found[loop, 2][0]
        assert two.ledger["rank_differences"] == []
        assert two.ledger["equal"].startswith("1024 samples a step against 512")
        assert two.ledger["samples_digest"]
    # The same steps on the same hosts with the same seed: the first losses of all loops are one loss.
    first = {loop: found[loop, 2][0].ledger["losses"][0] for loop in loops}
    assert len({round(loss, 6) for loss in first.values()}) == 1, first
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".nodes-")] == []
    assert [host.pids() for host in pair] == [[], []]


def test_a_host_whose_cable_is_cut_ends_its_cells_and_the_others_finish(
    pair: tuple[Host, Host], tmp_path: Path
) -> None:
    """No end of a connection is heard of: TCP's keep-alive misses the host after 11 s."""
    beta = pair[1]
    words = ("--devices", "1", "--budget", "75s", "--precision-goal", "0.0001%", "--set", "loop=plain")
    first, second = (torchrun(host, tmp_path, *words) for host in pair)
    deadline = time.monotonic() + 120.0
    while not any(path.stat().st_size for path in tmp_path.glob("*/records.jsonl")):
        assert first.poll() is None, (tmp_path / "alpha.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    beta.cut()
    first.wait(timeout=240)
    said = (tmp_path / "alpha.txt").read_text()
    run = run_of(tmp_path)
    found = by_nodes(run)
    crashed = [one for one in found["plain", 2] if one.outcome == "crashed"]
    assert len(crashed) == 1, said
    assert "node beta is gone" in crashed[0].reason
    assert {one.outcome for one in found["plain", 1]} == {"ok"}
    assert max(one.launch for one in found["plain", 1]) >= crashed[0].launch, said
    assert run.info["stops"][run.records[0].group]["reason"] in ("budget", "precision-goal")
    assert "ChildFailedError" in said, "cells failed: `bench run` ended with 3, which torchrun tells"
    beta.kill()
    assert second.wait(timeout=10) != 0
