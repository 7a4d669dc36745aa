"""The page of several runs side by side: what differs first, ratios within each run, figures with their warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bench.borders as borders
from bench.analysis.side_by_side import ABSENT, SHOWN_METRICS, SharedCell, ShownCell, SideBySide, side_by_side
from bench.analysis.summary import Summary, summarize
from bench.report.about_page import ABOUT_SCHEMA, AboutPage, machine_words, write_about
from bench.report.html import template_environment
from bench.report.index_page import relative_link, update_index
from bench.report.pages import differing_texts, page_text, parse_page
from bench.report.units import quantity, ratio
from bench.report.verify import Verification
from bench.results import decoding, files, report_places
from bench.results.store import StoredRun

DRIFTS = (
    "Ratios are of each run's own turns, taken side by side, and may be read over time. Absolute figures may not: "
    "these runs were taken at different times, and a machine drifts by 2 % to 29 % between them. No figure pools runs; "
    "bench gate and bench versions race two sides at once, and bench compare tells how far two runs are apart."
)
OTHER_EXPERIMENTS = (
    "Other machines or other software: these runs are different experiments, and even ratios may differ by it."
)
WHAT_ELSE = "What else differs, and may be in every figure below:"
ALONE_SHOWN = 200  # cells of one run only that are named


@dataclass(frozen=True)
class SharedRow:
    """A cell's row: of each run its entry, and sentences on what may not be read across."""

    cell: SharedCell
    entries: Sequence[str]
    notes: Sequence[str]


def write_shared_page(taken: Sequence[tuple[StoredRun, Summary]], path: Path | None = None) -> Path:
    """Write the page; says where it is.

    Args:
        path: None: its place in reports/, whose index is made anew then.

    Raises:
        RunError: a run is there twice, or the page cannot be written.
    """
    found = side_by_side(taken)
    runs = [run for run, _ in taken]
    place = path or report_places.shared_folder([run.folder for run in runs]) / report_places.PAGE_FILE
    if path is None:
        report_places.make_reports_folder(report_places.runs_folder(runs[0].folder))
    step = taken[0][1].reference_step
    files.write_aside(place, render_shared_page(found, links_of([run.folder for run in runs], place), step))
    if path is None:
        write_about(place.with_name(report_places.ABOUT_FILE), _about(runs, found))
        update_index(report_places.runs_folder(runs[0].folder))
    return place


def links_of(folders: Sequence[Path], page: Path) -> list[str]:
    """To the page of each run, as seen from this one."""
    return [relative_link(report_places.page_of_folder(folder), page.parent) for folder in folders]


def _about(runs: Sequence[StoredRun], found: SideBySide) -> AboutPage:
    machines, commits = {machine_words(run) for run in runs}, {one.commit for one in found.runs}
    outcomes: dict[str, int] = {}
    for own in found.cells:
        for shown in own.runs:
            if shown is not None:
                outcomes[shown.outcome] = outcomes.get(shown.outcome, 0) + 1
    return AboutPage(
        ABOUT_SCHEMA,
        tuple(run.id for run in runs),
        max(one.started for one in found.runs),
        tuple(dict.fromkeys(suite for one in found.runs for suite in one.suites)),
        summary_sentence(found),
        outcomes,
        commits.pop() if len(commits) == 1 else "",
        machines.pop() if len(machines) == 1 else "",
    )


def summary_sentence(found: SideBySide) -> str:
    """How much the runs have in common, in one sentence."""
    cells = sum(not own.twin for own in found.cells)
    other = sum(
        any(shown is not None and shown.other_work for shown in own.runs) for own in found.cells if not own.twin
    )
    if not cells:
        return f"These {len(found.runs)} runs have no cell in common: nothing of one can be read beside the other."
    told = f"{cells} {'cell is' if cells == 1 else 'cells are'} in two runs or more of these {len(found.runs)}"
    return f"{told}; {other} of them did other work in one than in another." if other else f"{told}."


def render_shared_page(found: SideBySide, links: Sequence[str], reference_step: float) -> str:
    """The page."""
    groups: dict[str, list[SharedCell]] = {}
    for own in found.cells:
        groups.setdefault(own.group, []).append(own)
    metrics = [
        metric
        for metric in SHOWN_METRICS
        if any(shown is not None and metric in shown.metrics for own in found.cells for shown in own.runs)
    ]
    return (
        template_environment()
        .get_template("side_by_side.html.jinja")
        .render(
            found=found,
            links=links,
            sentence=summary_sentence(found),
            drifts=DRIFTS,
            differences=[
                (title, [one for one in found.differences if one.checked == checked])
                for title, checked in ((OTHER_EXPERIMENTS, True), (WHAT_ELSE, False))
            ],
            ratios=[(group, [_ratio_row(own, found) for own in cells]) for group, cells in groups.items()],
            figures=[
                (metric.replace("_", " "), [_figure_row(own, metric) for own in found.cells]) for metric in metrics
            ],
            alone=[(run, cells[:ALONE_SHOWN], len(cells) - ALONE_SHOWN) for run, cells in found.alone.items()],
            data=borders.json_text({**found.to_json(), "reference_step": reference_step}, indent=1).replace(
                "<", "\\u003c"
            ),
        )
    )


def _ratio_row(own: SharedCell, found: SideBySide) -> SharedRow:
    notes = []
    for run, shown in zip(found.runs, own.runs, strict=True):
        if shown is not None:
            notes += [f"{run.run}: {shown.outcome}: {shown.reason}"] * (shown.outcome != "ok" and bool(shown.reason))
            notes += [f"{run.run}: {shown.other_work}"] * bool(shown.other_work)
    return SharedRow(own, [_ratio(own, shown) for shown in own.runs], notes)


def _ratio(own: SharedCell, shown: ShownCell | None) -> str:
    if shown is None:
        return ABSENT
    if shown.ratio is not None:
        return ratio(shown.ratio.estimate, shown.ratio.low, shown.ratio.high)
    return "baseline" if own.baseline and not own.twin and shown.outcome == "ok" else shown.outcome


def _figure_row(own: SharedCell, metric: str) -> SharedRow:
    entries = []
    for shown in own.runs:
        one = shown.metrics.get(metric) if shown is not None else None
        entries.append(ABSENT if one is None else quantity(one.estimate, one.unit, one.low, one.high))
    return SharedRow(own, entries, ())


def verify_shared_page(runs: Sequence[StoredRun], path: Path) -> Verification:
    """Make the page again from the records of its runs, and say where it differs.

    Raises:
        RunError: the page is not there or not readable, or a run is there twice.
    """
    text = page_text(runs[0], path)
    page = parse_page(text)
    given = decoding.decode(dict[str, object], page.data, f"{path}: the page has no figures that can be read")
    step = given.get("reference_step")
    if not isinstance(step, int | float) or not 0 < step < decoding.LARGEST_NUMBER:
        return Verification([f"reference_step: the report says {step}, the records give a time above 0"], [], [])
    found = side_by_side([(run, summarize(run, step)) for run in runs])
    again = render_shared_page(found, links_of([run.folder for run in runs], path), step)
    fresh = parse_page(again)
    differences = [text for run in runs for text in run.broken]
    differences += [
        f"{place}: the report says {printed}, the records give {recomputed}"
        for mine, theirs in ((page.texts, fresh.texts), (page.elements, fresh.elements))
        for place, printed, recomputed in differing_texts(mine, theirs)
    ]
    if page.scripts != fresh.scripts:
        differences.append("the page's script is not the one that this version writes")
    if not differences and page.data != fresh.data:
        differences.append("the figures in the page as JSON are not those that the records give")
    return Verification(differences, [f"figures, words and script of the page of {len(runs)} runs"], [])
