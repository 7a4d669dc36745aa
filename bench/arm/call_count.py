"""How often Python functions are entered, by function: `sys.monitoring` from Python 3.12 on, `sys.setprofile` before.

A call is an entry into a Python frame: a function that begins, a generator or coroutine that goes on, by `throw` too.
Both ways see the same of these. What they do not see alike is left out: calls of functions written in C (`setprofile`
has no constructors among them, `monitoring` has), comprehensions (frames of their own before 3.12, none since), and
other threads (`setprofile` is of one thread, `monitoring` of all).

Standard library alone, so that any interpreter can run it: tests do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

# Frames of their own in Python 3.11 only (PEP 709).
INLINED = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
MONITORED = hasattr(sys, "monitoring")


class CallCount:
    """Counts entries into Python functions of the thread that starts it.

    Args:
        monitored: whether by `sys.monitoring`, or else by `sys.setprofile`.

    Attributes:
        paused: while it is true, nothing is counted.
    """

    def __init__(self, *, monitored: bool = MONITORED) -> None:
        self._seen: dict[int, list[Any]] = {}  # by identity: to hash code is to hash all that it holds
        self._monitored = monitored
        self.paused = False

    def start(self) -> None:
        """Count from here on.

        Raises:
            RuntimeError: somebody else has taken the place of a profiler.
        """
        if self._monitored:
            self._monitor()
        elif sys.getprofile() is not None:
            raise RuntimeError("sys.setprofile is taken by another profiler")
        else:
            sys.setprofile(self._profiled())

    def stop(self) -> None:
        """Count no further."""
        if not self._monitored:
            sys.setprofile(None)
            return
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)

    def calls(self) -> dict[str, int]:
        """How often each function was entered, by `module:name`."""
        found: dict[str, int] = {}
        for code, module, number in self._seen.values():
            if code.co_name not in INLINED:
                name = f"{module}:{code.co_qualname}"
                found[name] = found.get(name, 0) + number
        return found

    def _profiled(self) -> Callable[[FrameType, str, object], None]:
        seen = self._seen

        def heard(frame: FrameType, event: str, value: object) -> None:
            if event != "call" or self.paused:
                return
            code = frame.f_code
            entry = seen.get(id(code))
            if entry is None:
                seen[id(code)] = entry = [code, frame.f_globals.get("__name__", "?"), 0]
            entry[2] += 1

        return heard

    def _monitor(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
        try:
            monitoring.use_tool_id(monitoring.PROFILER_ID, "bench counts")
        except ValueError as error:
            raise RuntimeError(f"sys.monitoring is taken by another profiler: {error}") from None
        seen, thread = self._seen, get_ident()

        def heard(code: CodeType, offset: int, raised: object = None) -> None:
            if self.paused or get_ident() != thread:
                return
            entry = seen.get(id(code))
            if entry is None:
                module = sys._getframe(1).f_globals.get("__name__", "?")  # of the frame that is entered
                seen[id(code)] = entry = [code, module, 0]
            entry[2] += 1

        events = monitoring.events
        for event in (events.PY_START, events.PY_RESUME, events.PY_THROW):
            monitoring.register_callback(monitoring.PROFILER_ID, event, heard)
        monitoring.set_events(monitoring.PROFILER_ID, events.PY_START | events.PY_RESUME | events.PY_THROW)
