"""How a command can end, and its exit code: the only place where a code is given a meaning. Pure.

A code is earned: a command says in a word how it ended, and everything that was not foreseen ends with UNFORESEEN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EndingWord = Literal["done", "pass", "improvement", "regression", "failed", "invalid", "inconclusive", "interrupted"]

CODES: Mapping[EndingWord, int] = {
    "done": 0,
    "pass": 0,
    "improvement": 0,
    "regression": 1,
    "failed": 3,  # cells of the run, checks of the tool or of a suite, figures of a page
    "invalid": 3,
    "inconclusive": 4,
    "interrupted": 130,  # 128 + SIGINT, as shells count
}
REFUSED = 2  # what was asked for cannot be done; argparse's code for a usage error, too
UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h

# Words that judge somebody's code. They are believed only where the judgement is on the disk.
JUDGEMENTS: frozenset[EndingWord] = frozenset({"pass", "improvement", "regression", "inconclusive"})


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        word: in one word.
        kept: the file that holds the judgement, for a word of JUDGEMENTS.
    """

    word: EndingWord
    kept: Path | None = None

    @property
    def code(self) -> int:
        """The exit code.

        Raises:
            ValueError: no such word, or a judgement that no file holds.
        """
        if self.word not in CODES:
            raise ValueError(f"no command ends with {self.word!r}; allowed: {', '.join(CODES)}")
        if self.word in JUDGEMENTS and (self.kept is None or not self.kept.is_file()):
            raise ValueError(f"{self.word}: no file holds this judgement, so it was not earned ({self.kept})")
        return CODES[self.word]


DONE = Ending("done")
CELLS_FAILED = Ending("failed")
INTERRUPTED = Ending("interrupted")
