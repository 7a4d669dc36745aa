"""Cells on a page: a row of the table each, and a section each with its settings, its work and its figures.

Written by hand and not by templates, since a run may have ten thousand cells: jinja took 0.6 ms for a row. Of so many
the rows and sections beyond the first are in `noscript` elements, which a browser that runs scripts reads as one text,
from which the page's script takes what is to be seen; a reader without scripts sees them all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

import bench.borders as borders
from bench.analysis.estimates import CellSummary
from bench.analysis.summary import Summary
from bench.report.tables import OfSuite, Row, arm_name, by_suite
from bench.results.store import StoredRun

if TYPE_CHECKING:
    from bench.report.drawing import Drawing

# Rows, and sections, that are elements from the start.
AT_ONCE = 200
# What two arms that did equal work share, by the ledger's names.
LEDGER_NAMES = ("steps", "samples", "samples_digest", "optimizer_updates", "initial_weights", "final_weights")


def html_text(value: object) -> str:
    """Any text for HTML, on one line, so that a row or a section is one line of the page."""
    return str(escape(borders.one_line(str(value))))


def cell_anchor(cell: str) -> str:
    """The id of a cell's section: what its axes say, as far as there is place, and a part of the digest of its id."""
    said = re.sub(r"[^A-Za-z0-9.]+", "-", cell.partition("[")[2].replace("loop=", "")).strip("-")[:20].strip("-")
    digest = hashlib.sha256(cell.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"cell-{said}-{digest}" if said else f"cell-{digest}"


@dataclass(frozen=True)
class TableMarkup:
    """The table of one suite.

    Attributes:
        suite: its name.
        columns: heading, kind and path of each column: `axis`, `word` or `figure`; the path under the cell in the JSON.
        rows: of the first cells.
        more: of the others, a line each.
        cells: how many there are in all.
        narrow: how many columns a telephone has place for: arm, ratio, two axes; without ratios up to the first figure.
    """

    suite: str
    columns: Sequence[tuple[str, str, str]]
    rows: Markup
    more: Markup
    cells: int
    narrow: int


@dataclass(frozen=True)
class CellDetails:
    """What the sections of cells are made of, besides the cells.

    Attributes:
        shared: settings that are in effect in all measured cells.
        ledgers: what each did in its last launch, and how it stands to its baseline.
        drawings: figures by cell.
        logs: ends of logs by cell.
        stops: why each group stopped.
    """

    shared: Mapping[str, Any]
    ledgers: Mapping[str, LedgerRow]
    drawings: Mapping[str, Sequence[Drawing]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    stops: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerRow:
    """The work of one cell: values of its last launch, and in how many launches it did what its baseline did."""

    values: Sequence[str]
    equal: Sequence[bool]
    verdict: str


def table_markups(summary: Summary, rows: Sequence[Row]) -> list[TableMarkup]:
    """A table a suite, of the rows of its cells."""
    return [_table(summary, table) for table in by_suite(summary, rows)]


def _table(summary: Summary, table: OfSuite) -> TableMarkup:
    compared = summary.compare[table.suite]
    # The ratio first: on a telephone it is what is seen.
    order = sorted(table.columns, key=lambda name: name != "ratio")
    paths = _paths(table, order)
    columns = [("arm", "word", "")]
    columns += [(name, "figure", paths[name]) for name in order[:1] if name == "ratio"]
    columns += [(axis.replace("_", " "), "axis", "") for axis in table.axes]
    columns += [("outcome", "word", "")]
    columns += [(name, "figure", paths[name]) for name in order if name != "ratio"]
    lines = [line for rows in table.groups.values() for line in _rows(rows, compared, table.axes, order)]
    narrow = 2 + min(len(table.axes), 2) if order[:1] == ["ratio"] else 3 + len(table.axes)
    return TableMarkup(table.suite, columns, _lines(lines[:AT_ONCE]), _lines(lines[AT_ONCE:]), len(lines), narrow)


def _paths(table: OfSuite, names: Sequence[str]) -> dict[str, str]:
    """The path of each column's figure under its cell, which is the same in all rows."""
    found: dict[str, str] = {}
    for row in (row for rows in table.groups.values() for row in rows):
        for name in names:
            if name not in found and row.entries[name].figure:
                found[name] = row.entries[name].figure.removeprefix(f"cells/{row.cell.id}")
        if len(found) == len(names):
            break
    return {name: found.get(name, "") for name in names}


def _rows(rows: Sequence[Row], compared: str, axes: Sequence[str], order: Sequence[str]) -> Iterator[str]:
    for row in rows:
        cell = row.cell
        kind = " ".join(word for word, there in (("first", row is rows[0]), ("twin", cell.twin)) if there)
        start = f'<tr data-cell="{html_text(cell.id)}"' + (f' class="{kind}">' if kind else ">")
        parts = [
            f'{start}<th scope="row"><a href="#{cell_anchor(cell.id)}">{html_text(arm_name(compared, cell))}</a></th>'
        ]
        figures = [f"<td>{html_text(row.entries[name].text)}</td>" for name in order]
        if order[:1] == ["ratio"]:
            parts.append(figures.pop(0))
        parts += [f'<td class="t">{html_text(cell.point.get(axis, ""))}</td>' for axis in axes]
        parts.append(f'<td class="t">{_outcome(cell)}</td>')
        yield "".join([*parts, *figures, "</tr>"])


def _outcome(cell: CellSummary) -> str:
    word = html_text(cell.outcome)
    return f'<span class="outcome {word}">{word}</span>'


def _lines(lines: Sequence[str]) -> Markup:
    return Markup("\n".join(lines))  # every text in it went through html_text


def cell_sections(summary: Summary, details: CellDetails) -> tuple[Markup, Markup]:
    """The sections of the first cells, and those of the others, a line each."""
    shown = _Sections(summary, details)
    lines = [shown.of(cell) for cell in summary.cells]
    return _lines(lines[:AT_ONCE]), _lines(lines[AT_ONCE:])


class _Sections:
    def __init__(self, summary: Summary, details: CellDetails) -> None:
        self._summary = summary
        self._details = details
        # By their names: an id of a hundred letters in each of ten thousand sections is a megabyte.
        own = {cell.versus.baseline for cell in summary.cells if cell.versus is not None}
        self._baselines = {
            cell.id: html_text(f"{arm_name(summary.compare[cell.suite], cell)} of its group")
            for cell in summary.cells
            if cell.id in own
        }

    def of(self, cell: CellSummary) -> str:
        name = html_text(arm_name(self._summary.compare[cell.suite], cell))
        parts = [
            f'<details class="cell" id="{cell_anchor(cell.id)}"><summary>'
            f'<span class="arm">{name}</span> {_outcome(cell)} <span class="id">{html_text(cell.id)}</span></summary>'
        ]
        if cell.reason:
            parts.append(f'<p class="reason">{html_text(cell.reason)}</p>')
        parts += [_pairs([*self._settings(cell), *self._facts(cell)]), *map(_figure, self._drawn(cell))]
        log = self._details.logs.get(cell.id)
        if log is not None:
            # Lines are told apart by a character reference, so that the section stays one line.
            kept = "&#10;".join(html_text(line) or " " for line in log.splitlines())
            # No figure, and not there where a run was copied without its logs: nothing that is verified.
            shown = f'<h4>End of its log</h4><pre class="log" tabindex="0">{kept}</pre>' if log else ""
            parts.append(f"<div data-local>{shown}</div>")
        return "".join([*parts, "</details>"])

    def _drawn(self, cell: CellSummary) -> Sequence[Drawing]:
        return self._details.drawings.get(cell.id, ())

    def _facts(self, cell: CellSummary) -> list[tuple[str, str]]:
        """Names and values; values are markup."""
        facts: list[tuple[str, str]] = []
        if cell.versus is not None:
            facts.append(("compared with", self._baselines.get(cell.versus.baseline, html_text(cell.versus.baseline))))
        ledger = self._details.ledgers.get(cell.id)
        if ledger is not None:
            facts.append(("work", html_text(ledger.verdict)))
            for name, value, equal in zip(LEDGER_NAMES, ledger.values, ledger.equal, strict=True):
                shown = html_text(value)
                facts.append((name.replace("_", " "), shown if equal else f'<span class="no">{shown} ≠</span>'))
        stop = self._details.stops.get(cell.group)
        if stop:
            facts.append(("its group stopped", html_text(f"{stop['reason']}, after {stop['launches']} launches")))
        return facts

    def _settings(self, cell: CellSummary) -> list[tuple[str, str]]:
        """Settings that were asked for and those in effect, but for those that all cells share; values are markup."""
        shared, asked, found = self._details.shared, cell.requested, cell.effective
        told = []
        for name in dict.fromkeys([*asked, *found]):
            one, other = asked.get(name), found.get(name)
            if name in found and name in asked and one != other:
                text = f'asked for {html_text(one)}, <span class="no">in effect {html_text(other)}</span>'
            elif name in shared:
                continue
            elif name not in found:
                text = f"asked for {html_text(one)}, not read back"
            else:
                text = f"{html_text(other)}, {'as asked for' if name in asked else 'not asked for'}"
            told.append((name, text))
        return told


def _pairs(facts: Sequence[tuple[str, str]]) -> str:
    # Ends of dt and dd may be left out (HTML, 13.1.2.4): of ten thousand cells they are a megabyte.
    inside = "".join(f"<div><dt>{html_text(name)}<dd>{value}</div>" for name, value in facts)
    return f'<dl class="pairs">{inside}</dl>' if facts else ""


def labelled_svg(drawing: Drawing) -> Markup:
    """The SVG element with the figure's heading as its name, for those who hear it."""
    start = drawing.svg.partition(">")[0]
    if "aria-label" in start:
        return Markup(drawing.svg)  # made of texts that crossed their own borders
    named = drawing.svg.replace(' role="img"', f' role="img" aria-label="{html_text(drawing.title)}"', 1)
    return Markup(named)  # as above


def _figure(drawing: Drawing) -> str:
    svg = labelled_svg(drawing).replace("\n", " ")
    title = html_text(drawing.title)
    return (
        f'<figure><h4>{title}</h4><div class="drawing" tabindex="0" role="group" aria-label="{title}">{svg}</div>'
        f"<figcaption>{html_text(drawing.caption)}</figcaption></figure>"
    )


def ledger_rows(run: StoredRun, summary: Summary) -> dict[str, LedgerRow]:
    """The work of each cell that got as far as a ledger."""
    baselines = {cell["id"]: cell["baseline"] for cell in run.info["plan"]["cells"]}
    ledgers: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in run.records:
        if record.ledger:
            ledgers.setdefault(record.cell, {})[record.launch] = record.ledger
    outcomes = {(record.cell, record.launch): record.outcome for record in run.records}
    precisions = {cell.id: cell.requested.get("precision") for cell in summary.cells}
    rows = {}
    for cell in summary.cells:
        own = list(ledgers.get(cell.id, {}).items())
        if not own:
            continue
        base = baselines[cell.id] or ""
        against = ledgers.get(base, {})
        same = [
            [ledger.get(name) == against.get(launch, {}).get(name) for name in LEDGER_NAMES] for launch, ledger in own
        ]
        judged = sum(outcomes[cell.id, launch] == "ok" for launch, _ in own)
        rows[cell.id] = LedgerRow(
            [_short(own[-1][1].get(name, "")) for name in LEDGER_NAMES],
            [all(column) for column in zip(*same, strict=True)],
            _verdict(cell, base, (judged, sum(map(all, same)), len(own)), precisions.get),
        )
    return rows


def _verdict(cell: CellSummary, baseline: str, counts: tuple[int, int, int], precision: Callable[[str], object]) -> str:
    judged, same, launches = counts
    if cell.id == baseline:
        return "baseline"
    if cell.equal:  # the judge says itself what it compared
        return f"{cell.equal}: in {judged} of {launches} launches"
    if cell.requested.get("precision") == precision(baseline):
        return f"equal in {same} of {launches} launches"
    # Weights of another precision differ in their bits, and the loss curve decides.
    return f"equal by the loss curve in {judged} of {launches} launches"


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) > 16 else text
