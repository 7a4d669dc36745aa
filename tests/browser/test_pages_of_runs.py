"""The index, runs side by side and a history in a real browser: search, order, hover, keys, zoom, filter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from histories import commit_of, many_points, run_of
from merged_runs import CPU_BOX, GPU_BOX, run_on
from opened_pages import Open

from bench.analysis import history
from bench.analysis.history_points import table_of
from bench.analysis.merge import merge_runs
from bench.analysis.side_by_side import side_by_side
from bench.analysis.summary import summarize
from bench.report.history_page import history_page
from bench.report.index_page import IndexRow, ReportIndex, render_index
from bench.report.merge_page import render_merge_page
from bench.report.side_by_side_page import render_shared_page

GITHUB = "https://github.com/o/r/commit/{commit}"
SHORT = {"launches": 2, "rounds": 8}


def history_file(path: Path, commits: int, series: int) -> Path:
    points = many_points(commits, series, changed_at=commits * 6 // 10, by=0.07)
    table, left_out = table_of(points)
    found = history.analyse(table, left_out, {commit_of(number): number for number in range(commits)})
    path.write_text(history_page(found, {found.runs[-1].run: "reports/last/index.html"}, GITHUB), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return history_file(tmp_path_factory.mktemp("small") / "history.html", 40, 3)


def index_file(path: Path) -> Path:
    rows = [
        IndexRow(
            name=f"20260101-0000{number:02}-cafe",
            link="x/index.html" * (number % 2),
            started=f"2026-01-01 00:{number:02}",
            suites=("overhead", "optimizers")[number % 2],
            headline=f"Fabric costs +{number} µs a step",
            outcomes=f"{number} ok",
            commit=f"{number:010x}",
            machine="Example CPU, 2 cores",
            note="the run itself is gone" * (number == 3),
        )
        for number in range(12)
    ]
    path.write_text(render_index(ReportIndex(rows, rows[:1], ["results/x/run.json: not readable"])), encoding="utf-8")
    return path


def test_all_of_them_are_sound(small: Path, tmp_path: Path, is_sound: Callable[[Path], None]) -> None:
    is_sound(small)
    is_sound(index_file(tmp_path / "index.html"))
    one, other = run_of(0, "a" * 40, **SHORT), run_of(1, "b" * 40, environment={"torch": "2.14.0"}, **SHORT)
    long = replace(other, info={**other.info, "run": "x" * 300})
    found = side_by_side([(run, summarize(run)) for run in (one, long)])
    page = tmp_path / "shared.html"
    page.write_text(render_shared_page(found, ["a/index.html", "b/index.html"], 0.012), encoding="utf-8")
    is_sound(page)


def test_a_merges_page_is_sound(tmp_path: Path, is_sound: Callable[[Path], None]) -> None:
    runs = [run_on(machine, number) for number, machine in enumerate((CPU_BOX, GPU_BOX, CPU_BOX))]
    page = tmp_path / "merge.html"
    page.write_text(render_merge_page(merge_runs(runs)), encoding="utf-8")
    is_sound(page)


def test_the_index_is_searched_and_sorted(tmp_path: Path, open_page: Open) -> None:
    opened = open_page(index_file(tmp_path / "index.html"))
    page = opened.page
    rows = page.locator("table[data-rows]").first.locator("tbody tr")

    def shown() -> list[str]:
        return [text for text in rows.locator("th").all_inner_texts() if text]

    assert rows.count() == 12
    page.get_by_label("Search").fill("optimizers ok")
    assert len([row for row in rows.all() if row.is_visible()]) == 6
    assert "6 of 13" in page.locator("output").inner_text()
    page.get_by_label("Search").fill("no such thing")
    assert not any(row.is_visible() for row in rows.all())
    page.get_by_label("Search").fill("")
    button = page.get_by_role("button", name="started").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("started")
    first = shown()[0]
    page.keyboard.press("Enter")
    assert shown()[-1] == first
    assert opened.complaints == []


def test_a_point_says_its_commit_on_hover_and_by_keys(small: Path, open_page: Open) -> None:
    opened = open_page(small)
    page = opened.page
    figure = page.locator("figure[data-series]").first
    drawing, told = figure.locator("svg"), figure.locator(".told")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 10.5 / 40, box["y"] + 60)
    assert commit_of(10)[:12] in told.inner_text()
    drawing.focus()
    page.keyboard.press("ArrowRight")
    assert commit_of(11)[:12] in told.inner_text()
    page.keyboard.press("End")
    assert told.locator("a").all()[0].get_attribute("href") == GITHUB.replace("{commit}", commit_of(39))
    assert told.locator("a").all()[1].get_attribute("href") == "reports/last/index.html"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.href") == GITHUB.replace("{commit}", commit_of(39))
    assert opened.complaints == []


def test_a_history_is_zoomed_and_filtered(small: Path, open_page: Open) -> None:
    opened = open_page(small)
    page = opened.page
    figures = page.locator("figure[data-series]")
    drawing = figures.first.locator("svg")
    whole = drawing.get_attribute("viewBox")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60)
    page.mouse.up()
    start, _, width, _ = map(float, drawing.get_attribute("viewBox").split())
    assert (start, width) == (pytest.approx(9.5, abs=0.5), pytest.approx(20, abs=0.5))
    assert figures.nth(1).locator("svg").get_attribute("viewBox") == drawing.get_attribute("viewBox")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    assert (
        commit_of(19)[:12] in figures.first.locator(".told").inner_text()
        or commit_of(20)[:12] in figures.first.locator(".told").inner_text()
    )
    page.get_by_role("button", name="Show all commits").click()
    assert [*map(float, drawing.get_attribute("viewBox").split())] == [*map(float, whole.split())]
    page.get_by_label("Filter").fill("batch_size=2")
    assert [figure.is_visible() for figure in figures.all()] == [False, False, True]
    page.get_by_label("Filter").fill("")
    page.get_by_label("only with changes").check()
    assert [figure.is_visible() for figure in figures.all()] == [True, False, False]
    assert "1 of 3" in page.locator("#tools output").inner_text()
    assert opened.complaints == []


def test_a_history_is_read_without_its_script(small: Path, open_page: Open) -> None:
    page = open_page(small, java_script_enabled=False).page
    assert page.locator("figure[data-series] svg").count() == 3
    assert not page.locator("#tools").is_visible()
    page.locator("summary", has_text="All 40 runs").click()
    assert page.locator("details tbody tr").count() == 40


def test_a_thousand_commits_of_fifty_series_open_in_two_seconds(tmp_path: Path, open_page: Open) -> None:
    path = history_file(tmp_path / "history.html", 1000, 50)
    assert path.stat().st_size < 5e6
    begun = time.monotonic()
    page = open_page(path).page
    page.locator("#tools output", has_text="50 of 50").wait_for()
    # Of the browser's own time, since a machine that does other things besides has no wall clock.
    took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took < 2000, f"{took} ms of {time.monotonic() - begun:.1f} s"
