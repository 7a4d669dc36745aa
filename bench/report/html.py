"""One self-contained HTML page: no script that runs, nothing fetched, every figure also as JSON inside."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe

import bench.borders as borders
from bench.analysis import claims
from bench.analysis.costs import Cost, impossible
from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary
from bench.commands import false_alarms
from bench.machine import calibration
from bench.report import tables
from bench.report.convergence import GOAL_COLUMNS, GOAL_TITLE, goal_note, goal_tables
from bench.report.interval_count import all_hold
from bench.report.ladder import LADDER_NOTE, LADDER_TITLE, ladder_tables
from bench.report.repeated import repeated
from bench.report.script_differences import script_differences
from bench.report.sentences import headlines, places, words
from bench.report.tables import label
from bench.report.units import chosen_quantity, percent, quantity, unbreakable
from bench.results.store import StoredRun

if TYPE_CHECKING:
    from bench.analysis.frames import Frames
    from bench.report.drawing import Drawing

# What two arms that did equal work share, by the ledger's names.
LEDGER = ("steps", "samples", "samples_digest", "optimizer_updates", "initial_weights", "final_weights")


@dataclass(frozen=True)
class LedgerRow:
    """The work of one cell: values of its last launch, and in how many launches it did what its baseline did."""

    cell: CellSummary
    values: Sequence[str]
    equal: Sequence[bool]
    verdict: str


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
    return environment.get_template("page.html.jinja").render(
        run=run,
        summary=summary,
        suites=plan["suites"],
        headlines=headlines(summary),
        conditions_title=tables.CONDITIONS_TITLE,
        tables=tables.by_suite(summary),
        instrumented=tables.instrumented_tables(summary),
        instrumented_title=tables.INSTRUMENTED_TITLE,
        shares=tables.SHARES,
        drawings=drawings,
        common=[
            *script_differences(summary),
            *all_hold(summary),
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
        shared=shared,
        differing=differing,
        ledger=_ledger(run, summary),
        ledger_names=LEDGER,
        command=command(run),
        started=_started(run),
        timing=_timing(run),
        drawn_by=drawn_by(),
        outcomes=_count(summary),
        tally=_tally(run),
        repeated=repeated(summary),
        data=embed(summary),
    )


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


def embed(summary: Summary) -> str:
    """The summary as JSON that may stand in a script element: no `<`, so nothing in it can end the element."""
    return borders.json_text(summary.to_json(), indent=1).replace("<", "\\u003c")


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


def _ledger(run: StoredRun, summary: Summary) -> list[LedgerRow]:
    baselines = {cell["id"]: cell["baseline"] for cell in run.info["plan"]["cells"]}
    ledgers: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in run.records:
        if record.ledger:
            ledgers.setdefault(record.cell, {})[record.launch] = record.ledger
    outcomes = {(record.cell, record.launch): record.outcome for record in run.records}
    precisions = {cell.id: cell.requested.get("precision") for cell in summary.cells}
    rows = []
    for cell in summary.cells:
        own = list(ledgers.get(cell.id, {}).items())
        if not own:
            continue
        against = ledgers.get(baselines[cell.id] or "", {})
        base = [against.get(launch, {}) for launch, _ in own]
        same = [
            [ledger.get(name) == other.get(name) for name in LEDGER]
            for (_, ledger), other in zip(own, base, strict=True)
        ]
        judged = sum(outcomes[cell.id, launch] == "ok" for launch, _ in own)
        if cell.equal:  # the judge says itself what it compared
            verdict = f"{cell.equal}: in {judged} of {len(own)} launches"
        elif cell.requested.get("precision") == precisions.get(baselines[cell.id]):
            verdict = f"equal in {sum(map(all, same))} of {len(own)} launches"
        else:  # weights of another precision differ in their bits, and the loss curve decides
            verdict = f"equal by the loss curve in {judged} of {len(own)} launches"
        if cell.id == baselines[cell.id]:
            verdict = "baseline"
        rows.append(
            LedgerRow(
                cell,
                [_short(own[-1][1].get(name, "")) for name in LEDGER],
                [all(column) for column in zip(*same, strict=True)],
                verdict,
            )
        )
    return rows


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) > 16 else text


def _timing(run: StoredRun) -> list[tuple[str, str]]:
    timing = run.info.get("timing") or {}
    rows = [(name.replace("_", " "), quantity(value, "s")) for name, value in timing.items()]
    if timing.get("wall") and "turns" in timing:
        rows.append(("share in turns", percent(timing["turns"] / timing["wall"], signed=False)))
    return rows
