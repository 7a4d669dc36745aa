"""Which elements of a page are open, by the rules of HTML: of those that we write, all that may be left out are ends of
`dt` and `dd`, which the end of their `div` brings with it (HTML, 13.1.2.4)."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "img", "wbr", "hr", "input"})


class BalancedReader(HTMLParser):
    """Walks over a page; an element that ends where another one is open fails the test."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dd" and self.open[-1:] == ["dt"]:
            self.open.pop()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self.open[-1:] == ["dd"]:
            self.open.pop()
        assert self.open.pop() == tag
