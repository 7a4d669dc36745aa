"""Pages in a real browser: Debian's chromium, driven by Playwright; `nox -s browser` has what it needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# As root there is no sandbox; and a browser that tests nothing but a file has nobody to call.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# What axe calls so keeps somebody from reading the page.
GRAVE = ("serious", "critical")


@dataclass
class Opened:
    """A page in a browser, and what it did that it should not do.

    Attributes:
        page: Playwright's.
        complaints: errors and warnings of its console, and exceptions.
        requests: all but that for the page itself.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def grave(self) -> list[str]:
        """What axe-core finds that is serious or critical: rule, element, why."""
        from axe_playwright_python.base import AXE_FILE_PATH

        self.page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']}: {node['html'][:120]} ({(node['failureSummary'] or '')[:200]})"
            for one in found
            if one["impact"] in GRAVE
            for node in one["nodes"][:3]
        ]

    def wider_than_the_window(self) -> int:
        """By how many pixels the page can be scrolled sideways."""
        root = "document.scrollingElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser(processes: None) -> Iterator[Any]:
    """Chromium, started once."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        text = "chromium is not installed; as root: apt-get install chromium"
        pytest.fail(text) if os.environ.get("BENCH_BROWSER") == "all" else pytest.skip(text)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """`open_page(path, **options)`: the file in a window of its own; options are Playwright's of a context."""
    contexts: list[Any] = []

    def opened(path: Path, *, anchor: str = "", **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": DESK, **options})
        contexts.append(context)
        page = context.new_page()
        found = Opened(page)
        page.on("console", lambda said: said.type in ("error", "warning") and found.complaints.append(said.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        own = path.resolve().as_uri()
        page.on("request", lambda asked: asked.url.split("#")[0] != own and found.requests.append(asked.url))
        page.goto(own + anchor)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def is_sound(open_page: Open) -> Callable[[Path], None]:
    """`is_sound(path)`: the page opens, fetches nothing, complains of nothing, can be read by all.

    In both themes, and on a telephone without scrolling sideways. For every page that the program writes.
    """

    def judged(path: Path) -> None:
        for theme in ("light", "dark"):
            found = open_page(path, color_scheme=theme)
            assert found.page.title()
            assert found.grave() == [], theme
            assert found.complaints == []
            assert found.requests == []
        phone = open_page(path, viewport=PHONE, is_mobile=True, has_touch=True)
        assert phone.wider_than_the_window() == 0
        assert phone.complaints == []

    return judged
