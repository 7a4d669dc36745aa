"""The figures of a row from its runs, and ratios of two rows, each with the interval that is known of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import claims, comparability
from bench.analysis.merge_figures import (
    MERGED_METRICS,
    NO_RATIO,
    OF_TIMES,
    RunFigures,
    launch_variance,
    of_a_run,
)
from bench.analysis.merge_machines import node_of
from bench.analysis.merge_rows import WorkRow
from bench.analysis.merge_values import MachineFigure, MachineRatio, Spread
from bench.results.store import StoredRun
from bench.stats.between_runs import Variance, mean_of_runs, reach_of_parts, spread_or_floor
from bench.stats.intervals import Interval

AN_HOUR = 3600.0
A_MILLION = 1e6


@dataclass(frozen=True)
class RowEstimate:
    """A metric of a row, as logs.

    Attributes:
        named, known: what runs found, by node: those of the row, and those with the history.
        noise: of the mean, by launches; None where single launches tell of none.
    """

    metric: str
    named: Mapping[str, Sequence[float]]
    known: Mapping[str, Sequence[float]]
    noise: Variance | None
    launches: int

    @property
    def runs(self) -> int:
        return sum(map(len, self.named.values()))

    @property
    def all_runs(self) -> int:
        return sum(map(len, self.known.values()))


def estimates_of(row: WorkRow, history: Sequence[RunFigures], price: float | None) -> dict[str, RowEstimate]:
    """All metrics of a row that its runs have, from those that are `ok`.

    Args:
        history: other runs of the machine.
        price: for an hour of one of its nodes.
    """
    sound = [(own, row.cells[own.run.id]) for own in row.runs if row.fate(own)[0] == "ok"]
    past = [(own, cell) for own in history for cell in own.works if _same_work(own, cell, row)]
    places = _places([*sound, *past])
    paid = None if price is None else math.log(price * row.share.num_nodes / AN_HOUR * A_MILLION)
    found = {}
    for metric in MERGED_METRICS:
        named = _logs(sound, metric, paid)
        if not named:
            continue
        values = {run: of_a_run(logs) for run, logs in named.items()}
        before = {run: of_a_run(logs) for run, logs in _logs(past, metric, paid).items()}
        by_node = _by_node(values, places)
        known = _by_node({**before, **values}, places)
        noises = [launch_variance(logs) for logs in named.values()]
        noise = None
        if noises and all(part is not None for part in noises):
            shares = {node: 1 / len(by_node) / len(own) for node, own in by_node.items()}
            parts = [(shares[places[run]], part) for run, part in zip(named, noises, strict=True) if part is not None]
            total = math.fsum(share**2 * part.value for share, part in parts)
            noise = Variance(total, sum(part.degrees for _, part in parts))
        found[metric] = RowEstimate(metric, by_node, known, noise, sum(map(len, named.values())))
    return found


def _same_work(own: RunFigures, cell: str, row: WorkRow) -> bool:
    """Whether a cell of another run is the row's: the same definition of the work, on the same device."""
    mine = {one.works.get(row.cells[one.run.id]) for one in row.runs} - {None}
    device = comparability.devices(own.run).get(cell, "")
    known = own.works[cell] in mine and cell in row.cells.values() and device == row.share.device
    return known and own.outcomes.get(cell, ("", ""))[0] == "ok"


def _logs(runs: Sequence[tuple[RunFigures, str]], metric: str, paid: float | None) -> dict[str, list[float]]:
    """The launches' logs of the runs that have the metric, by run; a price is made of throughput."""
    found = {}
    for own, cell in runs:
        if metric == "price_per_million":
            rates = own.logs.get(cell, {}).get("throughput", ())
            logs = [] if paid is None else [paid - rate for rate in rates]
        else:
            logs = list(own.logs.get(cell, {}).get(metric, ()))
        if logs:
            found[own.run.id] = logs
    return found


def _places(runs: Sequence[tuple[RunFigures, str]]) -> dict[str, str]:
    """The node of each run; one for all where some do not say, since they may well have been on the same."""
    found = {own.run.id: _place(own.run, cell) for own, cell in runs}
    return found if all(found.values()) else dict.fromkeys(found, "")


def _place(run: StoredRun, cell: str) -> str:
    nodes = next((record.nodes for record in run.records if record.cell == cell and record.nodes), ())
    return "+".join(nodes) or node_of(run)


def _by_node(values: Mapping[str, float], places: Mapping[str, str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in sorted(values):
        found.setdefault(places[run], []).append(values[run])
    return found


def machine_figure(own: RowEstimate) -> MachineFigure:
    """The figure with its interval: as runs differ, where enough of them tell, else over launches and said so."""
    metric, mean = MERGED_METRICS[own.metric], mean_of_runs(own.named)
    parts, spread = _of_runs(own)
    if not parts and own.noise is not None:
        parts, spread = (own.noise,), "launches"
    interval = _interval(mean, parts, own.launches)
    ends = interval.low, interval.high
    return MachineFigure(
        metric.unit, metric.better, interval.estimate, *ends, spread, own.runs, own.launches, own.all_runs
    )


def _of_runs(own: RowEstimate) -> tuple[tuple[Variance, ...], Spread]:
    """The variance that runs tell, if enough of them do."""
    parts, told = spread_or_floor(own.known, own.named, own.noise)
    if told:
        return parts, "runs"
    return (), "none"


def machine_ratio(own: RowEstimate, base: RowEstimate) -> MachineRatio | None:
    """One row's figure over the baseline's; None of a metric that is no one's but its machine's."""
    if own.metric in NO_RATIO:
        return None
    apart = mean_of_runs(own.named) - mean_of_runs(base.named)
    count = min(own.launches, base.launches)
    noises = [side.noise for side in (own, base) if side.noise is not None]
    within = _interval(apart, noises if len(noises) == 2 else (), count)
    told = [_of_runs(side) for side in (own, base)]
    spread: Spread = "none"
    parts: list[Variance] = []
    if all(known for known, _ in told):
        parts, spread = [part for known, _ in told for part in known], "runs"
    elif own.metric in OF_TIMES:
        either = [spread_or_floor(side.known, side.named, side.noise)[0] for side in (own, base)]
        parts, spread = [part for given in either for part in given], "floor"
    ratio = _interval(apart, parts, count)
    return MachineRatio(ratio, spread, within, claims.of_ratio(ratio))


def _interval(log: float, parts: Sequence[Variance], launches: int) -> Interval:
    if not parts:
        return Interval(math.exp(log), None, None, launches)
    reach = reach_of_parts(parts)
    return Interval(math.exp(log), math.exp(log - reach), math.exp(min(log + reach, 709.0)), launches)
