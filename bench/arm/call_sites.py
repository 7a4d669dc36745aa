"""Where in the user's files something is called: `train.py:42`, and by way of which other lines.

Loaders that one helper function makes differ in who called it, so a place is a chain of lines, the innermost first.
Those that a library makes differ in which of its functions did: these stand behind the lines.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from types import FrameType

import bench

BY = " by "  # between lines and the functions of a library
LONGEST_CHAIN = 4  # lines of a chain: helper, setup, main and the module's last line
_OURS = os.path.dirname(os.path.abspath(bench.__file__))


class CallSites:
    """Tells lines of files in one folder.

    Args:
        folder: the one that the training's own files are in; an installed package below it is not the user's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self.relative = lru_cache(maxsize=None)(self._relative)

    def chain(self, depth: int = 1) -> str:
        """The user's lines that lead to the caller, innermost first, as `data.py:7 < train.py:42`; "" if none does.

        Where a library is called in the innermost line, its functions follow: `train.py:42 by train.get_eval_loader`.

        Args:
            depth: 1: the caller of whoever asks.
        """
        found: list[str] = []
        library: list[str] = []
        frame: FrameType | None = sys._getframe(depth + 1)
        while frame is not None and len(found) < LONGEST_CHAIN:
            if name := self.relative(frame.f_code.co_filename):
                found.append(f"{name}:{frame.f_lineno}")
            elif not found and _is_of_library(frame):
                library.insert(0, frame.f_code.co_name)
            frame = frame.f_back
        return " < ".join(found) + (f"{BY}{'.'.join(library)}" if found and library else "")

    def line(self, depth: int = 1) -> str:
        """The line that calls, if it is the user's own; else ""."""
        frame = sys._getframe(depth + 1)
        name = self.relative(frame.f_code.co_filename)
        return f"{name}:{frame.f_lineno}" if name else ""

    def _relative(self, path: str) -> str:
        """A file's name from the folder; "" where it is not the user's."""
        if path.startswith("<"):
            return ""
        real = os.path.realpath(path)
        if not real.startswith(self._folder + os.sep) or real.startswith(_OURS + os.sep):
            return ""
        name = os.path.relpath(real, self._folder)
        return "" if "site-packages" in name.split(os.sep) else name


def _is_of_library(frame: FrameType) -> bool:
    """Whether a function is an installed package's, torch's left out, and no mere wrapper of another one."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    installed = "site-packages" in frame.f_code.co_filename
    return installed and package != "torch" and frame.f_code.co_name not in ("wrapper", "inner", "<genexpr>")
