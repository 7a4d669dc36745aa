"""What a run says while it goes on: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from bench.borders import one_line, terminal
from bench.results.files import discard

BAR_SECONDS = 0.5  # between redraws; each takes the conductor's core, between turns
LINE_SECONDS = 20.0  # between lines where there is no terminal


class StreamProgress:
    """Writes to one stream. Redraws happen between turns, when no arm runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._bar: tqdm[None] | None = None
        self._last = 0.0

    def phase(self, text: str) -> None:
        """A new part of the work."""
        self.note(text)

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.clear()
        self._print(text)
        if self._bar is not None:
            self._bar.refresh()

    def update(self, spent: float, budget: float, text: str) -> None:
        """Where the run stands: seconds spent of at most `budget`, and what runs now."""
        now = time.monotonic()
        if now - self._last < (BAR_SECONDS if self._terminal else LINE_SECONDS):
            return
        self._last = now
        if not self._terminal:
            self._print(f"{spent:4.0f} s of at most {budget:.0f} s: {text}")
            return
        left = max(0, round(budget - spent))
        clock = f"{left // 60}:{left % 60:02d}"
        if self._bar is None:
            # The bar's unit holds the time left: tqdm puts a comma before a postfix.
            form = "{l_bar}{bar}| at most {unit} left"
            # No monitor thread: it would wake up while an arm runs.
            tqdm.monitor_interval = 0
            self._bar = tqdm(
                total=round(budget), bar_format=form, unit=clock, file=self._stream, leave=False, dynamic_ncols=True
            )
        self._bar.n = min(round(spent), round(budget))
        text = one_line(text)
        self._bar.set_description_str(text if len(text) < 50 else "..." + text[-47:], refresh=False)
        self._bar.unit = clock
        self._bar.refresh()

    def _print(self, text: str) -> None:
        # Nobody may be able to read it any more: the terminal is gone, the disk full. What is measured goes on.
        try:
            print(terminal(text), file=self._stream, flush=True)
        except (OSError, ValueError):
            discard(self._stream)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def progress(stream: TextIO) -> Iterator[StreamProgress]:
    """The progress of a run, written to `stream`; closed however the run ends."""
    told = StreamProgress(stream)
    try:
        yield told
    finally:
        told.close()
