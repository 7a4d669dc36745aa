"""Text from outside at every border: one hostile alphabet, and what each sink may never see."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import unicodedata

import matplotlib.figure
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import borders

# Single characters of every harmful kind, and whole hostile pieces, mixed with ordinary text.
PIECES = (
    *("\x00", "\x07", "\x1b]0;title\x07", "\x1b[31m", "\x7f", "\x9b2J", "\u202e", "\u2066", "\ufeff", "\u2028"),
    *("\udc80", "\ud800", "/", "..", "../../etc", "\\", "\n", "\r", "\t", "|", "`", "``", "<img src=x>", "</script>"),
    *("&lt;", "$a^$", "$", r"\$", "=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "{{ 7 * 7 }}", "[x](javascript:y)"),
    *("![x](y)", "_x", "__", "*", "# ", "- ", "1. ", "é", "漢", "🙂", "x" * 300, "", " ", "a", "Z", "9", "origin/main"),
)
hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(), st.text(max_size=3)), max_size=8).map("".join)


@given(hostile)
def test_a_file_name_is_one_safe_name(text: str) -> None:
    name = borders.file_name(text)
    assert name.isascii()
    assert 0 < len(name) <= borders.LONGEST_NAME
    assert not set(name) & set("/\\\0\n")
    assert not name.startswith((".", "-"))
    assert os.path.basename(name) == name


@given(hostile, hostile)
def test_different_texts_have_different_file_names(one: str, other: str) -> None:
    assert (borders.file_name(one) == borders.file_name(other)) == (one == other)


def test_a_file_name_of_another_text_s_digest_is_not_its_own() -> None:
    taken = borders.file_name("a/b")
    assert borders.file_name(taken) != taken


def test_an_ordinary_name_is_kept() -> None:
    assert borders.file_name("torch+lightning") != borders.file_name("torch_lightning")
    assert borders.file_name("fork-server-torch-0") == "fork-server-torch-0"
    assert borders.file_name("overhead[loop=plain,batch_size=64]").startswith("overhead_loop=plain_batch_size=64-")


@given(hostile)
def test_nothing_reaches_a_terminal_that_it_would_obey(text: str) -> None:
    shown = borders.terminal(text)
    kinds = {unicodedata.category(letter) for letter in shown if letter not in "\n\t"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")
    assert "\n" not in borders.one_line(text)


@given(hostile)
def test_plain_text_is_valid_unicode_and_otherwise_untouched(text: str) -> None:
    made = borders.encodable(text)
    made.encode("utf-8")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert made == text


@given(hostile, hostile)
def test_markdown_keeps_its_columns_and_has_no_html(one: str, other: str) -> None:
    row = f"| {borders.markdown_code(one)} | {borders.markdown_text(other)} |"
    assert "\n" not in row
    # But for what keeps GitHub from making formulas, mentions and links of letters, each in a `<span>` of its own.
    assert "<" not in re.sub(r"<span>[^\w<>]</span>", "", row.replace("&lt;", ""))
    bars = [index for index, letter in enumerate(row) if letter == "|" and not _escaped(row, index)]
    assert len(bars) == 3
    assert "](" not in row
    assert "![" not in row


def _escaped(text: str, index: int) -> bool:
    count = 0
    while index > count and text[index - 1 - count] == "\\":
        count += 1
    return count % 2 == 1


@given(st.lists(hostile, min_size=1, max_size=4))
def test_csv_reads_back_and_has_no_formula(texts: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["first", *map(borders.csv_cell, texts)])
    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert len(row) == 1 + len(texts)
    for cell in row[1:]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or math.isfinite(float(cell))


@pytest.mark.parametrize("value", [-1.5, 3, True, None, ""])
def test_csv_leaves_what_is_no_text(value: object) -> None:
    assert borders.csv_cell(value) == value


@given(hostile)
def test_matplotlib_draws_any_text_as_it_is(text: str) -> None:
    figure = matplotlib.figure.Figure()
    shown = figure.text(0, 0, borders.plot(text))
    text_, is_math = shown._preprocess_math(borders.plot(text))
    assert is_math is False
    assert text_.count("$") == borders.one_line(text).count("$")


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), hostile),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile, inner, max_size=3)),
    )
)
def test_json_is_strict_or_refused(value: object) -> None:
    try:
        text = borders.json_text(value)
    except ValueError:
        assert not _finite(value)
        return
    assert _finite(value)
    text.encode("utf-8")
    read = json.loads(text, parse_constant=pytest.fail)
    json.dumps(read, ensure_ascii=False).encode("utf-8")  # fails on a lone surrogate


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list) else True
