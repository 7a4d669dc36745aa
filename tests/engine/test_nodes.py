"""Several nodes: programs that knock over TCP, as a launcher starts them, here all on this machine."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import ROOT, Silent
from hypothesis import given
from hypothesis import strategies as st
from nodes_here import NodesHere

from bench.commands.run import Measurement, chosen_options, measure_cells
from bench.commands.selection import Selection, plan_selection
from bench.engine import node_agent
from bench.engine.fleet import Fleet
from bench.engine.launch_records import job_nodes
from bench.engine.nodes import LocalNode, RemoteNode
from bench.engine.placement import CLOCK_TOLD, Placement, rank_place, rank_places
from bench.errors import BenchError
from bench.machine.cores import Layout
from bench.protocol import NodeHello
from bench.results.store import StoredRun

ALPHA, BETA = "alpha", "beta"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")
pytestmark = pytest.mark.usefixtures("processes")


class Fatal(Silent):
    """Kills a node as soon as the first records are written."""

    def __init__(self, launcher: NodesHere) -> None:
        super().__init__()
        self._launcher = launcher

    def update(self, spent: float, budget: float, text: str) -> None:
        if text.endswith("launch 2"):
            self._launcher.kill(BETA)


def two_nodes(out: Path, launches: int, launcher: NodesHere, told: Silent, *settings: str) -> StoredRun:
    wanted = ("num_nodes=1,2", "devices=1", "scaling=weak", *settings)
    plan, files = plan_selection(Selection(("scaling",), settings=wanted, compare="num_nodes", nodes=2))
    many = {"budget": 240.0, "launches": launches, "launch": 0.5, "instrument": 0}
    options = chosen_options({**many, "launcher": "here", "nodes": 2})
    return measure_cells(Measurement(plan, files, options, launcher=launcher), out, told, command=["bench"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """One node dies in the second launch. Its clock is a day ahead of the other's, where that can be had."""
    ahead = {BETA: ["unshare", "--time", "--monotonic", "86400", "--fork"]} if os.geteuid() == 0 else {}
    launcher = NodesHere(ALPHA, BETA, inside=ahead)
    return two_nodes(tmp_path_factory.mktemp("nodes"), 4, launcher, Fatal(launcher), "loop=plain")


def of_launch(run: StoredRun, number: int) -> dict[str, Any]:
    return {cell_name(one.cell): one for one in run.records if one.launch == number}


def cell_name(cell: str) -> str:
    return cell.rpartition(",")[2].replace("]", "")


@pytest.mark.long
def test_two_nodes_train_together_and_each_arm_says_where_it_was(run: StoredRun) -> None:
    first = of_launch(run, 0)
    assert {name: one.outcome for name, one in first.items()} == dict.fromkeys(first, "ok")
    assert {name: one.nodes for name, one in first.items()} == {
        "num_nodes=1": (ALPHA,), "num_nodes=1#twin": (ALPHA,), "num_nodes=2": (ALPHA, BETA)
    }  # fmt: skip
    both = first["num_nodes=2"]
    assert (both.effective["num_nodes"], both.effective["devices"], both.effective["strategy"]) == (2, 1, "ddp")
    assert both.samples_per_step == 2 * first["num_nodes=1"].samples_per_step
    assert both.ledger["rank_differences"] == []
    assert both.ledger["equal"].startswith("1024 samples a step against 512")


class Early(Silent):
    """Kills nodes while the run is in a phase: as soon as its name begins so, or as interpreters import."""

    def __init__(self, launcher: NodesHere, names: Sequence[str], phase: str) -> None:
        super().__init__()
        self._launcher, self._names, self._phase = launcher, names, phase

    def phase(self, text: str) -> None:
        if text.startswith(self._phase):
            for name in self._names:
                self._launcher.kill(name)

    def update(self, spent: float, budget: float, text: str) -> None:
        if text.endswith(self._phase):
            self.phase(self._phase)


@pytest.mark.parametrize(
    "phase", ["starting 2 interpreters", pytest.param("launch 1, starting", marks=pytest.mark.long)]
)
def test_a_run_whose_nodes_all_die_before_anything_is_measured_says_so(tmp_path: Path, phase: str) -> None:
    launcher = NodesHere(ALPHA, BETA)
    run = two_nodes(tmp_path, 2, launcher, Early(launcher, (ALPHA, BETA), phase), "loop=plain")
    assert {one.cell for one in run.records} == {cell["id"] for cell in run.info["plan"]["cells"]}
    assert {one.outcome for one in run.records} == {"crashed"}
    assert all("is gone" in one.reason for one in run.records)
    assert run.info["finished"]


def test_an_arm_of_a_node_that_went_before_it_had_an_interpreter_is_lost_with_the_node(tmp_path: Path) -> None:
    """Of a set that is new: nothing is known of its interpreters, since there was no node to start them on."""
    launcher = NodesHere(ALPHA)
    with Fleet(1, tmp_path, launcher=launcher) as fleet:
        fleet.join()
        launcher.kill(ALPHA)
        fleet.ensure_fork_servers([(4, ("torch",))], 0)
        arm = fleet.start_arm(("torch",), {"ranks": 2, "nodes": 1}, tmp_path / "arm.log", number=4)
    assert arm.lost is not None
    assert arm.lost.outcome == "crashed"
    assert f"node {ALPHA} is gone" in arm.lost.reason


@pytest.mark.long
def test_clocks_of_two_nodes_are_never_compared(run: StoredRun) -> None:
    """A day between them would be a day in a step, in the spread of ranks, or in how long an arm took to be ready."""
    for one in of_launch(run, 0).values():
        assert one.turns is not None
        assert max(second for turn in one.turns.seconds for second in turn) < 60.0
        assert max(map(abs, one.turns.spread), default=0.0) < 60.0
        assert 0.0 < one.ready < 600.0


@pytest.mark.long
def test_a_node_that_dies_ends_the_cells_that_need_it_and_not_the_run(run: StoredRun) -> None:
    second = of_launch(run, 1)
    assert second["num_nodes=2"].outcome == "crashed"
    assert f"node {BETA} is gone" in second["num_nodes=2"].reason
    assert second["num_nodes=1"].outcome == second["num_nodes=1#twin"].outcome == "ok"
    later = [one for one in run.records if one.launch > 1]
    assert later, "the others went on"
    assert {one.outcome for one in later} == {"ok"}
    assert {one.nodes for one in later} == {(ALPHA,)}
    assert "interrupted" not in {stop["reason"] for stop in run.info["stops"].values()}


@pytest.mark.long
def test_the_secret_is_on_no_command_line_and_in_no_environment(tmp_path: Path) -> None:
    """Of nobody's, while nodes and interpreters are started with it."""
    launcher = NodesHere(ALPHA)
    with Fleet(1, tmp_path / "logs", launcher=launcher) as fleet:
        fleet.join()
        fleet.start_fork_servers([(0, ("json",))], 0)
        deadline = time.monotonic() + 30.0
        while not all(server.channel for server in fleet.fork_servers.values()) and time.monotonic() < deadline:
            fleet.arrived(list(fleet.fork_servers))
            time.sleep(0.05)
        key, seen = fleet.door.key, 0
        for folder in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
            for name in ("cmdline", "environ"):
                try:
                    content = (folder / name).read_bytes()
                except OSError:
                    continue
                seen += b"bench.engine.node_agent" in content
                assert key not in content
                assert key.hex().encode() not in content
        assert seen


def joined(tmp_path: Path, launcher: NodesHere) -> Placement:
    """The nodes of a launcher after they have come in, or were refused."""
    with Fleet(1, tmp_path / "logs", launcher=launcher) as fleet:
        fleet.join()
        return fleet.placement


def test_a_node_with_another_torch_is_refused_and_both_are_named(tmp_path: Path) -> None:
    (about := tmp_path / "other" / "torch-9.8.7.dist-info").mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.8.7\n")
    other = {BETA: {"PYTHONPATH": f"{about.parent}{os.pathsep}{ROOT}"}}
    placement = joined(tmp_path, NodesHere(ALPHA, BETA, environ=other))
    assert [node.name for node in placement.nodes] == [ALPHA]
    assert placement.refused[BETA].startswith("other versions: torch '9.8.7' there and '")
    assert "allowed: the same on every node" in placement.refused[BETA]
    assert "node beta was refused: other versions" in placement.lacking(2)
    assert placement.lacking(1) == ""


def test_a_node_with_other_files_of_this_program_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "bench", copy / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    with open(copy / "bench" / "errors.py", "a") as file:
        file.write("# another commit\n")
    placement = joined(tmp_path, NodesHere(ALPHA, BETA, environ={BETA: {"PYTHONPATH": str(copy)}}))
    assert [*placement.refused] == [BETA]
    assert "of other files than those in" in placement.refused[BETA]


@ROOT_ONLY
def test_a_node_that_does_not_see_the_runs_folder_is_refused(tmp_path: Path) -> None:
    (logs := tmp_path / "logs").mkdir()
    hide = f'mount -t tmpfs none {logs} && exec "$@"'
    inside = {BETA: ["unshare", "--mount", "sh", "-c", hide, "sh"]}
    placement = joined(tmp_path, NodesHere(ALPHA, BETA, inside=inside))
    assert [node.name for node in placement.nodes] == [ALPHA]
    reason = placement.refused[BETA]
    assert reason.startswith(f"it does not share {logs} with the conductor: {logs}/.node-")
    assert "allowed: an --out that all nodes see" in reason
    assert [path.name for path in logs.iterdir() if path.name.startswith(".node-")] == []


def test_a_run_without_any_node_says_why(tmp_path: Path) -> None:
    launcher = NodesHere(ALPHA, environ={ALPHA: {"PYTHONHOME": str(tmp_path)}})
    with pytest.raises(BenchError, match=r"--launcher here: no node came in: it ended with status 1: "):
        joined(tmp_path, launcher)


def test_nodes_leave_no_process_when_their_run_ends(tmp_path: Path) -> None:
    launcher = NodesHere(ALPHA, BETA)
    with Fleet(1, tmp_path / "logs", launcher=launcher) as fleet:
        fleet.join()
        fleet.start_fork_servers([(0, ("json",))], 0)
        pids = [server.pid for server in fleet.fork_servers.values()]
        homes = [node.home for node in fleet.placement.nodes]
        assert len(pids) == 2
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert [home for home in homes if home.exists()] == []


def hello(**changes: Any) -> NodeHello:
    return cast(NodeHello, SimpleNamespace(**{"clock": time.time(), "facts": {}, "index": 0, "name": "a", **changes}))


def node(**changes: Any) -> RemoteNode:
    told = {"home": "/", "cores": (0,), "address": "10.0.0.1", "interface": "eth0", **changes}
    return RemoteNode(cast(Any, SimpleNamespace(close=lambda: None)), hello(**told))


def test_a_clock_that_is_hours_apart_and_another_processor_are_told() -> None:
    placement = Placement(cast(LocalNode, SimpleNamespace(name="")), 1)
    placement.begin(2)
    first, second = node(name="a", facts={"cpu": "x"}), node(name="b", facts={"cpu": "y"}, clock=time.time() + 7200.0)
    for one in (first, second):
        placement._compare(one)
        placement.nodes.append(one)
    clock, cpu = placement.differences
    assert clock.startswith("the clock of node b is 7200 s ahead of the conductor's; no figure is made of it")
    assert cpu == "node b is not like node a: cpu 'y' against 'x'"
    assert CLOCK_TOLD < 7200


def test_a_cell_that_lacks_nodes_is_told_what_became_of_each() -> None:
    placement = Placement(cast(LocalNode, SimpleNamespace(name="")), 1)
    placement.begin(4)
    placement.nodes = [node(name="a"), node(name="b")]
    placement.refused = {"c": "other versions"}
    placement.nodes[1].lose("the connection was closed")  # type: ignore[attr-defined]  # it is a remote one
    assert placement.for_arm(2) == []
    assert placement.lacking(2) == (
        "num_nodes=2 needs 2 nodes, and 1 are there: node b is gone: the connection was closed; "
        "node c was refused: other versions; 1 of 4 did not come in"
    )


def test_a_task_of_an_array_names_the_node_that_it_was_given() -> None:
    started = cast(Any, SimpleNamespace(ranks=[SimpleNamespace(pid=7), SimpleNamespace(pid=8)]))
    never = cast(Any, SimpleNamespace(ranks=[SimpleNamespace(pid=0)]))
    assert job_nodes(started, {"SLURMD_NODENAME": "node7"}) == ("node7", "node7")
    assert job_nodes(never, {"SLURMD_NODENAME": "node7"}) == ()
    assert job_nodes(started, {}) == ()


@given(st.integers(1, 6), st.integers(1, 8))
def test_ranks_are_spread_over_nodes_in_order(nodes: int, devices: int) -> None:
    there = [node(name=str(number), address=f"10.0.0.{number}") for number in range(nodes)]
    places = [rank_place(rank, nodes * devices, there, 1234) for rank in range(nodes * devices)]
    assert [there[place.node] for place in places] == rank_places(there, nodes * devices)
    assert [place.node * devices + place.local_rank for place in places] == list(range(nodes * devices))
    assert {place.address for place in places} == {"127.0.0.1" if nodes == 1 else "10.0.0.0"}


@given(st.lists(st.sets(st.integers(0, 31), min_size=8), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 2))
def test_each_node_has_its_own_cores(cores: list[set[int]], devices: int, threads: int) -> None:
    from bench.machine.cores import layout

    first, *others = [layout(threads, sorted(own)) for own in cores]
    whole = Layout(first.arms, first.conductor, first.usable, tuple(others))
    ranks = whole.ranks(devices, 0, threads, nodes=len(cores))
    assert len(ranks) == devices * len(cores)
    for number, own in enumerate(cores):
        for rank in ranks[number * devices : (number + 1) * devices]:
            assert set(rank) <= own


def test_the_secret_file_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    from bench.engine.launchers import write_secret

    path = tmp_path / "secret.json"
    setup = {"addresses": [["127.0.0.1", 1]], "authkey": "00", "threads": 1}
    before = os.umask(0)
    try:
        write_secret(path, setup)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert node_agent.await_setup(path) == setup
    path.chmod(0o640)
    with pytest.raises(BenchError, match=r"others may read or write it \(mode 0640\); allowed: 0600"):
        node_agent.await_setup(path)


def test_a_file_that_comes_late_is_waited_for_and_one_that_never_comes_is_told(tmp_path: Path) -> None:
    from bench.engine.launchers import write_secret

    path = tmp_path / "secret.json"
    setup = {"addresses": [], "authkey": "00", "threads": 1}
    later = threading.Timer(0.3, write_secret, [path, setup])
    later.start()
    assert node_agent.await_setup(path, 30.0) == setup
    later.join()
    with pytest.raises(BenchError, match=r"did not come within 0\.2 s; .* and all nodes must see"):
        node_agent.await_setup(tmp_path / "other.json", 0.2)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"addresses": []}', '{"authkey": "x", "threads": 1}'])
def test_where_the_conductor_is_must_be_told(text: str) -> None:
    import io

    with pytest.raises(BenchError, match="where the conductor is was not told"):
        node_agent.read_setup(io.StringIO(text + "\n"))
