"""What `bench selftest` found, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.commands.selftest import CHECKS


def checks_table(checks: Sequence[Mapping[str, Any]]) -> str:
    """The checks as lines of text."""
    lines = []
    for check in checks:
        sign = "<=" if CHECKS[check["name"]].at_most else ">="
        limit = f"{sign} {check['limit']:g}"
        unit = "" if check["unit"] == "1" else f" {check['unit']}"
        lines.append(
            f"{'ok    ' if check['ok'] else 'MISSED'} {check['name']:<18} {check['value']:.4g}{unit}  (must be {limit})"
        )
        lines.append(f"       {check['what']}")
        lines += [f"       {part.strip()}" for part in check["detail"].split(";")]
    return "\n".join(lines)
