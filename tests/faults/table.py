"""The table of all faults."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import arms, files, gates, names, places, running
from .fault import Fault, unique

FAULTS = unique((*arms.FAULTS, *running.FAULTS, *places.FAULTS, *files.FAULTS, *names.FAULTS, *gates.FAULTS))

# What the tests do: one of each kind, most of them without arms.
_NAMED = """
    arm.raise arm.build-raise arm.sys-exit arm.build-sys-exit arm.exit-7 arm.exit-0 arm.sigkill
    arm.surrogate arm.socket-5-bytes arm.child-setsid
    process.first-moments resume.seed resume.suite-edited resume.no-suites
    place.disk-full-report place.disk-full-baseline place.out-read-only place.cwd-deleted
    place.cache-unwritable place.report-dev-full
    terminal.full-show terminal.full-version terminal.head-pipefail terminal.ascii-show terminal.escapes-md
    terminal.stderr-full-bad terminal.surrogate-argument
    record.type-twin record.type-counted record.extra-nan record.line-lost record.folder info.plan-number info.brackets
    neighbour.history-type page.drawing-removed page.not-utf8
    suite.import-exit-gate suite.import-base suite.refuses-raises suite.fifo suite.hides suite.deep-minus
    value.surrogate value.set-lr-nan value.select-parentheses value.memory-limit-huge
    gate.against-empty gate.against-shell
    baseline.newline-end baseline.300 baseline.no-checksum baseline.at-once
    clock.future
"""
IN_TESTS = unique(fault for fault in FAULTS if fault.id in _NAMED.split())


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
