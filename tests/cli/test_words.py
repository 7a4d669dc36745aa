"""One word, one meaning: options of all commands, old names of options, public names of all modules."""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT

from bench import cli
from bench.cli import arguments

# Option strings that two commands may describe in different words, each with the reason.
TWO_TEXTS: Mapping[str, str] = {
    "--budget": "of selftest and env it is the time of one part, and belongs to an option that starts it",
    "--instrument": "a gate makes one such launch and takes no number: operations are counted once",
    "--out": "traces are no runs, and lie in a folder of their own",
    "--target": "a gate's is a slowdown, which it must not miss; that of a run is the validation loss it trains for",
    "-k": "selftest has checks where the others have cells",
}
# Options that mean two things, since one of the two is an old name that warns.
OLD_NAMES: Mapping[tuple[str, str], str] = {
    ("run", "--look"): "--instrument",
    ("run", "--no-look"): "--no-instrument",
    ("gate", "--look"): "--instrument",
    **dict.fromkeys((("run", "--target"), ("versions", "--target"), ("confirm", "--target")), "--precision-goal"),
}


def options() -> Iterator[tuple[str, argparse.Action]]:
    """Every option of every command."""
    (commands,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        for action in command._actions:
            if action.option_strings:
                yield name, action


def is_old(action: argparse.Action) -> bool:
    return isinstance(action, arguments._OldName)


def meaning(action: argparse.Action) -> str:
    """What the help says before the first semicolon: conditions and the default may be the command's own."""
    return (action.help or "").partition(";")[0]


def test_an_option_has_one_text() -> None:
    texts: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for command, action in options():
        if not is_old(action):
            for string in action.option_strings:
                texts[string][meaning(action)].append(command)
    differing = {string: dict(by_text) for string, by_text in texts.items() if len(by_text) > 1}
    assert {string: found for string, found in differing.items() if string not in TWO_TEXTS} == {}
    assert set(TWO_TEXTS) <= set(differing), "an exception that is none any more"


def test_an_option_is_one_value() -> None:
    """The same string is the same value, by its name in the program, in all commands; so no word has two meanings."""
    places: dict[str, set[str]] = defaultdict(set)
    for _, action in options():
        if not is_old(action):
            for string in action.option_strings:
                places[string].add(action.dest)
    assert {string: found for string, found in places.items() if len(found) > 1} == {}


def test_old_names_are_those_of_the_list_and_are_not_in_the_help() -> None:
    found = {(command, action.option_strings[0]): action for command, action in options() if is_old(action)}
    assert {key: action._option.option_strings[0] for key, action in found.items()} == dict(OLD_NAMES)
    assert {action.help for action in found.values()} == {argparse.SUPPRESS}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["run", "--look", "5"], ["run", "--instrument", "5"]),
        (["run", "--look"], ["run", "--instrument"]),
        (["run", "--look=0"], ["run", "--no-instrument"]),
        (["run", "--no-look"], ["run", "--no-instrument"]),
        (["gate", "--look", "overhead"], ["gate", "--instrument", "overhead"]),
        (["run", "--target", "0.5%"], ["run", "--precision-goal", "0.5%"]),
        (["versions", ".", ".", "--target", "2%"], ["versions", ".", ".", "--precision-goal", "2%"]),
        (["confirm", "a", "b", "--target", "2%"], ["confirm", "a", "b", "--precision-goal", "2%"]),
    ],
)
def test_an_old_name_does_what_the_new_one_does_and_warns_once(
    old: list[str], new: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments._OldName, "warned", set())
    wanted = vars(cli.parser().parse_args(new))
    assert capsys.readouterr().err == ""
    assert vars(cli.parser().parse_args(old)) == wanted
    assert vars(cli.parser().parse_args(old)) == wanted
    name = next(word for word in old if word.startswith("--")).partition("=")[0]
    assert capsys.readouterr().err == f"bench: {name} is now {OLD_NAMES[old[0], name]}\n"


def test_a_wrong_value_is_told_of_an_old_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words, text in ((["run", "--look", "x"], "argument --look: 'x'"), (["run", "--target", "2"], "'2' is not a")):
        with pytest.raises(SystemExit):
            cli.parser().parse_args(words)
        assert text in capsys.readouterr().err


def test_a_gates_target_is_no_old_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.parser().parse_args(["gate", "--target", "7%"]).target == 0.07
    assert capsys.readouterr().err == ""


# Public names that modules may share by convention. Beside them, `bench` itself has the names of the commands, as the
# face of the modules that do them.
SHARED = {
    "main": "what `python -m` runs",
    "add": "a file of `cli` adds its commands",
    "render": "a format of the report",
    "console": "a format of the report",
    "markdown": "a format of the report",
}


def public_names(path: Path) -> Iterator[str]:
    """Functions, classes and values that a module defines; names with `_` at the front are its own."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def test_no_public_name_is_defined_by_two_modules() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted({*(ROOT / "bench").rglob("*.py")} - {ROOT / "bench" / "__init__.py"}):
        for name in set(public_names(path)):
            places[name].append(str(path.relative_to(ROOT)))
    twice = {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED}
    assert twice == {}
    assert {name for name in SHARED if len(places[name]) < 2} == set(), "an exception that is none any more"
