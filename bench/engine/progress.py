"""What a run says while it goes on: a view that is drawn anew in place on a terminal, plain lines elsewhere.

It is drawn between rounds, when no arm runs, and while interpreters start; twice a second at most. Nothing else of it
goes on: no thread, no signal, no hidden cursor that somebody would have to bring back.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm
from tqdm.utils import _supports_unicode

from bench.borders import one_line, terminal
from bench.engine.options import CellProgress
from bench.machine.terminal import split_at_width, text_width
from bench.results.files import discard

BAR_SECONDS = 0.5  # between redraws; each takes the conductor's core, between turns
LINE_SECONDS = 20.0  # between lines where there is no terminal
SHOWN_CELLS = 8  # lines of cells, at most: those whose intervals are the widest
NARROWEST = 20  # columns of a terminal for which anything is drawn


class StreamProgress:
    """Writes to one stream. Redraws happen between turns, when no arm runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._last = 0.0
        self._drawn: list[str] = []  # lines that are on the terminal now, below what stays
        self._cells: Sequence[CellProgress] = ()
        self._phase = ""  # what goes on where no turns do, and since when
        self._since = 0.0
        self._spent, self._budget, self._at = 0.0, 0.0, 0.0  # where the run stood, and when that was

    def phase(self, text: str) -> None:
        """A new part of the work."""
        self._phase, self._since = text, time.monotonic()
        self.note(text)

    def note(self, text: str) -> None:
        """A line that stays."""
        lines = self._drawn
        self._clear()
        self._print(text)
        if lines:
            self._draw(lines)

    def cells(self, cells: Sequence[CellProgress]) -> None:
        """How far each cell is; drawn with the next update."""
        self._cells = cells

    def update(self, spent: float, budget: float, text: str) -> None:
        """Where the run stands: seconds spent of at most `budget`, and what runs now."""
        self._phase = ""
        self._spent, self._budget, self._at = spent, budget, time.monotonic()
        if not self._is_due():
            return
        if not self._terminal:
            self._print(f"{spent:4.0f} s of at most {budget:.0f} s: {text}{self._summary()}")
            return
        self._draw([self._bar(text, self._size()[0]), *self._cell_lines()])

    def tick(self) -> None:
        """Time goes by in a phase: say for how long by now."""
        if not self._phase or not self._is_due():
            return
        took = time.monotonic() - self._since
        if not self._terminal:
            self._print(f"{took:4.0f} s: {self._phase}")
            return
        told = f"  {_clock(took)} by now"
        if self._budget:
            told += f"; at most {_clock(self._budget - self._spent - (time.monotonic() - self._at))} left"
        self._draw([told, *self._cell_lines()])

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < (BAR_SECONDS if self._terminal else LINE_SECONDS):
            return False
        self._last = now
        return True

    def _bar(self, text: str, width: int) -> str:
        """The first line: what runs, a bar of the budget, and the time left."""
        left = f"at most {_clock(self._budget - self._spent)} left"
        told = _shorten(text, max(10, width - text_width(left) - 16))
        room = width - text_width(told) - 1
        if room < text_width(left) + 6:
            return _shorten(f"{told} {left}", width)
        total = max(1, round(self._budget))
        bar: str = tqdm.format_meter(
            n=min(round(self._spent), total),
            total=total,
            elapsed=self._spent,
            ncols=room,
            ascii=not _supports_unicode(self._stream),
            bar_format=f"{{bar}}| {left}",
        )
        return f"{told}|{bar}"

    def _cell_lines(self) -> list[str]:
        """A line for each cell that is compared and not done, the widest interval first, and one on all of them."""
        width, height = self._size()
        if not self._cells:
            return []
        waiting = [one for one in self._cells if not one.done and one.compared]
        waiting.sort(key=lambda one: -(float("inf") if one.half_width is None else one.half_width))
        shown = waiting[: max(0, min(SHOWN_CELLS, height - 4))]
        told = [_interval(one) for one in shown]
        names = max((text_width(one_line(one.name)) for one in shown), default=0)
        room = min(names, width - 4 - max(map(text_width, told), default=0))
        lines = []
        for one, text in zip(shown, told, strict=True):
            name = _shorten(one.name, max(8, room))
            lines.append(_shorten_end(f"  {name}{' ' * (room - text_width(name))}  {text}", width))
        done = sum(one.done for one in self._cells)
        more = f", {len(waiting) - len(shown)} more with narrower ones" if len(waiting) > len(shown) else ""
        lines.append(_shorten_end(f"  {done} of {len(self._cells)} cells done{more}", width))
        return lines

    def _summary(self) -> str:
        """The cells in half a line."""
        if not self._cells:
            return ""
        done = sum(one.done for one in self._cells)
        widths = [one for one in self._cells if one.half_width is not None and not one.done]
        widest = max(widths, key=lambda one: one.half_width or 0.0, default=None)
        told = "" if widest is None else f"; widest interval {_interval(widest)}: {widest.name}"
        return f"; {done} of {len(self._cells)} cells done{told}"

    def _size(self) -> tuple[int, int]:
        """Columns that are used, one less than there are, as some terminals break a full line; and rows."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, rows = shutil.get_terminal_size()
        return max(NARROWEST, (columns or 80) - 1), rows or 24

    def _draw(self, lines: Sequence[str]) -> None:
        """Put these lines where the last ones are; one write, so that nothing flickers."""
        own = [terminal(line) for line in lines]
        self._write(f"{self._home()}{chr(10).join(f'{line}{CLEAR_LINE}' for line in own)}{CLEAR_BELOW}")
        self._drawn = list(lines)

    def _clear(self) -> None:
        if self._drawn:
            self._write(f"{self._home()}{CLEAR_BELOW}")
            self._drawn = []

    def _home(self) -> str:
        """To the first of the lines that were drawn. Rows above them that a narrower window has made are left alone."""
        up = len(self._drawn) - 1
        return f"\r\x1b[{up}A" if up > 0 else "\r"

    def _print(self, text: str) -> None:
        self._write(f"{terminal(text)}\n")

    def _write(self, text: str) -> None:
        # Nobody may be able to read it any more: the terminal is gone, the disk full. What is measured goes on.
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            discard(self._stream)

    def close(self) -> None:
        self._clear()


CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"  # from the cursor on; ECMA-48's EL and ED, which all terminals have


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def _interval(one: CellProgress) -> str:
    """How exactly its ratio is known, and how exactly it is to be."""
    if one.half_width is None:
        known = "not known yet"
    else:
        known = f"±{100 * one.half_width:.2g} %" if one.half_width < 1 else "over ±100 %"
    return f"{known} (goal ±{100 * one.goal:.2g} %)" if one.goal is not None else known


def _shorten(text: str, width: int) -> str:
    """The text in so many columns; where it is longer, its ends, which tell names apart, about three dots."""
    text = one_line(text)
    wide = text_width(text)
    if wide <= width:
        return text
    begin, _ = split_at_width(text, max(1, (width - 3) // 2))
    _, end = split_at_width(text, max(1, wide - (width - 3 - text_width(begin))))
    while text_width(end) > width - 3 - text_width(begin):  # a wide letter was cut before its half
        end = end[1:]
    return f"{begin}...{end}"


def _shorten_end(text: str, width: int) -> str:
    """The text in so many columns, without its end where it is longer."""
    return text if text_width(text) <= width else f"{split_at_width(text, max(1, width - 3))[0]}..."


@contextmanager
def progress(stream: TextIO) -> Iterator[StreamProgress]:
    """The progress of a run, written to `stream`; closed however the run ends."""
    told = StreamProgress(stream)
    try:
        yield told
    finally:
        told.close()
