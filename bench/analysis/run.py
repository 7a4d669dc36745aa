"""A measured run as its readers want it: tables, figures and what is behind them. The face of a run in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.estimates import CellSummary
from bench.analysis.frames import Frames, axis_columns, frames_of
from bench.analysis.summary import Summary, summarize
from bench.results.store import StoredRun

# Columns of `Run.cells` after those of the axes, in their order: name, dtype, unit, what it is. docs/api.md has the
# same table.
CELL_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("outcome", "object", "", "what became of the cell: `ok`, `noisy`, `unsupported`, `unequal-work`, ..."),
    ("reason", "object", "", "why it is not `ok`, or empty"),
    ("launches", "int64", "1", "launches that were started"),
    ("step_time", "float64", "s", "seconds of a step; NaN where it was not measured"),
    ("step_time_low", "float64", "s", "lower end of its 95 % interval over launches"),
    ("step_time_high", "float64", "s", "upper end"),
    ("throughput", "float64", "samples/s", "samples a second, all ranks together"),
    ("throughput_low", "float64", "samples/s", "lower end of its interval"),
    ("throughput_high", "float64", "samples/s", "upper end"),
    ("ratio", "float64", "1", "step time over the baseline's; NaN where no ratio may be taken, and for the baseline"),
    ("ratio_low", "float64", "1", "lower end of its 95 % interval"),
    ("ratio_high", "float64", "1", "upper end"),
    ("difference", "float64", "s", "seconds a step more than the baseline"),
    ("difference_low", "float64", "s", "lower end of its 95 % interval"),
    ("difference_high", "float64", "s", "upper end"),
)
KEY_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("suite", "object", "", "the suite's name"),
    ("group", "object", "", "the cells that raced each other: the id without the compared axis"),
    ("cell", "object", "", "the cell's id"),
    ("twin", "bool", "", "whether it is the baseline's second copy, the A/A control"),
)


@dataclass(frozen=True)
class Run:
    """A run that was measured, finished or not. Made by `bench.run` and `bench.load`.

    Attributes:
        stored: run.json and the records as they were read.
        reference_step: seconds; the step that costs are stated for.

    Raises:
        RunError: when figures are asked for and a record has an unknown metric, or belongs to no planned cell.
    """

    stored: StoredRun
    reference_step: float = field(default=0.012, kw_only=True)

    @property
    def id(self) -> str:
        """The run's id, which is its folder's name."""
        return self.stored.id

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.stored.folder

    @property
    def info(self) -> Mapping[str, Any]:
        """run.json: plan, options, environment, why each group stopped, where the time went."""
        return self.stored.info

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return bool(self.stored.info["finished"])

    @cached_property
    def summary(self) -> Summary:
        """Every figure that is printed: estimates, intervals, ratios, costs, outcomes, warnings."""
        return summarize(self.stored, self.reference_step)

    @cached_property
    def _frames(self) -> Frames:
        return frames_of(self.stored)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a planned cell, in the plan's order, those that could not run included; a column for each axis.

        Columns, units and dtypes: docs/api.md. An axis that has the name of another column is called `axis_<name>`.
        """
        return pd.DataFrame([self._row(cell) for cell in self.summary.cells], columns=self._columns()).astype(
            {name: dtype for name, dtype, _, _ in (*KEY_COLUMNS, *CELL_COLUMNS)}
        )

    def _columns(self) -> list[str]:
        names = [name for name, _, _, _ in (*KEY_COLUMNS, *CELL_COLUMNS)]
        return [*names[: len(KEY_COLUMNS)], *axis_columns(self.stored, names).values(), *names[len(KEY_COLUMNS) :]]

    def _row(self, cell: CellSummary) -> dict[str, object]:
        names = [name for name, _, _, _ in (*KEY_COLUMNS, *CELL_COLUMNS)]
        row: dict[str, object] = {"suite": cell.suite, "group": cell.group, "cell": cell.id, "twin": cell.twin}
        row |= {column: cell.point.get(axis) for axis, column in axis_columns(self.stored, names).items()}
        row |= {"outcome": cell.outcome, "reason": cell.reason, "launches": self._launches[cell.id]}
        versus = cell.versus
        estimates = {
            "step_time": cell.metrics.get("step_time"),
            "throughput": cell.metrics.get("throughput"),
            "ratio": versus.ratio if versus else None,
            "difference": versus.difference if versus else None,
        }
        for name, estimate in estimates.items():
            values = (None, None, None) if estimate is None else (estimate.estimate, estimate.low, estimate.high)
            row |= zip((name, f"{name}_low", f"{name}_high"), values, strict=True)
        return row

    @cached_property
    def _launches(self) -> Mapping[str, int]:
        frame = self._frames.cells
        return dict(zip(frame["cell"], frame["launches"], strict=True))

    @property
    def launches(self) -> pd.DataFrame:
        """One row a launch and metric; columns: docs/api.md."""
        return self._frames.launches

    @property
    def turns(self) -> pd.DataFrame:
        """One row a turn; columns: docs/api.md."""
        return self._frames.turns

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a cell and launch against its baseline, paired by round; columns: docs/api.md."""
        return self._frames.pairs

    def __repr__(self) -> str:
        return f"<bench.Run {self.id}: {len(self.stored.info['plan']['cells'])} cells in {self.folder}>"
