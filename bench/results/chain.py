"""The digest that covers records.jsonl: every line's `chain` is over the chain before it and the line itself. Pure.

A line that was changed, moved, added or taken out from among others breaks the chain there. Lines that are missing at
the end break nothing, so that how many there were, and the last chain, are kept outside: the anchor, in a file of its
own after every append, and in run.json at the end. Lines of older versions have no chain; they are covered by that of
the lines and anchors after them. This finds mistakes and mishaps; whoever wants to deceive can make it anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from bench.borders import json_text
from bench.errors import RunError
from bench.results.decoding import Count, twice

START = ""
_CHAIN = re.compile(r"[0-9a-f]{64}")
_END = re.compile(rb',"chain":"([0-9a-f]{64})"\}$')


@dataclass(frozen=True)
class Anchor:
    """Where the chain stood: how many lines there were, and the last one's chain."""

    count: Count
    chain: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]


NOTHING = Anchor(0, START)


@dataclass(frozen=True)
class Link:
    """A line of records.jsonl: its number from 1, the record's JSON, its chain as written, or "", and as it must be."""

    number: int
    body: bytes
    written: str
    due: str


def extend_chain(before: str, body: bytes) -> str:
    """The chain of a line after the chain before it."""
    return hashlib.sha256(before.encode() + b"\n" + body).hexdigest()


def seal_lines(bodies: Sequence[str], before: Anchor) -> tuple[str, Anchor]:
    """The lines of these records, JSON objects without spaces around them, and the anchor after them."""
    lines, chain = [], before.chain
    for body in bodies:
        chain = extend_chain(chain, body.encode())
        lines.append(f'{body[:-1]},"chain":"{chain}"}}\n')
    return "".join(lines), Anchor(before.count + len(bodies), chain)


def links(lines: Iterable[bytes], where: str | Path) -> Iterator[Link]:
    """The lines of records.jsonl, one after the other; empty ones at its end are left out.

    Raises:
        RunError: the chain of a line is no text.
    """
    chain = START
    for number, line in enumerate(_without_empty_end(lines), start=1):
        end = _END.search(line)
        body, written = (line[: end.start()] + b"}", end[1].decode()) if end else _parted(line, f"{where}:{number}")
        due = extend_chain(chain, body)
        yield Link(number, body, due if written == due else written, due)
        chain = written if _CHAIN.fullmatch(written) else due  # a break is told once, where it is


def _without_empty_end(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, without the line ends, and without empty ones and white space at the end of all."""
    held: list[bytes] = []
    for line in lines:
        if held and line.strip():
            yield from held
            held.clear()
        held.append(line.removesuffix(b"\n"))
    if held and (last := held[0].rstrip()):
        yield last


def _parted(line: bytes, where: str) -> tuple[bytes, str]:
    """Record and chain of a line that another program has written, with spaces say; what is said counts."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return line, ""  # whoever decodes it says what it is
    if not isinstance(values, dict) or "chain" not in values:
        return line, ""
    chain = values.pop("chain")
    if not isinstance(chain, str):
        raise RunError(f"{where}: $.chain: expected `str`; there is {str(chain)[:60]}")
    if (name := twice(line)) is not None:
        raise RunError(f"{where}: the key {name!r} is there twice in one object")
    try:
        return json_text(values).encode(), chain
    except ValueError:  # a number that is not finite
        return line, chain


def anchor(last: Link | None) -> Anchor:
    """Where the chain stands after a line; None: there is none."""
    if last is None:
        return NOTHING
    return Anchor(last.number, last.written if _CHAIN.fullmatch(last.written) else last.due)


def broken_links(found: Sequence[Link], anchors: Sequence[Anchor]) -> list[str]:
    """What is not as it was written, as sentences; empty where everything is."""
    told = []
    chained = False
    for link in found:
        if link.written and link.written != link.due:
            told.append(f"line {link.number} is not as it was written, or lines before it are gone or moved")
        elif chained and not link.written:
            told.append(f"line {link.number} has no chain, as lines have that were written here")
        chained = chained or bool(link.written)
    for kept in anchors:
        if kept.count > len(found):
            lost = kept.count - len(found)
            told.append(f"{len(found)} records, but {kept.count} were written: the last {lost} are gone")
        elif anchor(found[kept.count - 1] if kept.count else None) != kept:
            told.append(f"the first {kept.count} records are not those that were written")
    return list(dict.fromkeys(told))
