"""Recomputes what a report says from the raw records, and says where they differ."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from bench.frame import LEAST_ROUNDS, MEASURED
from bench.intervals import Interval, interval_of_differences, interval_of_logs
from bench.pause import pause_factors
from bench.record import Record, Turns
from bench.report import html
from bench.stats import Cell, Summary, summarize
from bench.store import Run

# Another version of numpy or another processor may add in another order; 1e-9 is far below what is printed and far
# above that. Near zero the same sums leave errors of their own: a femtosecond is none of a step.
RELATIVE, ABSOLUTE = 1e-9, 1e-15


def verify(run: Run, report_html: str | None) -> list[str]:
    """How the figures of a report differ from those that the run's records give, as sentences; empty if in nothing.

    Three ways are compared: the figures embedded in the page as JSON, the texts in its tables and headlines, and, with
    or without a page, step times and ratios computed again without pandas.

    Args:
        report_html: the page, or None if the run has none.
    """
    if report_html is None:
        return _own_differences(run, summarize(run))
    page = _Page()
    page.feed(report_html)
    try:
        printed = json.loads(page.data)
    except json.JSONDecodeError as error:
        return [f"the report has no figures that can be read: {error}"]
    if not isinstance(printed, dict):
        return ["the report has no figures that can be read: they are not an object"]
    reference = printed.get("reference_step")
    if not isinstance(reference, (int, float)) or not reference > 0:
        return [_difference("reference_step", reference, "a time above 0")]
    summary = summarize(run, reference)
    fresh = _Page()
    fresh.feed(html.render(run, summary, drawings=()))
    return [*_differences(printed, json.loads(fresh.data), ""), *_text_differences(page.texts, fresh.texts),
            *_own_differences(run, summary)]


class _Page(HTMLParser):
    """The embedded JSON, and the text of every element that shows a figure, by the figure's path."""

    def __init__(self) -> None:
        super().__init__()
        self.data = ""
        self.texts: dict[str, str] = {}
        self._open: str | None = None
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._in_data = tag == "script" and found.get("id") == "figures"
        if "data-figure" in found:
            self._open = found["data-figure"] or ""
            self.texts[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        self._open, self._in_data = None, False

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data
        elif self._open is not None:
            self.texts[self._open] += data


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


def _text_differences(printed: Mapping[str, str], recomputed: Mapping[str, str]) -> Iterator[str]:
    for path in [*recomputed, *(path for path in printed if path not in recomputed)]:
        if printed.get(path) != recomputed.get(path):
            yield _difference(f"{path} (as text)", printed.get(path, "nothing"), recomputed.get(path, "nothing"))


def _own_differences(run: Run, summary: Summary) -> list[str]:
    """Step times and ratios of the summary against a second, plain way of computing them."""
    records = {(record.cell, record.launch): record for record in run.records
               if record.outcome in MEASURED and record.turns is not None}
    found: list[str] = []
    factors = pause_factors(run.records)
    for cell in summary.cells:
        own = [record for (name, _), record in records.items() if name == cell.id]
        values = [math.log(statistics.median(_steps(record, factors).values())) for record in own
                  if len(_steps(record, factors)) >= LEAST_ROUNDS]
        if values or "step_time" in cell.metrics:
            printed = cell.metrics["step_time"]
            found += _differences({"estimate": printed.estimate, "low": printed.low, "high": printed.high},
                                  _plain(interval_of_logs(values)), f"cells/{cell.id}/metrics/step_time")
        found += _looked_differences(run, cell)
        if cell.versus is None:
            continue
        logs, differences = _paired(
            own, [records.get((cell.versus.baseline, record.launch)) for record in own], factors)
        for name, shown, interval in (("ratio", cell.versus.ratio, interval_of_logs(logs)),
                                      ("difference", cell.versus.difference, interval_of_differences(differences))):
            found += _differences({"estimate": shown.estimate, "low": shown.low, "high": shown.high},
                                  _plain(interval), f"cells/{cell.id}/versus/{name}")
    return found


def _looked_differences(run: Run, cell: Cell) -> list[str]:
    """The metrics of a cell's looking launches against the same."""
    seen = [record.extra for record in run.looks if record.cell == cell.id and record.outcome in MEASURED]
    found: list[str] = []
    for name in dict.fromkeys([*(name for extra in seen for name in extra), *cell.looked]):
        values = [extra[name] for extra in seen if name in extra]
        interval = interval_of_logs([math.log(value) for value in values]) if min(values, default=0.0) > 0 else \
            interval_of_differences(values)
        printed = cell.looked.get(name)
        if printed is None:
            found.append(f"cells/{cell.id}/looked/{name}: missing in the report, the records give it")
            continue
        found += _differences({"estimate": printed.estimate, "low": printed.low, "high": printed.high},
                              _plain(interval), f"cells/{cell.id}/looked/{name}")
    return found


def _plain(interval: Interval) -> dict[str, float | None]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _steps(record: Record, factors: Mapping[tuple[str, int], float]) -> dict[int, float]:
    """Step time by round."""
    turns = record.turns or Turns(1)
    factor = factors[record.group, record.launch]
    return {round_: seconds / turns.steps / factor for round_, seconds in zip(turns.round, turns.counted, strict=True)}


def _paired(
    arms: Sequence[Record], baselines: Sequence[Record | None], factors: Mapping[tuple[str, int], float]
) -> tuple[list[float], list[float]]:
    logs, differences = [], []
    for arm, base in zip(arms, baselines, strict=True):
        if base is None:
            continue
        one, other = _steps(arm, factors), _steps(base, factors)
        rounds = sorted(one.keys() & other.keys())
        if len(rounds) >= LEAST_ROUNDS:
            logs.append(statistics.median(math.log(one[round_] / other[round_]) for round_ in rounds))
            differences.append(statistics.median(one[round_] - other[round_] for round_ in rounds))
    return logs, differences
