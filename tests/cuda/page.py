"""The dated page of what was checked on a machine with CUDA devices. Pure, but for finding a name that is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Checked:
    """What became of one check.

    Attributes:
        seen: lines of Markdown: what was measured.
        wrong: what is not as it should be; of a check that was not run, why.
    """

    name: str
    what: str
    verdict: Verdict
    seconds: float
    seen: Sequence[str] = ()
    wrong: Sequence[str] = ()


def free_path(folder: Path, date: str) -> Path:
    """`DATE-cuda.md`, or, where there is one already, `DATE-cuda-2.md` and so on: no page is written over another."""
    path, number = folder / f"{date}-cuda.md", 2
    while path.exists():
        path = folder / f"{date}-cuda-{number}.md"
        number += 1
    return path


def page(date: str, machine: Mapping[str, str], checked: Sequence[Checked], command: str, seconds: float) -> str:
    """The page as Markdown."""
    counts = {verdict: sum(one.verdict == verdict for one in checked) for verdict in ("passed", "failed", "not run")}
    lines = [
        f"# CUDA, checked on {date}",
        "",
        f"By `{command}` in {seconds:.0f} s: {counts['passed']} checks passed, {counts['failed']} failed, "
        f"{counts['not run']} not run.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {_cell(name)} | {_cell(value)} |" for name, value in machine.items()),
        "",
        "| check | what | | seconds |",
        "|---|---|---|---|",
        *(f"| `{one.name}` | {_cell(one.what)} | {one.verdict} | {one.seconds:.0f} |" for one in checked),
    ]
    for one in checked:
        if one.seen or one.wrong:
            lines += ["", f"## {one.name}: {one.verdict}", ""]
            lines += [f"- **{_line(text)}**" for text in one.wrong]
            lines += [*([""] if one.wrong and one.seen else []), *one.seen]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown."""
    return [
        f"| {' | '.join(map(_cell, header))} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(map(_cell, row))} |" for row in rows),
    ]


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
