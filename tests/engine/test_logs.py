"""Logs: last words, and how much of them is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.engine.logs import KEPT_BYTES, last_words, shorten

FATAL = """\
step 3
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/lib/ctypes/__init__.py", line 519 in string_at
  File "/home/me/train.py", line 12 in <module>

Extension modules: numpy._core, torch._C (total: 31)
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("one\n\n  two  \n\n", "two"),
        (FATAL, 'Segmentation fault File "/lib/ctypes/__init__.py", line 519 in string_at'),
        (FATAL + "said after it\n", "said after it"),
        ("Extension modules: torch._C (total: 1)\n", "Extension modules: torch._C (total: 1)"),
    ],
)
def test_last_words_are_the_last_line_or_what_a_signal_ended(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log").write_text(text)
    assert last_words(tmp_path / "log") == words


def test_the_middle_is_taken_out_of_a_log_that_is_written_to_and_what_comes_later_is_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, b"begin" + b"x" * 5 * KEPT_BYTES + b"end")
        assert shorten(log, 6 * KEPT_BYTES) == 0
        assert shorten(log, 4 * KEPT_BYTES) == 3 * KEPT_BYTES + 8
        os.write(descriptor, b" and more")
    finally:
        os.close(descriptor)
    text = log.read_bytes()
    assert text.startswith(b"beginx")
    assert text.endswith(b"xend and more")
    assert 2 * KEPT_BYTES < len(text) < 2 * KEPT_BYTES + 200
    assert b"bench took 3145736 bytes out of the middle" in text
