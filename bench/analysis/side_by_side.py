"""Several runs side by side: what differs around them, then each cell with its ratio and its figures in each run. Pure.

Nothing is paired or pooled across runs. A ratio over the baseline is one run's own, from turns that it took side by
side, and may be read beside that of another day; absolute figures of two days differ by what the machine did, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.analysis import comparability
from bench.analysis.estimates import CellSummary, MetricEstimate
from bench.analysis.merge_work import TimedRecords, timed_records, work_apart
from bench.analysis.summary import Summary
from bench.axes.trainer_sets import set_in_words
from bench.errors import RunError
from bench.machine.environment import CHECKED_FACTS
from bench.results import identity
from bench.results.store import StoredRun
from bench.stats.intervals import Interval

SIDE_BY_SIDE_SCHEMA = 1
ABSENT = "–"
# Differ between any two runs, and explain nothing.
_VOLATILE = frozenset({"load_average", "scrubbed_variables"})
SHOWN_METRICS = ("step_time", "throughput", "peak_memory_device", "peak_memory_host")


@dataclass(frozen=True)
class ShownRun:
    """A column.

    Attributes:
        warnings: what the run's own page warns of.
    """

    run: str
    suites: tuple[str, ...]
    started: str
    finished: bool
    commit: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RunDifference:
    """A fact in which runs differ, with what each of them has.

    Attributes:
        checked: whether runs that differ in it are different experiments.
    """

    name: str
    checked: bool
    values: tuple[str, ...]


@dataclass(frozen=True)
class ShownCell:
    """A cell in one run.

    Attributes:
        ratio: over the baseline of its group in the same run, for the same work; None for the baseline itself and where
            none may be taken.
        other_work: how its work differs from that of the first run which has it, or "".
    """

    outcome: str
    reason: str
    ratio: Interval | None
    metrics: Mapping[str, MetricEstimate]
    other_work: str = ""


@dataclass(frozen=True)
class SharedCell:
    """A cell that two runs or more have; None where a run has it not."""

    suite: str
    group: str
    cell: str
    twin: bool
    baseline: bool
    runs: tuple[ShownCell | None, ...]


@dataclass(frozen=True)
class SideBySide:
    """The comparison.

    Attributes:
        differences: of environments, options and files; those first that make other experiments of them.
        cells: that two runs have, in the order of the first that has each.
        alone: cells that a single run has, by run.
    """

    runs: tuple[ShownRun, ...]
    differences: tuple[RunDifference, ...]
    cells: tuple[SharedCell, ...]
    alone: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": SIDE_BY_SIDE_SCHEMA, **asdict(self)}


def side_by_side(taken: Sequence[tuple[StoredRun, Summary]]) -> SideBySide:
    """The runs in the order given.

    Raises:
        RunError: a run is there twice.
    """
    runs = [run for run, _ in taken]
    for place, run in enumerate(runs):
        if any(run.id == other.id for other in runs[:place]):
            raise RunError(f"run {run.id} is named twice; it is one run")
    by_run = [{cell.id: cell for cell in summary.cells} for _, summary in taken]
    names = list(dict.fromkeys(name for cells in by_run for name in cells))
    counts = {name: sum(name in cells for cells in by_run) for name in names}
    timed = [timed_records(run) for run in runs]
    baselines = {cell["baseline"] for run in runs for cell in run.info["plan"]["cells"]}
    shared = [
        _shared(name, name in baselines, [cells.get(name) for cells in by_run], runs, timed)
        for name in names
        if counts[name] > 1
    ]
    alone = {
        run.id: tuple(name for name, cell in cells.items() if counts[name] == 1 and not cell.twin)
        for run, cells in zip(runs, by_run, strict=True)
    }
    return SideBySide(
        tuple(_shown_run(run, summary) for run, summary in taken),
        tuple(_differences(runs)),
        tuple(shared),
        {run: cells for run, cells in alone.items() if cells},
    )


def _shown_run(run: StoredRun, summary: Summary) -> ShownRun:
    return ShownRun(
        run.id,
        tuple(run.info["plan"]["suites"]),
        str(run.info.get("started") or ""),
        bool(run.info.get("finished")),
        str((run.info.get("environment") or {}).get("commit") or "unknown"),
        tuple(summary.warnings),
    )


def _shared(
    name: str,
    baseline: bool,
    cells: Sequence[CellSummary | None],
    runs: Sequence[StoredRun],
    timed: Sequence[Mapping[str, TimedRecords]],
) -> SharedCell:
    known = next(cell for cell in cells if cell is not None)
    shown: list[ShownCell | None] = []
    first: int | None = None
    for place, cell in enumerate(cells):
        other_work = ""
        if cell is not None and name in timed[place]:
            if first is None:
                first = place
            else:
                other_work = _other_work(known, runs, timed, place, first)
        shown.append(
            None
            if cell is None
            else ShownCell(
                cell.outcome,
                cell.reason,
                None if cell.versus is None else cell.versus.of_work,
                {metric: cell.metrics[metric] for metric in SHOWN_METRICS if metric in cell.metrics},
                other_work,
            )
        )
    return SharedCell(known.suite, known.group, name, known.twin, baseline, tuple(shown))


def _other_work(
    cell: CellSummary, runs: Sequence[StoredRun], timed: Sequence[Mapping[str, TimedRecords]], mine: int, theirs: int
) -> str:
    """How the work of a cell in one run differs from that in another, or ""."""
    versions = [_version(runs[place], cell.id) for place in (mine, theirs)]
    if versions[0] != versions[1]:
        return f"the workload is defined otherwise than in {runs[theirs].id}"
    found, _ = work_apart(cell.suite, (runs[mine], timed[mine][cell.id]), (runs[theirs], timed[theirs][cell.id]))
    return f"other work than in {runs[theirs].id}: {'; '.join(found)}" if found else ""


def _version(run: StoredRun, name: str) -> str:
    planned = next(cell for cell in run.info["plan"]["cells"] if cell["id"] == name)
    return comparability.workload(run, planned).version


def _differences(runs: Sequence[StoredRun]) -> list[RunDifference]:
    """Facts of the environment, options, and the files and sets of suites, in which runs differ."""
    environments = [run.info.get("environment") or {} for run in runs]
    options = [{name: _plain(value) for name, value in (run.info.get("options") or {}).items()} for run in runs]
    found = [
        *_keys(environments, [key for key in CHECKED_FACTS], checked=True),
        *_keys(environments, [key for own in environments for key in own if key not in CHECKED_FACTS], checked=False),
        *(_prefixed("option", one) for one in _keys(options, [key for own in options for key in own], checked=False)),
        *_files(runs),
        *_sets(runs),
    ]
    schemas = [str(run.info.get("schema", "")) for run in runs]
    return [*found, RunDifference("schema of the records", False, tuple(schemas))] if len(set(schemas)) > 1 else found


def _keys(owners: Sequence[Mapping[str, Any]], keys: Sequence[str], *, checked: bool) -> list[RunDifference]:
    found = []
    for key in dict.fromkeys(key for key in keys if key not in _VOLATILE):
        values = tuple(str(own.get(key, ABSENT)) for own in owners)
        if len(set(values)) > 1:
            found.append(RunDifference(key, checked, values))
    return found


def _prefixed(word: str, one: RunDifference) -> RunDifference:
    return RunDifference(f"{word} {one.name.replace('_', ' ')}", one.checked, one.values)


def _plain(value: Any) -> str:
    return "none" if value is None else str(value)


def _files(runs: Sequence[StoredRun]) -> list[RunDifference]:
    """Suites whose files are not those of the first run that has them."""
    found = []
    for suite in dict.fromkeys(name for run in runs for name in run.info["plan"]["suites"]):
        having = [run for run in runs if suite in run.info["plan"]["suites"]]
        first, values = having[0].info.get("digests"), []
        for run in runs:
            known = suite in ((run.info.get("digests") or {}).get("files") or {})
            names = identity.other_files(run.info.get("digests"), first, suite)
            values.append(
                ABSENT if run not in having else "not recorded" if not known else ", ".join(names) or "as the first"
            )
        if len({value for value in values if value != ABSENT}) > 1:
            found.append(RunDifference(f"files of suite {suite}", False, tuple(values)))
    return found


def _sets(runs: Sequence[StoredRun]) -> list[RunDifference]:
    """Sets of Trainer's arguments of one name that are not the same in all runs that have them."""
    owners = [
        {
            f"trainer {name} of suite {suite}": set_in_words(own)
            for suite, info in run.info["plan"]["suites"].items()
            for name, own in info.get("trainers", {}).items()
        }
        for run in runs
    ]
    found = _keys(owners, [key for own in owners for key in own], checked=False)
    return [one for one in found if len({value for value in one.values if value != ABSENT}) > 1]
