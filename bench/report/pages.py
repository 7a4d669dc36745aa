"""What stands on a page: every text by its place, the figures' JSON, the drawings. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from bench.errors import RunError
from bench.results import files
from bench.results.store import StoredRun

_DRAWING = re.compile(r"<figure[^>]*>(.*?)</figure>", re.DOTALL)
_SVG = re.compile(r"<svg.*</svg>", re.DOTALL)
_TAGS = re.compile(r"<[^>]+>")
# Elements that have no end tag.
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


@dataclass
class Page:
    """A page taken apart.

    Attributes:
        data: the embedded JSON.
        figures: the text of every element that shows a figure, by the figure's path.
        texts: all other text by its place: headings, the row's first cell or term, the column.
        elements: start tags with their attributes, by place.
        drawings: SVG by heading.
        captions: the other text of each drawing, by heading.
        drawn_by: the libraries that made the drawings, or "".
    """

    data: str = ""
    figures: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)
    drawings: dict[str, str] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    drawn_by: str = ""


def parse_page(text: str) -> Page:
    """The parts of a page."""
    reader = _Reader()
    for number, found in enumerate(_DRAWING.finditer(text)):
        svg = _SVG.search(found[1])
        rest = " ".join(_TAGS.sub(" ", _SVG.sub("", found[1])).split())
        title = re.search(r"<h3>(.*?)</h3>", found[1], re.DOTALL)
        name = title[1] if title else f"drawing {number + 1}"
        reader.page.drawings[name] = svg[0] if svg else ""
        reader.page.captions[name] = rest
    reader.feed(_DRAWING.sub("", text))
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    """Walks over a page and keeps where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[str] = []
        self._figure: str | None = None
        self._in_data = False
        self._local = 0  # depth at which an element began that tells of this machine and not of the run
        self._heading: dict[str, str] = {}
        self._columns: list[str] = []
        self._row: list[str] | None = None
        self._term = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("h1", "h2", "h3"):
            self._heading = {name: text for name, text in self._heading.items() if name < tag}
            self._heading[tag] = ""
        if tag == "thead":
            self._columns = []
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")
        elif tag in ("dt", "dl", "ul", "pre"):
            self._term = ""
        if not self._local and not self._in_data:
            kept = " ".join(f'{name}="{value}"' for name, value in attrs)
            self.page.elements.setdefault(self._place(), []).append(f"<{tag} {kept}>".replace(" >", ">"))
        self._in_data = tag == "script" and found.get("id") == "figures"
        if "data-drawn-by" in found:
            self.page.drawn_by = found["data-drawn-by"] or ""
        if tag not in _VOID:
            self._open.append(tag)
            if "data-local" in found and not self._local:
                self._local = len(self._open)
        if "data-figure" in found:
            self._figure = found["data-figure"] or ""
            self.page.figures[self._figure] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                continue
        if len(self._open) < self._local:
            self._local = 0
        if tag == "tr" and self._row is not None:
            if "thead" in self._open:
                self._columns = self._row
            self._row = None
        self._figure, self._in_data = None, False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if self._in_data:
            self.page.data += data
            return
        if self._row:
            self._row[-1] += text
        if not text or self._local:
            return
        tag = self._open[-1] if self._open else ""
        if tag in ("h1", "h2", "h3"):
            self.page.texts.setdefault(self._place(), []).append(text)
            self._heading[tag] = text
            return
        if self._figure is not None:
            self.page.figures[self._figure] += data
            return
        self.page.texts.setdefault(self._place(), []).append(text)
        if tag == "dt":
            self._term = text

    def _place(self) -> str:
        parts = [text for _, text in sorted(self._heading.items())] or [""]
        if self._row:
            column = len(self._row) - 1
            parts += [self._row[0]] * (column > 0)
            parts += [self._columns[column]] if column < len(self._columns) and self._columns[column] else []
        elif self._term:
            parts.append(self._term)
        return " / ".join([part for part in parts[1:] if part] or ["head"])


def differing_texts(mine: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """Places whose texts differ: the place, and what only the one and only the other has there."""
    for place in dict.fromkeys([*theirs, *mine]):
        one, other = mine.get(place, []), theirs.get(place, [])
        if one != other:
            own, rest = list(one), []
            for text in other:
                if text in own:
                    own.remove(text)
                else:
                    rest.append(text)
            said = " | ".join(own) or ("in another order" if not rest else "nothing")
            yield place, said, " | ".join(rest) or "nothing"


def page_text(run: StoredRun, path: Path) -> str:
    """A report as it lies on the disk.

    Raises:
        RunError: it is not there, or not readable.
    """
    if not os.path.lexists(path):
        raise RunError(f"{path}: no report there; `bench report {run.folder}` writes it")
    try:
        return files.read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: not readable: not UTF-8 at byte {error.start}") from None
