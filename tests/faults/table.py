"""The table of all faults."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import arms, files, gates, names, places, running
from .fault import Fault, unique

FAULTS = unique((*arms.FAULTS, *running.FAULTS, *places.FAULTS, *files.FAULTS, *names.FAULTS, *gates.FAULTS))


def selected(faults: Sequence[Fault], expression: str) -> list[Fault]:
    """Those whose id matches: words, `and`, `or`, `not`, parentheses.

    Raises:
        ValueError: the expression is none, or matches nothing.
    """
    words = re.findall(r"[()]|[^\s()]+", expression)
    if not words:
        return list(faults)
    found = []
    for fault in faults:
        terms = [word if word in ("and", "or", "not", "(", ")") else str(word in fault.id) for word in words]
        try:
            if eval(" ".join(terms), {"__builtins__": {}}):
                found.append(fault)
        except SyntaxError:
            raise ValueError(f"-k {expression!r}: allowed are words, and, or, not, parentheses") from None
    if not found:
        raise ValueError(f"-k {expression!r} selects no fault")
    return found
