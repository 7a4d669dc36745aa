"""Traces of real loops: whole, readable by others, and what one does more than another is found by count."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SUITES, Silent, call

from bench.analysis.trace_profile import (
    Profile,
    TracedCell,
    operator_differences,
    profile_of,
    read_trace,
    self_times,
    uncovered_time,
)
from bench.borders import LONGEST_NAME, file_name
from bench.commands.trace import Traces, trace
from bench.engine.fleet import Fleet
from bench.errors import BenchError
from bench.plan import discovery, plan
from bench.plan.cell import Group, Plan
from bench.report import trace as layout

STEPS = 8
TINY = ("batch_size=32", "width=16", "latent=3", "samples=8192")


class Tracer:
    """`bench trace` on the warm fleet, each call into a folder of its own."""

    def __init__(self, fleet: Fleet, root: Path) -> None:
        self.fleet = fleet
        self.root = root
        self.made: Plan | None = None
        self.silent = Silent()

    def __call__(self, suite: str, *settings: str, select: str | None = None, steps: int = STEPS) -> Traces:
        found = discovery.all_suites([SUITES])
        self.made = plan.make_plan(
            {name: made for name, (made, _) in found.items()}, [suite], settings=settings, select=select
        )
        folder = self.root / f"call-{len(list(self.root.iterdir()))}"
        folder.mkdir()
        files = {name: file for name, (_, file) in found.items()}
        return trace(self.made, files, folder, steps, 60.0, self.silent, self.fleet)


@pytest.fixture(scope="module")
def tracer(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Tracer:
    return Tracer(fleet, tmp_path_factory.mktemp("traces"))


@pytest.fixture(scope="module")
def loops(tracer: Tracer) -> dict[str, TracedCell]:
    """All four loops over the same tiny model, by name."""
    traces = tracer("overhead", *TINY)
    return {str(traced.cell.point["loop"]): traced for traced in traces.cells}


@pytest.fixture(scope="module")
def extras(tracer: Tracer) -> dict[str, TracedCell]:
    """Plain loops whose steps do something more, by what they do."""
    return {str(traced.cell.point["extra"]): traced for traced in tracer("extras").cells}


def events_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return list(json.load(file)["traceEvents"])


def profile(traced: TracedCell) -> Profile:
    assert traced.outcome == "ok", traced.reason
    assert traced.profile is not None
    return traced.profile


def more(baseline: TracedCell, other: TracedCell) -> dict[str, float]:
    """Calls a step that the other makes and the baseline does not, by name."""
    return {
        item.name: item.count[1] - item.count[0] for item in operator_differences(profile(baseline), profile(other))
    }


@pytest.mark.parametrize("loop", ["plain", "fabric", "trainer-barebones", "trainer"])
def test_a_loops_trace_is_a_whole_chrome_trace(loops: dict[str, TracedCell], loop: str) -> None:
    traced = loops[loop]
    assert traced.outcome == "ok", traced.reason
    (path,) = traced.files
    assert path.name == f"{path.parent.name}.rank_0.pt.trace.json.gz"
    assert [found.name for found in path.parent.iterdir()] == [path.name]  # nothing half written is left
    with gzip.open(path, "rt") as file:
        whole = json.load(file)
    assert whole["schemaVersion"] == 1
    steps = sorted(
        (event for event in whole["traceEvents"] if str(event.get("name")).startswith("ProfilerStep#")),
        key=lambda event: event["ts"],
    )
    # As many as were asked for, one at each edge, in a row, none in another.
    assert len(steps) == STEPS + 2
    numbers = [int(step["name"].partition("#")[2]) for step in steps]
    assert numbers == list(range(numbers[0], numbers[0] + STEPS + 2))
    assert all(one["ts"] + one["dur"] <= other["ts"] for one, other in pairwise(steps))
    for step in steps:
        # A step is from pull to pull: one fetch and one update in each.
        inside = [
            event["name"]
            for event in whole["traceEvents"]
            if event.get("ph") == "X" and step["ts"] <= event["ts"] < step["ts"] + step["dur"]
        ]
        assert sum(name.startswith("enumerate(DataLoader)") for name in inside) == 1
        assert sum(name.startswith("Optimizer.step#") for name in inside) == 1
        assert inside.count("aten::addmm") == 4


def test_operators_of_a_small_step_are_those_counted_by_hand(extras: dict[str, TracedCell]) -> None:
    seen = profile(extras["none"])
    assert {
        name: seen.count(name)
        for name in (
            "aten::addmm",  # two layers
            "aten::mm",  # both gradients of the second layer, and of the first only that of its weights
            "aten::relu",
            "aten::threshold_backward",
            "aten::mse_loss",
            "aten::add_",  # SGD, one for each of two weights and two biases
            "aten::item",
            "aten::cos",
        )
    } == {
        "aten::addmm": 2,
        "aten::mm": 3,
        "aten::relu": 1,
        "aten::threshold_backward": 1,
        "aten::mse_loss": 1,
        "aten::add_": 4,
        "aten::item": 0,
        "aten::cos": 0,
    }
    assert 0 < seen.outside_seconds < seen.step_seconds
    # Ranges around the optimizer do not mean the same in two loops: they are in the file and in no table.
    assert not any(name.startswith(("Optimizer.", "ProfilerStep", "enumerate(")) for name in seen.operators)
    own = sum(operator.seconds for operator in seen.operators.values())
    assert own < 2 * seen.step_seconds  # self times, not the sums of nested ones


def test_an_item_that_one_loop_adds_is_found_and_nothing_else(extras: dict[str, TracedCell]) -> None:
    assert more(extras["none"], extras["item"]) == {"aten::item": 1, "aten::_local_scalar_dense": 1}
    found = operator_differences(profile(extras["none"]), profile(extras["item"]))
    assert {item.kind for item in found} == {"wait"}
    assert all(item.seconds[0] == 0 and item.seconds[1] > 0 for item in found)


def test_what_happens_in_some_steps_is_a_fraction(extras: dict[str, TracedCell], tracer: Tracer) -> None:
    assert more(extras["none"], extras["sometimes"]) == {"aten::cos": 0.25}
    group = Group("extras", "extras", (extras["none"].cell, extras["sometimes"].cell))
    suite = discovery.all_suites([SUITES])["extras"][0]
    text = layout.render(suite, group, [extras["none"], extras["sometimes"]], STEPS)
    row = next(line for line in text.splitlines() if "aten::cos" in line).split()
    assert row[:5] == ["aten::cos", "operator", "0", "0.25", "+0.25"]


def test_trainer_detaches_divides_and_clones_the_loss(loops: dict[str, TracedCell]) -> None:
    # lightning 2.6.6, loops/optimization/automatic.py: loss / accumulate_grad_batches, loss.detach().clone()
    for name in ("trainer", "trainer-barebones"):
        extra = more(loops["plain"], loops[name])
        assert extra["aten::clone"] == 1
        assert extra["DivBackward0"] == 1
        assert extra["aten::detach"] >= 1
        assert "aten::addmm" not in extra
    assert "aten::clone" not in more(loops["plain"], loops["fabric"])


def test_a_setting_that_was_not_in_force_is_said(tracer: Tracer) -> None:
    traces = tracer("overhead", *TINY, "precision=16-mixed", select="plain or fabric", steps=2)
    outcomes = {str(traced.cell.point["loop"]): traced for traced in traces.cells}
    assert outcomes["plain"].outcome == "ok"
    assert outcomes["fabric"].outcome == "downgraded"  # 16-mixed on a CPU is bf16-mixed there
    assert "asked for 16-mixed, got bf16-mixed" in outcomes["fabric"].reason


def test_the_summary_is_the_whole_answer(tracer: Tracer) -> None:
    traces = tracer("extras", "extra=none,item", steps=2)
    told = json.loads((traces.folder / "summary.json").read_text())
    assert told == traces.to_json()
    (group,) = told["groups"]
    assert group["baseline"] == "extras[extra=none]"
    assert [cell["outcome"] for cell in group["cells"]] == ["ok", "ok"]
    for cell in group["cells"]:
        assert all((traces.folder / file).is_file() for file in cell["files"])
    (found,) = group["differences"].values()
    assert {item["name"]: item["count"] for item in found} == {
        "aten::item": [0, 1],
        "aten::_local_scalar_dense": [0, 1],
    }
    assert "never to be quoted as costs" in told["note"]


@pytest.mark.skipif(
    importlib.util.find_spec("torch_tb_profiler") is None,
    reason="torch-tb-profiler is not installed here; `nox -s tensorboard` runs this",
)
def test_tensorboards_plugin_reads_the_traces(loops: dict[str, TracedCell]) -> None:
    # It starts processes that import the script again, so this is one, with a guard.
    code = (
        "import json, sys\n"
        "from torch_tb_profiler import io\n"
        "from torch_tb_profiler.profiler.loader import RunLoader\n"
        "if __name__ == '__main__':\n"
        "    run = RunLoader('run', sys.argv[1], io.Cache()).load()\n"
        "    print('TOLD', json.dumps([\n"
        "        (worker, [row[0] for row in profile.overview['steps']['rows']],\n"
        "         {row['name']: row['calls'] for row in profile.operation_table_by_name['data']})\n"
        "        for (worker, _), profile in run.profiles.items()]))\n"
    )
    folder = loops["trainer"].files[0].parent
    script = folder.parent / "load.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stdout.splitlines() if line.startswith("TOLD "))
    ((worker, steps, operators),) = json.loads(told.removeprefix("TOLD "))
    assert worker == f"{folder.name}.rank_0"
    assert len(steps) == STEPS + 2
    assert operators["aten::addmm"] == 4 * (STEPS + 2)


def event(name: str, begin: float, length: float, cat: str = "cpu_op", tid: int = 1, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": begin, "dur": length, "args": args}


def steps_of(number: int) -> list[dict[str, Any]]:
    return [event(f"ProfilerStep#{index}", 100.0 * index, 90.0, "user_annotation") for index in range(number)]


@pytest.mark.usefixtures("processes")
def test_work_on_a_device_belongs_to_the_step_that_launched_it() -> None:
    events = [
        *steps_of(4),
        event("aten::copy_", 110, 20),
        event("cudaMemcpyAsync", 115, 5, "cuda_runtime", correlation=7),
        event("cudaStreamSynchronize", 122, 6, "cuda_runtime", correlation=8),
        event("aten::relu", 150, 10),
        event("cudaLaunchKernel", 152, 4, "cuda_runtime", correlation=9),
        # All of these end up late: in the next step, and one in a step that is not counted.
        event("Memcpy HtoD (Pinned -> Device)", 205, 30, "gpu_memcpy", tid=7, correlation=7),
        event("relu_kernel", 310, 40, "kernel", tid=7, correlation=9),
        event("stray_kernel", 160, 40, "kernel", tid=7, correlation=4),  # launched before the trace began
        event("AddmmBackward0", 260, 10, tid=2),  # the backward pass has a thread of its own
    ]
    seen = profile_of(events, 2, "by hand")
    assert seen.device
    kinds = {name: (item.kind, item.count) for name, item in seen.operators.items()}
    assert kinds == {
        "aten::copy_": ("copy", 1),
        "cudaMemcpyAsync": ("runtime", 1),
        "cudaStreamSynchronize": ("wait", 1),
        "aten::relu": ("operator", 1),
        "cudaLaunchKernel": ("runtime", 1),
        "AddmmBackward0": ("backward", 1),
        "Memcpy HtoD (Pinned -> Device)": ("copy", 1),
        "relu_kernel": ("kernel", 1),
    }
    assert seen.step_seconds == pytest.approx(90e-6)
    assert seen.outside_seconds == pytest.approx((60e-6 + 80e-6) / 2)  # the median of two
    assert seen.operators["aten::copy_"].seconds == pytest.approx(9e-6 / 2)  # in one step of two
    suite = discovery.all_suites([SUITES])["extras"][0]
    cell = plan.make_plan({"extras": suite}, ["extras"]).groups[0].cells[0]
    text = layout.render(suite, Group("g", "extras", (cell,)), [TracedCell(cell, "ok", profile=seen)], 2)
    header, row = text.splitlines()[1:3]
    assert header.split()[:6] == ["operators", "copies", "item()", "kernels", "memcpys", "waits"]
    assert row.split()[1:7] == ["1.5", "0.5", "0", "0.5", "0.5", "0.5"]


@pytest.mark.usefixtures("processes")
def test_a_rank_that_does_something_else_is_said() -> None:
    names = ("aten::add", "aten::add", "aten::mul")
    seen = [profile_of([*steps_of(4), event(name, 110, 20)], 2, name) for name in names]
    suite = discovery.all_suites([SUITES])["extras"][0]
    cell = plan.make_plan({"extras": suite}, ["extras"]).groups[0].cells[0]
    traced = TracedCell(cell, "ok", profile=seen[0], ranks=(seen[1], seen[2]))
    text = layout.render(suite, Group("g", "extras", (cell,)), [traced], 2)
    assert f"{cell.id}: rank 2 differs from rank 0 in aten::add, aten::mul" in text
    assert "rank 1" not in text


def test_self_time_leaves_out_what_was_called() -> None:
    events = [
        event("outer", 0, 10),
        event("inner", 1, 4),
        event("innermost", 2, 1),
        event("second", 6, 2),
        event("elsewhere", 3, 5, tid=2),
        event("after", 10, 3),
    ]
    own = {item["name"]: seconds * 1e6 for item, seconds in self_times(events)}
    assert own == pytest.approx({"outer": 4, "inner": 3, "innermost": 1, "second": 2, "elsewhere": 5, "after": 3})
    assert uncovered_time((0, 20), [(0, 10), (1, 5), (3, 8), (12, 13)]) == pytest.approx(9)
    assert uncovered_time((0, 20), []) == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not readable as a trace"),
        (b"no trace at all", "not readable as a trace"),
        (gzip.compress(b'{"traceEvents": []}', mtime=0)[:-9], "not readable as a trace"),
        (gzip.compress(b'{"traceEvents": [{"ph"', mtime=0), "not readable as a trace"),
        (gzip.compress(b'{"events": []}', mtime=0), "not readable as a trace"),
        (gzip.compress(b"[]", mtime=0), "not readable as a trace"),
        (gzip.compress(json.dumps({"traceEvents": steps_of(3)}).encode(), mtime=0), "holds 3 steps; expected: 8 and 2"),
    ],
)
def test_a_broken_trace_is_a_message(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "broken.pt.trace.json.gz"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=words) as raised:
        read_trace(path, 8)
    assert str(path) in str(raised.value)


def test_a_long_id_gets_a_name_that_fits_and_is_its_own() -> None:
    one, other = ("suite[" + ",".join(f"axis{number}={last}" for number in range(60)) + "]" for last in "ab")
    assert len(file_name(one)) <= LONGEST_NAME
    assert file_name(one)[:150] == one[:5] + "_" + file_name(one)[6:150]
    assert file_name(one) != file_name(other)
    assert file_name("a[b=1,c=x/y]").startswith("a_b=1_c=x_y-")


def test_a_folder_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for out in ("/proc/nowhere", str(tmp_path / "file")):
        done = call("trace", "extras", "--suites", str(SUITES), "--out", out, timeout=30)
        assert done.returncode == 2, done.stderr
        assert f"{out}: traces cannot be written there" in done.stderr
        assert "choose another --out" in done.stderr
        assert "Traceback" not in done.stderr
        assert "tracing" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept"
    for arguments, words in ((("--steps", "0"), "not a whole number above 0"), (("-k", "nothing"), "selects no cell")):
        done = call("trace", "extras", "--suites", str(SUITES), *arguments, cwd=tmp_path, timeout=30)
        assert done.returncode == 2
        assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_cell_that_fails_under_the_profiler_leaves_the_others_their_traces(tmp_path: Path) -> None:
    out = str(tmp_path / "traces")
    arguments = ("trace", "faults", "--suites", str(SUITES), "--steps", "20", "--out", out)
    # Step 40 is a traced one.
    done = call(*arguments, "--set", "fault=none,raise,kill,unsupported,thread", "--format", "json")
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    cells = {cell["point"]["fault"]: cell for cell in told["groups"][0]["cells"]}
    assert {fault: cell["outcome"] for fault, cell in cells.items()} == {
        "none": "ok",
        "raise": "crashed",
        "kill": "crashed",
        "unsupported": "unsupported",
        "thread": "ok",
    }
    assert "the loss is in no mood" in cells["raise"]["reason"]
    assert "SIGKILL" in cells["kill"]["reason"]
    assert "cannot run on a Sunday" in cells["unsupported"]["reason"]
    folder = Path(told["folder"])
    assert len(list(folder.rglob("*.pt.trace.json.gz"))) == 2
    # The same again writes beside it, never over it. The baseline alone compares with nothing, and that is no fault.
    again = call(*arguments, "--set", "fault=none", "-k", "none")
    assert again.returncode == 0, again.stderr
    assert len(list(Path(out).iterdir())) == 2
    assert json.loads((folder / "summary.json").read_text()) == told
    assert "baseline none" in again.stdout
    assert "never to be quoted as costs" in " ".join(again.stdout.split())


def test_an_interrupted_trace_keeps_what_it_has(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bench",
            "trace",
            "faults",
            "--suites",
            str(SUITES),
            "--set",
            "fault=none,hang",
            "--out",
            str(tmp_path / "traces"),
        ],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "fault=hang" in line:
            break
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    (summary,) = (tmp_path / "traces").glob("*/summary.json")
    assert [cell["outcome"] for cell in json.loads(summary.read_text())["groups"][0]["cells"]] == ["ok"]
    assert "baseline none" in said
