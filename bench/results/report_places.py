"""reports/: where pages lie. It can be thrown away and made again from `results/`. No torch, no pandas.

Runs under a folder named `results` have their pages in `reports` beside it; runs of another folder, which somebody
named, in `reports` within it, so that nothing is written outside of what was named.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from bench.results import baselines, files, store

_RESULTS, _REPORTS = "results", "reports"
PAGE_FILE, ABOUT_FILE = "index.html", "about.json"
OLD_PAGE = "report.html"  # in a run's own folder, where earlier versions wrote it
_LONGEST_SHARED, _LONGEST_FIRST, _DIGEST = 120, 80, 10


def reports_folder(out: Path) -> Path:
    """The folder of all pages of the runs under `out`."""
    named = _named(out)
    return named.with_name(_REPORTS) if named.name == _RESULTS else named / _REPORTS


def make_reports_folder(out: Path) -> Path:
    """The same, made if it is not there: git does not see it, or pages would make the next run's commit a dirty one.

    Raises:
        RunError: it cannot be made.
    """
    folder = reports_folder(out)
    if not folder.is_dir():
        files.write_aside(folder / ".gitignore", "*\n")
    return folder


def report_folder(run: Path) -> Path:
    """The folder of a run's page, which has the run's name; of a stage of a gate and of a baseline, below one more."""
    out, inner = _apart(run)
    return reports_folder(out).joinpath(*inner)


def runs_folder(run: Path) -> Path:
    """The folder of runs that a run is in."""
    return _apart(run)[0]


def _apart(run: Path) -> tuple[Path, list[str]]:
    """The folder of runs that a run is in, and its place there."""
    folder = _named(run)
    parent = _named(folder.parent)
    if os.path.lexists(parent / store.GATE) or os.path.lexists(folder / baselines.FILE):
        return _named(parent.parent), [parent.name, folder.name]
    return parent, [folder.name]


def _named(path: Path) -> Path:
    """The same folder, by a path whose last part is its name."""
    return path if path.name and ".." not in path.parts else Path(os.path.abspath(path))


def page_of_folder(run: Path) -> Path:
    """Where the page of the run in that folder is written."""
    return report_folder(run) / PAGE_FILE


def page_there(run: Path) -> Path:
    """Where the run's page is: at the old place only if there is none at the new one."""
    new, old = page_of_folder(run), run / OLD_PAGE
    return old if os.path.lexists(old) and not os.path.lexists(new) else new


def shared_folder(runs: Sequence[Path]) -> Path:
    """The folder of the page that has several runs side by side: among the pages of the first."""
    places = [_apart(run) for run in runs]
    return reports_folder(places[0][0]) / shared_name(["-".join(inner) for _, inner in places])


def shared_name(names: Sequence[str]) -> str:
    """The names joined by `+`; of many or long ones the first, and a digest that tells them from others."""
    text = "+".join(names)
    if len(os.fsencode(text)) <= _LONGEST_SHARED:
        return text
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:_DIGEST]
    first = os.fsencode(names[0])[:_LONGEST_FIRST].decode("utf-8", "ignore")
    return f"{first}+{len(names) - 1}-more-{digest}"
