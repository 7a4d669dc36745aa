"""What runs of one machine, and identical nodes, differ by, and the interval that few of them deserve.

Launches scatter about their own run and know nothing of the next one. Two kinds of estimate are served here, both on
logs. An absolute figure of a machine is the mean of its runs, whose scatter is runs' and, where there are several
nodes, nodes'. A ratio that was paired on each node is the mean over nodes, whose scatter is shared by the groups of a
series: each group is on few nodes, and all of them together tell what a node adds. Plain floats in, plain floats out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.stats.intervals import CONFIDENCE

# What a run of a machine differs by from its next one (sd of the log), where no other runs tell: the most that was
# seen of one and the same step, measured by two series of runs, whose log ratio had a sd of 29 % on a shared virtual
# machine; a run has its share of that by the root of 2. Quiet machines lie far below: 1.9 to 6.6 % for the same tools
# (docs/measurements/2026-11-23-peers.md). So of single runs nothing is told that is not beyond a factor of 1.7.
RUN_SD = 0.29 / math.sqrt(2)

# Fewer runs than these do not tell their scatter. On a machine with two faces, 10 % apart, 2 runs are of the same face
# every other time, and the interval of such runs on both sides held the truth in 90 % of simulated comparisons; of 3
# runs it did in 97 %.
FEWEST_RUNS = 3


@dataclass(frozen=True)
class Variance:
    """A variance, and the degrees of freedom that it is known with; infinity: it is given, not estimated."""

    value: float
    degrees: float


def reach_of_parts(parts: Sequence[Variance], confidence: float = CONFIDENCE) -> float:
    """Half the width of the interval around an estimate whose variance is the sum of these.

    Each part has Student's t of its own degrees, and their squares are added. Satterthwaite's single t of the sum takes
    its degrees from the parts as they were found: where one that is known with 1 degree happens to be found small, the
    t is that of the others. With 2 nodes that shift 10 groups by 2 % (sd) its interval held the truth in 87 % of
    simulated runs, this one in 95 %.
    """
    # Imported here: scipy.special takes 0.5 s, and whoever only lists or plans does not need it.
    from scipy.special import ndtri, stdtrit

    tail = 0.5 + confidence / 2
    squares = (
        part.value * float(ndtri(tail) if math.isinf(part.degrees) else stdtrit(part.degrees, tail)) ** 2
        for part in parts
    )
    return math.sqrt(math.fsum(squares))


def mean_of_runs(named: Mapping[str, Sequence[float]]) -> float:
    """The mean over nodes of the means of their runs: a node that ran twice counts once."""
    means = [math.fsum(own) / len(own) for own in named.values()]
    return math.fsum(means) / len(means)


def spread_of_runs(known: Mapping[str, Sequence[float]], named: Mapping[str, Sequence[float]]) -> tuple[Variance, ...]:
    """The variance of `mean_of_runs(named)` about what such machines give in the long run, in parts; none where no two
    runs tell.

    Runs within nodes, both random: the mean squares between nodes and between runs of one node, by the method of
    moments. Of a single node it is the runs' alone, and the figure is that node's.

    Args:
        known: what each run found, as logs, by node: those named and those of the history.
        named: those of them that the estimate is the mean of.
    """
    runs, nodes = sum(map(len, known.values())), len(known)
    means = {node: math.fsum(own) / len(own) for node, own in known.items()}
    within = math.fsum((value - means[node]) ** 2 for node, own in known.items() for value in own)
    of_runs = Variance(within / (runs - nodes), runs - nodes) if runs > nodes else None
    in_nodes = math.fsum(1 / len(own) for own in named.values()) / len(named) ** 2
    if nodes == 1:
        return () if of_runs is None else (Variance(of_runs.value * in_nodes, of_runs.degrees),)
    centre = math.fsum(means[node] * len(own) for node, own in known.items()) / runs
    between = math.fsum(len(own) * (means[node] - centre) ** 2 for node, own in known.items())
    a_node = (runs - math.fsum(len(own) ** 2 for own in known.values()) / runs) / (nodes - 1)
    share = 1 / (len(named) * a_node)
    parts = [Variance(share * between / (nodes - 1), nodes - 1)]
    if of_runs is not None:
        # Below 0 where the estimate has more runs a node than are usual: then runs are counted by the nodes' alone.
        parts.append(Variance(max(0.0, in_nodes - share) * of_runs.value, of_runs.degrees))
    return tuple(parts)


def spread_or_floor(
    known: Mapping[str, Sequence[float]],
    named: Mapping[str, Sequence[float]],
    noise: Variance | None,
    floor: float = RUN_SD,
) -> tuple[tuple[Variance, ...], bool]:
    """The variance of `mean_of_runs(named)` in parts, and whether runs told it.

    Few runs know their scatter with few degrees of freedom, of 3 runs t is 4.3: where the floor is narrower than that,
    and their own scatter is not above it, it is the floor that is taken, with what launches add.

    Args:
        known, named: as `spread_of_runs` has them.
        noise: of the mean, by launches within runs; None where single launches tell of none.
        floor: what a run may differ by from the next one (sd, as a log), as long as nobody knows better.
    """
    given = (Variance(floor**2 / len(named), math.inf), *([noise] if noise is not None else []))
    own = spread_of_runs(known, named)
    if not own:
        return given, False
    larger = math.fsum(part.value for part in own) > given[0].value
    enough = sum(map(len, known.values())) >= FEWEST_RUNS
    return (own, True) if larger or (enough and reach_of_parts(own) <= reach_of_parts(given)) else (given, False)


@dataclass(frozen=True)
class NodeRatio:
    """The log ratio of one cell to its baseline on one node.

    Attributes:
        value: over the node's launches.
        noise: the variance that the launches give it; 0 where a single launch tells of none.
        degrees: of freedom, with which that is known.
    """

    value: float
    noise: float = 0.0
    degrees: float = math.inf


def over_nodes(groups: Mapping[str, Mapping[str, NodeRatio]]) -> dict[str, tuple[float, tuple[Variance, ...]]]:
    """The mean over nodes of each group, with its variance in parts; none where no group was on two nodes.

    A node shifts the ratio in all of its groups alike, and in each by itself; the two are told apart by analysis of
    variance, groups being fixed, and what they add to one node's figure is shared by all groups. With n nodes a group
    has a mean square of nodes, each of which is in k groups on average, and a residual one, which hold
    res + k shared and res; a figure of one node has shared + res = nodes / k + (1 - 1 / k) res. Where groups agree on
    what a node does, this leaves as few degrees as there are nodes, less 1; where they do not, as many as groups.
    Groups of short steps have noisier launches than others: the mean of what launches add is exchanged for what the
    group's own do.

    Args:
        groups: one compared cell of each group, by group and node.
    """
    from numpy import array, linalg, zeros

    means = {group: math.fsum(one.value for one in own.values()) / len(own) for group, own in groups.items()}
    apart = [(group, node) for group, own in groups.items() if len(own) > 1 for node in own]
    if not apart:
        return {group: (mean, ()) for group, mean in means.items()}
    places = {node: place for place, node in enumerate(dict.fromkeys(node for _, node in apart))}
    design = zeros((len(apart), len(places)))
    for row, (group, node) in enumerate(apart):
        for other in groups[group]:
            design[row, places[other]] -= 1 / len(groups[group])
        design[row, places[node]] += 1
    deviations = array([groups[group][node].value - means[group] for group, node in apart])
    effects, _, rank, _ = linalg.lstsq(design, deviations, rcond=None)
    free = len(apart) - len({group for group, _ in apart})
    explained = float(((design @ effects) ** 2).sum())
    residual = float(((deviations - design @ effects) ** 2).sum())
    groups_a_node = free / int(rank)
    parts = [Variance(explained / int(rank) / groups_a_node, int(rank))]
    if free > rank:
        parts.append(Variance((1 - 1 / groups_a_node) * residual / (free - int(rank)), free - int(rank)))
    of_one = math.fsum(part.value for part in parts)
    usual = math.fsum(groups[group][node].noise for group, node in apart) / len(apart)
    found: dict[str, tuple[float, tuple[Variance, ...]]] = {}
    for group, own in groups.items():
        noise = math.fsum(one.noise for one in own.values()) / len(own)
        launches = math.fsum(one.degrees for one in own.values())
        wanted = max(of_one + noise - usual, noise)
        kept = min(1.0, wanted / of_one) / len(own) if of_one else 0.0
        more = [Variance((wanted - of_one) / len(own), launches)] if wanted > of_one else []
        found[group] = means[group], (*(Variance(kept * part.value, part.degrees) for part in parts), *more)
    return found
