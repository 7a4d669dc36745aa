"""Helps that teach: examples that are taken, exit codes that are earned, defaults that are the real ones."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, call

from bench import cli
from bench.cli import arguments, exports
from bench.cli.command_help import COMMAND_HELP, EVERY_COMMAND, GROUPS, METAVARS, Example
from bench.cli.command_parser import Parser
from bench.commands import doctor, fit, gate, gate_power, race, selection, tune_racer, tune_request
from bench.commands.endings import CODES, REFUSED, UNFORESEEN
from bench.engine.instrumented_launches import INSTRUMENTED_LAUNCHES
from bench.engine.options import Options
from bench.machine import calibrate
from bench.machine.terminal import text_width
from bench.plan import quantities
from bench.plan.shares import GROUP_COPIES

PARSER = cli.parser()
assert PARSER.commands is not None
COMMANDS: Mapping[str, Parser] = dict(PARSER.commands.choices)


def examples() -> list[Example]:
    return [one for own in COMMAND_HELP.values() for one in own.examples]


# What is told besides options.


def test_every_command_has_an_entry_and_every_entry_a_command() -> None:
    assert set(COMMAND_HELP) == set(COMMANDS), "bench/cli/command_help.py has an entry for each command, and no other"
    assert {own.group for own in COMMAND_HELP.values()} == set(GROUPS)


@pytest.mark.parametrize("example", examples(), ids=lambda one: one.line)
def test_every_example_is_taken_by_the_parser(example: Example) -> None:
    program, *words = shlex.split(example.line)
    assert program == "bench"
    PARSER.parse_args(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_of_its_own_command_and_all_its_exit_codes(command: str) -> None:
    told = " ".join(COMMANDS[command].format_help().replace("\\\n", " ").split())
    own = COMMAND_HELP[command]
    assert own.examples
    for one in own.examples:
        assert one.line.split()[1] == command
        assert " ".join(one.line.split()) in told
    for code, meaning in own.codes.items():
        assert f"{code} {meaning}" in told
    assert not set(own.exits) & {0, *EVERY_COMMAND}


# Words by which a command's function can end, apart from those of every command.
NAMES = {"CELLS_FAILED": CODES["failed"], "INTERRUPTED": CODES["interrupted"], "DONE": 0}


def codes_by_function() -> dict[str, tuple[set[int], set[str]]]:
    """Of each function of `bench.cli`: the codes that it names, and the functions that it calls."""
    found: dict[str, tuple[set[int], set[str]]] = {}
    for file in (ROOT / "bench" / "cli").glob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            codes: set[int] = set()
            calls: set[str] = set()
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in NAMES:
                    codes.add(NAMES[part.id])
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                    calls.add(part.func.id)
                    if part.func.id == "Ending":
                        word = part.args[0]
                        told = [word.value] if isinstance(word, ast.Constant) else list(CODES)  # whatever a value says
                        codes |= {CODES[one] for one in told}
            found[node.name] = codes, calls
    return found


# Commands that drop how what they call has ended, or leave to another program, each with the reason.
OTHERWISE = {"confirm": "what it confirms is its answer, whatever cells failed", "train": "LightningCLI's own"}


def test_exit_codes_of_the_helps_are_those_that_the_code_can_earn() -> None:
    by_function = codes_by_function()
    for name, command in COMMANDS.items():
        run = command.get_default("run").__name__
        reached, waiting = set(), [run]
        while waiting:
            if (now := waiting.pop()) in by_function and now not in reached:
                reached.add(now)
                waiting += by_function[now][1]
        earned = set().union(*(by_function[one][0] for one in reached))
        if name not in OTHERWISE:
            assert earned - {0, *EVERY_COMMAND} == set(COMMAND_HELP[name].exits), name
    assert set(EVERY_COMMAND) == {REFUSED, UNFORESEEN, CODES["interrupted"]}


# Words that stand for values.


def metavars() -> Iterator[tuple[str, argparse.Action, str]]:
    for name, command in COMMANDS.items():
        for action in command._actions:
            if action.nargs != 0 and not isinstance(action, arguments._OldName):
                yield name, action, str(action.metavar or "")


def test_every_word_of_a_usage_is_explained() -> None:
    used = {word for _, _, word in metavars()}
    assert {word for word in used - set(METAVARS) if not word.startswith("{")} <= {"A", "B", ""}
    assert set(METAVARS) - used <= {"COMMAND"}
    for name, action, word in metavars():
        assert action.help, f"bench {name}: {word or action.dest} has no help"
        assert word or action.choices, f"bench {name}: {action.dest} has no word"
        if METAVARS.get(word):
            told = " ".join(COMMANDS[name].format_help().split())
            assert f"{word} {' '.join(METAVARS[word].split())}" in told, (name, word)


# Defaults.

USUAL = Options()
# Where the parser keeps None, so that what was not said can be told from what was: what it then is.
REAL: Mapping[tuple[str, str], Any] = {
    ("", "--budget"): USUAL.budget,
    ("race", "--budget"): race.RACE_BUDGET,
    ("doctor", "--budget"): doctor.DOCTOR_BUDGET,
    ("tune", "--budget"): tune_request.TUNE_BUDGET,
    ("gate", "--budget"): gate.GATE_BUDGET,
    ("selftest", "--budget"): gate_power.POWER_BUDGET,
    ("selftest", "--repeats"): gate_power.POWER_REPEATS,
    ("", "--timeout"): USUAL.timeout,
    ("race", "--timeout"): race.RACE_TIMEOUT,
    ("doctor", "--timeout"): race.RACE_TIMEOUT,
    ("tune", "--timeout"): tune_racer.TUNE_TIMEOUT,
    ("", "--precision-goal"): USUAL.precision_goal,
    ("", "--seed"): USUAL.seed,
    ("", "--threads"): USUAL.threads,
    ("", "--turn"): USUAL.turn,
    ("", "--instrument"): INSTRUMENTED_LAUNCHES,
    ("", "--copies"): GROUP_COPIES,
    ("", "suites"): selection.DEFAULT_SUITE,
    ("versions", "--suite"): f"{selection.DEFAULT_SUITE} at one step length",
    ("export", "--into"): exports.TABLES_FOLDER,
    ("export", "--results-dir"): exports.ASV_FOLDER,
    ("tune", "target"): tune_request.TUNED_SUITE,
    ("tune", "--loss-margin"): tune_request.TuneRequest().loss_margin,
    ("tune", "--sampler"): tune_request.TuneRequest().sampler,
}
# Defaults that are no value but are found when it runs.
FOUND = {
    *("all", "all it has", "any", "the newest", "none", "Slurm's", "the suite's", "the suite's own", "the program"),
    *("in its folder", "where the runs lie", "what the budget needs", "all that have rows"),
    "reports/RUN/index.html",
    *("what they say themselves", "one made of processor and cores", "as the history tells"),
    *("the time and a random suffix", "CPUs, then fewest devices", "ratio, or step_time where no cell has one"),
    "as start-up and spread of its launches ask for",
}


def as_value(text: str) -> Any:
    """What a help calls a default, as a value."""
    text = text.partition("; ")[0].removesuffix(", or BENCH_BUDGET").removesuffix(", as far as the budget goes")
    for read in (int, quantities.fraction, quantities.duration):
        try:
            return read(text)
        except (ValueError, quantities.SpecError):
            continue
    return text


def told_default(action: argparse.Action) -> str | None:
    """What the help says the default is."""
    found = re.search(r"default: (.*)$", (action.help or "").replace("%%", "%"))
    return None if found is None else found[1]


def defaults() -> Iterator[tuple[str, argparse.Action]]:
    for name, command in COMMANDS.items():
        for action in command._actions:
            if not isinstance(action, arguments._OldName | argparse._HelpAction):
                yield name, action


@pytest.mark.parametrize(
    ("command", "action"), [pytest.param(*case, id=f"{case[0]} {case[1].dest}") for case in defaults()]
)
def test_a_default_that_is_told_is_the_real_one(command: str, action: argparse.Action) -> None:
    told = told_default(action)
    if action.default not in (None, [], False, argparse.SUPPRESS):
        assert told is not None, f"{action.default!r} is told by nothing"
        given = as_value(told)
        assert given == action.default or str(given) == str(action.default)
    elif told is not None and told not in FOUND:
        name = action.option_strings[-1] if action.option_strings else action.dest
        assert (command, name) in REAL or ("", name) in REAL, f"{told!r}: what is it in truth?"
        real = REAL.get((command, name), REAL.get(("", name)))
        assert as_value(told) == real


def test_budgets_that_helps_tell_in_words_are_the_real_ones() -> None:
    texts = {(name, action.option_strings[-1]): action.help for name, action in defaults() if action.option_strings}
    both = f"{doctor.DOCTOR_BUDGET + doctor.FEATURES_BUDGET:.0f}s"
    assert both in texts["doctor", "--features"]
    assert f"accelerator, {calibrate.CALIBRATION_BUDGET:.0f}s" in texts["env", "--budget"]
    assert f"foreseen, {fit.FIT_BUDGET:.0f}s" in texts["env", "--budget"]


# The layout.


def parsers_of_commands() -> Mapping[str, Parser]:
    commands = cli.parser().commands
    assert commands is not None
    return commands.choices


@pytest.mark.parametrize("columns", [40, 41, 60, 79, 80, 120, 199, 200, 400])
def test_a_help_has_the_terminals_width(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for name, command in {"": cli.parser(), **parsers_of_commands()}.items():
        text = command.format_help()
        widest = max(text.splitlines(), key=text_width)
        assert text_width(widest) <= min(columns, 200), f"bench {name}: {widest!r}"


def test_a_broken_example_is_still_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = parsers_of_commands()["run"].format_help()
    shown = text.partition("examples:\n")[2].partition("\n\n")[0]
    lines = shown.replace("\\\n", "").splitlines()
    joined = [shlex.split(line) for line in lines if line.startswith("  bench ")]
    assert joined == [shlex.split(one.line) for one in COMMAND_HELP["run"].examples]
    assert "\\\n" in shown


def test_the_program_alone_shows_its_help_and_says_that_nothing_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code([]) == REFUSED
    said = capsys.readouterr()
    assert said.err == ""
    assert cli.exit_code(["--help"]) == 0
    assert capsys.readouterr().out == said.out
    assert cli.exit_code(["help"]) == 0
    assert capsys.readouterr().out == said.out
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", said.out, flags=re.MULTILINE)


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"train"}))
def test_help_of_a_command_is_the_same_both_ways(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code(["help", command]) == 0
    told = capsys.readouterr().out
    assert cli.exit_code([command, "--help"]) == 0
    assert capsys.readouterr().out == told
    assert told.startswith(f"usage: bench {command}")


def test_the_version_has_two_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code(["-V"]) == 0
    short = capsys.readouterr().out
    assert cli.exit_code(["--version"]) == 0
    assert capsys.readouterr().out == short
    assert short.startswith("loopmark ")


# What was meant.


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["rnu"], "'rnu' is unknown; did you mean 'run'?"),
        (["histroy"], "did you mean 'history'?"),
        (["run", "--bugdet", "3m"], "unknown option '--bugdet'; did you mean '--budget'?"),
        (["run", "--bugdet=3m"], "unknown option '--bugdet'; did you mean '--budget'?"),
        (["show", "--format", "jsn"], "'jsn' is unknown; did you mean 'json'? allowed: table, csv, md, json"),
        (["export", "avs"], "did you mean 'asv'?"),
        (["help", "raec"], "did you mean 'race'?"),
        (["run", "overhaed"], "(did you mean 'overhead'?)"),
        (["run", "--set", "batchsize=3"], "(did you mean 'batch_size'?)"),
        (["run", "--set", "loop=trianer"], "(did you mean 'trainer'?)"),
        (["run", "--compare", "precison"], "(did you mean 'precision'?)"),
        (["--bugdet", "run"], "unknown option '--bugdet'"),
        (["show", "one", "two"], "'two' is one word too many"),
    ],
)
def test_what_was_meant_is_said_in_one_message(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.exit_code(words) == REFUSED
    said = capsys.readouterr()
    assert said.out == ""
    assert meant in said.err
    assert len(said.err.splitlines()) <= 2


def test_a_word_that_is_like_nothing_suggests_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["qqqqqq"], ["run", "--qqqqqq"], ["run", "qqqqqq"], ["run", "x" * 10_000]):
        assert cli.exit_code(words) == REFUSED
        assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("line", ["bench list", "bench env", "bench help run", "bench baseline list"])
def test_examples_that_cost_nothing_do_what_they_say(line: str, tmp_path: Path) -> None:
    assert line in {one.line for one in examples()}
    done = call(*shlex.split(line)[1:], cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
