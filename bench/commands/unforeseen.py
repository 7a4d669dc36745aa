"""What is said of an exception that nobody foresaw: one line, and a log file with all of it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from bench.borders import encodable, one_line
from bench.plan.guard import exception_line
from bench.results.version import __version__


def unforeseen_line(error: BaseException) -> str:
    """One line that names the log file with the traceback."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as second:  # the exception's own methods may raise
        text = f"{type(error)!r}, whose traceback cannot be written: {type(second)!r}\n"
    head = f"loopmark {__version__}, Python {platform.python_version()}\n{sys.argv!r}\n"
    name = f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    home = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"))
    reason: OSError | None = None
    for folder in (home / "loopmark", Path(tempfile.gettempdir()) if _has_temporary_folder() else Path("/tmp")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(encodable(head + text), encoding="utf-8")
        except OSError as failed:
            reason = failed
            continue
        return f"unforeseen: {one_line(exception_line(error))}; its log: {folder / name}"
    return f"unforeseen: {one_line(exception_line(error))}; its log could not be written: {reason}"


def _has_temporary_folder() -> bool:
    try:
        tempfile.gettempdir()
    except OSError:  # none of the usual places can be written
        return False
    return True
