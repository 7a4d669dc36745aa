"""Bad input from Python: answered as the command line answers it, all of it, and before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from histories import save
from synthetic import make
from test_api import CODE

import bench
from bench import cli

HUGE = 10**30
Call = Callable[[], object]

# What is asked for in both ways: the words of the command line, and the call.
CASES: list[tuple[list[str], Call]] = [
    (["run", "overheads"], lambda: bench.run("overheads")),
    (["run", "overheads", "loaders"], lambda: bench.run("overheads", "loaders")),
    (["run", "--set", "batchsize=3"], lambda: bench.run(set={"batchsize": 3})),
    (["run", "--set", "data=imagenet"], lambda: bench.run(set={"data": "imagenet"})),
    (["run", "--set", "data=imagenet,cifar"], lambda: bench.run(set={"data": ["imagenet", "cifar"]})),
    (["run", "--set", "batch_size=many"], lambda: bench.run(set={"batch_size": "many"})),
    (["run", "--set", "batch_size=64,many"], lambda: bench.run(set={"batch_size": (64, "many")})),
    (["run", "--set", "batch_size=-1"], lambda: bench.run(set={"batch_size": -1})),
    (["run", "--set", "batch_size=1.5"], lambda: bench.run(set={"batch_size": 1.5})),
    (["run", "--set", "batch_size=true"], lambda: bench.run(set={"batch_size": True})),
    (["run", "--set", f"batch_size={HUGE}"], lambda: bench.run(set={"batch_size": HUGE})),
    (["run", "--set", "pin_memory=3"], lambda: bench.run(set={"pin_memory": 3})),
    (["run", "--set", "batch_size="], lambda: bench.run(set={"batch_size": ""})),
    (["run", "--set", "batchsize=3", "-k", "("], lambda: bench.run(set={"batchsize": 3}, select="(")),
    (["run", "-k", "nothing"], lambda: bench.run(select="nothing")),
    (["run", "-k", "("], lambda: bench.run(select="(")),
    (["run", "--budget", "soon"], lambda: bench.run(budget="soon")),
    (["run", "--budget", "0"], lambda: bench.run(budget="0")),
    (["run", "--budget", "9" * 400], lambda: bench.run(budget="9" * 400)),
    (["run", "--timeout", "721h"], lambda: bench.run(timeout="721h")),
    (["run", "--target", "150%"], lambda: bench.run(precision_goal="150%")),
    (["run", "--memory-limit", "much"], lambda: bench.run(memory_limit="much")),
    (["run", "--seed", "x"], lambda: bench.run(seed="x")),
    (["run", "--seed", str(HUGE)], lambda: bench.run(seed=HUGE)),
    (["run", "--threads", "0"], lambda: bench.run(threads=0)),
    (["run", "--threads", "10000000000"], lambda: bench.run(threads=10000000000)),
    (["run", "--until", "trainer"], lambda: bench.run(until="trainer")),
    (["run", "--until", "treiner < 5%"], lambda: bench.run(until="treiner < 5%")),
    (["run", "--until", "plain < 5% and trainer < 0x"], lambda: bench.run(until="plain < 5% and trainer < 0x")),
    (["run", "--suites", "nowhere"], lambda: bench.run(folders=["nowhere"])),
    (["run", "--suites", "nowhere", "--suites", "here"], lambda: bench.run(folders=[Path("nowhere"), "here"])),
    (["run", "--out", "/proc/nowhere"], lambda: bench.run(out="/proc/nowhere")),
    (["run", "--resume", "nowhere"], lambda: bench.resume("nowhere")),
    (["run", "--resume", "nowhere", "--budget", "soon"], lambda: bench.resume("nowhere", budget="soon")),
    (["show", "nowhere"], lambda: bench.load("nowhere")),
    (["show", "nowhere", "--step", "500"], lambda: bench.load("nowhere", step="500")),
    (["show"], lambda: bench.load()),
    (["show", "--out", "nowhere"], lambda: bench.load(out="nowhere")),
    (["show", "a\nb"], lambda: bench.load("a\nb")),
    (["gate", "overheads"], lambda: bench.gate("overheads")),
    (["gate", "--margin", "50%", "--target", "10%"], lambda: bench.gate(margin="50%", target=0.1)),
    (["gate", "--launch", "x"], lambda: bench.gate(launch="x")),
    (["gate", "--against", "nowhere"], lambda: bench.gate(against="nowhere")),
    (["versions", "."], lambda: bench.versions(".")),
    (["versions", "!!", "?"], lambda: bench.versions("!!", "?")),
    (["versions", ".", ".", "--with", "!!"], lambda: bench.versions(".", ".", requirements=["!!"])),
    (["versions", ".", ".", "--suite", "x"], lambda: bench.versions(".", ".", suites=["x"])),
    (["compare", "a", "b"], lambda: bench.compare("a", "b")),
    (["merge", "nowhere", "a"], lambda: bench.merge("nowhere", "a")),
    (["history"], lambda: bench.history()),
    (["submit", "overheads"], lambda: bench.submit("overheads")),
    (["submit", "--nodes", "0"], lambda: bench.submit(nodes=0)),
    (["submit", "--time", "x"], lambda: bench.submit(time="x")),
    (["status"], lambda: bench.status()),
    (["status", "4711"], lambda: bench.status("4711")),
    (["cancel", "4711"], lambda: bench.cancel("4711")),
    (["confirm", "a", "b"], lambda: bench.confirm("a", "b")),
    (["trace", "overheads"], lambda: bench.trace("overheads")),
    (["trace", "--steps", "0"], lambda: bench.trace(steps=0)),
    (["doctor", "nowhere.py"], lambda: bench.doctor("nowhere.py")),
    (["doctor", "nowhere:Module"], lambda: bench.doctor("nowhere:Module")),
    (["counts", "overheads"], lambda: bench.counts("overheads")),
    (["counts", "--steps", "75"], lambda: bench.counts(steps=75)),
    (["gate", "--no-more", "calls"], lambda: bench.gate(no_more=["calls"])),
    (["list", "--suites", "nowhere"], lambda: bench.suites(["nowhere"])),
    (["env", "--threads", "0"], lambda: bench.environment(0)),
    (["env", "--fit", "--threads", "0"], lambda: bench.fit(threads=0)),
    (["env", "--fit", "--threads", "9999"], lambda: bench.fit(threads=9999)),
    (["env", "--fit", "--budget", "x"], lambda: bench.fit(budget="x")),
    (["env", "--fit", "--budget", "1s"], lambda: bench.fit(budget=1)),
]


@pytest.fixture
def empty(tmp_path: Path, processes: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which there is nothing."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The option that the command line names, or "", and its message without the name of the program."""
    capsys.readouterr()
    assert cli.exit_code(arguments) == 2
    said = capsys.readouterr().err
    before, _, message = said.rpartition("bench: ")
    assert "bench: " not in before  # but for what it says of its progress, one message
    # Where it is the command line that was not understood, a line says where it is described.
    message, _, where = message.strip().partition("\nbench ")
    assert not where or where.endswith("--help says what it takes")
    of_option = re.match(r"argument --([\w-]+): (.*)", message, flags=re.DOTALL)
    return (of_option[1], of_option[2]) if of_option else ("", message)


@pytest.mark.parametrize(("arguments", "call"), [pytest.param(*case, id=" ".join(case[0])[:60]) for case in CASES])
def test_python_answers_as_the_command_line_does(
    arguments: list[str], call: Call, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(bench.BenchError) as raised:
        call()
    message = str(raised.value)
    option, expected = told(capsys, *arguments)
    if option:
        # An argument's name stands in place of the option's, and a number has no quotes.
        name, _, message = message.partition(": ")
        assert name in (option.replace("-", "_"), {"target": "precision_goal"}.get(option))
        message, expected = message.replace("'", ""), expected.replace("'", "")
    assert message == expected
    assert list(empty.iterdir()) == []


WRONG_TYPES: list[tuple[str, str, Call]] = [
    ("suites", "['overhead']", lambda: bench.run(["overhead"])),
    ("suites", "3", lambda: bench.run(3)),
    ("set", "['batch_size=3']", lambda: bench.run(set=["batch_size=3"])),
    ("set", "'batch_size=3'", lambda: bench.run(set="batch_size=3")),
    ("axis 'batch_size'", "[]", lambda: bench.run(set={"batch_size": []})),
    ("axis 'batch_size'", "None", lambda: bench.run(set={"batch_size": None})),
    ("axis 'batch_size'", "None", lambda: bench.run(set={"batch_size": [64, None]})),
    ("axis 'batch_size'", "[64]", lambda: bench.run(set={"batch_size": [[64]]})),
    ("axis 'batch_size'", "'64,128'", lambda: bench.run(set={"batch_size": "64,128"})),
    ("axis 'data'", "'a,b'", lambda: bench.run(set={"data": ["synthetic", "a,b"]})),
    ("axis 3", "3", lambda: bench.run(set={3: 3})),
    ("axis 'batch_size=64'", "1", lambda: bench.run(set={"batch_size=64": 1})),
    ("select", "3", lambda: bench.run(select=3)),
    ("budget", "True", lambda: bench.run(budget=True)),
    ("budget", "0", lambda: bench.run(budget=0)),
    ("budget", "-1", lambda: bench.run(budget=-1)),
    ("budget", "nan", lambda: bench.run(budget=float("nan"))),
    ("budget", "[3]", lambda: bench.run(budget=[3])),
    ("budget", str(HUGE), lambda: bench.run(budget=HUGE)),
    ("precision_goal", "1", lambda: bench.run(precision_goal=1)),
    ("timeout", "{}", lambda: bench.run(timeout={})),
    ("seed", "True", lambda: bench.run(seed=True)),
    ("seed", "1.5", lambda: bench.run(seed=1.5)),
    ("threads", "'4'", lambda: bench.run(threads="4")),
    ("memory_limit", "0.5", lambda: bench.run(memory_limit=0.5)),
    ("memory_limit", str(HUGE), lambda: bench.run(memory_limit=HUGE)),
    ("instrument", "-1", lambda: bench.run(instrument=-1)),
    ("instrument", "True", lambda: bench.gate(instrument=True)),
    ("folders", "'nowhere'", lambda: bench.run(folders="nowhere")),
    ("folders", "None", lambda: bench.run(folders=None)),
    ("folders", "3", lambda: bench.suites([3])),
    ("out", "3", lambda: bench.run(out=3)),
    ("out", "''", lambda: bench.run(out="")),
    ("out", r"'a\x00b'", lambda: bench.run(out="a\0b")),
    ("progress", "'yes'", lambda: bench.run(progress="yes")),
    ("partition", "3", lambda: bench.submit(partition=3)),
    ("array", "0", lambda: bench.submit(array=0)),
    ("job", "''", lambda: bench.cancel("")),
    ("run", "None", lambda: bench.resume(None)),
    ("run", "''", lambda: bench.load("")),
    ("run", "3", lambda: bench.load(3)),
    ("step", "0", lambda: bench.load(step=0)),
    ("step", "None", lambda: bench.load(step=None)),
    ("run", "None", lambda: bench.compare(None, None)),
    ("run", "None", lambda: bench.merge("a", None)),
    ("labels", "['a=b']", lambda: bench.merge("a", labels=["a=b"])),
    ("labels", "3", lambda: bench.merge("a", labels={"a": 3})),
    ("prices", "2.5", lambda: bench.merge("a", prices=2.5)),
    ("price of box", "None", lambda: bench.merge("a", prices={"box": None})),
    ("baseline", "3", lambda: bench.merge("a", baseline=3)),
    ("history", "'results'", lambda: bench.merge("a", history="results")),
    ("run", "'newest'", lambda: bench.write_report("newest")),
    ("run", "'newest'", lambda: bench.verify("newest")),
    ("run", "'newest'", lambda: bench.write_tables("newest")),
    ("sides", "3", lambda: bench.versions(3, ".")),
    ("suites", "'overhead'", lambda: bench.versions(".", ".", suites="overhead")),
    ("requirements", "'six'", lambda: bench.versions(".", ".", requirements="six")),
    ("suites", "'overhead'", lambda: bench.history(suites="overhead")),
    ("before", "1", lambda: bench.confirm(1, "b")),
    ("steps", "'many'", lambda: bench.trace(steps="many")),
    ("threads", "1.0", lambda: bench.environment(1.0)),
]


@pytest.mark.parametrize(
    ("name", "value", "call"), [pytest.param(*case, id=f"{case[0]}-{case[1][:20]}") for case in WRONG_TYPES]
)
def test_what_only_python_can_say_wrongly_is_told_as_well(name: str, value: str, call: Call, empty: Path) -> None:
    with pytest.raises(bench.SpecError) as raised:
        call()
    message = str(raised.value)
    assert message.startswith(f"{name}: {value} is no"), message
    assert "; allowed: " in message
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("call", [lambda: bench.run(budget=1), lambda: bench.gate(), lambda: bench.resume("RUN")])
def test_a_variable_that_is_no_time_is_told(
    call: Call, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_BUDGET", "soon")
    folder = save(make(launches=1), empty)
    folder.rename(empty / "RUN")
    with pytest.raises(bench.BenchError) as raised:
        call()
    if "environment" not in str(raised.value):  # the run is of another machine, which is said first
        assert ("", str(raised.value)) == told(capsys, "run")
    assert [path.name for path in empty.iterdir()] == ["RUN"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(bench.SpecError) as raised:
        bench.run("overheads", "loader", set={"batchsize": 3, "num_workers": "many"}, select="(")
    assert len(raised.value.mistakes) == 4
    assert str(raised.value).splitlines() == list(raised.value.mistakes)


def test_values_of_numpy_are_values() -> None:
    """As columns of `run.cells` give them."""
    with pytest.raises(bench.SpecError, match=r"^unknown suite 'x'; allowed: "):
        bench.run("x", set={"batch_size": [np.int64(64), 32.0]}, seed=np.int64(3), threads=np.int32(1))


def test_the_pages_own_mistake_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    exec(next(block for block in CODE if 'bench.run("overheads")' in block), {})
    allowed = ", ".join(sorted(bench.suites()))
    assert capsys.readouterr().out == f"unknown suite 'overheads'; allowed: {allowed} (did you mean 'overhead'?)\n"


def test_a_page_that_is_not_there(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save(make(launches=1), empty)
    run = bench.load(folder)
    with pytest.raises(bench.RunError) as raised:
        bench.verify(run)
    assert ("", str(raised.value)) == told(capsys, "verify", str(folder))
    with pytest.raises(bench.RunError) as raised:
        bench.write_report(run, "/proc/nowhere/page.html")
    assert ("", str(raised.value)) == told(capsys, "report", str(folder), "-o", "/proc/nowhere/page.html")


def test_what_reads_runs_leaves_out_as_the_command_line_does(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings stand for what the command says on standard error, and name the line that called."""
    folder = save(make(launches=1), empty / "results")
    (folder / "run.json").write_text("{")
    with pytest.warns(UserWarning, match="left out: ") as warned, pytest.raises(bench.RunError) as raised:
        bench.history()
    assert [warning.filename for warning in warned] == [__file__]
    assert cli.exit_code(["history"]) == 2
    said = capsys.readouterr().err
    assert said == "".join(f"bench: {text}\n" for text in (*(one.message for one in warned), raised.value))
