"""How many intervals are shown, and how often all hold: counted on the page itself, and by simulation."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from synthetic import Arm, make, race
from tiers import Choice

from bench.analysis.summary import summarize
from bench.borders import markdown_text
from bench.report import console, html, markdown
from bench.report.interval_count import all_hold, shown_intervals
from bench.report.pages import parse_page
from bench.report.verify import page_differences
from bench.stats.intervals import interval_of_differences


def test_the_sentence_counts_what_the_page_shows_and_stands_in_every_format() -> None:
    run = race("optimizer", {"sgd": Arm(1e-3), "adam": Arm(1.2e-3)})
    summary = summarize(run)
    count = shown_intervals(summary)
    sentence = " ".join(all_hold(summary))
    page = html.render(run, summary, drawings=())
    shown = [text for text in parse_page(page).figures.values() if re.fullmatch(r".*\[.*,.*\]", text)]
    assert count == len(shown) > 5
    assert sentence.startswith(f"{count} intervals of 95 % are shown, each for itself: ")
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())
    assert sentence in text
    assert sentence in " ".join(console.render(summary).split())
    assert markdown_text(sentence) in markdown.render(summary)
    assert page_differences(run, page, drawings=()) == []


def test_costs_are_counted_once_and_one_launch_has_nothing_to_say() -> None:
    several = summarize(make(launches=4))
    costs = [cost for cost in several.costs if cost.figure is not None and cost.figure[0].low is not None]
    assert costs
    assert shown_intervals(several) > len(costs)
    assert all_hold(summarize(make(launches=1))) == []
    assert "all hold in less than 1 % of runs if" in all_hold(several)[0]
    wide = {name: Arm(1e-3) for name in ("sgd", *(f"o{number}" for number in range(20)))}
    assert "all hold in less than 1 % of runs" in all_hold(summarize(race("optimizer", wide)))[0]


@pytest.mark.parametrize(("count", "shared"), [(2, False), (9, False), (9, True), (40, True)])
def test_all_hold_as_often_as_is_said_or_more(count: int, shared: bool, repeats: Choice) -> None:
    """Nine at once miss somewhere in a third of runs: so that the sentence is needed."""
    random, runs = np.random.default_rng([count, shared]), repeats(150, 1500)
    held = 0
    for _ in range(runs):
        values = random.normal(0, 1, (count, 6)) + (random.normal(0, 1, 6) if shared else 0.0)
        held += all(interval_of_differences(row).contains(0.0) for row in values.tolist())
    said = 0.95**count
    slack = 3 * (said * (1 - said) / runs) ** 0.5
    assert held / runs >= said - slack
    if not shared:
        assert held / runs <= said + slack
    if count == 9:
        assert held / runs < 0.85
