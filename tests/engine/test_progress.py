"""What a run says: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from bench.engine import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)


def test_plain_lines_without_a_terminal() -> None:
    stream = io.StringIO()
    with progress.progress(stream) as told:
        told.phase("starting")
        told.update(12.0, 180.0, "overhead launch 1")
    assert stream.getvalue() == "starting\n  12 s of at most 180 s: overhead launch 1\n"


def test_a_bar_with_the_time_left_on_a_terminal() -> None:
    stream = Terminal()
    with progress.progress(stream) as told:
        told.update(45.0, 180.0, "overhead launch 3")
        told.note("a cell crashed")
        told.update(60.0, 180.0, "overhead launch 4")
    text = stream.getvalue()
    assert "at most 2:15 left" in text
    assert "at most 2:00 left" in text
    assert "a cell crashed\n" in text


def test_a_line_is_not_drawn_more_often_than_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 60.0)
    stream = io.StringIO()
    with progress.progress(stream) as told:
        for second in range(100):
            told.update(float(second), 180.0, "overhead")
    assert stream.getvalue().count("\n") <= 1
