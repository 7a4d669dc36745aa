"""The command as a user calls it: bad input, interruption, resumption. Real processes throughout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, SUITES, call

FAULTS = ("faults", "--suites", str(SUITES))


def test_list_shows_cells_and_what_cannot_run_and_why() -> None:
    done = call("list", "overhead", "--set", "accelerator=cpu,tpu")
    assert done.returncode == 0, done.stderr
    assert "overhead[loop=trainer-barebones,batch_size=" in done.stdout
    assert "unsupported: no TPU on this machine" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "overheads"], "unknown suite 'overheads'; allowed: "),
        (["run", "--set", "batchsize=3"], "unknown axis 'batchsize'; allowed: loop, batch_size"),
        (["run", "--set", "data=imagenet"], "unknown value of axis 'data' 'imagenet'; allowed: synthetic, mnist"),
        (["run", "--set", "batch_size=many"], "'many' is not of type int"),
        (["run", "-k", "nothing"], "selects no cell"),
        (["run", "--budget", "soon"], "'soon' is not a time; allowed"),
        (["run", "--budget", "9" * 400], "... of 400 characters is not a time; allowed: "),
        (["run", "--timeout", "721h"], "30 days at most"),
        (["run", "--memory-limit", "9" * 400], "is not a size; allowed: "),
        (["run", "--threads", "10000000000"], "'10000000000' is not a whole number above 0"),
        (["run", "--threads", "²"], "'²' is not a whole number above 0"),
        (["run", "--precision-goal", "150%"], "is not a share; allowed"),
        (["run", "--instrument", "overhead"], "'overhead' is not a whole number from 0 on"),
        (["run", "--instrument", "-1"], "--instrument"),
        (["run", "--suites", "nowhere"], "nowhere: no such folder"),
        (["run", "--out", "/proc/nowhere"], "results cannot be written there"),
        (["run", "--resume", "nowhere"], "unknown run 'nowhere'"),
        (["run", "overhead", "--resume", "nowhere"], "leave out SUITE, -k, --set, --share and --name"),
        (["show", "nowhere"], "unknown run 'nowhere'"),
        (["show", "--out", "nowhere"], "no runs under nowhere"),
        (["env", "--budget", "3s"], "give --calibrate or --fit too"),
        (["env", "--fit", "--calibrate"], "give one of them"),
        (["env", "--fit", "--threads", "9999"], "threads 9999: allowed: 1 to"),
        (["env", "--fit", "--budget", "1s"], "a budget of 1 s: no gate is that short; allowed: 2.7s or more"),
        (["env", "--calibrate", "--threads", "9999"], "--threads 9999: allowed: 1 to"),
        (["selftest", "-k", "speed"], "unknown check 'speed'; allowed: arm_ready"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = call(*arguments, cwd=tmp_path, timeout=30)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_suite_file_that_does_not_import_stops_nobody_but_who_asks_for_it(tmp_path: Path) -> None:
    for text, words in (
        ("suite = 1 +", "SyntaxError"),
        ("import nosuch\nsuite = 1", "nosuch"),
        ("suite = 3", "is int"),
    ):
        (tmp_path / "broken.py").write_text(text)
        listed = call("list", "--suites", str(tmp_path))
        assert listed.returncode == 0
        assert "overhead[loop=plain" in listed.stdout
        asked = call("list", "broken", "--suites", str(tmp_path))
        named = call("list", str(tmp_path / "broken.py"))
        assert (asked.returncode, named.returncode) == (2, 2)
        assert (asked.stdout, named.stdout) == ("", "")
        for done in (listed, asked, named):
            assert "broken.py" in done.stderr
            assert words in done.stderr
            assert "Traceback" not in done.stderr
        assert len(listed.stderr.splitlines()) == len(named.stderr.splitlines()) == 1


def processes_with(mark: str) -> list[int]:
    """Processes whose environment holds `mark`: all that a command has started, however deep."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue  # it has gone
            if mark.encode() in environment and state != "Z":
                found.append(int(entry.name))
    return found


class Run:
    """A `bench run` in the background, in a folder of its own, marked so that all its processes can be found."""

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.out = tmp_path / "results"
        self.mark = f"BENCH_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", *arguments, "--out", str(self.out)],
            cwd=ROOT,
            env={**os.environ, name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_records(self, number: int) -> Path:
        """The run's folder, once it holds that many records."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            for path in self.out.glob("*/records.jsonl"):
                if path.read_bytes().count(b"\n") >= number:
                    return path.parent
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError("no records came")

    def gone(self) -> bool:
        deadline = time.monotonic() + 5
        while processes_with(self.mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not processes_with(self.mark)


# Time only: instrumented launches would have a fork server import lightning, which takes longer than all the rest.
ENDLESS_RUN = (*FAULTS, "--set", "fault=none", "--budget", "10m", "--precision-goal", "0.001%", "--no-instrument")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_all_it_measured_and_is_resumed(tmp_path: Path, number: signal.Signals) -> None:
    run = Run(tmp_path, *ENDLESS_RUN)
    folder = run.await_records(2)
    run.process.send_signal(number)
    said, errors = run.process.communicate(timeout=30)
    assert run.process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "--resume" in said
    assert run.gone()
    info = json.loads((folder / "run.json").read_text())
    assert {stop["reason"] for stop in info["stops"].values()} == {"interrupted"}
    before = (folder / "records.jsonl").read_text()
    assert all(json.loads(line)["outcome"] == "ok" for line in before.splitlines())
    if number == signal.SIGINT:
        resumed = Run(tmp_path, "--resume", str(folder), "--suites", str(SUITES), "--budget", "10m")
        resumed.await_records(len(before.splitlines()) + 2)
        resumed.process.send_signal(number)
        resumed.process.communicate(timeout=30)
        after = (folder / "records.jsonl").read_text()
        assert after.startswith(before)
        launches = [json.loads(line)["launch"] for line in after.splitlines()]
        assert sorted(set(launches)) == list(range(max(launches) + 1))
        assert max(launches) > max(json.loads(line)["launch"] for line in before.splitlines())
        assert all(launches.count(launch) == 2 for launch in set(launches))  # the baseline and its twin


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")
def test_no_process_outlives_a_killed_run_and_it_is_resumed(tmp_path: Path) -> None:
    run = Run(tmp_path, *ENDLESS_RUN)
    folder = run.await_records(2)
    assert len(processes_with(run.mark)) >= 3  # the parent and two fork servers, arms besides
    # A second run into the same folder at the same time is refused.
    second = call("run", "--resume", str(folder), "--suites", str(SUITES))
    assert second.returncode == 2
    assert "another run is writing here" in second.stderr
    run.process.kill()
    run.process.communicate()
    assert run.gone()
    with open(folder / "records.jsonl", "a") as file:
        file.write('{"schema":1,"sui')  # as a kill in the middle of a write would leave it
    shown = call("show", str(folder))
    assert shown.returncode == 2
    assert "truncated" in shown.stderr
    resumed = Run(tmp_path, "--resume", str(folder), "--suites", str(SUITES))
    resumed.await_records((folder / "records.jsonl").read_text().count("\n") + 2)
    resumed.process.send_signal(signal.SIGTERM)
    resumed.process.communicate(timeout=30)
    assert call("show", str(folder), "--format", "json").returncode == 0


def test_a_run_with_failed_cells_ends_with_3_and_shows_them(tmp_path: Path) -> None:
    out = str(tmp_path / "results")
    faults = "fault=none,raise,unsupported"
    done = call("run", *FAULTS, "--set", faults, "--budget", "6s", "--no-instrument", "--out", out)
    assert done.returncode == 3, done.stderr
    shown = json.loads(call("show", "--out", out, "--format", "json").stdout)
    outcomes = {
        cell["point"]["fault"]: (cell["outcome"], cell["reason"]) for cell in shown["cells"] if not cell["twin"]
    }
    assert outcomes["none"][0] in ("ok", "noisy")  # a busy machine has time for one launch
    assert outcomes["raise"][0] == "crashed"
    assert "the loss is in no mood" in outcomes["raise"][1]
    assert outcomes["unsupported"][0] == "unsupported"
    for format_ in ("table", "csv", "md"):
        text = call("show", "--out", out, "--format", format_).stdout
        assert "crashed" in text
        assert "nan" not in text.lower()
    page = call("report", "--out", out)
    assert page.returncode == 0, page.stderr
    path = Path(page.stdout.strip())
    assert "the loss is in no mood" in path.read_text()
    verified = call("verify", "--out", out)
    assert verified.returncode == 0, verified.stdout
    # One digit changed in the records, and the page no longer follows from them.
    records = next(Path(out).glob("*/records.jsonl"))
    lines = records.read_text().splitlines()
    first = json.loads(lines[0])
    first["turns"]["seconds"] = [[2 * seconds for seconds in turn] for turn in first["turns"]["seconds"]]
    records.write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    tampered = call("verify", "--out", out)
    assert tampered.returncode == 3
    assert "records.jsonl: line 1 is not as it was written" in tampered.stdout
    assert "step_time" in tampered.stdout
