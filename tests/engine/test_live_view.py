"""The view of a run on a real pseudo-terminal: drawn in place, of the terminal's width, and gone when the run ends."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import make
from test_progress import Terminal

from bench.engine import progress
from bench.engine.group_state import GroupState, tell_cells
from bench.engine.options import CellProgress, LiveProgress, Options, Quiet, ticks_of
from bench.engine.progress import StreamProgress
from bench.machine.terminal import letter_width, text_width
from bench.plan.cell import Cell, Group

CELLS = [
    CellProgress("overhead[loop=plain]", False, None, 0.01, False),
    CellProgress("overhead[loop=plain]#twin", True, 0.004, 0.01, False),
    CellProgress("overhead[loop=fabric]", True, 0.032, 0.01, False),
    CellProgress("overhead[loop=trainer]", True, None, 0.01, False),
    CellProgress("overhead[loop=gone]", True, 0.5, 0.01, True),
]


class Screen:
    """A pseudo-terminal, and what would stand on it; rows above the window are kept."""

    def __init__(self, columns: int, rows: int = 40) -> None:
        self._main, second = pty.openpty()
        self.resize(columns, rows)
        self.stream: TextIO = os.fdopen(second, "w", encoding="utf-8")
        self.lines: list[list[str]] = [[]]
        self.row = self.column = 0
        self.written = ""

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # nobody may be there any more who reads
            self.stream.close()
        os.close(self._main)

    def read(self) -> list[str]:
        """The lines after all that was written until now."""
        data = b""
        while select.select([self._main], [], [], 0)[0]:
            data += os.read(self._main, 65536)
        text = data.decode()
        self.written += text
        for code, up in re.findall(r"(\x1b\[(\d*)[AKJ]|\r|\n|[^\x1b\r\n]+)", text):
            line = self.lines[self.row]
            if code == "\r":
                self.column = 0
            elif code == "\n":
                self.row += 1
                self.lines += [[] for _ in range(self.row + 1 - len(self.lines))]
            elif code.endswith("A") and code.startswith("\x1b"):
                self.row -= int(up)
                assert self.row >= 0
            elif code == "\x1b[K":
                del line[self.column :]
            elif code == "\x1b[J":
                del line[self.column :], self.lines[self.row + 1 :]
            else:
                self._put(line, code)
        return ["".join(line).rstrip() for line in self.lines]

    def _put(self, line: list[str], text: str) -> None:
        """Letters where the cursor is, a column each, or two."""
        for letter in text:
            if not letter_width(letter):
                if not self.column:
                    continue  # there is no letter for the mark to be upon
                line[self.column - 1 : self.column] = ["".join(line[self.column - 1 : self.column]) + letter]
                continue
            line += [" "] * (self.column - len(line))
            line[self.column : self.column + letter_width(letter)] = [letter, ""][: letter_width(letter)]
            self.column += letter_width(letter)


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen(100)
    yield made
    made.close()


def test_what_runs_what_is_left_and_how_exactly(screen: Screen) -> None:
    with progress.progress(screen.stream) as told:
        told.note("run results/x")
        told.cells(CELLS)
        told.update(45.0, 180.0, "overhead launch 3")
        first, bar, *cells = screen.read()
        assert first == "run results/x"
        assert bar.startswith("overhead launch 3|")
        assert bar.endswith("| at most 2:15 left")
        assert [line.split("  ")[-1].strip() for line in cells[:3]] == [
            "not known yet (goal ±1 %)",
            "±3.2 % (goal ±1 %)",
            "±0.4 % (goal ±1 %)",
        ]
        assert ["trainer" in cells[0], "fabric" in cells[1], "#twin" in cells[2]] == [True] * 3
        assert cells[3] == "  1 of 5 cells done"
        narrower = [*CELLS[:2], CellProgress("overhead[loop=fabric]", True, 0.011, 0.01, False), *CELLS[3:]]
        told.cells(narrower)
        told.update(60.0, 180.0, "overhead launch 4")
        assert len(screen.read()) == 6
        assert "±1.1 %" in "".join(screen.read())
        assert "±3.2 %" not in "".join(screen.read())
    assert screen.read() == ["run results/x", ""]


def test_a_bar_grows_with_the_budget_that_is_spent(screen: Screen) -> None:
    lengths = []
    with progress.progress(screen.stream) as told:
        for spent in (0.0, 60.0, 120.0, 180.0, 240.0):
            told.update(spent, 180.0, "x")
            lengths.append(screen.read()[0].count("█"))
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (0, lengths[-2])
    assert lengths[1] == pytest.approx(lengths[3] / 3, abs=1)


def test_time_that_interpreters_take_is_told(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress(screen.stream) as told:
        told.tick()
        assert screen.read() == [""]
        told.phase("starting 2 interpreters (torch; torch, lightning)")
        now[0] += 75.0
        told.tick()
        assert screen.read() == ["starting 2 interpreters (torch; torch, lightning)", "  1:15 by now"]
        told.update(80.0, 100.0, "x")
        told.phase("starting 1 more set")
        now[0] += 5.0
        told.tick()
        assert screen.read()[-1] == "  0:05 by now; at most 0:15 left"
    lines = Terminal()
    lines.isatty = lambda: False  # type: ignore[method-assign]  # a pipe
    told = StreamProgress(lines)
    told.phase("starting 2 interpreters")
    now[0] += 20.0
    told.tick()
    assert lines.getvalue() == "starting 2 interpreters\n  20 s: starting 2 interpreters\n"


def test_a_pipe_has_plain_lines_with_the_same() -> None:
    lines = Terminal()
    lines.isatty = lambda: False  # type: ignore[method-assign]  # a pipe
    with progress.progress(lines) as told:
        told.cells(CELLS)
        told.update(12.0, 180.0, "overhead launch 1")
    assert lines.getvalue() == (
        "  12 s of at most 180 s: overhead launch 1; 1 of 5 cells done; "
        "widest interval ±3.2 % (goal ±1 %): overhead[loop=fabric]\n"
    )


def test_a_dumb_terminal_has_plain_lines(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with progress.progress(screen.stream) as told:
        told.update(12.0, 180.0, "overhead launch 1")
        told.update(13.0, 180.0, "overhead launch 1")
    assert len(screen.read()) == 3
    assert "\x1b" not in screen.written


NAMES = st.one_of(
    st.text(st.sampled_from("ab日🚀é[]=,\u0301\t\x1b"), min_size=1, max_size=80), st.just("x" * 300), st.just("日" * 90)
)
STEPS = st.one_of(
    st.tuples(st.just("note"), NAMES),
    st.tuples(st.just("phase"), NAMES),
    st.tuples(st.just("update"), NAMES),
    st.tuples(st.just("tick"), st.just("")),
    st.tuples(st.just("resize"), st.integers(40, 200)),
    st.tuples(
        st.just("cells"),
        st.lists(
            st.builds(CellProgress, NAMES, st.booleans(), st.one_of(st.none(), st.floats(1e-9, 1e9)),
                      st.sampled_from([None, 0.01]), st.booleans()),
            max_size=12,
        ),
    ),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=12), st.integers(40, 200), st.integers(6, 30))
def test_whatever_is_told_no_line_is_too_wide_and_nothing_is_left_of_the_view(
    steps: list[tuple[str, object]], columns: int, rows: int
) -> None:
    screen = Screen(columns, rows)
    stays: list[str] = []
    before: list[str] = []
    try:
        with progress.progress(screen.stream) as told:
            for kind, value in steps:
                if kind == "resize":
                    screen.resize(int(str(value)), rows)
                elif kind == "cells":
                    told.cells(value)  # type: ignore[arg-type]  # as the strategy makes it
                elif kind == "tick":
                    told.tick()
                elif kind == "update":
                    told.update(1.0, 10.0, str(value))
                else:
                    line = progress.terminal(str(value)).expandtabs(1)
                    # Marks with no letter before them have no place on a screen.
                    stays.append("".join(itertools.dropwhile(lambda letter: not letter_width(letter), line)))
                    getattr(told, kind)(str(value))
                shown = screen.read()
                assert [line.expandtabs(1) for line in shown[: len(stays)]] == [line.rstrip() for line in stays]
                assert len(shown) - len(stays) <= max(1, rows - 1)
                # What was drawn before the screen got narrower stays until the next draw is due.
                drawn, before = shown != before, shown
                if kind in ("update", "tick") and drawn:
                    assert all(text_width(line) < screen.columns for line in shown[len(stays) :])
        assert [line.expandtabs(1) for line in screen.read()] == [*(line.rstrip() for line in stays), ""]
    finally:
        screen.close()


def interrupted(stream: TextIO) -> None:
    with progress.progress(stream) as told:
        told.cells(CELLS)
        told.update(1.0, 10.0, "x")
        raise KeyboardInterrupt


def test_an_interruption_leaves_the_terminal_as_it_was(screen: Screen) -> None:
    before = termios.tcgetattr(screen.stream.fileno())
    with pytest.raises(KeyboardInterrupt):
        interrupted(screen.stream)
    assert screen.read() == [""]
    assert termios.tcgetattr(screen.stream.fileno()) == before
    assert set(re.findall(r"\x1b\[\d*(\??\w)", screen.written)) <= {"A", "K", "J"}  # no mode was set


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    screen = Screen(80)
    told = StreamProgress(screen.stream)
    told.update(1.0, 10.0, "x")
    os.close(screen._main)
    screen._main = os.open(os.devnull, os.O_RDONLY)
    for _ in range(3):
        told.update(2.0, 10.0, "x")
        told.note("y")
    told.close()
    screen.close()


# What it costs.


@pytest.mark.parametrize("cells", [4, 1000])
def test_the_view_is_drawn_twice_a_second_at_most_and_takes_little(
    cells: int, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.5)
    told = StreamProgress(screen.stream)
    told.cells([CellProgress(f"overhead[loop=x,n={n}]", True, n / 1000, 0.01, False) for n in range(cells)])
    draws, spent, now = 0, 0.0, [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for _ in range(200):  # rounds of 0.1 s
        now[0] += 0.1
        began = time.process_time()
        told.update(now[0], 180.0, "overhead launch 1")
        spent += time.process_time() - began
        screen.read()
    draws = screen.written.count("at most")
    assert 35 <= draws <= 41
    assert spent < 0.01 * now[0]  # of the conductor's time; 0.02 % and 0.4 % were seen


# What the conductor tells.


def group(count: int) -> Group:
    made = make(launches=2)
    first = made.records[0]
    cells = [
        Cell(f"s[x={n}]", "s", "s[]", dict(first.point), False, "s[x=0]", unsupported="no" if n == count - 1 else "")
        for n in range(count)
    ]
    return Group("s[]", "s", tuple(cells))


class Told(Quiet):
    def __init__(self) -> None:
        self.found: list[CellProgress] = []
        self.ticks = 0

    def cells(self, cells: list[CellProgress]) -> None:
        self.found = cells

    def tick(self) -> None:
        self.ticks += 1


def test_the_conductor_tells_how_far_each_cell_is() -> None:
    told, own = Told(), group(4)
    state = GroupState(own, list(own.runnable))
    state.half_widths = {"s[x=1]": 0.02, "s[x=2]": None}
    tell_cells(told, [state], options=Options(precision_goal=0.03))
    assert [(one.name, one.compared, one.half_width, one.goal, one.done) for one in told.found] == [
        ("s[x=0]", False, None, 0.03, False),
        ("s[x=1]", True, 0.02, 0.03, False),
        ("s[x=2]", True, None, 0.03, False),
        ("s[x=3]", True, None, 0.03, True),  # it cannot run here
    ]
    state.cells.pop()  # one that has failed
    tell_cells(told, [state], options=Options(until="trainer < 5%"))
    assert [one.done for one in told.found] == [False, False, True, True]
    assert {one.goal for one in told.found} == {None}  # it is not the precision that ends it
    state.stop = "precision"
    tell_cells(told, [state], options=Options())
    assert all(one.done for one in told.found)


def test_who_has_no_use_for_it_is_told_nothing() -> None:
    assert not isinstance(Quiet(), LiveProgress)
    assert isinstance(StreamProgress(Terminal()), LiveProgress)
    state = GroupState(group(2), [])
    tell_cells(Quiet(), [state], options=Options())
    ticks_of(Quiet())()
    told = Told()
    ticks_of(told)()
    assert told.ticks == 1
