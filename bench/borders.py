"""The borders that text from outside crosses: one function for each place that text can do harm in. Pure.

Names of commits and folders, values of axes, messages of exceptions and names of metrics are written by others. In a
path they are separators, on a terminal control codes, in Markdown and CSV markup and formulas, in matplotlib
formulas again, in JSON invalid Unicode. What a sink is given has gone through its function here, and nowhere else is
text escaped, but for HTML (jinja2's autoescape) and XML, whose libraries do it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from typing import Any

# A file name may have 255 bytes (NAME_MAX), and endings and numbers of launches take some.
LONGEST_NAME = 180
_DIGEST = 10  # hex digits of SHA-256 that tell apart what a file name cannot
# A cell that begins with one of these is a formula to spreadsheets (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_CODE = re.compile(r"[\w\[\]=,.#@:/+ -]+", re.ASCII)


def file_name(text: str) -> str:
    """Any text as the name of one file or folder: no separator, no leading dot, at most LONGEST_NAME bytes of ASCII.

    A text that has to be changed gets a part of its digest at the end, so that different texts have different names.
    """
    name = re.sub(r"[^A-Za-z0-9_.=-]", "_", text).lstrip(".-_").rstrip("_")
    if name == text and 0 < len(name) <= LONGEST_NAME and not _has_digest(name):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST_NAME - _DIGEST - 1]}-{digest}".lstrip("-")


def _has_digest(name: str) -> bool:
    # Such a name might be that of another text; it gets a digest of its own.
    return re.search(rf"(^|-)[0-9a-f]{{{_DIGEST}}}$", name) is not None


def encodable(text: str) -> str:
    """The text as valid Unicode: a lone surrogate, as of a file name that is not UTF-8, is written out as `\\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def terminal(text: str) -> str:
    """The text for a terminal: control, format (direction!) and unassigned characters are written out, as `\\x1b`.

    Line breaks and tabs are kept. What the terminal's encoding lacks is the stream's affair (`backslashreplace`).
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if _shown(letter) else _written_out(letter) for letter in text)


def _shown(letter: str) -> bool:
    return letter in "\n\t" or letter.isprintable() or unicodedata.category(letter) == "Zs"


def _written_out(letter: str) -> str:
    return ascii(letter)[1:-1]


def one_line(text: str) -> str:
    """The text for one line of a terminal: as `terminal`, and every run of white space is one space."""
    return terminal(" ".join(text.split()))


def markdown_text(text: str) -> str:
    """The text for one line of Markdown or one entry of its tables: nothing in it is markup, HTML or a new column.

    Nor does GitHub make mathematics, a mention, a link or a picture of it (`in_github`).
    """
    text = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([|`*~])", r"\\\1", text)
    # An underscore within a word is no emphasis, and names are full of them.
    text = re.sub(r"_(?![^\W_])|(?<![^\W_])_", r"\\_", text)
    text = text.replace("](", "]\\(").replace("][", "]\\[").replace("![", "!\\[")
    # What begins a heading, a line, a list, a numbered list, a box to tick, a definition of a link or a footnote.
    text = re.sub(r"^(#+|[-+=]+)(?= |$)", r"\\\1", text)
    text = re.sub(r"^(\d+)(?=[.)]( |$))", r"\1\\", text)
    return in_github(re.sub(r"^\[", r"\\[", text))


# Letters that GitHub acts on where they stand so: $ begins mathematics, @name and #1 and GH-1 are mentions, :name: is a
# picture, www. and :// and an address of mail become links. It looks for them in the text between tags.
_ACTED_ON = re.compile(
    r"\$|@(?=\w)|(?<=@)\.|#(?=\d)|(?<=\b[Gg][Hh])-(?=\d)|:(?=[\w+-]*:|//|\S*@)|(?<=www)\.(?=\S)",
    re.ASCII | re.IGNORECASE,
)


def in_github(text: str) -> str:
    """Markdown or HTML of which GitHub makes nothing else: letters that it acts on stand in a `<span>` of their own.

    That is what its documentation advises for dollars; a backslash does not help, since Markdown takes it away first.
    """
    return _ACTED_ON.sub(lambda found: f"<span>{found[0]}</span>", text)


def markdown_html(text: str) -> str:
    """The text for one line of HTML within Markdown, as of a `<summary>`."""
    return in_github(one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def markdown_code(text: str) -> str:
    """An id for Markdown: as code where nothing in it could end the code or its table's column, else as text."""
    return f"`{text}`" if _CODE.fullmatch(text) and text == text.strip() else markdown_text(text)


def csv_cell(value: object) -> object:
    """A value for a cell of CSV: text that a spreadsheet would compute gets an apostrophe before it; numbers do not."""
    if not isinstance(value, str):
        return value
    # A lone carriage return ends a row for readers, and Python 3.11's writer does not quote it.
    text = encodable(value).replace("\x00", "\\x00").replace("\r", "\\r")
    return "'" + text if text.lstrip(" ").startswith(_FORMULA) and not _is_number(text) else text


def csv_exact(text: str) -> str:
    """A text as a quoted entry of CSV from which it can be had back: by taking one apostrophe away where it begins so.

    A spreadsheet computes it as little as what `csv_cell` gives; a NUL, which no reader takes, is written out.
    """
    text = encodable(text).replace("\x00", "\\x00")
    guarded = text.startswith("'") or (text.lstrip(" ").startswith(_FORMULA) and not _is_number(text))
    return '"' + ("'" if guarded else "") + text.replace('"', '""') + '"'


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def plot(text: str) -> str:
    """The text for matplotlib: `$` begins no formula, and a first `_` hides no entry of a legend."""
    text = one_line(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def json_text(value: Any, *, indent: int | None = None) -> str:
    """The value as strict JSON, without spaces where there is no indent: finite numbers, valid Unicode.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, allow_nan=False)
    if r"\ud" in text:  # surrogates: pairs are right, lone ones are not
        text = json.dumps(_plain_tree(value), indent=indent, separators=separators, allow_nan=False)
    return text


def _plain_tree(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {_plain_tree(key): _plain_tree(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_tree(part) for part in value]
    return value
