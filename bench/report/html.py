"""One self-contained HTML page: whole without scripts, nothing fetched, every figure also as JSON inside."""

from __future__ import annotations

import base64
import hashlib
import shlex
import zlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe

import bench.borders as borders
from bench.analysis import claims
from bench.analysis.costs import Cost, impossible, models
from bench.analysis.summary import Summary
from bench.commands import false_alarms
from bench.machine import calibration
from bench.report import tables
from bench.report.cell_logs import cell_log_tails
from bench.report.cell_markup import CellDetails, LedgerRow, cell_sections, labelled_svg, ledger_rows, table_markups
from bench.report.convergence import GOAL_COLUMNS, GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import LADDER_NOTE, LADDER_TITLE, ladder_tables
from bench.report.not_shown import NOT_SHOWN_TITLE, not_shown
from bench.report.page_words import PAGE_WORDS, word_anchor
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines, places, words
from bench.report.step_choices import StepChoices, step_choices
from bench.report.tables import label
from bench.report.units import chosen_quantity, percent, quantity, unbreakable
from bench.results.store import StoredRun

if TYPE_CHECKING:
    from bench.analysis.frames import Frames
    from bench.report.drawing import Drawing

# Headings under which drawings stand, in the page's order, and their sections' names (bench/report/drawing.py).
SECTIONS: Mapping[str, str] = {
    "": "Figures",
    "distributions": "Distributions",
    "cost": "Cost a step",
    "precision": "Precision against loss",
    "scaling": "Scaling",
    "compile": "When compiling pays",
    "phases": "Where a step's time and memory go",
    "memory": "Where a step's time and memory go",
    "flame": "Where the extra time goes",
    "ceilings": "Ceilings of this machine",
}
# Answers, groups of instrumented launches and costs that are seen at once; of the first the rest can be opened.
ANSWERS_AT_ONCE, INSTRUMENTED_AT_ONCE = 12, 12
# Beyond this the figures' JSON is compressed: of 10,000 cells it is 26 MB long.
LARGEST_JSON = 1_000_000


def render(
    run: StoredRun, summary: Summary, drawings: Sequence[Drawing] | None = None, frames: Frames | None = None
) -> str:
    """The report.

    Args:
        drawings: the figures; drawn here if None, which imports seaborn (5 s on two slow cores).
        frames: the run's, of which they are drawn; made here if None.
    """
    if drawings is None:
        from bench.report.figures import draw_run

        drawings = draw_run(run, summary, frames)
    environment = template_environment()
    plan = run.info["plan"]
    shared, differing = _settings(summary)
    judged = zip(summary.costs, words(summary.costs), strict=True)
    of_cells: dict[str, list[Drawing]] = {}
    for drawing in drawings:
        if drawing.cell:
            of_cells.setdefault(drawing.cell, []).append(drawing)
    ledgers = ledger_rows(run, summary)
    details = CellDetails(shared, ledgers, of_cells, cell_log_tails(run), summary.stops)
    first_sections, more_sections = cell_sections(summary, details)
    script, choices = script_text(), _choices(run, summary, frames)
    rows = tables.cell_rows(summary)
    instrumented = tables.instrumented_tables(summary)
    known = {cell.group for cell in summary.cells}
    return environment.get_template(
        "page.html.jinja"
    ).render(
        run=run,
        summary=summary,
        suites=plan["suites"],
        script=markupsafe.Markup(script),  # the program's own
        security=security(script),
        headlines=headlines(summary),
        answers=ANSWERS_AT_ONCE,
        choices=choices,
        conditions_title=tables.CONDITIONS_TITLE,
        not_shown=not_shown(run.info, summary),
        not_shown_title=NOT_SHOWN_TITLE,
        tables=table_markups(summary, rows),
        first_sections=first_sections,
        more_sections=more_sections,
        words=PAGE_WORDS,
        word_anchor=word_anchor,
        instrumented=instrumented[:INSTRUMENTED_AT_ONCE],
        instrumented_left_out=len(instrumented[INSTRUMENTED_AT_ONCE:]),
        instrumented_title=tables.INSTRUMENTED_TITLE,
        shares=tables.SHARES,
        labelled_svg=labelled_svg,
        drawn=_by_heading([drawing for drawing in drawings if not drawing.cell]),
        common=[
            *script_differences(summary),
            *all_hold(summary, rows),
            *tables.equal_work(summary),
            *tables.shared_axes(summary),
        ],
        titles=tables.titles(summary),
        goals=goal_tables(summary),
        goal_title=GOAL_TITLE,
        goal_columns=GOAL_COLUMNS,
        goal_note=goal_note(summary),
        ladders=ladder_tables(summary),
        ladder_title=LADDER_TITLE,
        ladder_note=LADDER_NOTE,
        costs=[(cost, _cost_entries(index, cost, word)) for index, (cost, word) in enumerate(judged)],
        cost_names=_cost_names(summary.costs),
        reference=chosen_quantity(summary.reference_step, "s"),
        mismatches=_mismatches(summary),
        work=_work(ledgers, summary),
        shared=shared,
        differing=differing,
        stops=_stops(summary, known),
        command=command(run),
        started=_started(run),
        timing=_timing(run),
        drawn_by=drawn_by(),
        outcomes=_count(summary),
        tally=_tally(run),
        repeated=repeated(summary),
        data=embed(summary.to_json()),
        steps=_in_a_script(borders.json_text(choices.document)) if choices else None,
    )


def _choices(run: StoredRun, summary: Summary, frames: Frames | None) -> StepChoices | None:
    """What can be chosen as one's own step; its models are made of frames, which are made only where there are any."""
    if not any(cost.fitted for cost in summary.costs):
        return None
    if frames is None:
        from bench.analysis.frames import frames_of

        frames = frames_of(run)
    return step_choices(summary, models(run.info["plan"], frames.pairs))


@cache
def script_text() -> str:
    """The page's script: small, by hand, and the same on every page."""
    return (Path(__file__).parent / "page.js").read_text(encoding="utf-8").strip()


def security(script: str) -> str:
    """What a browser may do for the page: run this script and no other, and fetch nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = ("default-src 'none'", f"script-src 'sha256-{digest}'", "style-src 'unsafe-inline'", "img-src data:")
    return "; ".join((*allowed, "base-uri 'none'", "form-action 'none'"))


def _by_heading(drawings: Sequence[Drawing]) -> dict[str, list[Drawing]]:
    """Drawings by their heading, in the page's order; what has an unknown one, goal or ladder, by its section."""
    order = [*SECTIONS]
    found: dict[str, list[Drawing]] = {}
    for drawing in sorted(drawings, key=lambda one: order.index(one.section) if one.section in order else len(order)):
        found.setdefault(SECTIONS.get(drawing.section, drawing.section), []).append(drawing)
    return found


def drawn_by() -> str:
    """The libraries that draw: others draw the same figures otherwise."""
    names = ("matplotlib", "seaborn", "numpy", "pandas", "scipy")
    return ", ".join(f"{name} {version(name)}" for name in names)


@cache  # a template is compiled once an environment, which takes longer than to fill it
def template_environment() -> jinja2.Environment:
    """Templates whose texts are escaped for HTML, and have no control, direction or surrogate characters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
    )
    environment.filters.update(unbroken=unbreakable)
    return environment


def _finalized(value: object) -> object:
    # Drawings and embedded figures are markup, and are made of texts that have crossed their own borders.
    return value if isinstance(value, markupsafe.Markup) or not isinstance(value, str) else borders.terminal(value)


def _tally(run: StoredRun) -> str:
    """How often the gate was wrong where the run was measured; nothing where that is another machine or torch."""
    there = run.info.get("environment") or {}
    threads = (run.info.get("options") or {}).get("threads", 1)
    here = calibration.fingerprint("cpu", "", threads)
    if there.get("cpu") != here["device"] or there.get("torch") != here["torch"]:
        return ""
    return false_alarms.read_tally(threads).sentence


@dataclass(frozen=True)
class EmbeddedJson:
    """JSON as it stands in a script element: `text`, and how that is encoded, "" or `deflate`, which is in base64."""

    text: markupsafe.Markup
    encoding: str


def embed(data: Any) -> EmbeddedJson:
    """Data as JSON that may stand in a script element: no `<`, so nothing in it can end the element."""
    text = borders.json_text(data)
    if len(text) <= LARGEST_JSON:
        return EmbeddedJson(_in_a_script(text), "")
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return EmbeddedJson(markupsafe.Markup(packed), "deflate")  # letters of base64


def _in_a_script(text: str) -> markupsafe.Markup:
    """JSON without `<`, so that no element can begin or end in it."""
    return markupsafe.Markup(text.replace("<", "\\u003c"))  # as said


def command(run: StoredRun) -> str:
    """The command line that made the run, without the folder that the program lies in."""
    program, *rest = run.info["argv"] or ["bench"]
    name = PurePath(program).name
    start = ["python", "-m", "bench"] if name == "__main__.py" else [name]
    return shlex.join([*start, *rest])


def _started(run: StoredRun) -> str:
    started = run.info.get("started")
    return f"{datetime.fromisoformat(started).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if started else "not started"


def _count(summary: Summary) -> str:
    counts: dict[str, int] = {}
    for cell in summary.cells:
        counts[cell.outcome] = counts.get(cell.outcome, 0) + 1
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _cost_names(costs: Sequence[Cost]) -> list[str]:
    names = []
    for cost, where in zip(costs, places(costs), strict=True):
        name = f"twin of {label(cost.axis, cost.baseline)}" if cost.twin else label(cost.axis, cost.value)
        names.append(f"{name} ({where})" if where else name)
    return names


# What the table of costs says of each cost; the sentences above it give the reasons.
_SAID: Mapping[claims.ClaimWord, str] = {
    "told": "yes",
    "zero": "not told from zero",
    "as-twin": "no: the twin reads as much",
    "no-twin": "no: the twin has no interval",
    "one-launch": "no: one launch",
    "too-wide": "no: wider than the step",
    "nothing": "no figure",
}


def _cost_entries(index: int, cost: Cost, word: claims.ClaimWord) -> list[tables.Entry]:
    """Fixed, share, cost, relative, sweeps, as measured, whether it is told; empty where it may not be stated."""
    path = f"costs/{index}"
    entries = []
    for name in ("fixed", "share", "cost", "relative"):
        interval = getattr(cost, name)
        # Without an interval none is known, and beyond the data nothing is.
        if interval is None or interval.low is None or (name in ("cost", "relative") and not cost.stated):
            entries.append(tables.Entry("", ""))
            continue
        values = (interval.estimate, interval.low, interval.high)
        text = percent(*values) if name in ("share", "relative") else quantity(values[0], "s", *values[1:], signed=True)
        entries.append(tables.Entry(text, f"{path}/{name}"))
    launches = cost.cost.launches if cost.cost else None
    entries.append(tables.Entry(str(launches or ""), f"{path}/cost/launches" if launches else ""))
    entries.append(tables.Entry(_as_measured(cost), f"{path}/measured" if cost.measured else ""))
    said = tables.Entry("", "") if cost.twin else tables.Entry(_SAID[word], f"{path}/told")
    return [*entries, said]


def _as_measured(cost: Cost) -> str:
    if cost.measured is None or cost.measured_step is None:
        return ""
    low, high = cost.measured.low, cost.measured.high
    wide = impossible(cost.measured, cost.measured_step)
    text = quantity(cost.measured.estimate, "s", *((None, None) if wide else (low, high)), signed=True)
    return f"{text}{' [wider than the step]' if wide else ''} at {quantity(cost.measured_step, 's')}"


def _mismatches(summary: Summary) -> list[tuple[str, str, Any, Any]]:
    """Settings that were not what was asked for: cell, name, requested, effective."""
    return [
        (cell.id, name, cell.requested[name], value)
        for cell in summary.cells
        for name, value in cell.effective.items()
        if name in cell.requested and cell.requested[name] != value
    ]


def _settings(summary: Summary) -> tuple[dict[str, Any], list[tuple[str, list[str]]]]:
    """Effective settings: those that all measured cells share, and the rest as (name, its values)."""
    seen = [cell.effective for cell in summary.cells if cell.effective]
    names = dict.fromkeys(name for effective in seen for name in effective)
    values = {name: [effective.get(name, "–") for effective in seen] for name in names}
    shared = {name: found[0] for name, found in values.items() if all(value == found[0] for value in found)}
    differing = [(name, list(dict.fromkeys(map(str, found)))) for name, found in values.items() if name not in shared]
    return shared, differing


def _work(ledgers: Mapping[str, LedgerRow], summary: Summary) -> list[tuple[str, int]]:
    """How cells stand to their baselines: each verdict and of how many cells it is."""
    counts: dict[str, int] = {}
    for cell in summary.cells:
        if cell.id in ledgers:
            verdict = ledgers[cell.id].verdict
            counts[verdict] = counts.get(verdict, 0) + 1
    return list(counts.items())


def _stops(summary: Summary, groups: Container[str]) -> list[tuple[str, int, str]]:
    """Why groups stopped: reason, how many, after how many launches."""
    found: dict[str, list[int]] = {}
    for stop in (stop for group, stop in summary.stops.items() if group in groups):
        found.setdefault(stop["reason"], []).append(stop["launches"])
    return [
        (reason, len(own), str(own[0]) if min(own) == max(own) else f"{min(own)} to {max(own)}")
        for reason, own in found.items()
    ]


def _timing(run: StoredRun) -> list[tuple[str, str]]:
    timing = run.info.get("timing") or {}
    rows = [(name.replace("_", " "), quantity(value, "s")) for name, value in timing.items()]
    if timing.get("wall") and "turns" in timing:
        rows.append(("share in turns", percent(timing["turns"] / timing["wall"], signed=False)))
    return rows
