"""Exit codes are earned: every command against every class of exception, every kind of stream, every rude suite."""

from __future__ import annotations

import argparse
import builtins
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, call
from hypothesis import given
from hypothesis import strategies as st
from tiers import Choice

from bench import cli, errors
from bench.commands.endings import CODES, JUDGEMENTS, REFUSED, UNFORESEEN, Ending
from bench.plan import guard

VERDICTS = {CODES[word] for word in (*JUDGEMENTS, "invalid", "done")}


def classes(base: type[BaseException]) -> Iterator[type[BaseException]]:
    yield base
    for below in base.__subclasses__():
        yield from classes(below)


ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    *((), ("text",), ("x", [ValueError()]), ("x", [SystemExit()]), ("crashed", "why")),
    *(("utf-8", b"x", 0, 1, "why"), ("utf-8", "x", 0, 1, "why"), ("x", 0, 1, "why")),
)


def every_exception() -> list[BaseException]:
    made = []
    for kind in dict.fromkeys(classes(BaseException)):
        if kind.__module__ not in (
            "builtins",
            "bench.errors",
            "bench.cli.output",
            "bench.engine.processes",
            "bench.engine.fleet",
        ):
            continue
        for arguments in ARGUMENTS:
            try:
                made.append(kind(*arguments))
            except TypeError:
                continue
            break
        else:
            raise AssertionError(f"no way was found to make a {kind.__name__}")
    return made


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


def commands() -> list[str]:
    (choices,) = [action.choices for action in cli.parser()._actions if action.choices and "run" in action.choices]
    return list(choices)


LEAST = {
    "check": ["x"],
    "gate": [],
    "compare": ["a", "b"],
    "baseline": ["list"],
    "export": ["csv"],
    "explain": ["a", "b"],
    "confirm": ["a", "b"],
    "versions": ["a", "b"],
    "race": ["a.py"],
    "doctor": ["a.py"],
    "merge": ["a"],
    "cancel": ["a"],
    "completion": ["bash"],
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where log files go."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.parametrize("command", commands())
def test_no_exception_ends_a_command_with_a_verdict(
    command: str, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cases: Choice
) -> None:
    def raising(arguments: argparse.Namespace) -> Ending:
        raise error

    broken = cli.parser()
    for below in broken._subparsers._group_actions[0].choices.values():
        below.set_defaults(run=raising)
    monkeypatch.setattr(cli, "parser", lambda: broken)
    assert len(every_exception()) > 60
    more = (Unspeakable(), SystemExit(0), SystemExit(None), SystemExit("1"), OSError(28, "x"))
    for error in (*every_exception()[:: cases(4, 1)], *more):
        code = cli.exit_code([command, *LEAST.get(command, [])])
        said = capsys.readouterr()
        assert code not in VERDICTS, f"{error!r} ended with {code}"
        assert "Traceback" not in said.err
        if isinstance(error, errors.BenchError):
            assert code == REFUSED
        elif isinstance(error, KeyboardInterrupt):
            assert code == 130
        else:
            assert code == UNFORESEEN
            (line,) = said.err.splitlines()
            log = Path(line.partition("its log: ")[2])
            assert log.parent == state / "loopmark"
            assert "loopmark" in log.read_text()


@pytest.mark.parametrize("value", [None, 0, 1, True, "pass", "done", CODES])
def test_a_command_that_does_not_say_how_it_ended_has_not_ended_well(
    value: object, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.pages, "show", lambda arguments: value)
    assert cli.exit_code(["show"]) == UNFORESEEN


@pytest.mark.parametrize("word", sorted(JUDGEMENTS))
def test_a_judgement_needs_the_file_that_holds_it(word: str, tmp_path: Path) -> None:
    kept = tmp_path / "gate.json"
    for unearned in (Ending(word), Ending(word, kept)):
        with pytest.raises(ValueError, match="not earned"):
            assert unearned.code
    kept.write_text("{}")
    assert Ending(word, kept).code == CODES[word]


@given(st.text())
def test_no_other_word_has_a_code(word: str) -> None:
    if word not in CODES:
        with pytest.raises(ValueError, match="no command ends with"):
            assert Ending(word).code


SUITE = (
    "from bench.spec import Suite\nsuite = Suite(name='rude', title='t', axes={'loop': ('plain',)}, "
    "compare='loop', baseline='plain', build=lambda point: None"
)
RUDE = {
    "sys.exit(0)": "import sys\nsys.exit(0)\nsuite = 1",
    "os._exit(0)": "import os\nos._exit(0)\nsuite = 1",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt\nsuite = 1",
    "raises BaseException": "class Own(BaseException): ...\nraise Own('mine')\nsuite = 1",
    "kills itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nsuite = 1",
    "refuses leaves": f"import sys\n{SUITE}, refuses=lambda point: sys.exit(0))",
    "refuses says yes": f"{SUITE}, refuses=lambda point: True)",
    "workers raises": f"{SUITE}, workers=lambda point: 1 / 0)",
    "workers says many": f"{SUITE}, workers=lambda point: 'many')",
    "an axis that is no number": SUITE.replace("'loop': ('plain',)", "'loop': ('plain',), 'lr': (float('nan'),)") + ")",
    "a name that is taken": SUITE.replace("'rude'", "'overhead'") + ")",
    "a name that ends in a line break": SUITE.replace("'rude'", "'rude\\n'") + ")",
    "an axis that ends in a line break": SUITE.replace("'loop': ('plain',)", "'loop': ('plain',), 'x\\n': (1,)") + ")",
    "nested too deeply": "suite = " + "[" * 5000 + "]" * 5000,
    "a null byte": "suite = '\0'",
}


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("text", RUDE.values(), ids=list(RUDE))
def test_a_rude_suite_is_one_message(text: str, tmp_path: Path, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "rude.py").write_text(text)
    out = ["--out", str(tmp_path)]
    for command in (["list"], ["list", "rude"], ["gate", "rude", *out], ["run", "rude", *out]):
        # Who asks for all of them gets the others, and one line.
        expected = CODES["done"] if command == ["list"] else REFUSED
        assert cli.exit_code([*command, "--suites", str(tmp_path / "suites")]) == expected
        said = capfd.readouterr().err
        assert "Traceback" not in said
        assert "rude" in said
        assert len(said.splitlines()) == 1 or command != ["list"]
    assert not list(tmp_path.glob("2*"))  # no run was begun


@pytest.mark.parametrize("kind", ["pipe", "loop", "folder", "dangling"])
def test_what_is_no_file_holds_nobody_up(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else tmp_path / "nowhere")
    done = call("list", "--suites", str(tmp_path), timeout=20)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "left out: " in done.stderr
    assert "odd.py: not a file that could be a suite" in done.stderr


def test_a_folder_that_is_named_twice_counts_once() -> None:
    assert call("list", "overhead", "--suites", str(ROOT / "suites")).returncode == 0


@pytest.mark.usefixtures("processes")
def test_a_hanging_suite_file_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "IMPORT_PATIENCE", 0.3)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\nsuite = 1")
    assert cli.exit_code(["list", "--suites", str(tmp_path)]) == 0
    assert cli.exit_code(["list", str(tmp_path / "slow.py")]) == REFUSED


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        (">/dev/full", 2, "standard output cannot be written: No space left on device"),
        (">&-", 2, "standard output is closed"),
        ("2>/dev/full", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        ("| head -n 1", 0, ""),
    ],
)
def test_streams_that_take_nothing(redirection: str, code: int, words: str, tmp_path: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -m bench list {redirection}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_stream_without_unicode_gets_what_it_can_show(tmp_path: Path) -> None:
    suite = SUITE.replace("title='t'", "title='\u00b5s \u202e \x1b[31m'") + ")"
    (tmp_path / "rude.py").write_text(suite, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", "list", "rude", "--suites", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert b"\\xb5s \\u202e \\x1b[31m" in done.stdout


WHILE_IT_WORKS = """
import time
from bench import cli
from bench.plan import discovery
discovery.look_for_suites = lambda *_: (print("now", flush=True), time.sleep(60))
cli.main(["list"])
"""
WHILE_IT_IS_IMPORTED = """
import sys, time
from bench import __main__
class Slow:
    def find_spec(self, name, *_):
        if name == "bench.cli":
            print("now", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
__main__.main()
"""


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (WHILE_IT_IS_IMPORTED, signal.SIGINT),
        (WHILE_IT_WORKS, signal.SIGINT),
        (WHILE_IT_WORKS, signal.SIGTERM),
        (WHILE_IT_WORKS, signal.SIGHUP),
    ],
)
def test_an_interruption_outside_of_a_run_is_no_traceback(code: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "bench: interrupted\n")


def test_a_log_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    monkeypatch.setattr(cli.pages, "show", lambda arguments: builtins.int("x"))
    assert cli.exit_code(["show"]) == UNFORESEEN
    (line,) = capsys.readouterr().err.splitlines()
    assert "its log could not be written" in line
