"""What stands on a page: every text by its place, the figures' JSON, the drawings. Pure."""

from __future__ import annotations

import base64
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from bench.errors import RunError
from bench.results import files
from bench.results.store import StoredRun

_DRAWING = re.compile(r"(<figure[^>]*>)(.*?)(</figure>)", re.DOTALL)
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
        scripts: the text of every script, byte for byte; not the data.
        steps: the JSON of the steps that can be chosen, or "".
    """

    data: str = ""
    figures: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)
    drawings: dict[str, str] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    drawn_by: str = ""
    scripts: list[str] = field(default_factory=list)
    steps: str = ""


def parse_page(text: str) -> Page:
    """The parts of a page."""
    reader = _Reader()
    for number, found in enumerate(_DRAWING.finditer(text)):
        svg = _SVG.search(found[2])
        rest = " ".join(_TAGS.sub(" ", _SVG.sub("", found[2])).split())
        title = re.search(r"<h([34])>(.*?)</h\1>", found[2], re.DOTALL)
        name = title[2] if title else f"drawing {number + 1}"
        reader.page.drawings[name] = svg[0] if svg else ""
        reader.page.captions[name] = rest
    reader.feed(_DRAWING.sub(r"\1\3", text))
    reader.close()
    return reader.page


def unpacked(data: str, encoding: str) -> str:
    """Embedded JSON as text; "" where it cannot be decoded, which is no JSON."""
    if encoding != "deflate":
        return data
    try:
        return zlib.decompress(base64.b64decode(data, validate=True)).decode("utf-8")
    except (ValueError, zlib.error):
        return ""


class _Reader(HTMLParser):
    """Walks over a page and keeps where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[str] = []
        self._figure: str | None = None
        self._script: str | None = None  # what is in it: `figures`, `steps`, or "" where it runs
        self._encoding = ""
        self._local = 0  # depth at which an element began that tells of this machine and not of the run
        self._heading: dict[str, str] = {}
        self._columns: list[str] = []
        self._paths: list[str] = []  # of the table's figures, under the cell of the row
        self._row: list[str] | None = None
        self._row_cell = ""
        self._section = ""  # the id of the cell's section that this is
        self._term = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in ("h1", "h2", "h3"):
            self._heading = {name: text for name, text in self._heading.items() if name < tag}
            self._heading[tag] = ""
        if tag == "thead":
            self._columns, self._paths = [], []
        elif tag == "tr":
            self._row, self._row_cell = [], found.get("data-cell", "")
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")
            if "thead" in self._open:
                self._paths.append(found.get("data-path", ""))
        elif tag in ("dt", "dl", "ul", "pre", "details"):
            self._term = ""
        if tag == "details" and found.get("class") == "cell":
            self._section = found.get("id", "")
        if not self._local and self._script is None:
            kept = " ".join(f'{name}="{value}"' for name, value in attrs if name != "data-drawn-by")
            self.page.elements.setdefault(self._place(), []).append(f"<{tag} {kept}>".replace(" >", ">"))
        if tag == "script":
            data = found.get("type") == "application/json"
            self._script = found.get("id", "") if data else ""
            self._encoding = found.get("data-encoding", "")
        self.page.drawn_by = found.get("data-drawn-by", self.page.drawn_by)
        if tag not in _VOID:
            self._open.append(tag)
            if "data-local" in found and not self._local:
                self._local = len(self._open)
        column = len(self._row or ()) - 1
        if "data-figure" in found:
            self._begin(found["data-figure"])
        elif tag == "td" and self._row_cell and column < len(self._paths) and self._paths[column]:
            self._begin(f"cells/{self._row_cell}{self._paths[column]}")

    def _begin(self, figure: str) -> None:
        """What follows is a figure's text; one that is shown again, as its other texts behind a bar."""
        self._figure = figure
        known = self.page.figures.get(figure)
        self.page.figures[figure] = "" if known is None else f"{known} | "

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                continue
        if len(self._open) < self._local:
            self._local = 0
        if tag == "tr" and self._row is not None:
            if "thead" in self._open:
                self._columns = self._row
            self._row, self._row_cell = None, ""
        if tag == "details" and "details" not in self._open:
            self._section = ""
        self._figure, self._script = None, None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._read_script(data)
            return
        text = " ".join(data.split())
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

    def _read_script(self, data: str) -> None:
        if self._script == "figures":
            self.page.data += unpacked(data, self._encoding)
        elif self._script == "steps":
            self.page.steps += data
        else:
            self.page.scripts.append(data)

    def _place(self) -> str:
        parts = [text for _, text in sorted(self._heading.items())] or [""]
        if self._row:
            column = len(self._row) - 1
            parts += [self._row[0]] * (column > 0)
            parts += [self._columns[column]] if column < len(self._columns) and self._columns[column] else []
        elif self._term:
            parts.append(self._term)
        if self._section:
            parts.append(self._section)
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
