"""A measured run as its readers want it: tables, figures and what is behind them. The face of a run in Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from bench.analysis.columns import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    KEY_COLUMNS,
    LADDER_COLUMNS,
    axis_values,
    names_of,
    typed_table,
)
from bench.analysis.convergence import Convergence, convergence_of
from bench.analysis.estimates import MetricEstimate, StepDifference
from bench.analysis.frames import Frames, axis_columns, frames_of
from bench.analysis.summary import Summary, summarize
from bench.plan.public_names import face
from bench.results.store import StoredRun
from bench.stats.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        return summarize(self.stored, self.reference_step, frames=self.frames)

    @cached_property
    def frames(self) -> Frames:
        """What tables and figures are made of, from one pass over the records. Not public: its fields may change."""
        return frames_of(self.stored)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a planned cell, in the plan's order, those that could not run included; a column for each axis.

        Columns, units and dtypes: docs/api.md. An axis that has the name of another column is called `axis_<name>`.
        """
        cells = self.summary.cells
        columns = (*KEY_COLUMNS, *CELL_COLUMNS)
        launches = dict(zip(self.frames.cells["cell"], self.frames.cells["launches"], strict=True))
        values: dict[str, Any] = {
            "suite": [cell.suite for cell in cells],
            "group": [cell.group for cell in cells],
            "cell": [cell.id for cell in cells],
            "twin": [cell.twin for cell in cells],
        }
        for axis, name in axis_columns(self.stored, names_of(columns)).items():
            values[name] = axis_values([cell.point.get(axis) for cell in cells])
        values |= {
            "outcome": [cell.outcome for cell in cells],
            "reason": [cell.reason for cell in cells],
            "launches": [launches[cell.id] for cell in cells],
        }
        for metric in ("step_time", "throughput"):
            values |= _with_ends(metric, [cell.metrics.get(metric) for cell in cells])
        values |= _with_ends("ratio", [cell.versus.ratio if cell.versus else None for cell in cells])
        values |= _with_ends("difference", [cell.versus.difference if cell.versus else None for cell in cells])
        values |= _with_ends("typical_ratio", [cell.versus.typical if cell.versus else None for cell in cells])
        values |= _with_ends("sample_ratio", [cell.versus.per_sample if cell.versus else None for cell in cells])
        values["equal"] = [cell.equal for cell in cells]
        return typed_table(values, columns)

    @property
    def launches(self) -> pd.DataFrame:
        """One row a launch and metric; columns: docs/api.md."""
        return self.frames.launches

    @property
    def turns(self) -> pd.DataFrame:
        """One row a turn; columns: docs/api.md."""
        return self.frames.turns

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a cell and launch against its baseline, paired by round; columns: docs/api.md."""
        return self.frames.pairs

    @cached_property
    def ladder(self) -> pd.DataFrame:
        """One row a rung of suites whose compared axis is a ladder, and the twins'; columns: docs/api.md."""
        rows = self.summary.ladder
        values: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names_of(KEY_COLUMNS)}
        values |= {"rung": [row.value for row in rows], "over": [row.over for row in rows]}
        for part in ("step", "epoch", "whole"):
            values |= _with_ends(part, [getattr(row, part) for row in rows])
            if part != "whole":
                values[f"{part}_word"] = [getattr(row, f"{part}_word") for row in rows]
        values |= {
            name: [getattr(row, name) if row.length else math.nan for row in rows]
            for name in ("step_time", "epoch_time")
        }
        values["steps"] = [row.length for row in rows]
        values["launches"] = [row.step.launches if row.step is not None else 0 for row in rows]
        return typed_table(values, LADDER_COLUMNS)

    def convergence(self, target: float | None = None) -> Convergence | None:
        """Who gets to the target when, of suites that train for a goal; None where no suite of the run does.

        Args:
            target: a validation loss in place of the suites' own; nothing is measured again.

        Raises:
            SpecError: there is a target that is not finite, or no suite trains for one.
        """
        return self.summary.convergence if target is None else convergence_of(self.stored, target)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row an epoch of every training for a goal; columns: docs/api.md."""
        found = self.summary.convergence
        rows = [
            (cell.suite, cell.group, cell.cell, cell.twin, attempt.launch, number + 1, seconds, samples, loss)
            for cell in (found.cells if found else ())
            for attempt in cell.attempts
            for number, (seconds, samples, loss) in enumerate(
                zip(attempt.curve.seconds, attempt.curve.samples, attempt.curve.losses, strict=True)
            )
        ]
        names = names_of(CURVE_COLUMNS)
        return typed_table({name: [row[at] for row in rows] for at, name in enumerate(names)}, CURVE_COLUMNS)

    def plot(self, kind: str = "ratios", *, group: str | None = None, cell: str | None = None) -> Figure:
        """One of the page's figures as matplotlib's: `run.plot("cost").savefig("cost.png")`. Kinds: docs/api.md.

        Args:
            kind: `ratios`, `distribution`, `cost`, `phases`, `memory`, `cell`, ...
            group: the id of a group; None: of those that have such a figure the one whose step is nearest to yours.
            cell: of kind `cell`, its id; None: the first one of the group.

        Raises:
            SpecError: there is no such kind, group or cell; says which there are.
            RunError: the run has nothing to draw such a figure from.
        """
        return cast("Figure", face("plot_run")(self, kind, group, cell))

    def _repr_html_(self) -> str:
        """What a notebook shows of it: the answer and the first cells."""
        return str(face("run_html")(self))

    def __repr__(self) -> str:
        return f"<bench.Run {self.id}: {len(self.stored.info['plan']['cells'])} cells in {self.folder}>"


def _with_ends(name: str, estimates: Sequence[MetricEstimate | Interval | StepDifference | None]) -> dict[str, Any]:
    """Three columns: estimates, and the ends of their intervals."""
    parts = {name: "estimate", f"{name}_low": "low", f"{name}_high": "high"}
    return {column: [getattr(one, part, None) for one in estimates] for column, part in parts.items()}
