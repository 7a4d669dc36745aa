"""Tables and sentences in every width from 40 to 200: no line is wider, nothing is lost, and what matters is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthetic import make

from bench.analysis.summary import Summary, summarize
from bench.borders import one_line
from bench.machine.terminal import LEAST, MOST, text_width
from bench.report import console, tables
from bench.report.text_layout import (
    LONGEST_SENTENCE,
    align_groups,
    align_rows,
    definitions,
    fold_lines,
    lay_out,
    titled_list,
    wrap_text,
)

WIDTHS = st.integers(LEAST, MOST)
# Letters of one column and of two, marks upon letters, pictures in two code points, and what breaks lines.
TEXTS = st.text(st.sampled_from("ab µ日한🚀\u0301\u00a0-[]=,⚠\ufe0f1 "), max_size=60)
NAMES = st.one_of(TEXTS, st.sampled_from(["x" * 300, "日本" * 90, "trainer-barebones", ""]))


@contextlib.contextmanager
def columns(number: int) -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(number)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def letters(text: str) -> str:
    """Without the spaces that a layout may put anywhere."""
    return "".join(text.split())


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["", "  - ", "* "]), WIDTHS)
@example("x" * 500, "  - ", 40)
@example("1.234 [1.200, 1.270] and 12 ms", "", 40)
def test_a_sentence_is_in_lines_of_the_width_and_whole(text: str, start: str, width: int) -> None:
    with columns(width):
        lines = wrap_text(text, start)
    assert all(text_width(line) <= min(width, LONGEST_SENTENCE) for line in lines)
    told = letters("".join(lines))
    assert told == letters(start + one_line(text)) or (not one_line(text) and not lines)
    if len(lines) > 1 and start:
        assert all(line.startswith(" " * len(start)) for line in lines[1:])


def test_a_quantity_is_not_torn_apart() -> None:
    with columns(40):
        for pad in range(40):
            text = " ".join([*(["a"] * pad), "1.234 [1.200, 1.270]", "12 ms"])
            lines = wrap_text(text)
            assert any("[1.200, 1.270]" in line for line in lines)
            assert any("12 ms" in line for line in lines)


@settings(deadline=None)
@given(
    st.integers(2, 7).flatmap(lambda n: st.lists(st.lists(NAMES, min_size=n, max_size=n), min_size=2, max_size=5)),
    WIDTHS,
    st.booleans(),
)
def test_a_table_is_in_lines_of_the_width_and_says_what_it_leaves_out(
    table: list[list[str]], width: int, headed: bool
) -> None:
    keep = (0, 1)
    with columns(width):
        laid = lay_out(table, left=(0, 2), keep=keep, headed=headed)
        lines = align_rows(table, left=(0, 2), keep=keep, headed=headed)
    assert lines == [*laid.header, *(line for row in laid.rows for line in row), *laid.note]
    assert all(text_width(line) <= width for line in lines)
    assert len(laid.rows) == len(table) - headed
    told = letters(" ".join(laid.note))
    for row, own in zip(table[headed:], laid.rows, strict=True):
        shown = letters("".join(own))
        for number, text in enumerate(row):
            whole = sorted(letters(one_line(text)))
            there = all(shown.count(letter) >= whole.count(letter) for letter in set(whole))
            assert there or (headed and number not in keep and letters(one_line(table[0][number])) in told)


def test_columns_go_in_the_order_that_is_asked_for() -> None:
    table = [["", "first", "second", "third"], ["name", "1" * 20, "2" * 20, "3" * 20]]
    for width, gone in ((80, ()), (70, ("second",)), (49, ("first", "second"))):
        with columns(width):
            lines = align_rows(table, keep=(0, 3))
            laid = lay_out(table, keep=(0, 3), drop=(2, 1), elsewhere="--format csv")
        assert [name in laid.header[0] for name in table[0][1:]] == [name not in gone for name in table[0][1:]]
        if gone:
            assert (
                " ".join(" ".join(laid.note).split())
                == f"no room in {width} columns: {', '.join(gone)}; --format csv has all"
            )
        assert "3" * 20 in "".join(lines)
    with columns(40):
        assert lay_out([*table, ["n" * 18, "", "", "3" * 30]], keep=(0, 3)).header == []  # rows are blocks
        blocks = align_rows([*table, ["n" * 18, "", "", "3" * 30]], keep=(0, 3))
    assert blocks[0] == "  name"
    assert blocks[1].split() == ["first", "1" * 20]


def test_a_long_name_is_broken_and_the_figures_stay_in_line() -> None:
    with columns(60):
        lines = align_rows([["", "ratio"], ["n" * 100, "1.000"], ["m", "22.000"]])
    assert [line.rstrip()[-5:] for line in lines if line.rstrip().endswith(("0", "ratio"))] == [
        "ratio",
        "1.000",
        "2.000",
    ]
    assert len({text_width(line) for line in lines if line.endswith(("0", "ratio"))}) == 1
    assert letters("".join(lines)).count("n") == 100


@settings(deadline=None)
@given(st.dictionaries(NAMES, TEXTS, max_size=4), WIDTHS)
def test_definitions_are_in_lines_of_the_width_and_whole(told: dict[str, str], width: int) -> None:
    with columns(width):
        lines = definitions(told.items())
    assert all(text_width(line) <= width for line in lines)
    wanted = letters("".join(one_line(part) for pair in told.items() for part in pair))
    assert sorted(letters("".join(lines))) == sorted(wanted)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4), WIDTHS)
def test_folding_keeps_every_word_and_long_ones_whole(lines: list[str], width: int) -> None:
    text = "\n".join(one_line(line) for line in lines)
    with columns(width):
        folded = fold_lines(text)
    assert folded.split() == text.split()
    for line in folded.split("\n"):
        assert (
            text_width(line) <= width or len(line.split()) <= 1 or any(text_width(w) > width - 10 for w in line.split())
        )


def test_what_fits_is_not_folded() -> None:
    text = "a  b   c\n\n    d  e\n"
    assert fold_lines(text) == text
    for told in ("its page: bench report ", "to go on: bench run --resume "):
        with columns(40):
            assert fold_lines(f"{told}{'x' * 60}") == f"{told}{'x' * 60}"
    with columns(40):
        assert fold_lines(f"key  {'v' * 20} {'w' * 20}") == f"key  {'v' * 20}\n    {'w' * 20}"


def test_groups_share_one_table() -> None:
    with columns(80):
        lines = align_groups(["", "x"], {"one": [["a", "1"]], "two": [["bbbb", "22"]]}, space=True)
    assert lines == ["         x", "one", "  a      1", "", "two", "  bbbb  22", ""]
    assert titled_list("T:", []) == []


# The table of a run.

FAILED = {("trainer", 32, 1): ("crashed", "why"), ("fabric", 256, -1): ("unsupported", "no")}


@cache
def summary(kind: str) -> Summary:
    return summarize(make(launches=3, failures=FAILED if kind == "failed" else {}, instrument=1))


@pytest.mark.parametrize("width", range(LEAST, MOST + 1))
def test_the_table_of_a_run_has_name_outcome_and_ratio_in_every_width(width: int) -> None:
    for kind in ("whole", "failed"):
        found = summary(kind)
        with columns(width):
            text = console.render(found)
        assert max(map(text_width, text.splitlines())) <= width
        lines, at = text.splitlines(), 0
        for group, own in tables.by_group(tables.cell_rows(found)).items():
            assert letters(group) in letters(text)
            for row in own:
                name = f"{row.cell.point['loop']}{' (twin)' if row.cell.twin else ''}"
                at = next(n for n in range(at, len(lines)) if lines[n].startswith(f"  {name}")) + 1
                block = [lines[at - 1]]
                while lines[at].startswith("    "):  # below what fits, a row is a block
                    block.append(lines[at])
                    at += 1
                told = " ".join(" ".join(block).split())
                assert row.cell.outcome in told
                assert row.entries["ratio"].text in told
        if width >= 140:
            assert "no room" not in text
