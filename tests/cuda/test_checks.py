"""The program that checks a machine with CUDA devices, and its page: by replay, as no device is here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import call

from bench.axes.accelerators.cuda import CUDA as CUDADevices
from bench.results.store import StoredRun

from . import __main__ as program
from . import checks
from .checks import CHECKS, Bed, Check, Found, driver_answers, energy, loops
from .page import Checked, free_path, page, table
from .record import ASKED, record, write
from .replay import RECORDED, Recording, Replay
from .virtual import UUID, VirtualClock, virtual_run

DATE = "2026-11-26"


def bed(folder: Path, name: str = "steady") -> Bed:
    return Bed(folder, Replay(Recording.named(name)), [UUID], 60.0)


def test_a_page_is_never_written_over_another(tmp_path: Path) -> None:
    paths = []
    for _ in range(3):
        paths.append(free_path(tmp_path, DATE))
        paths[-1].write_text("kept")
    assert [path.name for path in paths] == [f"{DATE}-cuda.md", f"{DATE}-cuda-2.md", f"{DATE}-cuda-3.md"]


def test_the_page_has_the_machine_every_check_and_what_is_wrong() -> None:
    done = [
        Checked("driver", "what it tells", "passed", 2.6, table(("clock", "a|b"), [("1.98 GHz", "<x>")])),
        Checked("loops", "all train", "failed", 80.0, ["- seen"], ["overhead[loop=fabric]: crashed:\nCUDA error"]),
        Checked("fsdp", "sharded", "not run", 0.0, (), ["it needs 2 devices, and there is 1"]),
    ]
    text = page(DATE, {"1 of": "NVIDIA H100", "driver": "550"}, done, "python -m tests.cuda", 83.2)
    assert text.startswith(f"# CUDA, checked on {DATE}\n")
    assert "By `python -m tests.cuda` in 83 s: 1 checks passed, 1 failed, 1 not run." in text
    assert "| 1 of | NVIDIA H100 |" in text
    assert "| `loops` | all train | failed | 80 |" in text
    assert "| clock | a\\|b |" in text
    assert "&lt;x>" in text
    assert "## loops: failed\n\n- **overhead[loop=fabric]: crashed: CUDA error**\n\n- seen\n" in text
    assert "- **it needs 2 devices, and there is 1**" in text


def test_the_driver_is_asked_for_all_that_it_tells(tmp_path: Path) -> None:
    found = driver_answers(bed(tmp_path))
    assert found.wrong == []
    row = found.seen[-1]
    assert row.startswith("| NVIDIA H100 80GB HBM3 | 1.98 GHz | 100 W | ")
    watts, step = (re.search(pattern, row) for pattern in (r"\| (\d+)\.?\d* W \| (\d+)", r"\| (\d+\.?\d*) ms \| none"))
    assert watts is not None
    assert abs(int(watts[1]) - 100) <= 1
    assert step is not None
    assert abs(float(step[1]) - 100) < 5


def test_what_the_driver_does_not_tell_fails_the_check(tmp_path: Path) -> None:
    (wrong,) = driver_answers(bed(tmp_path, "no_counter")).wrong
    assert "energy: nvmlDeviceGetTotalEnergyConsumption: Not Supported (NVML error 3)" in wrong
    nobody = Bed(tmp_path, Replay(Recording.named("steady")), ["GPU-nobodys"], 60.0)
    (wrong,) = driver_answers(nobody).wrong
    assert wrong.startswith("GPU-nobodys: nvmlDeviceGetHandleByUUID: Not Found")


class Runs:
    """Stands in for runs of bench on a device: gives a virtual one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run: StoredRun | None, wrong: list[str] | None = None) -> None:
        self.asked: list[tuple[str, ...]] = []

        def bench_run(bed: Bed, name: str, *arguments: str, budget: float) -> tuple[StoredRun | None, list[str]]:
            self.asked.append(arguments)
            return run, wrong or []

        monkeypatch.setattr(checks, "bench_run", bench_run)


def test_runs_are_judged_by_their_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Runs(monkeypatch, virtual_run(Recording.named("steady"))[0])
    found = loops(bed(tmp_path))
    assert found.wrong == []
    assert any("| 1.98 GHz |" in line for line in found.seen)
    found = energy(bed(tmp_path))
    assert found.wrong == []
    assert any(re.search(r"\| 3[12]\.?\d? samples/J", line) for line in found.seen), found.seen
    assert any("launch 2: counter; the counter says" in line for line in found.seen)
    Runs(monkeypatch, virtual_run(Recording.named("two_meters"))[0])
    found = energy(bed(tmp_path))
    assert found.wrong == []  # that the meters contradict each other is told, and is no fault of ours
    assert any(re.search(r"the counter says \+8\.[01] % more than power", line) for line in found.seen), found.seen
    Runs(monkeypatch, None, ["`run` ended with 2: no such suite"])
    with pytest.raises(ValueError, match="ended with 2: no such suite"):
        loops(bed(tmp_path))


def test_clocks_that_were_not_read_fail_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    run = virtual_run(Recording.named("steady"))[0]
    blind = tuple(
        replace(one, turns=replace(one.turns, sm_clock=())) if one.turns is not None else one for one in run.records
    )
    Runs(monkeypatch, replace(run, records=blind))
    assert any("no clock was read" in text for text in loops(bed(tmp_path)).wrong)


def run_for(seconds: dict[str, float], clock: VirtualClock, *wrong: str) -> list[Check]:
    """Checks that take as long as they say."""

    def look(name: str, takes: float) -> Found:
        clock.sleep(takes)
        if name == "raises":
            raise RuntimeError("the device is on fire")
        return Found([f"{name} looked"], [name] if name in wrong else [])

    return [Check(name, name, takes, lambda _, n=name, t=takes: look(n, t)) for name, takes in seconds.items()]


def test_what_does_not_fit_the_budget_is_not_run_and_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    clock = VirtualClock()
    made = run_for({"one": 100.0, "raises": 10.0, "wrong": 10.0, "long": 500.0, "last": 50.0}, clock, "wrong")
    two = Check("two-devices", "ranks", 1.0, lambda bed: Found([]), devices=2)
    said: list[str] = []
    done = program.run_checks([*made, two], lambda limit: bed(tmp_path), 600.0, 1, clock=clock, say=said.append)
    assert [one.verdict for one in done] == ["passed", "failed", "failed", "not run", "passed", "not run"]
    assert done[1].wrong == ("RuntimeError: the device is on fire",)
    assert done[3].wrong == ("it takes 500 s, and 465 s of the budget were left",)
    assert done[5].wrong == ("it needs 2 devices, and there is 1",)
    assert len(said) == 6
    assert program.ending(done) == program.FAILED
    assert program.ending([done[0], done[3]]) == program.NO_TIME
    assert program.ending([done[0], done[5]]) == program.PASSED  # a device that is not there is no lack of time


def test_all_checks_fit_ten_minutes_on_one_device() -> None:
    assert sum(check.seconds for check in CHECKS if check.devices == 1) <= 600 - program.SPARE
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Replay:
    """This process takes the replayed device for one that is there."""
    driver = Replay(Recording.named("steady"))
    monkeypatch.setattr(program, "nvml_driver", lambda: driver)
    monkeypatch.setattr(CUDADevices, "unavailable", lambda self: None)
    monkeypatch.setattr(CUDADevices, "count", lambda self: 1)
    monkeypatch.setattr(program, "commit_here", lambda: "abc")
    return driver


def test_the_program_writes_its_page_and_ends_with_its_code(
    tmp_path: Path, device: Replay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Runs(monkeypatch, virtual_run(Recording.named("steady"))[0])
    asked = ["-k", "driver", "-k", "energy", "-k", "fsdp", "--out", str(tmp_path)]
    assert program.main(asked) == program.PASSED
    (path,) = tmp_path.glob("*-cuda.md")
    text = path.read_text(encoding="utf-8")
    assert "| 1 of | NVIDIA H100 80GB HBM3 |" in text
    assert "2 checks passed, 0 failed, 1 not run." in text
    assert " samples/J" in text
    assert str(path) in capsys.readouterr().out
    assert program.main([*asked, "--budget", "20s"]) == program.NO_TIME
    assert len(list(tmp_path.glob("*-cuda*.md"))) == 2
    assert path.read_text(encoding="utf-8") == text
    assert device.users == 0  # the library is given back


def test_an_unknown_check_is_refused_with_all_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        program.main(["-k", "everything"])
    assert refused.value.code == 2
    assert "unknown check everything; allowed: driver, loops" in capsys.readouterr().err


def test_without_a_device_it_says_so_in_one_line_and_has_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(CUDADevices, "unavailable", lambda self: "no NVIDIA device on this machine")
    assert program.main(["--out", str(tmp_path)]) == 77
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "nothing is checked: no NVIDIA device on this machine"
    monkeypatch.setattr(CUDADevices, "unavailable", lambda self: None)
    gone = Recording({**Recording.named("steady").data, "init_error": 9})
    monkeypatch.setattr(program, "nvml_driver", lambda: Replay(gone))
    assert program.main(["--out", str(tmp_path)]) == 77
    assert capsys.readouterr().err == "nothing is checked: no driver answers: Driver Not Loaded\n"
    assert list(tmp_path.iterdir()) == []


# --- the recorder


def test_a_recording_played_back_is_what_was_recorded(tmp_path: Path) -> None:
    """Recorded from a replay, by its clock; every answer at every time is the same again, to one look of 20 ms."""
    clock = VirtualClock()
    made = record(Replay(Recording.named("warming"), clock), 5.0, "a test", clock=clock, sleep=clock.sleep)
    path = write(made, tmp_path)
    again = Recording.of_file(path)
    assert again.source == RECORDED
    assert write(made, tmp_path) != path  # nor is a recording written over another
    first, second = VirtualClock(), VirtualClock()
    one, two = Replay(Recording.named("warming"), first), Replay(again, second)
    one.nvmlInit()
    two.nvmlInit()
    first.sleep(0.05)
    second.sleep(0.05)
    for _ in range(49):  # halfway between the steps of the counter
        for name, ask in ASKED.items():
            assert ask(one, 0) == ask(two, 0), (name, first.now)
        first.sleep(0.1)
        second.sleep(0.1)


def test_answers_that_are_refused_are_recorded_as_such() -> None:
    clock = VirtualClock()
    made = record(Replay(Recording.named("no_counter"), clock), 1.0, "a test", clock=clock, sleep=clock.sleep)
    answers: dict[str, Any] = made["devices"][0]["answers"]
    assert answers["nvmlDeviceGetTotalEnergyConsumption"] == [[0.0, {"error": 3}]]
    assert answers["nvmlDeviceGetCurrentClocksEventReasons"] == [[0.0, {"error": 13}]]
    assert answers["nvmlDeviceGetPowerUsage"] == [[0.0, 100000]]
    json.dumps(made)


def test_both_programs_start_straight_from_the_checkout(processes: None) -> None:
    import subprocess
    import sys

    from conftest import ROOT

    listed = subprocess.run(
        [sys.executable, "-m", "tests.cuda", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [check.name for check in CHECKS]
    assert call("--version").returncode == 0
