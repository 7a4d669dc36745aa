"""Ratios that were paired on each node of an array job, over nodes: what all of them say of a cell. Pure.

Within a node a cell was raced against its baseline, so that what the node is cancels. What it does not cancel, a node
that suits one loop better than another, is a random effect (`bench.stats.between_runs.over_nodes`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis import claims, frames
from bench.analysis.merge_figures import launch_variance
from bench.analysis.merge_machines import Pool, node_of
from bench.analysis.pairs import columns_by_cell, shared_sets
from bench.results import identity
from bench.results.store import StoredRun
from bench.stats.between_runs import NodeRatio, over_nodes, reach_of_parts
from bench.stats.intervals import Interval, interval_of_differences

Clusters = Literal["nodes", "runs"]


@dataclass(frozen=True)
class PooledRatio:
    """A cell over its baseline, raced on several nodes.

    Attributes:
        machine: by the name that its runs have.
        ratio: mean step over the baseline's, geometric mean over nodes.
        clusters: what is random besides launches: nodes, or, where all runs are of one node or do not say, runs.
        on: the ratio on each of these.
        launches: of all of them.
        claim: what may be said of it, beside the group's twin.
    """

    machine: str
    suite: str
    group: str
    cell: str
    twin: bool
    ratio: Interval
    clusters: Clusters
    on: Mapping[str, float]
    launches: int
    claim: claims.ClaimWord


@dataclass(frozen=True)
class _Raced:
    """A cell in one run."""

    suite: str
    group: str
    arm: str  # its value of the compared axis: cells of one arm share what nodes do
    twin: bool
    logs: Sequence[float]
    value: float


def pooled_ratios(pool: Pool) -> tuple[list[PooledRatio], list[str]]:
    """The ratios of a machine's runs over nodes, and sentences on what is left out.

    Nothing of a single run, and nothing of an arm that was on one node in all of its groups: `bench show` has that.
    """
    if len(pool.runs) < 2:
        return [], []
    left_out: list[str] = []
    raced: dict[str, dict[str, _Raced]] = {}  # by cell, then by run
    for run in pool.runs:
        known = _raced_in(run)
        for suite in sorted({own.suite for own in known.values()}):
            first = next(other for other in pool.runs if suite in other.info["plan"]["suites"])
            if names := identity.other_files(first.info.get("digests"), run.info.get("digests"), suite):
                left_out.append(
                    f"run {run.id}: not pooled with {first.id}, files of suite {suite} differ ({', '.join(names)})"
                )
                known = {cell: own for cell, own in known.items() if own.suite != suite}
        for cell, own in known.items():
            raced.setdefault(cell, {})[run.id] = own
    return _over(pool, raced), left_out


def _raced_in(run: StoredRun) -> dict[str, _Raced]:
    cells = {str(cell["id"]): cell for cell in run.info["plan"]["cells"]}
    found = {}
    for name, own in columns_by_cell(frames.pairs(run), "log_ratio", "crossed", "set").items():
        cell = cells[name]
        axis = run.info["plan"]["suites"][cell["suite"]]["compare"]
        logs = own["log_ratio"]
        found[name] = _Raced(
            cell["suite"],
            cell["group"],
            f"{cell['suite']}, {cell['point'][axis]}{' (twin)' * cell['twin']}",
            bool(cell["twin"]),
            logs,
            interval_of_differences(logs, sets=shared_sets(own["crossed"], own["set"])).estimate,
        )
    return found


def _over(pool: Pool, raced: Mapping[str, Mapping[str, _Raced]]) -> list[PooledRatio]:
    clusters, place = _clusters(pool, raced)
    arms: dict[str, dict[str, dict[str, NodeRatio]]] = {}
    for cell, runs in raced.items():
        on: dict[str, list[_Raced]] = {}
        for run, own in runs.items():
            on.setdefault(place[run, cell], []).append(own)
        arm = next(iter(runs.values())).arm
        arms.setdefault(arm, {})[cell] = {name: _on_node(own) for name, own in on.items()}
    ratios: dict[str, Interval] = {}
    for by_cell in arms.values():
        for cell, (mean, parts) in over_nodes(by_cell).items():
            count = sum(len(own.logs) for own in raced[cell].values())
            if parts:
                reach = reach_of_parts(parts)
                ratios[cell] = Interval(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach), count)
    of_cells = {cell: own for by_cell in arms.values() for cell, own in by_cell.items()}
    first = {cell: next(iter(runs.values())) for cell, runs in raced.items()}
    twins = {first[cell].group: ratio for cell, ratio in ratios.items() if first[cell].twin}
    return [
        PooledRatio(
            machine=pool.machine.name,
            suite=first[cell].suite,
            group=first[cell].group,
            cell=cell,
            twin=first[cell].twin,
            ratio=ratios[cell],
            clusters=clusters,
            on={name: math.exp(one.value) for name, one in sorted(of_cells[cell].items())},
            launches=ratios[cell].launches,
            claim=claims.of_ratio(ratios[cell], [] if first[cell].twin else [twins.get(first[cell].group)]),
        )
        for cell in sorted(ratios, key=lambda cell: (first[cell].suite, first[cell].group, first[cell].twin, cell))
    ]


def _on_node(own: Sequence[_Raced]) -> NodeRatio:
    """The mean of a node's runs."""
    noises = [part for one in own if (part := launch_variance(one.logs)) is not None]
    mean = math.fsum(one.value for one in own) / len(own)
    if len(noises) < len(own):
        return NodeRatio(mean)
    noise = math.fsum(part.value for part in noises) / len(own) ** 2
    return NodeRatio(mean, noise, math.fsum(part.degrees for part in noises))


def _clusters(pool: Pool, raced: Mapping[str, Mapping[str, _Raced]]) -> tuple[Clusters, dict[tuple[str, str], str]]:
    """What is random, and the node, or the run, of each cell in each run."""
    of_records = {
        (run.id, record.cell): "+".join(record.nodes) for run in pool.runs for record in run.records if record.nodes
    }
    own = {run.id: node_of(run) for run in pool.runs}
    nodes = {(run, cell): of_records.get((run, cell)) or own[run] for cell, runs in raced.items() for run in runs}
    if all(nodes.values()) and len(set(nodes.values())) > 1:
        return "nodes", nodes
    return "runs", {key: key[0] for key in nodes}
