"""What `bench check` found, as text."""

from __future__ import annotations

from bench.borders import one_line
from bench.commands.check import CheckedSuite

WORDS = {"ok": "ok", "note": "note", "not applicable": "n/a", "failed": "FAILED"}


def suite_checks_table(checked: CheckedSuite) -> str:
    """A line a check, then what they come to."""
    width = max(len(check.name) for check in checked.checks)
    lines = [f"{WORDS[check.state]:<6} {check.name:<{width}}  {one_line(check.reason)}" for check in checked.checks]
    failed = sum(check.state == "failed" for check in checked.checks)
    tried = sum(check.state in ("ok", "failed") for check in checked.checks)
    told = f"{failed} of {tried} checks failed" if failed else f"all {tried} checks that apply passed"
    where = checked.file or checked.suite
    more = f"; a cell with its traceback: bench run {where} --debug -k CELL" if failed else ""
    return "\n".join([*lines, f"{checked.suite}: {'interrupted; ' if checked.interrupted else ''}{told}{more}"])
