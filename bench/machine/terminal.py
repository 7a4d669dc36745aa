"""The terminal that one writes to: how wide it is, how wide a text is on it, and whether it takes colour."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Mapping
from typing import TextIO

# Widths that lines are laid out for. Without a terminal, as in a file or in CI, it is the one that most terminals of
# today have room for; narrower than LEAST no figure with its interval fits, and wider than MOST no row is followed.
USUAL, LEAST, MOST = 120, 40, 200

_EMOJI = "\ufe0f"  # asks for the picture of the sign before it, which is two columns wide


def terminal_width() -> int:
    """Columns of a line: what COLUMNS says, else the terminal that standard output is, else USUAL."""
    return max(LEAST, min(MOST, shutil.get_terminal_size((USUAL, 0)).columns))


def letter_width(letter: str) -> int:
    """Columns that a letter takes: 2 of East Asian wide ones and pictures, 0 of marks upon the letter before."""
    if letter.isascii():
        return 1
    if unicodedata.category(letter) in ("Mn", "Me") or "\u1160" <= letter <= "\u11ff":  # Hangul vowels and finals
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def text_width(text: str) -> int:
    """Columns that a line takes. Control and format characters are not in it: `borders.terminal` wrote them out."""
    if text.isascii():
        return len(text)
    widths = [letter_width(letter) for letter in text]
    for place, letter in enumerate(text):
        if letter == _EMOJI and place and not text[place - 1].isascii() and widths[place - 1] == 1:
            widths[place - 1] = 2
    return sum(widths)


def split_at_width(text: str, width: int) -> tuple[str, str]:
    """The text in two: as many letters as `width` columns have room for, one at least, and the rest."""
    taken, end = 0, 0
    while end < len(text):
        letter = text[end]
        more = letter_width(letter)
        if more == 1 and not letter.isascii() and text[end + 1 : end + 2] == _EMOJI:
            more = 2
        if end and taken + more > width:
            break
        taken, end = taken + more, end + 1
    return text[:end], text[end:]


def takes_colour(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether colour is written to a stream. The first of these that is so decides (docs/terminal.md):

    NO_COLOR says anything: no. FORCE_COLOR says anything: yes. CLICOLOR_FORCE says anything but 0: yes. TERM is dumb:
    no. CLICOLOR is 0: no. Else where the stream is a terminal.
    """
    said = os.environ if environ is None else environ
    if said.get("NO_COLOR"):
        return False
    if said.get("FORCE_COLOR") or said.get("CLICOLOR_FORCE", "") not in ("", "0"):
        return True
    if said.get("TERM") == "dumb" or said.get("CLICOLOR") == "0":
        return False
    return stream.isatty()
