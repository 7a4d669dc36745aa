"""The command line's words: what an option takes, and that none takes an empty one."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator

import pytest

from bench.cli import parser
from bench.errors import SpecError
from bench.plan.settings import parse_value
from bench.plan.suite import Suite

PARSER = parser()
BLANKS = ("", " ", "\t", "\n", "\u00a0", "\u2003", " \t ", "\u2003\n\u00a0")


def commands() -> dict[str, argparse.ArgumentParser]:
    return next(dict(action.choices) for action in PARSER._actions if isinstance(action, argparse._SubParsersAction))


def taking_a_value() -> Iterator[tuple[str, argparse.Action, list[str]]]:
    """Each option and word of each command that takes a value, and what stands before it on the command line."""
    for name, command in commands().items():
        before: list[str] = []
        for action in command._actions:
            if action.nargs == 0:
                continue
            if action.option_strings:
                yield name, action, [action.option_strings[-1]]
            else:
                yield name, action, list(before)
                before.append(next(iter(action.choices)) if action.choices else "x")


@pytest.mark.parametrize(
    ("command", "action", "before"),
    [pytest.param(*case, id=f"{case[0]} {case[1].dest}") for case in taking_a_value()],
)
def test_no_option_takes_an_empty_value(command: str, action: argparse.Action, before: list[str]) -> None:
    for blank in BLANKS:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as left:
            PARSER.parse_args([command, *before, blank])
        assert left.value.code == 2
        message = said.getvalue().replace("\n\t", " ")
        # Thing, value, what is allowed.
        assert f"argument {argparse._get_action_name(action)}: {blank!r}" in message
        assert "allowed: " in message


def test_there_are_options_to_be_asked() -> None:
    asked = {(command, action.dest) for command, action, _ in taking_a_value()}
    assert {("gate", "against"), ("versions", "sides"), ("run", "out"), ("baseline", "name")} <= asked
    assert len(asked) > 60


def test_words_that_say_something_are_taken_as_they_are() -> None:
    arguments = parser().parse_args(["gate", "power", "--against", " origin/main", "--seed", "-3", "--out", "a b"])
    assert (arguments.suites, arguments.against, arguments.seed, str(arguments.out)) == (
        ["power"],
        " origin/main",
        -3,
        "a b",
    )


@pytest.mark.parametrize("text", ["", " "])
def test_an_axis_takes_no_empty_value(text: str) -> None:
    suite = Suite(
        name="free",
        title="an axis of any text",
        axes={"note": ("none", "more")},
        compare="note",
        baseline="none",
        choices={},
        build=lambda point: None,  # nothing is built
    )
    with pytest.raises(SpecError, match=r"axis 'note': .* is empty; allowed: a value"):
        parse_value(suite, "note", text)
