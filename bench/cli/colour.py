"""Colour upon what is printed. The text has said it all before: colour repeats it, and is never needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RESET = "\x1b[0m"
_GOOD, _BAD, _DOUBTFUL, _TITLE = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m"

# Outcomes of cells, verdicts of gates, words of checks.
PAINTED_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("ok", "pass", "improvement"), _GOOD),
    **dict.fromkeys(
        ("crashed", "oom", "timeout", "internal", "unequal-work", "unequal-settings", "regression", "invalid"), _BAD
    ),
    **dict.fromkeys(("FAILED", "MISSED"), _BAD),
    **dict.fromkeys(("noisy", "drifting", "downgraded", "unsupported", "void", "inconclusive", "suspected"), _DOUBTFUL),
}
# As an entry of a table or a part of a sentence: between two spaces, a colon, or the ends of a line.
_WORD = re.compile(rf"(?:(?<=  )|(?<=: )|(?<=^))({'|'.join(map(re.escape, PAINTED_WORDS))})(?=  |:|;|,|$)")
_HEADER = re.compile(r"\s+outcome(  .*)?")


def paint(text: str) -> str:
    """The text with colour upon titles, outcomes and verdicts; without it, it is the same letter by letter."""
    return "\n".join(map(_paint_line, text.split("\n")))


def _paint_line(line: str) -> str:
    if (line.endswith(":") and line[0] not in " -") or _HEADER.fullmatch(line):
        return f"{_TITLE}{line}{_RESET}"
    if line.startswith("usage:"):
        return f"{_TITLE}usage:{_RESET}{line.removeprefix('usage:')}"
    return _WORD.sub(lambda found: f"{PAINTED_WORDS[found[1]]}{found[1]}{_RESET}", line)
