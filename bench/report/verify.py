"""Makes a report again from the raw records, judges these again, and says where they differ."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.estimates import CellSummary
from bench.analysis.frames import frames_of
from bench.analysis.pairs import MEASURED, SEATS_FROM, step_rules
from bench.analysis.summary import ESTIMATE, Summary, summarize
from bench.errors import RunError, SpecError
from bench.report import html
from bench.report.pages import Page, differing_texts, page_text, parse_page
from bench.report.replay import can_be_judged, judge_again
from bench.results import decoding
from bench.results.record import Record
from bench.results.sample_counts import counted_samples
from bench.results.store import StoredRun
from bench.stats.intervals import LAYOUT_SD, Interval, interval_of_differences, interval_of_logs
from bench.stats.periods import Period
from bench.stats.step_times import LEAST_ROUNDS, launch_ratios, step_times

if TYPE_CHECKING:
    from bench.report.drawing import Drawing

# Another version of numpy or another processor may add in another order; 1e-9 is far below what is printed and far
# above that. Near zero the same sums leave errors of their own: a femtosecond is none of a step.
RELATIVE, ABSOLUTE = 1e-9, 1e-15


@dataclass(frozen=True)
class Verification:
    """What came of it.

    Attributes:
        differences: sentences; empty where all that was checked is as it must be.
        checked: what was, as parts of a sentence.
        unchecked: what was not, and why, as sentences.
    """

    differences: Sequence[str]
    checked: Sequence[str]
    unchecked: Sequence[str]

    @property
    def sentence(self) -> str:
        """The last word: it claims what was checked, and nothing else."""
        if self.differences:
            return f"{len(self.differences)} differences"
        return "; ".join([f"as the records give them: {', '.join(self.checked)}", *self.unchecked])


def verify_page(run: StoredRun, path: Path) -> Verification:
    """All that can be checked of a run and its page, as it lies on the disk.

    Raises:
        RunError: the page is not there, or not readable.
    """
    return examine(run, page_text(run, path))


def examine(run: StoredRun, report_html: str, drawings: Sequence[Drawing] | None = None) -> Verification:
    """All that can be checked of a run and its page.

    Args:
        drawings: the figures that the page must have; None: drawn here, which imports seaborn (5 s on two slow cores).
    """
    differences = [*run.broken]
    checked = ["figures, words, settings, ledgers, environment and script of the page"]
    unchecked = []
    page = parse_page(report_html)
    if page.drawings and page.drawn_by != html.drawn_by():
        unchecked.append(
            f"its drawings were not compared: they are by {page.drawn_by or 'unknown versions'}, "
            f"and here is {html.drawn_by()}"
        )
    else:
        checked.append("its drawings")
    differences += page_differences(run, report_html, drawings)
    if can_be_judged(run):
        differences += judge_again(run)
        checked.append(f"outcomes of {len(run.records) + len(run.instrumented)} records, judged again")
    else:
        unchecked.append(f"outcomes were not judged again: the run is of schema {run.info['schema']}, with other rules")
    if run.covered:
        checked.append("the chained digest of the records")
    else:
        unchecked.append("the records carry no digest, so nobody knows whether some were changed, exchanged or lost")
    return Verification(list(dict.fromkeys(differences)), checked, unchecked)


def page_differences(run: StoredRun, report_html: str | None, drawings: Sequence[Drawing] | None = None) -> list[str]:
    """How a report differs from what the run's records give, as sentences; empty if in nothing.

    Compared are the figures embedded in the page as JSON, every text and element of it, its drawings, and, with or
    without a page, step times and ratios computed again without pandas.

    Args:
        report_html: the page, or None if the run has none.
        drawings: those that the page must have; None: as `examine` draws them.
    """
    if report_html is None:
        return _own_differences(run, summarize(run))
    page = parse_page(report_html)
    try:
        printed = decoding.decode(dict[str, Any], page.data, "the report has no figures that can be read")
    except RunError as error:
        return [str(error)]
    if printed.get("estimate") != ESTIMATE:
        return [
            f"the page's figures are of another estimate ({printed.get('estimate') or 'the median step'}) than this "
            f"version's ({ESTIMATE}), so none was compared: write the page again with `bench report`"
        ]
    reference = printed.get("reference_step")
    if not isinstance(reference, (int, float)) or not 0 < reference < decoding.LARGEST_NUMBER:
        return [_difference("reference_step", reference, "a time above 0")]
    # What is broken is told by itself; on the page it stands only if it was so when the page was written.
    known = printed.get("warnings")
    run = replace(run, broken=tuple(text for text in run.broken if isinstance(known, list) and text in known))
    goals = printed.get("convergence")
    target = goals.get("chosen") if isinstance(goals, dict) else None
    if target is not None and not (isinstance(target, (int, float)) and math.isfinite(target)):
        return [_difference("convergence/chosen", target, "a validation loss")]
    try:
        frames = frames_of(run)
        summary = summarize(run, reference, target, frames=frames)
    except SpecError as error:  # the page is of a goal, and the run has none
        return [str(error)]
    fresh = parse_page(html.render(run, summary, drawings, frames))
    data = json.loads(fresh.data)
    return [
        *_differences(printed, data, ""),
        *_script_differences(page, fresh),
        *_text_differences(page, fresh),
        *_drawing_differences(page, fresh),
        *_own_differences(run, summary),
    ]


def _difference(path: str, printed: object, recomputed: object) -> str:
    return f"{path}: the report says {printed}, the records give {recomputed}"


def _differences(printed: Any, recomputed: Any, path: str) -> Iterator[str]:
    if path == "cells" and isinstance(printed, list) and all(isinstance(cell, dict) for cell in printed):
        # Cells go by their id, so that one that is missing does not shift all others.
        printed, recomputed = ({cell.get("id"): cell for cell in cells} for cells in (printed, recomputed))
    if isinstance(printed, dict) and isinstance(recomputed, dict):
        inside = f"{path}/" if path else ""
        for name in [*recomputed, *(name for name in printed if name not in recomputed)]:
            if name not in printed:
                yield f"{inside}{name}: missing in the report, the records give it"
            elif name not in recomputed:
                yield f"{inside}{name}: in the report, but the records do not give it"
            else:
                yield from _differences(printed[name], recomputed[name], f"{inside}{name}")
    elif isinstance(printed, list) and isinstance(recomputed, list) and len(printed) == len(recomputed):
        for index, (one, other) in enumerate(zip(printed, recomputed, strict=True)):
            yield from _differences(one, other, f"{path}/{index}")
    elif not _same(printed, recomputed):
        yield _difference(path, printed, recomputed)


def _same(printed: object, recomputed: object) -> bool:
    numbers = (int, float)
    if isinstance(printed, numbers) and isinstance(recomputed, numbers) and not isinstance(printed, bool):
        return math.isclose(printed, recomputed, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(printed) is type(recomputed) and printed == recomputed


def _text_differences(page: Page, fresh: Page) -> Iterator[str]:
    for path in dict.fromkeys([*fresh.figures, *page.figures]):
        printed, recomputed = page.figures.get(path, "nothing"), fresh.figures.get(path, "nothing")
        if printed != recomputed:
            yield _difference(f"{path} (as text)", printed, recomputed)
    texts = list(differing_texts(page.texts, fresh.texts))
    yield from (_difference(*difference) for difference in texts)
    told = {place for place, _, _ in texts}
    for place, printed, recomputed in differing_texts(page.elements, fresh.elements):
        if place not in told:
            yield _difference(f"{place} (its elements)", printed, recomputed)


def _script_differences(page: Page, fresh: Page) -> Iterator[str]:
    """The script shows texts that Python made, so it must be the program's own, and so must these."""
    if page.scripts != fresh.scripts:
        run, own = len(page.scripts), len(fresh.scripts)
        yield f"the page's script: not the program's own ({run} scripts that run, {own} of ours)"
    try:
        printed = json.loads(page.steps) if page.steps else None
    except ValueError:
        yield "steps: the report has none that can be read, the records give them"
        return
    yield from _differences(printed, json.loads(fresh.steps) if fresh.steps else None, "steps")


def _drawing_differences(page: Page, fresh: Page) -> Iterator[str]:
    same_libraries = page.drawn_by == fresh.drawn_by
    for title in dict.fromkeys([*fresh.drawings, *page.drawings]):
        if title not in page.drawings:
            yield f"drawing {title!r}: missing in the report, the records give it"
        elif title not in fresh.drawings:
            yield f"drawing {title!r}: in the report, but the records do not give it"
        elif page.captions[title] != fresh.captions[title]:
            yield _difference(f"drawing {title!r} (its text)", page.captions[title], fresh.captions[title])
        elif same_libraries and page.drawings[title] != fresh.drawings[title]:
            yield f"drawing {title!r}: not the one that the records give"


def _own_differences(run: StoredRun, summary: Summary) -> list[str]:
    """Step times and ratios of the summary against those made from the records, without frames."""
    records = {
        (record.cell, record.launch): record
        for record in run.records
        if record.outcome in MEASURED and record.turns is not None
    }
    by_cell: dict[str, list[Record]] = {}
    for record in records.values():
        by_cell.setdefault(record.cell, []).append(record)
    rules = step_rules(run)
    seen: dict[str, list[Mapping[str, float]]] = {}
    for record in run.instrumented:
        if record.outcome in MEASURED:
            seen.setdefault(record.cell, []).append(record.extra)
    found: list[str] = []
    for cell in summary.cells:
        own, (known, most) = by_cell.get(cell.id, []), rules.of(cell.id)
        values = [
            math.log(step_times(record.turns, known, most=most).mean)
            for record in own
            if record.turns is not None and len(record.turns.round) >= LEAST_ROUNDS
        ]
        if values or "step_time" in cell.metrics:
            printed = cell.metrics["step_time"]
            found += _differences(
                {"estimate": printed.estimate, "low": printed.low, "high": printed.high},
                _plain(interval_of_logs(values)),
                f"cells/{cell.id}/metrics/step_time",
            )
        found += _instrumented_differences(seen.get(cell.id, []), cell)
        if cell.versus is None:
            continue
        base = cell.versus.baseline
        old = run.info.get("schema", 0) < SEATS_FROM
        both = [(record, records[base, record.launch]) for record in own if (base, record.launch) in records]
        for name, again in _versus_again(both, (known, rules.of(base)[0]), most, old=old).items():
            shown = getattr(cell.versus, name)
            if shown is not None:
                found += _differences(
                    {"estimate": shown.estimate, "low": shown.low, "high": shown.high},
                    _plain(again),
                    f"cells/{cell.id}/versus/{name}",
                )
    return found


def _versus_again(
    launches: Sequence[tuple[Record, Record]],
    periods: tuple[Sequence[Period], Sequence[Period]],
    most: float,
    *,
    old: bool,
) -> dict[str, Interval]:
    """The ratio of mean steps, their difference, that of typical steps and that of times a sample."""
    taken = [
        (launch_ratios(one.turns, other.turns, periods, most=most), one, other)
        for one, other in launches
        if one.turns and other.turns and len(set(one.turns.round) & set(other.turns.round)) >= LEAST_ROUNDS
    ]
    crossed = old or all(one.seat != other.seat for _, one, other in taken)
    sets = None if crossed else [other.fork_server for _, _, other in taken]
    logs = [ratios.mean for ratios, _, _ in taken]
    more = [math.log((counted_samples(one) or 1) / (counted_samples(other) or 1)) for _, one, other in taken]
    layout = LAYOUT_SD * statistics.median(ratios.step + ratios.difference for ratios, _, _ in taken)
    return {
        "ratio": interval_of_logs(logs, sets=sets),
        "typical": interval_of_logs([ratios.typical for ratios, _, _ in taken], sets=sets),
        "difference": interval_of_differences([ratios.difference for ratios, _, _ in taken], sets=sets, layout=layout),
        "per_sample": interval_of_logs([log - own for log, own in zip(logs, more, strict=True)], sets=sets),
    }


def _instrumented_differences(seen: Sequence[Mapping[str, float]], cell: CellSummary) -> list[str]:
    """The metrics of a cell's instrumented launches against the same."""
    found: list[str] = []
    for name in dict.fromkeys([*(name for extra in seen for name in extra), *cell.instrumented]):
        values = [extra[name] for extra in seen if name in extra]
        interval = (
            interval_of_logs([math.log(value) for value in values])
            if min(values, default=0.0) > 0
            else interval_of_differences(values)
        )
        printed = cell.instrumented.get(name)
        if printed is None:
            found.append(f"cells/{cell.id}/instrumented/{name}: missing in the report, the records give it")
            continue
        found += _differences(
            {"estimate": printed.estimate, "low": printed.low, "high": printed.high},
            _plain(interval),
            f"cells/{cell.id}/instrumented/{name}",
        )
    return found


def _plain(interval: Interval) -> dict[str, float | None]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
