"""`nox -s peers`: its pure parts, and that what all tools measure is the plain loop's step."""

from __future__ import annotations

import copy
import json
import math
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT

from peers import table
from peers.schedule import rounds

MADE = {
    "schema": 1,
    "started": "2026-11-23T05:00:00+00:00",
    "argv": ["python", "-m", "peers.run"],
    "quick": False,
    "seconds": 600.0,
    "tools": {
        "torch": {"title": "torch.utils.benchmark", "how": "one process a side", "version": "2.13.0"},
        "asv": {"title": "asv", "how": "one command a side", "version": "0.6.6"},
        "bench": {"title": "bench, one run", "how": "one run", "version": "0.1.0"},
    },
    "environment": {
        "cpu": "a processor", "cores_usable": 2, "virtual_machine": True, "kernel": "6.1", "python": "3.11.7",
        "torch": "2.13.0", "commit": "0123456789abcdef",
    },
    "failed": [],
    "left_out": [],
}  # fmt: skip


def estimate(tool: str, log_ratio: float, wall: float, **details: Any) -> dict[str, Any]:
    return {
        "tool": tool, "log_ratio": log_ratio, "wall": wall, "seconds": [1.5e-3, 1.5e-3 * math.exp(log_ratio)],
        "log_ratios": {} if tool == "bench" else {"minimum": log_ratio / 2, "mean": log_ratio}, "details": details,
    }  # fmt: skip


@pytest.fixture
def raw() -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(MADE)
    made["estimates"] = [
        *(estimate("torch", log, 10.0) for log in (0.2, -0.2, 0.1, -0.1)),
        estimate("asv", 0.3, 30.0),
        estimate("bench", 0.001, 60.0, launches=[0.004, -0.004, 0.0, 0.002, -0.001, 0.005]),
        estimate("bench", -0.001, 60.0, launches=[0.003, -0.002, 0.001, 0.0, -0.006, -0.002]),
    ]
    return made


def test_the_interval_of_an_sd_holds_it_95_times_in_100() -> None:
    generator = random.Random(0)
    draws = 4000
    inside = 0
    for _ in range(draws):
        low, high = table.sd_interval(statistics.stdev(generator.gauss(0, 2.0) for _ in range(6)), 6)
        inside += low <= 2.0 <= high
    assert abs(inside / draws - 0.95) < 3 * math.sqrt(0.95 * 0.05 / draws)


def test_the_interval_of_an_sd_is_that_of_the_tables() -> None:
    # chi-square with 9 degrees of freedom: 2.700 and 19.023 leave 2.5 % on each side
    low, high = table.sd_interval(1.0, 10)
    assert low == pytest.approx(math.sqrt(9 / 19.023), rel=1e-3)
    assert high == pytest.approx(math.sqrt(9 / 2.700), rel=1e-3)


def test_time_to_the_target_grows_with_the_square_of_the_sd_and_is_one_estimate_at_least() -> None:
    assert table.time_to_target(0.29, 17.0) == pytest.approx((1.96 * 29) ** 2 * 17.0)
    assert table.time_to_target(0.02, 5.0) == pytest.approx(4 * table.time_to_target(0.01, 5.0))
    assert table.time_to_target(0.001, 60.0) == 60.0


def test_each_tool_has_a_row_and_bench_one_for_its_launches(raw: dict[str, Any]) -> None:
    timer, asv, run, launch = table.rows(raw)
    assert [row.title for row in (timer, asv, run, launch)] == [
        "torch.utils.benchmark", "asv", "bench, one run", table.LAUNCH,
    ]  # fmt: skip
    assert timer.sd == pytest.approx(statistics.stdev([0.2, -0.2, 0.1, -0.1]))
    assert timer.seconds == pytest.approx((1.96 * timer.sd / 0.01) ** 2 * 10.0)
    assert (asv.sd, asv.seconds) == (None, None)  # one estimate tells nothing of the spread
    assert len(launch.log_ratios) == 12
    assert statistics.median(launch.walls) == 10.0  # 60 s of a run over its six launches


def test_the_page_has_every_row_what_failed_and_what_was_left_out(raw: dict[str, Any]) -> None:
    raw["failed"] = [{"tool": "asv", "number": 3, "reason": "exit code 1:\n no such thing"}]
    raw["left_out"] = ["pyperf"]
    page = table.markdown(raw, "made")
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    assert "| 4 | 1.50 ms | 1.0000 | 18 % [" in lines["torch.utils.benchmark"]
    assert lines["asv"].count("–") == 2
    assert "Failed: asv, estimate 3: exit code 1: no such thing" in page
    assert "within the budget: pyperf." in page
    assert "torch.utils.benchmark: 9.1 % by minimum, 18 % by mean" in page
    assert "smoke test" not in page
    raw["quick"] = True
    assert "smoke test" in table.markdown(raw, "made")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (44.0, "44 s"), (89.0, "89 s"), (150.0, "2.5 min"), (162000.0, "45 h")]
)
def test_times_are_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert table.span(seconds) == text


def test_the_page_and_the_picture_are_made_again_from_the_raw_file(raw: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "made.json").write_text(json.dumps(raw))
    command = [sys.executable, "-m", "peers.table", str(tmp_path / "made.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == [str(tmp_path / f"made.{kind}") for kind in ("json", "md", "svg")]
    assert (tmp_path / "made.md").read_text() == table.markdown(raw, "made")
    drawn = (tmp_path / "made.svg").read_text()
    assert all(row.title in drawn for row in table.rows(raw))
    table.picture(raw, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}', "{"])
def test_what_is_no_raw_file_is_refused_with_its_name(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(SystemExit) as left:
        table.main([str(tmp_path / "other.json")])
    assert left.value.code == 2
    assert "other.json" in capsys.readouterr().err


def test_the_published_pages_follow_from_their_raw_files() -> None:
    for path in (ROOT / "docs" / "measurements").glob("*-peers.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        assert not kept["quick"]
        assert path.with_suffix(".md").read_text(encoding="utf-8") == table.markdown(kept, path.stem)


def test_rounds_hold_every_tool_as_often_as_asked_and_spread_the_rare_one() -> None:
    made = rounds({"quick": 8, "slow": 2, "one": 1}, random.Random(0))
    assert len(made) == 8
    assert all("quick" in names for names in made)
    assert [number for number, names in enumerate(made) if "slow" in names] == [3, 7]
    assert sum(names.count("one") for names in made) == 1
    orders = {tuple(names) for names in rounds({"a": 30, "b": 30, "c": 30}, random.Random(0))}
    assert len(orders) == 6  # every order comes up


def test_the_runner_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    from peers import run

    with pytest.raises(SystemExit) as left:
        run.parse(["--tools", "torch,nose", "--fewer", "asv=3", "--fewer", "torch=0"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("'nose'", "pytest-benchmark", "'asv=3'", "'torch=0'"))
    asked = run.parse(["--tools", "torch,asv", "--fewer", "asv=3", "--repeats", "5"])
    assert run.repeats_of(asked) == {"torch": 5, "asv": 3}


def test_the_step_is_the_plain_loops_step(one_thread: None) -> None:
    """As many steps of it, over more than an epoch, end at the same weights as the loop that `bench` runs."""
    from bench.arm.stream import BatchStream, Grant, TurnTimes
    from bench.axes import loops
    from bench.axes.loops.job import Job
    from peers import step

    count = 131  # an epoch has 128 batches

    class Once:
        def __init__(self) -> None:
            self.grants: list[Grant | None] = [Grant(count), None]

        def wait(self) -> Grant | None:
            return self.grants.pop(0)

        def before(self, grant: Grant) -> None:
            pass

        def after(self, grant: Grant, taken: TurnTimes, batches: list[Any]) -> None:
            pass

    theirs = step.make_workload(7)
    take = step.make_step(theirs)
    for _ in range(count):
        take()
    ours = step.make_workload(7)
    job = Job(ours, BatchStream(Once()), torch.device("cpu"), "cpu", "32-true", 1, torch.float32, lambda settings: None)
    loops.registry()["plain"].run(job)
    assert ours.samples == step.BATCH
    for one, other in zip(theirs.model.parameters(), ours.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.long
def test_the_adapter_of_bench_reads_what_a_run_prints(tmp_path: Path) -> None:
    """A run of the cells that the adapter asks for, read back: as many values as launches, and the printed ratio."""
    from conftest import call

    from bench.results import store
    from peers import with_bench

    out = tmp_path / "results"
    done = call("run", "overhead", "-k", with_bench.CELLS, "--no-instrument", "--out", str(out), "--budget", "6s")
    assert done.returncode == 0, done.stderr
    folder = store.find_folder(None, out)
    found = with_bench.read(folder, 6.0)
    launches = {record.launch for record in store.read_run(folder).records}
    assert len(found.details["launches"]) == len(launches)
    shown = json.loads(call("show", str(folder), "--format", "json").stdout)
    assert math.exp(found.log_ratio) == pytest.approx(shown["twin"]["ratio"]["estimate"])
