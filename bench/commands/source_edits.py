"""The change of a call in a file of the user's, as a unified diff: found by its line, made in its own layout. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from bench.commands.remedies import Edit


@dataclass(frozen=True)
class Patch:
    """What is to be changed.

    Attributes:
        diff: a unified diff, for `patch -p1` or `git apply`; "" where nothing could be put into one.
        by_hand: what could not, as sentences.
    """

    diff: str
    by_hand: tuple[str, ...]


def patch_of(edits: Iterable[Edit], sources: Mapping[str, str]) -> Patch:
    """The edits as one patch.

    Args:
        sources: the text of each file, by its name as the edits have it.
    """
    changed = dict(sources)
    by_hand = []
    # From the last line of a file to its first, so that lines keep their numbers.
    for edit in sorted(edits, key=lambda one: -int(one.line.rpartition(":")[2] or 0)):
        name, _, line = edit.line.rpartition(":")
        found = None if name not in changed else edited_call(changed[name], int(line), edit)
        if found is None:
            by_hand.append(edit_words(edit))
        else:
            changed[name] = found
    diffs = [
        "".join(
            difflib.unified_diff(
                sources[name].splitlines(keepends=True), text.splitlines(keepends=True), f"a/{name}", f"b/{name}"
            )
        )
        for name, text in changed.items()
        if text != sources[name]
    ]
    return Patch("".join(diffs), tuple(dict.fromkeys(by_hand)))


def edit_words(edit: Edit) -> str:
    """An edit as a sentence's words: `train.py:42: DataLoader(..., num_workers=0) without persistent_workers`."""
    given = ", ".join(f"{name}={value}" for name, value in edit.arguments.items())
    where = f"{edit.line}: " if edit.line else ""
    call = f"{edit.call}(..., {given})" if given else f"{edit.call}(...)"
    return where + call + (f" without {', '.join(edit.without)}" if edit.without else "")


def edited_call(source: str, line: int, edit: Edit) -> str | None:
    """The source with the call changed; None where no such call, or none alone, begins in that line."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.lineno == line and _called(node).endswith(edit.call)
    ]
    if len(calls) != 1 or any(keyword.arg is None for keyword in calls[0].keywords):  # **named may have it already
        return None
    text, call = _Text(source), calls[0]
    for keyword in reversed(call.keywords):  # from the last to the first: what stands before keeps its place
        name = keyword.arg or ""
        if name in edit.without:
            text.remove(keyword, call)
        elif name in edit.arguments:
            text.replace(keyword.value, edit.arguments[name])
    new = {name: value for name, value in edit.arguments.items() if name not in {one.arg for one in call.keywords}}
    return _with_new(text.made(), line, edit.call, new) if new else text.made()


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


class _Text:
    """A source whose pieces are replaced, told by the places that syntax trees have, which count bytes."""

    def __init__(self, source: str) -> None:
        lines = source.encode().splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, lines))]
        self._bytes = b"".join(lines)

    def span(self, node: ast.expr | ast.keyword) -> tuple[int, int]:
        """Where a piece begins and ends."""
        last = node.end_lineno or node.lineno
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[last - 1] + (node.end_col_offset or 0)

    def put(self, start: int, end: int, text: str) -> None:
        self._bytes = self._bytes[:start] + text.encode() + self._bytes[end:]

    def replace(self, node: ast.expr, text: str) -> None:
        self.put(*self.span(node), text)

    def remove(self, keyword: ast.keyword, call: ast.Call) -> None:
        """Take an argument out, with the comma before it, or, of the first one, with that after it."""
        start, end = self.span(keyword)
        given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
        before = [self.span(one)[1] for one in given if self.span(one)[1] <= start]
        rest = self._bytes[end:]
        if before:
            self.put(max(before), end, "")
        else:
            self.put(start, end + len(rest) - len(rest.lstrip(b", \n\t")), "")

    def made(self) -> str:
        return self._bytes.decode()


def _with_new(source: str, line: int, name: str, new: Mapping[str, str]) -> str:
    """The call with more arguments after its last one, each in a line of its own where its own are."""
    (call,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and node.lineno == line and _called(node).endswith(name)
    )
    text = _Text(source)
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    added = [f"{own}={value}" for own, value in new.items()]
    if not given:
        end = text.span(call)[1] - 1
        text.put(end, end, ", ".join(added))
        return text.made()
    last = max(given, key=text.span)
    ends = [call.func.end_lineno or 0, *(one.end_lineno or 0 for one in given if one is not last)]
    indent = " " * last.col_offset
    end = text.span(last)[1]
    text.put(end, end, "".join(f",\n{indent}{own}" if last.lineno > max(ends) else f", {own}" for own in added))
    return text.made()
