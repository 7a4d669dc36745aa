"""Environments raced with each other: what names a side, real interpreters and checkouts, what cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SUITES, USUAL_LOOPS, Silent, call

from bench.axes.trainer_rungs import RUNGS
from bench.cli import parser
from bench.cli.arguments import selection_of_arguments
from bench.commands import environments
from bench.commands.environments import Wish
from bench.commands.selection import planned_sides
from bench.engine import budget, group_state
from bench.engine.group_state import GroupState
from bench.errors import BenchError, SpecError
from bench.plan import discovery
from bench.plan.side import Side
from bench.results import files, store

# What a side's code does in each step: the same sums, once or many times.
CODE = "def extra(batch):\n    for _ in range({times}):\n        batch[0].sin().sum()\n"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A training code base with two commits: the second one's step does more."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for times in (1, 400):
        (folder / "sidecode.py").write_text(CODE.format(times=times))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", f"{times} times")
    return folder


def test_what_names_a_side(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    folder, old = str(tmp_path / "main"), "lightning==2.5.*"
    texts = [old, "torch>=2.9 lightning==2.6.*", folder, "git:HEAD~1", old]
    wishes = environments.parse_sides(texts, ["rich"])
    assert [wish.name for wish in wishes] == [*texts[:4], "lightning==2.5.* (2)"]
    assert wishes[0].requirements == ("lightning==2.5.*", "rich")
    assert wishes[1].requirements == ("torch>=2.9", "lightning==2.6.*", "rich")
    assert wishes[2].folder == tmp_path / "main"
    assert wishes[3].commit == "HEAD~1"
    # A second side of the same wish has an environment of its own: else A/A would race one with itself.
    assert [wish.copy for wish in wishes] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["lightning==2.6.*"], "1 environment is nothing to compare"),
        (["lightning==2.6.*", "../no/such/folder"], "'../no/such/folder' is no environment; allowed: requirements"),
        (["lightning==2.6.*", "light ning %"], "is no environment"),
        (["", "."], "'' names no environment; allowed: requirements"),
        ([".", " "], "' ' names no environment"),
        ([".", "git:"], "'git:' names no environment"),
    ],
)
def test_what_names_none(texts: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=r".*") as caught:
        environments.parse_sides(texts)
    assert words in str(caught.value)


def test_an_environment_is_built_once_and_has_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "SHARED", ())  # torch is not what this asks for
    wishes = [Wish("old", ("six==1.16.0",)), Wish("new", ("six==1.17.0",)), Wish("new (2)", ("six==1.17.0",), copy=1)]
    with environments.ready_sides(wishes, Silent()) as sides:
        told = [
            subprocess.run([side.python, "-c", "import six; print(six.__version__)"], capture_output=True, text=True)
            for side in sides.values()
        ]
        assert [said.stdout.strip() for said in told] == ["1.16.0", "1.17.0", "1.17.0"]
        assert len({side.python for side in sides.values()}) == 3
        assert len({len(path) for side in sides.values() for path in side.paths[1:]}) == 1
    silent = Silent()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("complete")}
    with environments.ready_sides(wishes, silent):
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("complete")} == before


@pytest.mark.usefixtures("processes")
def test_a_version_that_does_not_resolve_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "SHARED", ())
    words = r"six==99\.99: its environment cannot be built: .*six==99\.99"
    wish = Wish("six==99.99", ("six==99.99",))
    with pytest.raises(BenchError, match=words), environments.ready_sides([wish], Silent()):
        pass
    assert not list(tmp_path.rglob("complete"))  # nothing half built is taken for an environment


def test_what_a_killed_process_left_half_built_is_removed_and_what_is_being_built_is_not(tmp_path: Path) -> None:
    for name in ("whole", "half", "building"):
        (tmp_path / name).mkdir()
    (tmp_path / "whole" / environments.COMPLETE).touch()
    with files.lock(environments._lock(tmp_path / "building")):
        environments._sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"whole", "building"}


def test_packages_that_no_side_names_are_those_that_are_here() -> None:
    pinned = environments._shared({"lightning"})
    assert any(item.startswith("torch==") for item in pinned)
    assert not any(item.startswith("lightning==") for item in pinned)
    # Each torch has a torchvision of its own.
    assert not any(item.startswith("torch") for item in environments._shared({"torch"}))


def test_a_commit_that_is_not_there(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    words = r"git:nowhere: cannot be checked out: .*nowhere"
    with (
        pytest.raises(BenchError, match=words),
        environments.ready_sides([Wish("git:nowhere", commit="nowhere")], Silent()),
    ):
        pass


def test_checkouts_are_removed_and_dirty_files_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    wishes = environments.parse_sides(["git:HEAD~1", "."])
    with environments.ready_sides(wishes, Silent()) as sides:
        old, new = sides.values()
        assert "range(1)" in (Path(old.paths[-1]) / "sidecode.py").read_text()
        assert "range(400)" in (Path(new.paths[-1]) / "sidecode.py").read_text()
        assert old.python == new.python == sys.executable
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert environments.dirty() == []
    (repository / "sidecode.py").write_text("")
    assert environments.dirty() == ["sidecode.py"]


def test_a_side_brings_its_own_suite_file_where_it_has_one(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    (repository / "bench_suites").mkdir()
    own = repository / "bench_suites" / "mine.py"
    own.write_text("x = 1\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "a suite")
    with environments.ready_sides(environments.parse_sides(["git:HEAD~1", "git:HEAD"]), Silent()) as sides:
        old, new = sides.values()
        assert environments.side_file(str(own), old) == str(own)
        assert environments.side_file(str(own), new) == str(Path(new.paths[-1]) / "bench_suites" / "mine.py")
        assert environments.side_file("/elsewhere/mine.py", new) == "/elsewhere/mine.py"
    assert environments.side_file("", Side("x", sys.executable, ("/nowhere",))) == ""


def test_sides_are_the_compared_axis_and_what_was_compared_stays_one() -> None:
    suite = environments.over_sides(discovery.find_suite("overhead"), ["a", "b"])
    assert (suite.compare, suite.baseline) == ("environment", "a")
    assert list(suite.axes)[:2] == ["environment", "loop"]
    features = environments.over_sides(discovery.find_suite("features"), ["a", "b"])
    assert (features.ladder, features.trainers.keys()) == ({}, set(RUNGS))


@pytest.mark.parametrize(
    ("settings", "select", "chosen"),
    [
        ([], None, ["batch_size=64"]),
        (["width=128"], "fabric", ["batch_size=64"]),
        (["batch_size=512,1536"], None, []),
        ([], "loop=plain and batch_size=512", []),
    ],
)
def test_one_step_length_is_raced_unless_the_user_names_some(
    settings: list[str], select: str | None, chosen: list[str]
) -> None:
    suite = discovery.find_suite("overhead")
    assert environments.one_length(suite, settings, select) == chosen
    assert environments.one_length(discovery.find_suite("power"), settings, select) == []  # it has no lengths


def test_three_minutes_hold_intervals_of_the_default_race() -> None:
    arguments = parser().parse_args(["versions", ".", "git:HEAD"])
    made, _, told = planned_sides(selection_of_arguments(arguments), [".", "git:HEAD"])
    assert "batch_size=64" in told
    assert [group.cells[0].point["loop"] for group in made.groups] == list(USUAL_LOOPS)
    assert {cell.point["batch_size"] for cell in made.cells} == {64}
    race = group_state.work([GroupState(group, list(group.runnable)) for group in made.groups])
    assert budget.forecast(race, 180.0, 0.0, 2, 2).launches >= 4
    explicit = parser().parse_args(["versions", ".", "git:HEAD", "--suite", "overhead"])
    everything, _, told = planned_sides(selection_of_arguments(explicit), [".", "git:HEAD"])
    assert (len(everything.groups), told) == (12, "")


@pytest.mark.alone
def test_two_commits_race_and_the_slower_one_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as a user calls it, in the repository of the code that is asked about."""
    monkeypatch.chdir(repository)
    done = call(
        "versions",
        "git:HEAD~1",
        "git:HEAD",
        "--suite",
        "sided",
        "--suites",
        str(SUITES),
        "--budget",
        "8s",
        "--out",
        str(repository / "results"),
        cwd=repository,
    )
    assert done.returncode == 0, done.stderr
    run = store.read_run(store.find_folder(None, repository / "results"))
    assert {record.outcome for record in run.records} == {"ok"}, [record.reason for record in run.records]
    assert {record.point["environment"] for record in run.records} == {"git:HEAD~1", "git:HEAD"}
    assert run.info["sides"] == ["git:HEAD~1", "git:HEAD"]
    # Equal work: the sides differ in what they compute besides, and end with the same weights.
    first = [record for record in run.records if record.launch == 0]
    assert len({record.ledger["final_weights"] for record in first}) == 1
    assert "git:HEAD is slower than git:HEAD~1" in done.stdout.replace("\n", " ") or "one launch" in done.stdout
    shown = json.loads(call("show", "--format", "json", "--out", str(repository / "results")).stdout)
    head = next(cell for cell in shown["cells"] if cell["point"]["environment"] == "git:HEAD")
    assert head["versus"]["ratio"]["estimate"] > 1.5


def test_runs_of_several_environments_are_not_gone_on_with(repository: Path) -> None:
    out = str(repository / "results")
    call(
        "versions",
        ".",
        str(repository),
        "--suite",
        "sided",
        "--suites",
        str(SUITES),
        "--budget",
        "1s",
        "--out",
        out,
        cwd=repository,
    )
    run = store.find_folder(None, Path(out))
    # A budget that is too small for anything says so, and what was made is one launch.
    assert [line for line in store.read_run(run).info["warnings"] if "less than the least there is to do" in line]
    assert {record.launch for record in store.read_run(run).records} == {0}
    said = call("run", "--resume", str(run), "--suites", str(SUITES), cwd=repository)
    assert said.returncode == 2
    assert "a run of several environments cannot be gone on with" in said.stderr
