"""The summary as CSV: one line per cell, in SI units without prefixes."""

from __future__ import annotations

import csv
import io

from bench.analysis.summary import Summary
from bench.borders import csv_cell
from bench.report import tables
from bench.report.convergence_values import GOAL_VALUES, goal_values


def render(summary: Summary) -> str:
    """One line per cell; empty where there is no figure. What instrumented launches saw comes after the baseline."""
    out = io.StringIO()
    metrics = tables.metric_names(summary)
    names = dict.fromkeys(axis for cell in summary.cells for axis in cell.point)
    # An axis may be called like a column.
    header = ["cell", "twin", "outcome", "reason"]
    header += [f"axis_{axis}" if axis in (*header, "baseline", "equal") else axis for axis in names]
    parts = ("estimate", "low", "high")
    for name in metrics:
        header += [f"{name}_{part}" for part in parts] + [f"{name}_launches", f"{name}_samples"]
    tail = [f"{name}_{part}" for name in summary.declared for part in (*parts, "launches")]
    kinds = ("ratio", "difference", "sample_ratio", "typical_ratio")
    header += [f"{kind}_{part}" for kind in kinds for part in parts] + ["baseline", "equal", *tail]
    goals = goal_values(summary)
    header += GOAL_VALUES if goals else ()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, header))
    for cell in summary.cells:
        line: list[object] = [
            cell.id,
            str(cell.twin).lower(),
            cell.outcome,
            cell.reason,
            *(cell.point.get(axis, "") for axis in names),
        ]
        for name in metrics:
            metric = cell.metrics.get(name)
            line += (
                ["", "", "", "", ""]
                if metric is None
                else [metric.estimate, metric.low, metric.high, metric.launches, metric.samples]
            )
        versus = cell.versus
        known = (versus.ratio, versus.difference, versus.per_sample, versus.typical) if versus else (None,) * len(kinds)
        for interval in known:
            line += ["", "", ""] if interval is None else [interval.estimate, interval.low, interval.high]
        line += [versus.baseline if versus else "", cell.equal]
        for name in summary.declared:  # of instrumented launches, which are never compared
            seen = cell.instrumented.get(name)
            line += ["", "", "", ""] if seen is None else [seen.estimate, seen.low, seen.high, seen.launches]
        if goals:
            line += goals.get(cell.id, [""] * len(GOAL_VALUES))
        writer.writerow(map(csv_cell, line))
    return out.getvalue()
