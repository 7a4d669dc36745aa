"""What all Markdown is made of: tables, parts that are folded up, and a length that GitHub takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.borders import markdown_html, one_line
from bench.borders import markdown_text as safe

# GitHub takes a comment of so many letters and refuses a longer one. Counted here in bytes, of which a letter has one
# at least, so that it does not matter how it counts.
LONGEST_COMMENT = 65_536
# Letters of a reason or a name in a table; a log's worth of them would leave no room for the figures.
LONGEST_ENTRY = 500
# What is kept for the sentence on what is left out.
_RESERVED = 700


@dataclass(frozen=True)
class Part:
    """A part of a page: what stands before its items, the items, a line each, and what stands after them.

    Attributes:
        name: what it is called where it is left out.
        items: rows of a table or of a list; where there is no room for all, the first ones are kept.
    """

    name: str
    before: Sequence[str] = ()
    items: Sequence[str] = ()
    after: Sequence[str] = ()

    @property
    def lines(self) -> list[str]:
        return [*self.before, *self.items, *self.after]


def entry(text: str) -> str:
    """A text of foreign origin as an entry of a table."""
    text = one_line(text)
    return safe(text if len(text) <= LONGEST_ENTRY else text[: LONGEST_ENTRY - 1] + "…")


def table_row(entries: Sequence[str]) -> str:
    """A row of entries that are Markdown already."""
    return f"| {' | '.join(entries)} |"


def table_head(header: Sequence[str], left: Sequence[int] = (0,)) -> list[str]:
    """Two lines: the header, of Markdown, and how columns are aligned, to the right but for those of `left`."""
    return [
        table_row(header),
        "|" + "".join(" --- |" if place in left else " ---: |" for place in range(len(header))),
    ]


def folded_part(name: str, part: Part, *, unfolded: bool = False) -> Part:
    """The part under a line that unfolds it, where it is called so; GitHub wants an empty line before Markdown."""
    before = [f"<details{' open' if unfolded else ''}><summary>{markdown_html(name)}</summary>", "", *part.before]
    return Part(part.name or name, before, part.items, [*part.after, "", "</details>", ""])


def listed(title: str, sentences: Sequence[str], *, name: str = "") -> list[Part]:
    """Sentences as a list under a title, of Markdown; none where there are none."""
    if not sentences:
        return []
    return [Part(name or title, [title, ""] if title else [], [f"- {safe(text)}" for text in sentences], [""])]


def markdown_page(parts: Sequence[Part], rest: str, longest: int = LONGEST_COMMENT) -> str:
    """The parts below each other, as far as there is room; what is left out is said at the end.

    A part that does not fit loses items from its end, and all that follows it is left out: a reader who is told "the
    first 12 of 40" knows what is there, and one whose table has holes does not.

    Args:
        rest: where all of it is, as Markdown.
        longest: bytes of the whole.
    """
    whole = _joined([line for part in parts for line in part.lines])
    if len(whole.encode("utf-8")) <= longest:
        return whole
    room = longest - _RESERVED
    kept: list[str] = []
    notes: list[str] = []
    for place, part in enumerate(parts):
        if _size(part.lines) <= room:
            kept += part.lines
            room -= _size(part.lines)
            continue
        number, room = 0, room - _size([*part.before, *part.after])
        while number < len(part.items) and _size([part.items[number]]) <= room:
            room -= _size([part.items[number]])
            number += 1
        if number:
            kept += [*part.before, *part.items[:number], *part.after]
            notes.append(f"{len(part.items) - number:,} of the {len(part.items):,} lines of “{_cut(part.name)}”")
            place += 1
        names = [one.name for one in parts[place:] if one.name and one.lines]
        notes += [f"“{_cut(name)}”" for name in names[:3]]
        notes += [f"{len(names) - 3:,} more parts"] if len(names) > 3 else []
        break
    why = f"Left out, since a comment on GitHub has room for {LONGEST_COMMENT:,} letters"
    told = f"{why}: {safe(', '.join(notes))}. {rest}"
    if _size([told]) >= _RESERVED:  # names that are markup from end to end
        told = f"{why}: {len(parts) - place:,} parts. {rest}"
    return _joined([*kept, "", told])


def _cut(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= 60 else name[:59] + "…"


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode("utf-8")) + 1 for line in lines)


def _joined(lines: Sequence[str]) -> str:
    """Lines, of empty ones never two."""
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept).rstrip("\n") + "\n"
