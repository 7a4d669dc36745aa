"""What a merge of runs says, as plain values: machines, works, rows, figures, ratios. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bench.analysis import claims
from bench.analysis.merge_machines import EnvironmentDifference, MergedMachine
from bench.analysis.merge_nodes import PooledRatio
from bench.plan.public_names import face
from bench.stats.intervals import Interval

MERGE_SCHEMA = 1

# runs      as runs of the machine differ, and nodes where there are several
# floor     as runs were ever seen to differ, as too few of this machine tell
# launches  launches only: how the next run will differ is unknown
# none      no interval: a single launch, or a quantity of which nobody knows how runs differ
Spread = Literal["runs", "floor", "launches", "none"]
SPREADS: Mapping[Spread, str] = {
    "runs": "as runs of the machine differ",
    "floor": "as runs were ever seen to differ",
    "launches": "launches only, run-to-run spread unknown",
    "none": "no interval",
}


@dataclass(frozen=True)
class MachineFigure:
    """A figure of a row: the geometric mean over its runs, with its 95 % interval.

    Attributes:
        spread: what the interval knows of; of `launches` it says nothing of the next run.
        known: runs that told how runs differ, those of the history with them.
    """

    unit: str
    better: str
    estimate: float
    low: float | None
    high: float | None
    spread: Spread
    runs: int
    launches: int
    known: int


@dataclass(frozen=True)
class MachineRatio:
    """A figure over that of the baseline's row.

    Attributes:
        ratio: with the interval of what runs differ by; without one where nobody knows.
        spread: where that comes from.
        within: with the interval over launches alone, which knows nothing of the next run.
        claim: what may be said of it.
    """

    ratio: Interval
    spread: Spread
    within: Interval
    claim: claims.ClaimWord


@dataclass(frozen=True)
class MergedRow:
    """A share of a machine for one work.

    Attributes:
        name: the share in words.
        outcome, reason: why there are no figures, where there are none.
        figures: by metric.
        over: the row that ratios are over; "" for the baseline itself and where there are none.
        ratios: by metric.
        no_ratio: why there is none although both have figures, or "".
        equal: what of the work was compared with the baseline's and found equal.
    """

    name: str
    machine: str
    accelerator: str
    device: str
    devices: int
    num_nodes: int
    cell: str
    outcome: str
    reason: str
    figures: Mapping[str, MachineFigure] = field(default_factory=dict)
    over: str = ""
    ratios: Mapping[str, MachineRatio] = field(default_factory=dict)
    no_ratio: str = ""
    equal: str = ""


@dataclass(frozen=True)
class MergedWork:
    """One work, with a row for each share of a machine that has it."""

    suite: str
    name: str
    rows: tuple[MergedRow, ...]


@dataclass(frozen=True)
class Merge:
    """The comparison.

    Attributes:
        machines: that the runs were sorted into.
        differences: of their environments, those first that are compared.
        works: that two rows or more have.
        alone: works that a single row has, each with that row's name.
        nodes: of machines with several runs, their paired ratios over nodes or runs.
        notes: sentences on what was not pooled, is old, or is left out.
        invalid: why nothing is compared although there is common work, or "".
    """

    machines: tuple[MergedMachine, ...]
    differences: tuple[EnvironmentDifference, ...]
    works: tuple[MergedWork, ...]
    alone: Mapping[str, str]
    nodes: tuple[PooledRatio, ...]
    notes: tuple[str, ...]
    invalid: str = ""

    @property
    def exit_code(self) -> int:
        return 3 if self.invalid else 0

    def _repr_html_(self) -> str:
        return str(face("merge_html")(self))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": MERGE_SCHEMA, "exit_code": self.exit_code, **asdict(self)}
