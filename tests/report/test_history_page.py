"""A history's page: a planted step stands where it was planted; small, whole without its script, of hostile names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import call
from histories import commit_of, git, many_points, repository, run_of, save
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis import history
from bench.analysis.history import History, HistoryRun, MetricSeries, SeriesPoint
from bench.analysis.history_points import table_of
from bench.report.history_page import commit_link, history_page, panel
from bench.stats.change_points import Newest

GITHUB = "https://github.com/o/r/commit/{commit}"
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


def history_of(commits: int, series: int, changed_at: int, by: float, changed: int = 1) -> History:
    table, left_out = table_of(many_points(commits, series, changed_at=changed_at, by=by, changed=changed))
    return history.analyse(table, left_out, {commit_of(number): number for number in range(commits)})


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.mark.parametrize("at", [20, 47])
def test_a_planted_step_is_marked_at_its_commit(at: int) -> None:
    """7 % from commit `at` on, in one series of three: the table, the drawing and the data have it there."""
    page = history_page(history_of(70, 3, at, 0.07), commit_page=GITHUB)
    (change,) = [change for own in embedded(page)["series"] for change in own["changes"]]
    assert (change["index"], change["before"], change["after"]) == (at, commit_of(at - 1), commit_of(at))
    assert change["relative"] == pytest.approx(0.07, abs=0.01)
    drawn, *others = (ElementTree.fromstring(svg) for svg in SVG.findall(page))
    (upright,) = [path for path in drawn.iter("path") if "upright" in path.get("class", "")]
    assert upright.get("d") == f"M{at - 0.5:g} 0V1000"
    assert upright.get("class") == "upright suspected"
    assert not any("upright" in path.get("class", "") for other in others for path in other.iter("path"))
    rows = page.partition("<h2>Changes</h2>")[2].partition("<h2>Series</h2>")[0]
    assert f'<a href="https://github.com/o/r/commit/{commit_of(at)}"><code>{commit_of(at)[:8]}</code></a>' in rows


def test_points_of_a_series_are_one_path_at_their_places() -> None:
    found = history_of(40, 2, 30, 0.5)
    page = history_page(found)
    for svg, own in zip(SVG.findall(page), found.series, strict=True):
        (dots,) = [path for path in ElementTree.fromstring(svg).iter("path") if path.get("class") == "dots"]
        places = [tuple(map(int, place)) for place in re.findall(r"M(\d+) (\d+)h0", dots.get("d") or "")]
        assert [x for x, _ in places] == list(range(40))
        heights = np.array([y for _, y in places])
        values = np.array([point.value for point in own.points])
        fit = np.polyfit(values, heights, 1)
        assert fit[0] < 0, "larger is higher"
        assert np.abs(np.polyval(fit, values) - heights).max() < 1, "each where its value is, to the unit"


def test_a_run_that_a_machine_lacks_leaves_no_gap_and_moves_no_point() -> None:
    runs = many_points(40, 2, changed_at=40, by=0.0)
    less = replace(runs[5], cells=runs[5].cells[:1])
    table, _ = table_of([*runs[:5], less, *runs[6:]])
    whole, gappy = embedded(history_page(history.analyse(table)))["series"]
    assert whole["places"] is None
    assert gappy["places"] == [place for place in range(40) if place != 5]


def test_a_thousand_commits_of_fifty_series_are_below_five_megabytes() -> None:
    """Measured on two slow cores: 2.9 s of the processor for the analysis, 0.3 s for the page of 2.9 MB."""
    found = history_of(1000, 50, 600, 0.07, changed=3)
    page = history_page(found, {run.run: f"../reports/{run.run}/index.html" for run in found.runs}, GITHUB)
    assert len(page.encode()) < 5e6
    assert [[change.index for change in own.changes] for own in found.series[:3]] == [[600]] * 3
    assert len(SVG.findall(page)) == 50
    assert len(ElementTree.fromstring(SVG.findall(page)[0]).findall("path")) == 5  # not one a point


def test_without_the_script_all_is_there() -> None:
    found = history_of(30, 2, 15, 0.2)
    page = re.sub(
        r"<script.*?</script>", "", history_page(found, {found.runs[3].run: "r/index.html"}, GITHUB), flags=re.S
    )
    for run in found.runs:
        assert run.run in page
        assert commit_link(GITHUB, run.commit) in page
    assert page.count('href="r/index.html"') == 1
    for own in found.series:
        assert own.cell in page
    assert 'id="tools" class="search" hidden' in page, "what needs the script is not offered without it"


def one_series(values: list[float], cell: str = "c", unit: str = "s", note: str = "") -> History:
    points = [SeriesPoint(f"r{n}", commit_of(n), f"{n}", value, None, None, 1) for n, value in enumerate(values)]
    own = MetricSeries(
        "s", "g", cell, "step_time", unit, "lower", "m", points, [], [], [], Newest(None, None, False), note
    )
    return History("step_time", "time", "x", [own], [], [HistoryRun(p.run, p.commit, p.started) for p in points])


def test_one_point_one_series_none() -> None:
    alone = history_page(one_series([1e-3]))
    assert "1 point" in alone
    assert len(SVG.findall(alone)) == 1
    none = history_page(History("ratio", "time", "x", [], []))
    assert "There is no series." in none
    assert SVG.findall(none) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=40))
def test_a_drawing_holds_all_its_points_whatever_their_size(values: list[float]) -> None:
    found = one_series(values)
    places = {point.run: place for place, point in enumerate(found.series[0].points)}
    drawn = panel(found.series[0], 0, places, found.runs)
    heights = [int(height) for height in re.findall(r" (\d+)h0", drawn.dots)]
    assert len(heights) == len(values)
    assert all(0 <= height <= 1000 for height in heights)
    assert all(0 <= mark.at <= 1 for mark in (*drawn.rows, *drawn.columns))
    assert heights[values.index(max(values))] <= heights[values.index(min(values))]


class Attributes(HTMLParser):
    """The names of all attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {name for name, _ in attrs}


HOSTILE = ("<script>alert(1)</script>", "x" * 300, "\u202egnp", "🦊", "C:\\x\\y", "$x$", '" onload="x')


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_texts(text: str) -> None:
    page = history_page(one_series([1e-3, 2e-3], cell=text, unit=text, note=text), {"r0": "x/index.html"})
    assert page.count("<script") == 2
    assert "\u202e" not in page
    reader = Attributes()
    reader.feed(page)
    assert not any(name.startswith("on") for name in reader.seen)


@pytest.mark.parametrize(
    ("pattern", "commit", "link"),
    [
        (GITHUB, "a" * 40, f"https://github.com/o/r/commit/{'a' * 40}"),
        (GITHUB, "b" * 64, f"https://github.com/o/r/commit/{'b' * 64}"),
        (GITHUB, "a" * 39, ""),
        (GITHUB, '"><script>', ""),
        ("", "a" * 40, ""),
    ],
)
def test_only_hashes_are_linked(pattern: str, commit: str, link: str) -> None:
    assert commit_link(pattern, commit) == link


def test_the_page_is_the_same_byte_by_byte_with_a_cold_and_a_warm_cache(
    processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of 7 % in a real folder of runs, with the repository's remote and one run's page."""
    folder = tmp_path / "code"
    hashes = repository(folder, 24)
    git(folder, "remote", "add", "origin", "https://user:secret@github.com/o/r.git")
    # A ratio of 1.125, and from commit 14 on one that is 7 % larger.
    costs = [{"plain": 0.0, "trainer": 0.8e-3 * (ratio - 1)} for ratio in [1.125] * 14 + [1.125 * 1.07] * 10]
    for number, (hash_, cost) in enumerate(zip(hashes, costs, strict=True)):
        save(run_of(number, hash_, costs=cost, lengths={32: 0.8e-3}, launches=3, rounds=8), folder / "results")
    report = call("report", cwd=folder)
    assert report.returncode == 0, report.stderr
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pages = []
    for _ in range(2):
        done = call("history", "--html", "history.html", cwd=folder)
        assert done.returncode == 0, done.stderr
        pages.append((folder / "history.html").read_bytes())
    assert len(list((tmp_path / "cache").rglob("*.json.z"))) == 24
    assert pages[0] == pages[1]
    text = pages[0].decode()
    (change,) = [change for own in embedded(text)["series"] for change in own["changes"]]
    assert (change["after"], change["index"]) == (hashes[14], 14)
    assert f'href="https://github.com/o/r/commit/{hashes[14]}"' in text
    assert "secret" not in text
    newest = embedded(text)["runs"][-1]
    assert newest[3] == f"reports/{newest[0]}/index.html"
    assert [run[3] for run in embedded(text)["runs"][:-1]] == [""] * 23
