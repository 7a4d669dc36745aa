"""What `--launcher`, `--nodes` and `--devices` make of a selection, and what they refuse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import cli
from bench.commands.placing import Placing, node_counts, placed_selection
from bench.commands.selection import Selection, plan_selection
from bench.engine import launchers
from bench.engine.launchers import TORCHRUN_VARIABLES, TorchrunLauncher
from bench.errors import BenchError, SpecError

TORCHRUN = dict(zip(TORCHRUN_VARIABLES, ("run", "0", "0", "0", "3", "127.0.0.1", "29500"), strict=True))


@given(st.integers(1, 5000))
def test_nodes_are_doubled_from_one_to_all(nodes: int) -> None:
    counts = node_counts(nodes)
    assert counts[0] == 1
    assert counts[-1] == nodes
    assert all(2 * one >= other > one for one, other in pairwise(counts))


def test_more_nodes_are_compared_with_one_at_as_many_devices_each() -> None:
    selection = placed_selection(Selection(("scaling",)), Placing("slurm", 4, 8), 4)
    assert selection.settings == ("devices=8", "num_nodes=1,2,4")
    assert (selection.compare, selection.nodes) == ("num_nodes", 4)


def test_what_is_asked_for_stands() -> None:
    given_settings = ("num_nodes=2", "loop=plain")
    kept = placed_selection(Selection(("scaling",), settings=given_settings, compare="loop"), Placing("slurm", 2), 2)
    assert (kept.settings, kept.compare) == (given_settings, "loop")
    assert placed_selection(Selection(), Placing(), 1) == Selection()


def test_a_plan_on_nodes_says_what_there_are_too_few_of() -> None:
    wanted = Selection(("scaling",), settings=("num_nodes=1,2,4", "devices=1", "scaling=weak"), compare="num_nodes")
    alone, _ = plan_selection(wanted)
    refused = {cell.point["num_nodes"]: cell.unsupported for cell in alone.cells if not cell.twin}
    assert refused[1] == ""
    assert refused[2] == "num_nodes=2 needs a launcher that has as many; allowed: 1, or bench run --launcher"
    several, _ = plan_selection(placed_selection(wanted, Placing("slurm", 2), 2))
    refused = {cell.point["num_nodes"]: cell.unsupported for cell in several.cells if not cell.twin}
    assert refused[1] == refused[2] == ""
    assert refused[4] == "num_nodes=4: the launcher has 2 nodes; allowed: 1 to 2"


def test_strong_scaling_is_over_all_nodes() -> None:
    wanted = ("num_nodes=1,3", "devices=2", "scaling=strong", "loop=plain", "threads=1")
    plan, _ = plan_selection(Selection(("scaling",), settings=wanted, compare="num_nodes", nodes=3))
    refused = {cell.point["num_nodes"]: cell.unsupported for cell in plan.cells if not cell.twin}
    assert refused[3].startswith("batch_size=512 cannot be shared by devices=2 on num_nodes=3 in strong scaling")
    assert refused[3].endswith("allowed: multiples of 6")


@pytest.mark.parametrize(
    ("placing", "words"),
    [
        (Placing(nodes=2), "--nodes 2 needs --launcher; allowed: slurm, torchrun"),
        (Placing("mpi"), "unknown launcher 'mpi'; allowed: slurm, torchrun"),
        (Placing(port=80), "--address and --port are where nodes reach this run; allowed: with --launcher"),
        (Placing("torchrun", port=65536), "--port 65536: allowed: 1 to 65535, or none for any that is free"),
        (Placing("torchrun", address="0.0.0.0"), "--address 0.0.0.0: nodes knock at it; allowed: one address"),
        (Placing("torchrun"), "torchrun has not started this process (TORCHELASTIC_RUN_ID is not set); on each node"),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_run(
    placing: Placing, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in TORCHRUN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SpecError) as caught:
        placing.find_launcher(tmp_path)
    assert words in str(caught.value)


def test_devices_are_said_once() -> None:
    with pytest.raises(SpecError, match=r"--devices and --set devices=\.\.\.: allowed: one of the two"):
        placed_selection(Selection(settings=("devices=2",)), Placing("slurm", 1, 2), 1)


def test_torchrun_has_as_many_nodes_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    found = Placing("torchrun", 2, address="127.0.0.2", port=7).find_launcher(tmp_path)
    assert found is not None
    assert (found.nodes, found.address, found.port) == (3, "127.0.0.2", 7)
    with pytest.raises(SpecError, match="--nodes 4: torchrun has 3; allowed: 1 to 3"):
        Placing("torchrun", 4).find_launcher(tmp_path)
    monkeypatch.setenv("MASTER_ADDR", "no-such-host.invalid")
    with pytest.raises(BenchError, match=r"MASTER_ADDR, which torchrun's --local-addr sets, is 'no-such-host"):
        TorchrunLauncher(tmp_path)


def test_nodes_of_two_runs_wait_for_different_files(tmp_path: Path) -> None:
    files = {
        launchers.secret_file(tmp_path, {**TORCHRUN, name: value})
        for name, value in (("RANK", "0"), ("MASTER_PORT", "29501"), ("TORCHELASTIC_RUN_ID", "../other"))
    }
    assert len(files) == 3
    assert {file.parent for file in files} == {tmp_path}


def test_further_processes_of_a_node_have_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**TORCHRUN, "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert cli.exit_code(["run", "overhead", "--launcher", "torchrun"]) == 0
    assert "one process a node is enough (--nproc-per-node 1)" in capsys.readouterr().err
