"""How wide texts are on a terminal, and whether it takes colour: the page's table, row by row."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.borders import one_line
from bench.machine.terminal import LEAST, MOST, USUAL, split_at_width, takes_colour, terminal_width, text_width

PAGE = ROOT / "docs" / "terminal.md"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("trainer", 7),
        ("431 µs ±1", 9),
        ("日本語", 6),
        ("ｱｲｳ", 3),  # half-width
        ("한국어", 6),
        ("\u1112\u1161\u11ab", 2),  # the same syllable in three letters
        ("é", 1),
        ("e\u0301", 1),
        ("🚀", 2),
        ("⚠", 1),
        ("⚠\ufe0f", 2),
        ("a🚀b", 4),
        ("مرحبا", 5),
        ("－", 2),
    ],
)
def test_columns_of_a_text(text: str, columns: int) -> None:
    assert text_width(text) == columns


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(1, 30))
def test_a_text_is_split_where_the_columns_end(text: str, width: int) -> None:
    text = one_line(text)
    begin, rest = split_at_width(text, width)
    assert begin + rest == text
    assert begin or not text
    assert text_width(begin) <= max(width, 2)  # of one letter that is wider than all there is, there is no half
    if len(begin) > 1:
        assert text_width(begin) <= width


@pytest.mark.parametrize(
    ("said", "columns"),
    [("", USUAL), ("0", USUAL), ("x", USUAL), ("1", LEAST), ("40", 40), ("133", 133), ("999", MOST)],
)
def test_the_width_is_what_columns_says(said: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert terminal_width() == columns


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def rows() -> Iterator[tuple[dict[str, str], str, str]]:
    """The page's table: what is set, and whether a terminal and a pipe get colour."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[1] in ("colour", "plain"):
            yield dict(re.findall(r"`(\w+)=([^`]*)`", cells[0])), cells[1], cells[2]


@pytest.mark.parametrize(("environ", "terminal", "pipe"), list(rows()), ids=str)
def test_colour_is_as_the_page_says(environ: dict[str, str], terminal: str, pipe: str) -> None:
    for is_terminal, wanted in ((True, terminal), (False, pipe)):
        assert takes_colour(Stream(is_terminal), environ) == (wanted == "colour"), (environ, is_terminal)


def test_the_page_has_every_variable_and_pairs_of_them() -> None:
    told = [environ for environ, _, _ in rows()]
    assert len(told) >= 12
    names = {name for environ in told for name in environ}
    assert names == {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"}
    assert {} in told
    assert {frozenset(environ) for environ in told} >= {
        frozenset({"NO_COLOR", "FORCE_COLOR"}),
        frozenset({"FORCE_COLOR", "TERM"}),
        frozenset({"CLICOLOR", "CLICOLOR_FORCE"}),
    }


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(["", "0", "1", "dumb"]) for name in (
    "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM")}), st.booleans())  # fmt: skip
def test_who_wants_no_colour_gets_none_whatever_else_is_set(environ: dict[str, str], terminal: bool) -> None:
    found = takes_colour(Stream(terminal), environ)
    if environ.get("NO_COLOR"):
        assert not found
    if not terminal and not environ.get("FORCE_COLOR") and environ.get("CLICOLOR_FORCE") in (None, "", "0"):
        assert not found
