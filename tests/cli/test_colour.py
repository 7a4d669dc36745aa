"""Colour repeats what the words say: without it, every text is the same letter by letter."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import ROOT
from histories import save
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make

from bench import cli
from bench.cli.colour import PAINTED_WORDS, paint
from bench.commands.endings import CODES
from bench.machine.terminal import text_width
from bench.results.record import OUTCOMES

SGR = re.compile(r"\x1b\[\d*m")
LINES = st.lists(
    st.sampled_from([*PAINTED_WORDS, "  ", ": ", "name", "Not ok:", "usage: x", "1.0", "-", "outcome", "\n"])
)


@settings(deadline=None)
@given(st.one_of(LINES.map("".join), st.text()))
def test_paint_changes_no_letter_and_no_line(text: str) -> None:
    text = text.replace("\x1b", "")
    painted = paint(text)
    assert SGR.sub("", painted) == text
    assert painted.count("\n") == text.count("\n")
    for line in painted.split("\n"):  # a line that is cut off leaves no colour behind
        found = SGR.findall(line)
        assert found[1::2] == ["\x1b[0m"] * (len(found) // 2)
        assert len(found) % 2 == 0


@pytest.mark.parametrize(
    "word", [*OUTCOMES, *(word for word in CODES if word not in ("done", "failed", "interrupted"))]
)
def test_every_outcome_and_verdict_has_a_colour(word: str) -> None:
    assert word in PAINTED_WORDS
    for line in (f"  trainer  {word}  1.0", f"  trainer  {word}", f"  - cell: {word}: why", f"gate: {word}"):
        assert f"\x1b[{PAINTED_WORDS[word][2:]}{word}\x1b[0m" in paint(line)


def test_a_word_within_a_sentence_is_left_alone() -> None:
    for line in ("it is ok to stop", "a regression of 3 %", "book  tokens", "  look-ok"):
        assert paint(line) == line


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coloured")
    save(make(launches=3, failures={("trainer", 32, 1): ("crashed", "why")}), folder)
    return folder


def shown(
    words: list[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.exit_code(words) == 0
    return capsys.readouterr().out


def test_a_table_in_colour_says_what_a_plain_one_says(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["show", "--out", str(out)], ["run", "--help"]):
        plain = shown(words, {}, monkeypatch, capsys)
        coloured = shown(words, {"FORCE_COLOR": "1"}, monkeypatch, capsys)
        assert "\x1b" not in plain
        assert SGR.sub("", coloured) == plain
        assert shown(words, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, monkeypatch, capsys) == plain
    assert "\x1b[31mcrashed\x1b[0m" in shown(["show", "--out", str(out)], {"CLICOLOR_FORCE": "1"}, monkeypatch, capsys)


def test_what_programs_read_never_has_colour(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for format_ in ("csv", "md", "json"):
        words = ["show", "--format", format_, "--out", str(out)]
        assert "\x1b" not in shown(words, {"FORCE_COLOR": "1"}, monkeypatch, capsys)


def test_on_a_real_terminal_lines_have_its_width_and_colour() -> None:
    main, second = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 63, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    with os.fdopen(second, "wb") as terminal:
        done = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", "--help"], stdout=terminal, stderr=terminal,
            stdin=subprocess.DEVNULL, cwd=ROOT, env={**kept, "TERM": "xterm", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    said = b""
    with contextlib.suppress(OSError):  # it has ended
        while part := os.read(main, 65536):
            said += part
    os.close(main)
    assert done.wait(30) == 0
    text = said.decode().replace("\r\n", "\n")
    plain = SGR.sub("", text)
    assert plain != text
    assert 55 <= max(map(text_width, plain.splitlines())) <= 63
    assert "\x1b[1mexit codes:\x1b[0m" in text
