"""Text for a terminal: tables whose columns line up, and sentences in lines of the terminal's width. Nothing is cut.

A table that is too wide has its texts in several lines, then leaves out columns, the least telling ones first, and says
which; where not even those that are always there have room, each row becomes a block of lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.borders import one_line
from bench.machine.terminal import split_at_width, terminal_width, text_width
from bench.report.units import unbreakable

LONGEST_SENTENCE = 120  # columns of a line of a sentence, however wide the terminal is: longer ones are not followed
SHORTEST_TEXT = 24  # columns to which a text in a table is broken at most
EVERYTHING = "--format json"  # what has all columns, where a table says nothing else


def wrap_text(text: str, start: str = "") -> list[str]:
    """The text in lines of the terminal's width, those after the first indented; quantities are not torn apart."""
    return _fold(unbreakable(one_line(text)), start, min(terminal_width(), LONGEST_SENTENCE))


def _fold(text: str, start: str, width: int) -> list[str]:
    """Lines of that width at most: broken at spaces, and within a word where one is longer than a line."""
    words = text.split(" ") if text else []
    indent = " " * text_width(start)
    lines: list[str] = []
    line, taken, begun = start, len(indent), False
    for word in words:
        wide = text_width(word)
        if begun and taken + 1 + wide <= width:
            line, taken = f"{line} {word}", taken + 1 + wide
            continue
        if begun:
            lines.append(line)
            line, taken = indent, len(indent)
        while taken + wide > width:
            part, word = split_at_width(word, max(1, width - taken))
            lines.append(line + part)
            line, taken, wide = indent, len(indent), text_width(word)
            if not word:
                break
        line, taken, begun = line + word, taken + wide, bool(word)
    lines += [line] if begun else []
    return [own.replace("\u00a0", " ").rstrip() for own in lines]


def titled_list(title: str, sentences: Sequence[str]) -> list[str]:
    """A list of sentences below their title, and an empty line; nothing where there are none."""
    if not sentences:
        return []
    return [*wrap_text(title), *(line for text in sentences for line in wrap_text(text, "  - ")), ""]


def definitions(told: Iterable[tuple[str, str]], column: int = 24, indent: int = 2) -> list[str]:
    """Names, and what each means beside it, or below it where the name is longer than its column."""
    column = min(column, terminal_width() // 3)
    lines: list[str] = []
    for name, text in told:
        own = wrap_text(text, " " * (indent + column))
        name_lines = wrap_text(name, " " * indent)
        if own and len(name_lines) == 1 and text_width(name_lines[0]) < indent + column:
            own[0] = name_lines[0] + own[0][text_width(name_lines.pop()) :]
        lines += [*name_lines, *own]
    return lines


@dataclass(frozen=True)
class LaidTable:
    """A table as lines.

    Attributes:
        header: lines of the names of columns; none where rows are blocks.
        rows: the lines of each row.
        note: lines that say which columns were left out; none where none was.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: Sequence[str]


def lay_out(
    table: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    keep: Collection[int] = (0,),
    drop: Sequence[int] | None = None,
    elsewhere: str = EVERYTHING,
    headed: bool = True,
) -> LaidTable:
    """The rows of a table, the first being its header, indented, with columns that line up, as wide as the terminal is.

    Args:
        left: the columns that are flush left, being texts, which may be broken; others are figures, and flush right.
        keep: the columns that are never left out.
        drop: the other columns, those first that are left out first; default: from the last one on.
        elsewhere: what has those that were left out.
        headed: whether the first row is a header; a table that has none keeps all its columns.
    """
    rows = [[one_line(text) for text in row] for row in table]
    room = terminal_width()
    full = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    widths = dict(enumerate(full))
    if _taken(widths) > room:
        widths = {n: min(wide, max(SHORTEST_TEXT, room // 4)) if n in left else wide for n, wide in widths.items()}
    order = (reversed(widths) if drop is None else drop) if headed else ()
    dropped = [n for n in order if n not in keep]
    gone: set[int] = set()
    while _taken(widths) > room and dropped:
        gone.add(dropped.pop(0))
        widths = {n: wide for n, wide in widths.items() if n not in gone}
    if _taken(widths) > room:
        if not headed:
            return LaidTable(
                [], [[*wrap_text(row[0], "  "), *wrap_text("  ".join(row[1:]), "    ")] for row in rows], []
            )
        return LaidTable([], [_block(rows[0], row) for row in rows[1:]], [])
    for n in widths:  # what is left of the room goes to the texts that were broken, the first one first
        widths[n] += min(full[n] - widths[n], room - _taken(widths))
    lines = [_row_lines(row, widths, left) for row in rows]
    note: list[str] = []
    if gone:
        names = ", ".join(rows[0][n] for n in sorted(gone))
        note = wrap_text(f"no room in {room} columns: {names}; {elsewhere} has all", "  ")
    return LaidTable(lines[0], lines[1:], note) if headed else LaidTable([], lines, note)


def _taken(widths: Mapping[int, int]) -> int:
    """Columns of the terminal that columns of these widths take, each with two spaces before it."""
    return 2 * len(widths) + sum(widths.values())


def _row_lines(row: Sequence[str], widths: Mapping[int, int], left: Collection[int]) -> list[str]:
    """A row in as many lines as its longest text takes."""
    parts = {n: _fold(row[n], "", wide) if text_width(row[n]) > wide else [row[n]] for n, wide in widths.items()}
    lines = []
    for number in range(max(map(len, parts.values()))):
        line = ""
        for n, wide in widths.items():
            text = parts[n][number] if number < len(parts[n]) else ""
            space = " " * (wide - text_width(text))
            line += f"  {text}{space}" if n in left else f"  {space}{text}"
        lines.append(line.rstrip())
    return lines


def _block(header: Sequence[str], row: Sequence[str]) -> list[str]:
    """A row as lines: its name, and below it what its columns have."""
    entries = [(name, text) for name, text in zip(header[1:], row[1:], strict=True) if text]
    return [*wrap_text(row[0] or header[0], "  "), *definitions(entries, 14, 4)]


def align_rows(
    table: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    keep: Collection[int] = (0,),
    elsewhere: str = EVERYTHING,
    headed: bool = True,
) -> list[str]:
    """The lines of a table, as `lay_out` makes them, with what was left out below."""
    laid = lay_out(table, left=left, keep=keep, elsewhere=elsewhere, headed=headed)
    return [*laid.header, *(line for row in laid.rows for line in row), *laid.note]


def align_groups(
    header: Sequence[str],
    groups: Mapping[str, Sequence[Sequence[str]]],
    *,
    left: Collection[int] = (0,),
    keep: Collection[int] = (0,),
    drop: Sequence[int] | None = None,
    elsewhere: str = EVERYTHING,
    space: bool = False,
) -> list[str]:
    """One table of several groups, each below its name.

    Args:
        space: whether an empty line follows each group.
    """
    rows = [row for own in groups.values() for row in own]
    laid = lay_out([header, *rows], left=left, keep=keep, drop=drop, elsewhere=elsewhere)
    lines, rest = [*laid.header], iter(laid.rows)
    for group, own in groups.items():
        lines += wrap_text(group)
        for _ in own:
            lines += next(rest)
        lines += [""] if space else []
    if laid.note and space:
        return [*lines, *laid.note, ""]
    return [*lines, *laid.note]


def fold_lines(text: str) -> str:
    """The lines of a text in the terminal's width, those that go on indented.

    What somebody copies stays whole: a word longer than a line, as paths are, and a line that ends in a command.
    """
    room = terminal_width()
    lines: list[str] = []
    for line in text.split("\n"):
        lines += [line] if text_width(line) <= room or ": bench " in line else _folded(line, room)
    return "\n".join(lines)


def _folded(line: str, room: int) -> list[str]:
    start = len(line) - len(line.lstrip(" "))
    lines, now = [], line[:start]
    for word in line[start:].split(" "):
        if now.strip() and text_width(f"{now} {word}") > room:
            lines.append(now.rstrip())
            now = " " * min(start + 4, room // 4)
        now += f" {word}" if now.strip() else word
    return [*lines, now]
