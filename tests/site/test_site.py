"""The site as it was built: nothing dangles, nothing comes from a network, and README reads well on a package index."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import ROOT

SITE = ROOT / os.environ.get("BENCH_SITE", "site")
PAGES = sorted(SITE.rglob("*.html"))
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "modulepreload", "prefetch", "dns-prefetch"}


class Page(HTMLParser):
    """What a page loads, where it leads to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.diagrams = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.diagrams += "mermaid" in found.get("class", "").split()
        if found.get(LOADED.get(tag, "")):
            self.loads.append(found[LOADED[tag]])
        if tag == "link" and LOADED_LINKS & set(found.get("rel", "").split()):
            self.loads.append(found["href"])
        if tag == "a" and "href" in found:
            self.leads.append(found["href"])


@cache
def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SITE))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_loads_nothing_from_a_network_and_all_that_it_loads_is_there(path: Path) -> None:
    for target in page(path).loads:
        assert not re.match(r"(\w+:)?//", target), target
        if not target.startswith("data:"):
            file = (
                SITE / target.lstrip("/")
                if target.startswith("/")
                else path.parent / unquote(re.split("[?#]", target)[0])
            )
            assert file.is_file(), target
    assert page(path).diagrams == 0, "Material fetches what draws diagrams from a CDN"


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "404.html"], ids=name_of)
def test_every_link_and_anchor_of_a_page_leads_somewhere(path: Path) -> None:
    for target in page(path).leads:
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        file = file / "index.html" if file.is_dir() else file
        assert file.is_file(), target
        if anchor and file.suffix == ".html":
            assert anchor in page(file).anchors, target


def test_no_style_fetches_anything() -> None:
    styles = list(SITE.rglob("*.css"))
    assert styles
    for style in styles:
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text), style


def test_every_page_of_docs_is_there_and_can_be_searched() -> None:
    wanted = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    wanted = {path.with_name("index.html") if path.name == "README.html" else path for path in wanted}
    assert wanted <= {path.relative_to(SITE) for path in PAGES}
    index = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {str(path) for path in wanted} - {"index.html"} <= found | {name.replace("index.html", "") for name in found}


def test_nothing_that_should_be_made_is_left_to_be_made() -> None:
    for path in PAGES:
        assert not re.search(r"<!-- generated: (?!NAME|figure NAME)", path.read_text(encoding="utf-8")), name_of(path)
    text = (SITE / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "--precision-goal" in text
    assert 'id="bench.run"' in (SITE / "reference" / "python.html").read_text(encoding="utf-8")


# --- README where the package index shows it


@pytest.mark.parametrize("base", [None, "https://example.invalid/owner/loopmark"])
def test_the_index_renders_the_readme_and_no_link_or_picture_is_broken(base: str | None) -> None:
    from readme_renderer import markdown

    from docs_build.long_description import long_description

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rendered = markdown.render(long_description(text, base, "v1.0"))
    assert rendered is not None
    assert "cost you a step?" in rendered
    assert "nox -s bench" in rendered
    # Of headings the renderer makes anchors, and links to these.
    found = [one for one in re.findall(r'(?:href|src)="([^"]*)"', rendered) if not one.startswith("#user-content-")]
    if base is None:
        assert found == []
        assert "The report: headline sentences" in rendered
        return
    assert f"{base}/raw/v1.0/docs/images/report.png" in found
    assert f"{base}/blob/v1.0/docs/tutorial.md" in found
    for target in found:
        assert target.startswith(f"{base}/"), target
        assert (ROOT / re.sub(r"^(raw|blob)/v1\.0/|#.*", "", target.removeprefix(f"{base}/"))).exists(), target


def test_code_and_addresses_stay_as_they_are_and_a_base_that_is_none_is_told() -> None:
    from docs_build.long_description import long_description

    text = "[a](b.md) [c](https://d.e) [f](#g)\n\n```\nx[1](y)\n```\n"
    assert long_description(text, None) == "a [c](https://d.e) [f](#g)\n\n```\nx[1](y)\n```\n"
    with pytest.raises(ValueError, match=r"allowed: https://HOST/OWNER/NAME"):
        long_description(text, "ftp://x")
