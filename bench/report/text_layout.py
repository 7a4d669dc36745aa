"""Text for a terminal: tables whose columns line up, and sentences in lines of the terminal's width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Sequence

from bench.borders import one_line
from bench.report.units import unbreakable

# Widths that lines are laid out for. Without a terminal, as in a file or in CI, it is the one that most terminals of
# today have room for; narrower than LEAST no table is readable, and wider than MOST no sentence is.
USUAL, LEAST, MOST = 120, 80, 160
FEWEST_COLUMNS = 3


def terminal_width() -> int:
    """Characters in a line: of the terminal (COLUMNS, or what it says itself), or USUAL where there is none."""
    return max(LEAST, min(MOST, shutil.get_terminal_size((USUAL, 0)).columns))


def wrap_text(text: str, start: str = "") -> list[str]:
    """The text in lines of the terminal's width, those after the first indented; quantities are not torn apart."""
    lines = textwrap.wrap(
        unbreakable(one_line(text)),
        terminal_width(),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]


def titled_list(title: str, sentences: Sequence[str]) -> list[str]:
    """A list of sentences below their title, and an empty line; nothing where there are none."""
    if not sentences:
        return []
    return [*wrap_text(title), *(line for text in sentences for line in wrap_text(text, "  - ")), ""]


def cut(text: str) -> str:
    """The text on one line, not longer than the terminal is wide."""
    return one_line(text)[: terminal_width()]


def align_rows(table: Sequence[Sequence[str]], *, left: Collection[int] = (0,)) -> list[str]:
    """The rows of a table, indented, with columns that line up.

    Where they do not fit into the terminal, the last columns are left out, down to FEWEST_COLUMNS; so the most telling
    ones come first.

    Args:
        left: the columns that are flush left; all others, being figures, are flush right.
    """
    rows = [[one_line(text) for text in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while len(widths) > FEWEST_COLUMNS and 2 * len(widths) + sum(widths) > terminal_width():
        widths.pop()
    lines = [
        "  ".join(
            text.ljust(width) if index in left else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in rows
    ]
    return [f"  {line}"[: terminal_width()].rstrip() for line in lines]
