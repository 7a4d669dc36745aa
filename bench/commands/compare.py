"""Two runs, cell by cell: what differs around them first, then ratios where both did the same work. No torch.

Launches of two runs are not paired: nothing took out what the machine did between them. How much that is is known from
other runs of the same machine, or it is not, and then there is no interval. `bench gate` and `bench versions` race both
sides at once; this is for what cannot be raced any more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.analysis import comparability, frames
from bench.axes.precision import PRECISIONS
from bench.axes.trainer_sets import set_in_words
from bench.errors import RunError
from bench.machine import environment
from bench.plan.cell import SIDES
from bench.plan.public_names import face
from bench.results import identity, store
from bench.results.record import Record
from bench.results.work_ledger import LOSS_TOLERANCE
from bench.stats.intervals import Interval, interval_of_differences, run_to_run, welch

COMPARISON_SCHEMA = 2
# The newest other runs that are asked how runs differ: reading one takes up to 0.3 s.
MOST_RUNS = 30
CAUTION = (
    "these runs were taken at different times, and the machine drifts by 2 % to 29 % between them. An interval of 95 % "
    "is there only where enough other runs of this machine tell by how much; what launches differ by is none. "
    "`bench gate` and `bench versions` race both sides at once"
)
# Differ between any two runs, and explain nothing.
_VOLATILE = frozenset({"load_average", "scrubbed_variables"})


@dataclass(frozen=True)
class CellRatio:
    """A cell in both runs.

    Attributes:
        ratio: step time in B over A, with the 95 % interval of what runs of this machine differ by, or without one
            where too few runs tell; None where no ratio may be taken.
        within: the same with Welch's interval over launches, which knows nothing of what lies between the runs.
        runs: other runs of the same machine, software and work that have this cell.
        a, b: launches on either side.
        a_step_time, b_step_time: seconds, geometric means over launches; None where there are none.
        reason: why there is no ratio, or "".
    """

    cell: str
    ratio: Interval | None
    within: Interval | None
    runs: int
    a: int
    b: int
    a_step_time: float | None
    b_step_time: float | None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two runs against each other.

    Attributes:
        a, b: ids.
        mismatches: checked keys of the environment that differ; with any, ratios are there only if that was allowed.
        differences: other keys that differ, and suites whose files do.
        cells: that both have, in A's order.
        only_a, only_b: cells that one of them has.
        invalid: why nothing is compared, or "".
    """

    a: str
    b: str
    mismatches: tuple[str, ...]
    differences: tuple[str, ...]
    cells: tuple[CellRatio, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    invalid: str

    @property
    def exit_code(self) -> int:
        return 3 if self.invalid else 0

    def _repr_html_(self) -> str:
        return str(face("comparison_html")(self))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"schema": COMPARISON_SCHEMA, "exit_code": self.exit_code, "caution": CAUTION, **asdict(self)}


def compare(
    a: store.StoredRun, b: store.StoredRun, *, allow_mismatch: bool = False, runs: Iterable[store.StoredRun] = ()
) -> Comparison:
    """B over A, for every cell that both have.

    Args:
        allow_mismatch: compare across environments whose checked keys differ.
        runs: other runs, which may tell how runs differ; those of another machine, other software or other work do not.
    """
    mine, theirs = (dict(run.info.get("environment") or {}) for run in (a, b))
    mismatches = environment.mismatches(mine, theirs)
    mismatches += [f"{run.id}: no environment is recorded" for run, own in ((a, mine), (b, theirs)) if not own]
    others = [
        f"{key}: {mine.get(key)!r} against {theirs.get(key)!r}"
        for key in dict.fromkeys([*mine, *theirs])
        if key not in (*environment.CHECKED_FACTS, *_VOLATILE) and mine.get(key) != theirs.get(key)
    ]
    others += [*_other_files(a, b), *_other_sets(a, b)]
    names = [_names(run) for run in (a, b)]
    both = set(names[0]) & set(names[1])
    common = [name for name in names[0] if name in both]
    only = [tuple(name for name in own if name not in both) for own in names]
    invalid = ""
    cells: list[CellRatio] = []
    if a.broken or b.broken:
        invalid = "; ".join(filter(None, map(store.damage, (a, b))))
    elif mismatches and not allow_mismatch:
        invalid = (
            f"other environments ({'; '.join(mismatches)}); more than the code differs, so nothing is compared. "
            "--allow-environment-mismatch compares all the same"
        )
    elif not common:
        had = [f"{run.id} has {', '.join(own) or 'none'}" for run, own in zip((a, b), only, strict=True)]
        invalid = f"no cell is in both runs; {'; '.join(had)}"
    else:
        try:
            sides = _Side.of(a), _Side.of(b)
            known = _estimates(runs, a, b) if not mismatches else {}
            cells = [_cell(name, *sides, known.get(name, ())) for name in common]
        except RunError as error:
            invalid = str(error)
        if not invalid and not any(cell.ratio for cell in cells):
            invalid = "no cell has a ratio: " + "; ".join(f"{cell.cell}: {cell.reason}" for cell in cells)
    return Comparison(a.id, b.id, tuple(mismatches), tuple(others), tuple(cells), only[0], only[1], invalid)


def other_runs(out: Path) -> Iterator[store.StoredRun]:
    """The newest readable runs under a folder, as far as there are any."""
    try:
        folders = store.every(out)
    except RunError:
        return  # both sides are elsewhere
    taken = 0
    for folder in reversed(folders):
        try:
            run = store.intact(store.read_run(folder))
        except RunError:
            continue  # `bench history` names what cannot be read
        yield run
        taken += 1
        if taken == MOST_RUNS:
            return


def _estimates(others: Iterable[store.StoredRun], a: store.StoredRun, b: store.StoredRun) -> dict[str, list[float]]:
    """What each of the other runs found in each cell, as logs; of the same machine, software and work alone."""
    found: dict[str, list[float]] = {}
    work = _works(a)
    for run in others:
        same = comparability.machine(run) == comparability.machine(a) and comparability.software(
            run
        ) == comparability.software(a)
        if run.id in (a.id, b.id) or not same:
            continue
        try:
            side, own = _Side.of(run), _works(run)
        except RunError:
            continue  # a metric that this version does not know: nothing to learn from it
        for cell, logs in side.logs.items():
            if cell not in side.unusable and cell in work and own.get(cell) == work[cell]:
                found.setdefault(cell, []).append(interval_of_differences(logs).estimate)
    return found


def _works(run: store.StoredRun) -> dict[str, str]:
    """The version of the work of each cell; none of those that compared environments, which are other sides by name."""
    if any(SIDES in suite["axes"] for suite in run.info["plan"]["suites"].values()):
        return {}
    return {str(cell["id"]): comparability.workload(run, cell).version for cell in run.info["plan"]["cells"]}


def _other_files(a: store.StoredRun, b: store.StoredRun) -> list[str]:
    """Suites of both whose files are not the same in both, as sentences."""
    found = []
    for suite in a.info["plan"]["suites"]:
        if suite not in b.info["plan"]["suites"]:
            continue
        known = [run.id for run in (a, b) if suite in ((run.info.get("digests") or {}).get("files") or {})]
        if names := identity.other_files(a.info.get("digests"), b.info.get("digests"), suite):
            found.append(f"files of suite {suite} are not the same: {', '.join(names)}")
        elif len(known) == 1:
            found.append(f"files of suite {suite}: only {known[0]} has digests, so they may be the same or not")
    return found


def _other_sets(a: store.StoredRun, b: store.StoredRun) -> list[str]:
    """Sets of Trainer's arguments of one name that are not the same in both, as sentences."""
    mine, theirs = (
        {(suite, name): own for suite, info in run.info["plan"]["suites"].items() for name, own in _sets(info).items()}
        for run in (a, b)
    )
    return [
        f"trainer {name} of suite {suite} is {set_in_words(own)} against {set_in_words(theirs[suite, name])}"
        for (suite, name), own in mine.items()
        if (suite, name) in theirs and theirs[suite, name] != own
    ]


def _sets(suite: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = suite.get("trainers", {})
    return found


def _names(run: store.StoredRun) -> list[str]:
    return [str(cell["id"]) for cell in run.info["plan"]["cells"] if not cell["twin"]]


def _launch_logs(run: store.StoredRun) -> dict[str, list[float]]:
    """Logs of the step time of each launch, by cell.

    Raises:
        RunError: a time that is not above 0, or no number.
    """
    launches = frames.launches(run)
    rows = launches[(launches["metric"] == "step_time") & ~launches["instrumented"]]
    return {str(cell): [math.log(value) for value in own["value"]] for cell, own in rows.groupby("cell", sort=False)}


@dataclass(frozen=True)
class _Side:
    """One run, indexed by cell once.

    Attributes:
        id: of the run.
        seed: of its options.
        logs: of the step time of each launch.
        unusable: why a cell is not compared; only of cells that are not.
        timed: the records with turns, by launch.
    """

    id: str
    seed: object
    logs: Mapping[str, Sequence[float]]
    unusable: Mapping[str, str]
    timed: Mapping[str, Mapping[int, Record]]

    @staticmethod
    def of(run: store.StoredRun) -> _Side:
        """Raises:
        RunError: as `frame.launches` and `frame.cells` do.
        """
        planned = frames.cells(run)
        fates = zip(*(planned[name].tolist() for name in ("cell", "outcome", "reason")), strict=True)
        timed: dict[str, dict[int, Record]] = {}
        for record in run.records:
            if record.turns is not None:
                timed.setdefault(record.cell, {})[record.launch] = record
        return _Side(
            run.id,
            (run.info.get("options") or {}).get("seed"),
            _launch_logs(run),
            {cell: f"{run.id}: {outcome}: {reason}" for cell, outcome, reason in fates if outcome != "ok"},
            timed,
        )


def _cell(name: str, a: _Side, b: _Side, runs: Sequence[float]) -> CellRatio:
    one, other = a.logs.get(name, []), b.logs.get(name, [])
    reason = a.unusable.get(name, "") or b.unusable.get(name, "") or _other_work(name, a, b)
    if not reason and not (one and other):
        reason = f"{(a if not one else b).id}: no launch has enough rounds"
    within = None if reason else welch(one, other)
    between = None if within is None else run_to_run(within, runs)
    return CellRatio(
        cell=name,
        ratio=between if within is None or between is not None else replace(within, low=None, high=None),
        within=within,
        runs=len(runs),
        a=len(one),
        b=len(other),
        a_step_time=math.exp(statistics.fmean(one)) if one else None,
        b_step_time=math.exp(statistics.fmean(other)) if other else None,
        reason=reason,
    )


def _other_work(name: str, a: _Side, b: _Side) -> str:
    """How the work of a cell differs between two runs, as a sentence; "" where it does not.

    How many steps were taken depends on how fast they were, so digests over all of them differ. What must be equal is
    the point, the samples of a step, and, launch by launch where the seeds are, the first weights and audited losses.
    """
    mine, theirs = a.timed.get(name, {}), b.timed.get(name, {})
    if not mine or not theirs:
        return ""
    one, other = next(iter(mine.values())), next(iter(theirs.values()))
    for key in dict.fromkeys([*one.point, *other.point]):
        # Threads are a fact of the environment, which is checked; a cell that has others than its run names them.
        if key != "threads" and key in one.point and key in other.point and one.point[key] != other.point[key]:
            return f"other work: {key} {one.point[key]} against {other.point[key]}"
    if _batch(one, other) != _batch(other, one):
        return f"other work: {_batch(one, other)} samples a step against {_batch(other, one)}"
    if a.seed != b.seed:
        return ""
    for launch in sorted(set(mine) & set(theirs)):
        if found := _other_ledger(mine[launch], theirs[launch]):
            return f"other work in launch {launch}: {found}"
    return ""


def _batch(record: Record, other: Record) -> int:
    """Samples by which two records are compared: where both have counted, those of the largest batch, as the mean over
    steps hangs on how many these were."""
    counted = "largest_batch" in record.ledger and "largest_batch" in other.ledger
    return int(record.ledger["largest_batch"]) if counted else record.samples_per_step


def _other_ledger(one: Record, other: Record) -> str:
    mine, theirs = one.ledger, other.ledger
    if mine.get("initial_weights") != theirs.get("initial_weights"):
        return "initial_weights differ"
    kind = str(one.requested.get("precision", "32-true"))
    tolerance = PRECISIONS[kind].tolerance if kind in PRECISIONS else LOSS_TOLERANCE
    # The audited steps of the start; those of the end come after more steps on the faster side.
    losses = zip(mine.get("losses", ())[:2], theirs.get("losses", ())[:2], strict=False)
    for index, (loss, expected) in enumerate(losses):
        if not math.isclose(loss, expected, rel_tol=tolerance):
            return f"loss of step {index}: {loss:.6g} against {expected:.6g}"
    return ""
