"""A run's page with what is kept beside it, and the index of all pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.summary import Summary
from bench.report import html
from bench.report.about_page import about_run, write_about
from bench.report.index_page import update_index
from bench.results import files, report_places
from bench.results.store import StoredRun

if TYPE_CHECKING:
    from bench.analysis.frames import Frames


def write_run_page(run: StoredRun, summary: Summary, path: Path | None = None, frames: Frames | None = None) -> Path:
    """Write the page; says where it is.

    Args:
        path: None: its place in reports/, whose index is made anew then.

    Raises:
        RunError: it cannot be written.
    """
    page = html.render(run, summary, frames=frames)
    if path is not None:
        files.write_aside(path, page)
        return path
    path = report_places.page_of_folder(run.folder)
    report_places.make_reports_folder(report_places.runs_folder(run.folder))
    files.write_aside(path, page)
    write_about(path.with_name(report_places.ABOUT_FILE), about_run(run, summary))
    update_index(report_places.runs_folder(run.folder))
    return path
