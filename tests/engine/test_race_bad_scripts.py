"""Scripts with one thing wrong with each, raced against a sound one: a line, a log, and nothing else is harmed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, Silent, call
from zoo.unharmed import unharmed

from bench.commands.race import RaceRules, race_scripts
from bench.machine.write_guard import _version
from bench.plan.scripts import parse_scripts
from bench.results.record import Record
from bench.results.store import StoredRun

pytestmark = pytest.mark.skipif(sys.platform != "linux" or _version() < 1, reason="needs Linux with Landlock")

BAD = ROOT / "tests" / "zoo" / "bad"
# What is raced together, and what is given to them; {folder} is the user's.
RACED_TOGETHER = {
    "exceptions": (
        "asks asks_for_a_password curses_screen ends_after_one_batch ends_after_two_batches interrupts_itself "
        "leaves_after_the_loop leaves_at_once leaves_in_the_loop loss_is_nan loss_is_none misses_a_module no_loader "
        "raises_in_its_third_step swallows_everything wants_a_terminal watches_its_time"
    ),
    "files": (
        "changes_folder no_arguments overwrites_by_absolute_path overwrites_in_place refuses_arguments "
        "removes_its_folder saves_to_its_own_folder writes_through_a_link"
    ),
    "processes": (
        "becomes_another both_train child_leaves closes_and_opens closes_descriptors closes_descriptors_first "
        "closes_its_output crashes daemonizes forks_in_the_loop kills_its_group leaves_without_a_word "
        "writes_to_descriptors"
    ),
    "signals, memory, logs": "fills_memory handles_signals prints",
    "loaders": "pulls_in_a_thread spawned_workers trains_one_epoch two_loaders_at_once two_loaders_in_turn",
    "never": "child_trains no_loader_endless patches_loader sleeps trains_in_spawned",
}
ARGUMENTS = {
    "no_arguments": "--lr 0.1",
    "refuses_arguments": "--lr 0.1",
    "overwrites_by_absolute_path": "{folder}/notes.txt",
    "saves_to_its_own_folder": "{folder}",
}
MINUTES = {"processes", "never"}  # of which some are waited for


@dataclass(frozen=True)
class BadScript:
    """What a script says of itself."""

    outcome: str
    expected: str


def described(file: Path) -> BadScript:
    """Its OUTCOME and EXPECTED, read from its text."""
    found = dict(re.findall(r"^(OUTCOME|EXPECTED) = (\".*\")$", file.read_text(encoding="utf-8"), re.MULTILINE))
    return BadScript(ast.literal_eval(found["OUTCOME"]), ast.literal_eval(found["EXPECTED"]))


def names() -> set[str]:
    return {file.stem for file in BAD.glob("*.py")} - {"little", "sound"}


@pytest.fixture
def user(tmp_path: Path, processes: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder with the scripts and some data. In the end it is what it was, and no process is left."""
    folder = tmp_path / "project"
    shutil.copytree(BAD, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "no_python.py.txt").rename(folder / "no_python.py")
    (folder / "data").mkdir()
    (folder / "data" / "rate.txt").write_text("0.1")
    (folder / "data" / "large.bin.gz").write_bytes(os.urandom(2**20))
    (folder / "last.ckpt").write_bytes(os.urandom(300 * 1024))
    (folder / "notes.txt").write_text("mine")
    with unharmed(folder, monkeypatch):
        yield folder


def race(folder: Path, commands: Sequence[str], rules: RaceRules | None = None) -> StoredRun:
    given = {"budget": 10.0, "launch": 0.3, "fork_servers": 1, "launches": 1, "timeout": 8.0, "memory_limit": 2**31}
    scripts = parse_scripts(commands, folder=str(folder))
    return race_scripts(scripts, given, folder.parent / "results", Silent(), rules=rules)


def by_script(run: StoredRun) -> dict[str, Record]:
    return {str(record.point["script"]).partition(".py")[0] + "#twin" * record.twin: record for record in run.records}


def test_every_bad_script_is_raced() -> None:
    assert sorted(" ".join(RACED_TOGETHER.values()).split()) == sorted(names())
    for name in names():
        told = described(BAD / f"{name}.py")
        assert (told.outcome == "ok") == (told.expected == ""), name


@pytest.mark.parametrize(
    "group", [pytest.param(name, marks=[pytest.mark.long] * (name in MINUTES), id=name) for name in RACED_TOGETHER]
)
def test_a_bad_script_is_told_in_a_line_and_harms_nothing_else(group: str, user: Path) -> None:
    raced = RACED_TOGETHER[group].split()
    commands = [f"{name}.py {ARGUMENTS.get(name, '').format(folder=user)}".strip() for name in raced]
    run = race(user, ["sound.py", *commands])
    found = by_script(run)
    assert (found["sound"].outcome, found["sound#twin"].outcome) == ("ok", "ok")
    told = {name: described(BAD / f"{name}.py") for name in raced}
    assert {name: found[name].outcome for name in raced} == {name: one.outcome for name, one in told.items()}
    assert {name: found[name].reason for name in raced if told[name].expected not in found[name].reason} == {}
    for name in raced:
        record = found[name]
        log = run.folder / record.log
        assert log.is_file(), name
        assert log.stat().st_size < 2.1 * 2**20, name
        assert "\n" not in record.reason, name
        assert len(record.reason) < 700, name
        assert record.outcome in ("ok", "unequal-work") or record.log in record.reason_and_log, name


@pytest.mark.long
def test_in_real_epochs_an_epoch_that_is_too_short_and_a_second_training_are_told(user: Path) -> None:
    found = by_script(race(user, ["sound.py", "trains_one_epoch.py", "two_loaders_in_turn.py"], RaceRules(epochs=True)))
    assert found["sound"].outcome == "ok"
    assert "after one epoch of 2 batches, before its first turn" in found["trains_one_epoch"].reason
    assert "optimizer updates in" in found["two_loaders_in_turn"].reason
    assert found["two_loaders_in_turn"].effective["second_training_loader"] == "DataLoader"


@pytest.mark.long
def test_a_bad_baseline_is_told_and_the_command_ends_with_3(user: Path) -> None:
    out = user.parent / "results"
    options = ("--budget", "4s", "--timeout", "8s", "--out", str(out))
    done = call("race", "raises_in_its_third_step.py", "sound.py", *options, cwd=user)
    assert done.returncode == 3, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "crashed: " in line and "#twin" not in line]
    assert "ValueError: the third step (raises_in_its_third_step.py:" in line
    log = re.search(r"its log: (logs/\S+\.log)", line)
    assert log is not None
    (run,) = [path for path in out.iterdir() if path.is_dir()]
    assert "ValueError: the third step" in (run / log[1]).read_text()
    assert "Traceback" not in done.stdout + done.stderr


def test_what_is_no_script_is_refused_before_anything_starts(user: Path) -> None:
    done = call("race", "sound.py", "no_python.py", "not_there.py", "data", "--out", str(user.parent / "out"), cwd=user)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.partition(": ")[2] for line in done.stderr.removeprefix("bench: ").splitlines()] == [
        "it is no Python: SyntaxError: invalid syntax (no_python.py, line 6)",
        "not_there.py: no such file; allowed: a file of Python and its arguments",
        "data: a folder; allowed: a file of Python and its arguments",
    ]
    assert not (user.parent / "out").exists()
