"""Every list of outcomes has all of them: pages for readers, colours, and what formats say of each."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT
from synthetic import Arm, race

from bench.analysis.summary import summarize
from bench.report import console, html, markdown
from bench.results.record import FAILED_OUTCOMES, OUTCOMES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# So many in one paragraph are a list.
A_LIST = 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_list_of_outcomes_has_them_all(page: Path) -> None:
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|] )", page.read_text(encoding="utf-8")):
        named = set(re.findall(r"`([\w-]+)`", paragraph)) & set(OUTCOMES)
        assert len(named) < A_LIST or named == set(OUTCOMES), f"lacks {set(OUTCOMES) - named}: {paragraph[:200]}"


def test_there_are_lists_to_look_at() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/index.md", "docs/glossary.md")]
    assert all(len(set(re.findall(r"`([\w-]+)`", text)) & set(OUTCOMES)) == len(OUTCOMES) for text in texts)


def test_the_glossary_says_of_each_whether_it_has_ratios_and_its_exit_code() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| (\S[^|]*) \| (\d+) \|$", text, re.MULTILINE)
    found = {name: (ratios, int(code)) for name, ratios, code in rows if name in OUTCOMES}
    assert set(found) == set(OUTCOMES)
    for name, (ratios, code) in found.items():
        assert code == (3 if name in FAILED_OUTCOMES else 0), name
        assert ratios.startswith("yes" if name in ("ok", "noisy") else "no"), name


def test_what_is_no_failure_is_not_red() -> None:
    style = (ROOT / "bench" / "report" / "style.css.jinja").read_text(encoding="utf-8")
    amber = re.search(r"^(\.outcome\.[^{]*)\{ color: var\(--warn\)", style, re.MULTILINE)
    assert amber
    assert set(re.findall(r"\.outcome\.([\w-]+)", amber[1])) == set(OUTCOMES) - FAILED_OUTCOMES - {"ok"}


@pytest.mark.parametrize("outcome", [one for one in OUTCOMES if one != "ok"])
def test_every_format_has_the_outcome_with_its_reason(outcome: str) -> None:
    arms = {"base": Arm(1e-3), "other": Arm(1e-3, outcome=outcome, reason="it went astray")}
    run = race("choice", arms)
    summary = summarize(run)
    texts = [console.render(summary), markdown.render(summary), html.render(run, summary, drawings=())]
    for text in texts:
        assert outcome in text
        assert "it went astray" in " ".join(text.split())
        ours = "a fault in loopmark's own code" in " ".join(text.split()).replace("&#39;", "'").replace("\\", "")
        assert ours == (outcome == "internal")


@pytest.mark.parametrize("module", [console, markdown])
def test_a_reason_that_many_cells_share_is_told_once_and_another_is_not_lost(module: ModuleType) -> None:
    names = [f"lost{number}" for number in range(5)]
    arms = {name: Arm(1e-3, outcome="crashed", reason="it went astray") for name in names}
    arms["alone"] = Arm(1e-3, outcome="oom", reason="it wanted more")
    summary = summarize(race("choice", {"base": Arm(1e-3), **arms}))
    told = module.render(summary)
    told = next(part for part in told[told.index("Not ok") :].split("\n\n") if "- " in part)
    assert told.count("it went astray") == told.count("it wanted more") == 1
    shown = sum(name in told for name in names)
    more = re.search(r"and (\d+) more", told)
    assert 0 < shown < len(names)
    assert more
    assert shown + int(more[1]) == len(names)
