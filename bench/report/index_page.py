"""reports/index.html: all runs of a folder and their pages, with a search; made anew whenever a page is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from bench.errors import RunError
from bench.report.about_page import AboutPage, about_folder, read_about, run_digest
from bench.report.html import template_environment
from bench.results import files, report_places, store

COMMIT_LETTERS = 10
OLD_RUN_PAGE = "the run has gone on since: bench report makes its page anew"
RUN_GONE = "the run itself is gone"


@dataclass(frozen=True)
class IndexRow:
    """A line of the index.

    Attributes:
        name: ids of the runs, joined by ` + `.
        link: to its page, from the index's folder; "" where there is none.
        note: what is amiss, or "".
    """

    name: str
    link: str
    started: str
    suites: str
    headline: str
    outcomes: str
    commit: str
    machine: str
    note: str = ""


@dataclass(frozen=True)
class ReportIndex:
    """All lines.

    Attributes:
        rows: of runs, newest first.
        shared: of pages with several runs.
        unread: why runs are in no line.
    """

    rows: Sequence[IndexRow]
    shared: Sequence[IndexRow]
    unread: Sequence[str]


def update_index(out: Path) -> Path:
    """Make the index of the runs under `out` anew; says where it is. Others who do the same wait.

    Raises:
        RunError: it cannot be written.
    """
    folder = report_places.make_reports_folder(out)
    path = folder / report_places.PAGE_FILE
    with files.lock(folder / ".lock"):
        files.write_aside(path, render_index(index_of(out)))
    return path


def render_index(found: ReportIndex) -> str:
    """The page."""
    return template_environment().get_template("index.html.jinja").render(found=found)


def index_of(out: Path) -> ReportIndex:
    """What the index says: of runs with a page what was kept beside it, of others what their run.json says."""
    reports = report_places.reports_folder(out)
    kept = _kept(reports)
    rows: list[IndexRow] = []
    unread: list[str] = []
    for folder in _runs(out, unread):
        place = report_places.report_folder(folder)
        about = kept.pop(place, None)
        try:
            rows.append(_row_of_run(folder, place, about, reports))
        except RunError as error:
            unread.append(str(error))
    shared = []
    for place, about in kept.items():
        if len(about.runs) > 1:
            shared.append(_row(about, place / report_places.PAGE_FILE, reports))
        else:
            rows.append(_row(about, place / report_places.PAGE_FILE, reports, _below(place, reports, out)))
    rows.sort(key=lambda row: (row.started, row.name), reverse=True)
    shared.sort(key=lambda row: (row.started, row.name), reverse=True)
    return ReportIndex(rows, shared, unread)


def _runs(out: Path, unread: list[str]) -> list[Path]:
    try:
        return store.every(out)
    except RunError as error:
        unread.append(str(error))
        return []


def _kept(reports: Path) -> dict[Path, AboutPage]:
    """What is kept beside each page, by the page's folder."""
    found = {}
    for pattern in (f"[!.]*/{report_places.ABOUT_FILE}", f"[!.]*/[!.]*/{report_places.ABOUT_FILE}"):
        for path in sorted(reports.glob(pattern)):
            about = read_about(path)
            if about is not None and os.path.lexists(path.with_name(report_places.PAGE_FILE)):
                found[path.parent] = about
    return found


def _row_of_run(folder: Path, place: Path, about: AboutPage | None, reports: Path) -> IndexRow:
    """Raises:
    RunError: the run cannot be read.
    """
    if about is not None and about.digest == run_digest(folder):
        return _row(about, place / report_places.PAGE_FILE, reports)
    page = report_places.page_there(folder)
    if about is not None:
        return _row(about, page, reports, OLD_RUN_PAGE)
    there = os.path.lexists(page)
    return _row(about_folder(folder), page if there else None, reports)


def _below(place: Path, reports: Path, out: Path) -> str:
    """What is amiss with a page of a run that is not right under `out`: of a gate's stage, of a baseline, or gone."""
    inner = place.relative_to(reports)
    return "" if len(inner.parts) > 1 and os.path.lexists(out / inner / store.RUN) else RUN_GONE


def _row(about: AboutPage, page: Path | None, reports: Path, note: str = "") -> IndexRow:
    return IndexRow(
        name=" + ".join(about.runs),
        link="" if page is None else relative_link(page, reports),
        started=_time(about.started),
        suites=", ".join(about.suites),
        headline=about.headline,
        outcomes=", ".join(f"{count} {outcome}" for outcome, count in about.outcomes.items()),
        commit=_short(about.commit),
        machine=about.machine,
        note=note,
    )


def _short(commit: str) -> str:
    known, dash, dirty = commit.partition("-")
    return known[:COMMIT_LETTERS] + dash + dirty


def _time(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return ""


def relative_link(target: Path, folder: Path) -> str:
    """An address of a file as seen from a page in that folder."""
    return quote(os.fsencode(os.path.relpath(target, folder)))
