"""Runs of several machines as one comparison of accelerators: what differs around them, figures, ratios. Pure.

Nothing is paired across machines. A cell of one machine is put beside the same cell of another: the same suite, the
same point, but for what the machine brings. Each figure has the scatter of runs where runs tell it, and where they do
not, it is said, and a ratio is told only if it is larger than what runs were ever seen to differ by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.analysis.merge_estimates import RowEstimate, estimates_of, machine_figure, machine_ratio
from bench.analysis.merge_figures import RunFigures, figures_of_run
from bench.analysis.merge_machines import Pool, environment_differences, machine_kind, pools
from bench.analysis.merge_nodes import pooled_ratios
from bench.analysis.merge_rows import SameWork, WorkRow, sort_rows
from bench.analysis.merge_values import Merge, MergedRow, MergedWork
from bench.analysis.merge_work import work_apart
from bench.errors import RunError, SpecError, one_of
from bench.results import identity
from bench.results.record import WHOLE_FROM
from bench.results.store import StoredRun


def merge_runs(
    runs: Sequence[StoredRun],
    history: Iterable[StoredRun] = (),
    *,
    labels: Mapping[str, str] | None = None,
    prices: Mapping[str, float] | None = None,
    baseline: str | None = None,
) -> Merge:
    """The comparison of the machines that made these runs. The order of the runs is that of the rows, and nothing else.

    Args:
        history: other runs, which may tell how runs of a machine differ; those of no machine here are not looked at.
        labels: names of machines, by a run's id.
        prices: for an hour of one node, by a machine's name.
        baseline: the machine that ratios are over; None: in each work the CPU first, then by number of devices, name.

    Raises:
        RunError: a run is there twice, or there is nothing to compare: no work that two rows have, no machine with two
            runs.
        SpecError: a price or the baseline is of no machine.
    """
    _once(runs)
    found, notes = pools(runs, labels, prices)
    names = [pool.machine.name for pool in found]
    if baseline is not None and baseline not in names:
        raise SpecError(one_of("machine", baseline, names))
    figures = {run.id: figures_of_run(run) for run in runs}
    past = _history(found, history)
    works = sort_rows([(pool, [figures[run.id] for run in pool.runs]) for pool in found])
    prices_ = {pool.machine.name: pool.machine.price for pool in found}
    compared = [work for work in works if len(work.rows) > 1]
    made = [_work(work, past, prices_, baseline) for work in compared]
    nodes = [(ratios, left) for ratios, left in map(pooled_ratios, found)]
    pooled = [ratio for ratios, _ in nodes for ratio in ratios]
    if not made and not pooled:
        had = [f"{run.id} has {', '.join(_works_with(run.id, works)) or 'none'}" for run in runs]
        raise RunError(f"no cell is common to two machines, and no machine has two runs; {'; '.join(had)}")
    notes += [note for _, left in nodes for note in left]
    notes += [note for run in runs for note in _notes(run)]
    notes += [note for work in compared for row in work.rows for note in _failed_runs(row)]
    told = any(row.ratios for work in made for row in work.rows)
    reasons = [f"{row.name}: {row.no_ratio or f'{row.outcome}: {row.reason}'}" for work in made for row in work.rows]
    return Merge(
        machines=tuple(pool.machine for pool in found),
        differences=tuple(environment_differences(found)),
        works=tuple(made),
        alone={work.name: work.rows[0].share.name for work in works if len(work.rows) == 1},
        nodes=tuple(pooled),
        notes=tuple(sorted(set(notes))),
        invalid="" if told or pooled else "no cell has a ratio: " + "; ".join(dict.fromkeys(sorted(reasons))),
    )


def _once(runs: Sequence[StoredRun]) -> None:
    seen: dict[str, StoredRun] = {}
    for run in runs:
        if run.id in seen:
            raise RunError(f"run {run.id} is named twice ({seen[run.id].folder}, {run.folder}); it is one run")
        seen[run.id] = run


def _history(found: Sequence[Pool], history: Iterable[StoredRun]) -> dict[str, list[RunFigures]]:
    """The other runs of each machine that can be read, by its name."""
    named = {run.id for pool in found for run in pool.runs}
    kinds: dict[str, list[RunFigures]] = {}
    wanted = {machine_kind(pool.runs[0]) for pool in found}
    for run in history:
        if run.id in named or machine_kind(run) not in wanted:
            continue
        named.add(run.id)
        try:
            kinds.setdefault(machine_kind(run), []).append(figures_of_run(run))
        except RunError:
            continue  # a metric that this version does not know: nothing to learn from it
    return {pool.machine.name: kinds.get(machine_kind(pool.runs[0]), []) for pool in found}


def _works_with(run: str, works: Sequence[SameWork]) -> list[str]:
    return [work.name for work in works if any(own.run.id == run for row in work.rows for own in row.runs)]


def _notes(run: StoredRun) -> list[str]:
    """What a reader must know of a run."""
    schema = int(run.info.get("schema", 0))
    old = f"run {run.id} is of schema {schema}: it has no digests of its suites' files, and none covers its records"
    cut = f"run {run.id} is not finished: cells that it had not reached are missing"
    return [old] * (schema < WHOLE_FROM) + [cut] * (not run.info.get("finished"))


def _failed_runs(row: WorkRow) -> list[str]:
    """Runs whose cell failed while others of the row have it."""
    fates = {own.run.id: row.fate(own) for own in row.runs}
    if not any(outcome == "ok" for outcome, _ in fates.values()):
        return []
    return [
        f"{row.share.name}: {row.cells[run]} of run {run} is left out: {outcome}: {reason}"
        for run, (outcome, reason) in fates.items()
        if outcome != "ok"
    ]


def _work(
    work: SameWork, past: Mapping[str, Sequence[RunFigures]], prices: Mapping[str, float | None], baseline: str | None
) -> MergedWork:
    rows: list[tuple[WorkRow, MergedRow, dict[str, RowEstimate]]] = []
    for row in work.rows:
        first, pooled = _plain_row(row), _not_one_work(work.suite, row)
        own = {} if pooled else estimates_of(row, past[row.share.machine], prices[row.share.machine])
        shown = {metric: machine_figure(estimate) for metric, estimate in own.items()}
        rows.append((row, replace(first, figures=shown, no_ratio=pooled), own))
    able = [place for place, (_, made, own) in enumerate(rows) if made.outcome == "ok" and "throughput" in own]
    wanted = [place for place in able if rows[place][0].share.machine == baseline]
    choice = wanted if baseline is not None else able
    if not choice:
        why = "no row has figures to be over" if baseline is None else f"the baseline {baseline} has no figures here"
        return MergedWork(work.suite, work.name, tuple(_without_ratio(made, why) for _, made, _ in rows))
    base = rows[min(choice, key=lambda place: rows[place][0].share.order())]
    made = [row if row is base[1] else _over(work.suite, row, own, item, base) for item, row, own in rows]
    return MergedWork(work.suite, work.name, tuple(made))


def _without_ratio(row: MergedRow, why: str) -> MergedRow:
    return replace(row, no_ratio=row.no_ratio or why) if row.outcome == "ok" else row


def _plain_row(row: WorkRow) -> MergedRow:
    """The row without figures; its outcome is `ok` if that of any of its runs is."""
    fates = [row.fate(own) for own in row.runs]
    outcome, reason = next((fate for fate in fates if fate[0] == "ok"), fates[0])
    share = row.share
    where = share.machine, share.accelerator, share.device, share.devices, share.num_nodes
    return MergedRow(share.name, *where, row.cells[row.runs[0].run.id], outcome, reason)


def _not_one_work(suite: str, row: WorkRow) -> str:
    """Why the runs of a row are not pooled, or ""; files, definition and work must be one."""
    sound = [own for own in row.runs if row.timed(own)]
    for own in sound[1:]:
        ids = f"runs {sound[0].run.id} and {own.run.id} are not pooled"
        if names := identity.other_files(sound[0].run.info.get("digests"), own.run.info.get("digests"), suite):
            return f"{ids}: files of suite {suite} differ ({', '.join(names)})"
        differ, _ = work_apart(suite, (own.run, row.timed(own)), (sound[0].run, row.timed(sound[0])))
        if differ:
            return f"{ids}: {'; '.join(differ)}"
    return ""


def _over(
    suite: str,
    row: MergedRow,
    own: Mapping[str, RowEstimate],
    item: WorkRow,
    base: tuple[WorkRow, MergedRow, Mapping[str, RowEstimate]],
) -> MergedRow:
    """The row with its ratios to the baseline's, if the two did the same work."""
    if row.outcome != "ok" or row.no_ratio or not own:
        return row if row.outcome != "ok" or row.no_ratio else replace(row, no_ratio="no launch has enough rounds")
    first, name, theirs = base[0], base[1].name, base[2]
    mine, other = (_timed(one) for one in (item, first))
    differ, equal = work_apart(suite, (mine.run, item.timed(mine)), (other.run, first.timed(other)))
    if differ:
        return replace(row, over=name, no_ratio=f"other work than {name}: {'; '.join(differ)}")
    ratios = {
        metric: ratio
        for metric, estimate in own.items()
        if metric in theirs and (ratio := machine_ratio(estimate, theirs[metric])) is not None
    }
    return replace(row, over=name, ratios=ratios, equal=equal)


def _timed(row: WorkRow) -> RunFigures:
    """The first of a row's runs that measured its cell."""
    return next(own for own in row.runs if row.timed(own))
