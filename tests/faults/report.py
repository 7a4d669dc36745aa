"""What came of the faults, as lines, as JSON that a campaign goes on from, and as Markdown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .fault import MARKS, Fault


@dataclass(frozen=True)
class Tried:
    """What came of one fault.

    Attributes:
        code: exit code of the main command, None where it was not run.
        untried: why it could not be tried, or "".
        marks: why each mark does not hold, by its letter; "" where it does.
        seconds: of wall time, of the whole deed.
    """

    id: str
    code: int | None
    untried: str
    marks: Mapping[str, str]
    seconds: float

    @property
    def holds(self) -> bool:
        return not self.untried and not any(self.marks.values())


def line(fault: Fault, tried: Tried) -> str:
    """One line, and one for each mark that does not hold."""
    if tried.untried:
        return f"{fault.id}: NOT TRIED: {tried.untried}"
    told = " ".join(letter if not tried.marks[letter] else f"({letter})" for letter in MARKS)
    reasons = "".join(f"\n      {letter}: {reason[:300]}" for letter, reason in tried.marks.items() if reason)
    return f"{told}  {fault.id}: {tried.code}, {tried.seconds:.0f} s{reasons}"


def counts(faults: Sequence[Fault], tried: Mapping[str, Tried]) -> str:
    """How many of the faults hold all five marks, and each."""
    done = [tried[fault.id] for fault in faults if fault.id in tried and not tried[fault.id].untried]
    whole = sum(one.holds for one in done)
    each = ", ".join(f"{letter} {sum(not one.marks[letter] for one in done)}" for letter in MARKS)
    left = len(faults) - len(done)
    return f"{whole} of {len(done)} faults hold all five marks; {each}" + (f"; {left} were not tried" if left else "")


def cell(text: str) -> str:
    """Text within a table of Markdown."""
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("$", "\\$")


def markdown(faults: Sequence[Fault], tried: Mapping[str, Tried]) -> str:
    """The table of all faults, those that do not hold first."""
    done = [fault for fault in faults if fault.id in tried]
    broken = [fault for fault in done if not tried[fault.id].holds]
    legend = "; ".join(f"**{letter}** {text}" for letter, text in MARKS.items())
    listed = [fault for fault in faults if fault.listed]
    lines = [
        counts(faults, tried) + ".",
        "",
        f"Of the {len(listed)} that were listed: {counts(listed, tried)}.",
        "",
        f"Marks: {legend}. rc: exit code of the main command. * of our own invention.",
        "",
        "## Which do not hold",
        "",
        "| fault | rc | mark | why |",
        "| --- | --- | --- | --- |",
    ]
    for fault in broken:
        one = tried[fault.id]
        reasons = {"": one.untried} if one.untried else {letter: text for letter, text in one.marks.items() if text}
        code = "–" if one.code is None else one.code
        lines += [
            f"| {fault.id} | {code} | {letter or 'not tried'} | {cell(text[:240])} |"
            for letter, text in reasons.items()
        ]
    lines += ["", "## All", "", f"| fault | what is done | rc | {' '.join(MARKS)} |", "| --- | --- | --- | --- |"]
    for fault in done:
        one = tried[fault.id]
        told = "not tried" if one.untried else " ".join("✗" if one.marks[letter] else "✓" for letter in MARKS)
        own = "" if fault.listed else " *"
        lines.append(f"| {fault.id}{own} | {cell(fault.what)} | {'–' if one.code is None else one.code} | {told} |")
    return "\n".join(lines) + "\n"


def write(path: Path, tried: Mapping[str, Tried]) -> None:
    """Replace the file as a whole."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps([asdict(one) for one in tried.values()], indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)


def read(path: Path) -> dict[str, Tried]:
    """What an earlier part of the campaign has tried."""
    return {item["id"]: Tried(**item) for item in json.loads(path.read_text(encoding="utf-8"))}
