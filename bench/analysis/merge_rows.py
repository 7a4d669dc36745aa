"""Which cells of several machines are the same work, and which rows stand beside each other for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.analysis import comparability
from bench.analysis.merge_figures import RunFigures
from bench.analysis.merge_machines import Pool
from bench.analysis.merge_work import TimedRecords
from bench.axes.accelerators import accelerators
from bench.axes.engine_axes import engine_axes
from bench.plan.cell import as_text

# What a machine brings: cells that differ in these alone are the same work.
MACHINE_AXES = ("accelerator", "devices", "num_nodes", "threads")


@dataclass(frozen=True)
class MachineShare:
    """What of a machine a cell trained on: so many devices of one kind, on so many nodes.

    Attributes:
        device: by its own name; "" of a CPU, and of a cell that never had one.
        threads: of a cell that has others than its run; else 0.
    """

    machine: str
    accelerator: str
    devices: int
    num_nodes: int
    device: str = ""
    threads: int = 0

    @property
    def name(self) -> str:
        """In words: `box (8 cuda on each of 4 nodes)`."""
        count = f"{self.devices} " if self.devices > 1 else ""
        nodes = f" on each of {self.num_nodes} nodes" if self.num_nodes > 1 else ""
        threads = f", {self.threads} threads" if self.threads else ""
        return f"{self.machine} ({count}{self.accelerator}{nodes}{threads})"

    def order(self) -> tuple[int, int, int, str, str]:
        """By which the first one of some is the baseline: CPUs before devices, few before many, then by name."""
        kinds = list(accelerators())
        kind = kinds.index(self.accelerator) if self.accelerator in kinds else len(kinds)
        return kind, self.devices * self.num_nodes, self.threads, self.machine, self.device


@dataclass(frozen=True)
class WorkRow:
    """A share of a machine with the runs that have the work's cell there, in the order of their ids.

    Attributes:
        cells: what the cell is called, by run.
    """

    share: MachineShare
    runs: tuple[RunFigures, ...]
    cells: Mapping[str, str]

    def timed(self, own: RunFigures) -> TimedRecords:
        """A run's records of the cell that are `ok`."""
        return own.timed.get(self.cells[own.run.id], {})

    def fate(self, own: RunFigures) -> tuple[str, str]:
        """Outcome and reason of a run's cell."""
        return own.outcomes[self.cells[own.run.id]]


@dataclass(frozen=True)
class SameWork:
    """One work, and the rows that are compared for it, in the order of the machines."""

    suite: str
    name: str
    rows: tuple[WorkRow, ...]


def sort_rows(found: Sequence[tuple[Pool, Sequence[RunFigures]]]) -> list[SameWork]:
    """All works of the machines' runs, in an order that hangs on no order of runs."""
    points: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[MachineShare, list[tuple[RunFigures, str]]]] = {}
    suites: dict[str, str] = {}
    for pool, figures in found:
        for own in figures:
            devices = comparability.devices(own.run)
            for cell in own.run.info["plan"]["cells"]:
                if cell["twin"]:
                    continue
                point = work_point(own, cell)
                key = json.dumps([cell["suite"], sorted(point.items())], default=str)
                points[key], suites[key] = point, cell["suite"]
                share = _share(pool.machine.name, own, cell["point"], devices.get(cell["id"], ""))
                rows.setdefault(key, {}).setdefault(share, []).append((own, cell["id"]))
    names = _names_of_works(suites, points, {key: _compared(own, suites[key]) for key, own in rows.items()})
    ordered = sorted(rows, key=lambda key: (suites[key], [_sortable(value) for value in sorted(points[key].items())]))
    return [SameWork(suites[key], names[key], tuple(_work_rows(rows[key]))) for key in ordered]


def _work_rows(rows: Mapping[MachineShare, Sequence[tuple[RunFigures, str]]]) -> Iterator[WorkRow]:
    """With runs whose cell never had a device, as it failed before, in the row of those that did, if there is one."""
    found = {share: list(own) for share, own in rows.items()}
    for share in rows:
        others = [one for one in found if one.device and replace(one, device="") == share]
        if not share.device and len(others) == 1:
            found[others[0]] += found.pop(share)
    for share, own in found.items():
        ordered = sorted(own, key=lambda item: item[0].run.id)
        yield WorkRow(share, tuple(one for one, _ in ordered), {one.run.id: cell for one, cell in ordered})


def _share(machine: str, own: RunFigures, point: Mapping[str, Any], device: str) -> MachineShare:
    usual = int((own.run.info.get("options") or {}).get("threads", 1))
    threads = int(point.get("threads", usual))
    counts = int(point.get("devices", 1)), int(point.get("num_nodes", 1))
    kind = str(point.get("accelerator", "cpu"))
    return MachineShare(machine, kind, *counts, device, 0 if threads == usual else threads)


def work_point(own: RunFigures, cell: Mapping[str, Any]) -> dict[str, Any]:
    """The cell's point without what a machine brings; axes that older runs lack have their first value."""
    first = {axis: values[0] for axis, values in engine_axes().items()}
    point = {**first, **cell["point"]}
    sets = own.run.info["plan"]["suites"][cell["suite"]].get("trainers", {})
    if (mine := sets.get(str(point.get("trainer")))) is not None:  # of the same name it may be another set
        point["trainer"] = f"{point['trainer']} {json.dumps(mine, sort_keys=True)}"
    return {axis: value for axis, value in point.items() if axis not in MACHINE_AXES}


def _compared(rows: Mapping[MachineShare, Sequence[tuple[RunFigures, str]]], suite: str) -> set[str]:
    """The axes that the runs compare the work's suite along."""
    return {own.run.info["plan"]["suites"][suite]["compare"] for runs in rows.values() for own, _ in runs}


def _names_of_works(
    suites: Mapping[str, str], points: Mapping[str, Mapping[str, Any]], compared: Mapping[str, set[str]]
) -> dict[str, str]:
    """`suite[axis=value,...]` of the axes in which works of the suite differ, and of those that runs compare."""
    found = {}
    for key, point in points.items():
        alike = [points[other] for other in points if suites[other] == suites[key]]
        names = [
            axis
            for axis in sorted(point)
            if axis in compared[key] or len({str(other.get(axis)) for other in alike}) > 1
        ]
        inner = ",".join(f"{axis}={as_text(point[axis])}" for axis in names)
        found[key] = f"{suites[key]}[{inner}]" if inner else suites[key]
    return found


def _sortable(item: tuple[str, Any]) -> tuple[str, bool, float, str]:
    axis, value = item
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return axis, not number, float(value) if number else 0.0, str(value)
