"""Where the extra time of one loop over another is spent, function by function. Pure.

How much it is comes from timed launches, with its interval. How it divides comes from a launch whose stacks were
sampled (`bench.results.stacks`): each cell's samples are scaled to its timed step, so that what sampling costs, the
same share of every function, is nobody's, and all parts add up to the timed difference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.analysis.estimates import StepDifference
from bench.analysis.pairs import MEASURED, StepRules, launch_pairs, shared_sets, step_rules
from bench.analysis.stack_owners import UNNAMED, Owner, owner_of
from bench.results.record import Record
from bench.results.stacks import SampledPair, SampledStacks
from bench.results.store import StoredRun
from bench.stats.intervals import LAYOUT_SD, interval_of_differences
from bench.stats.step_times import step_times

SLOWER_WORK = "the same work, slower"
_TOLD = 2.0  # standard errors of its samples by which a part differs from zero before it explains anything
# Sampled and free steps of one launch: where sampling costs one loop so much more than the other, shares are bent.
UNLIKE_COST = 0.15
# The same of what the two launches show: their ratios may differ by so much of the timed one's distance from 1.
UNLIKE_LAUNCH = 0.35


@dataclass(frozen=True)
class ExplainedPart:
    """A group of functions, or one function.

    Attributes:
        name: in plain words, or `module:qualified name`.
        kind: `own` of the loop, or `work` that both have to do.
        base, own: seconds a step of the two cells.
        error: standard error of their difference, by the number of samples.
    """

    name: str
    kind: str
    base: float
    own: float
    error: float
    functions: tuple[ExplainedPart, ...] = ()

    @property
    def more(self) -> float:
        return self.own - self.base

    @property
    def told(self) -> bool:
        """Whether it differs from zero by more than its samples may."""
        return abs(self.more) > _TOLD * self.error


@dataclass(frozen=True)
class StackNode:
    """A frame of the flame graph: of the costlier loop, under its group; seconds a step in both, callees within."""

    name: str
    base: float
    own: float
    kind: str
    inside: tuple[StackNode, ...] = ()

    @property
    def more(self) -> float:
        return self.own - self.base


@dataclass(frozen=True)
class Explanation:
    """Where the difference of two cells is spent.

    Attributes:
        base, own: ids of the cells; `own` is the one that takes longer.
        base_step, own_step: seconds of their timed steps.
        difference: of timed launches, with its interval.
        groups: what the loops do besides, the largest difference first; their parts are functions.
        work: what both have to do, by what it is.
        unnamed: seconds of the difference on stacks that no row of the table knows.
        samples: of each cell.
        overhead: by which sampled steps were longer than free ones of the same launch, of each cell.
        launch_difference: seconds of the difference that the free steps of that launch had, processor time.
    """

    base: str
    own: str
    base_step: float
    own_step: float
    difference: StepDifference
    groups: tuple[ExplainedPart, ...]
    work: tuple[ExplainedPart, ...]
    unnamed: float
    tree: StackNode
    samples: tuple[int, int]
    overhead: tuple[float, float]
    launch_difference: float
    started: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def same_work(self) -> ExplainedPart:
        """All that both have to do, as one part."""
        return _sum(SLOWER_WORK, "work", self.work)

    @property
    def entries(self) -> tuple[ExplainedPart, ...]:
        """What a reader is told: each group, and the same work as one entry; the largest difference first."""
        return tuple(sorted([*self.groups, self.same_work], key=lambda part: (-abs(part.more), part.name)))

    @property
    def told(self) -> tuple[ExplainedPart, ...]:
        """Those entries that are told from zero."""
        return tuple(part for part in self.entries if part.told)

    @property
    def functions(self) -> tuple[ExplainedPart, ...]:
        """Functions of all groups and of the same work, the largest difference first."""
        found = [one for part in (*self.groups, *self.work) for one in part.functions]
        return tuple(sorted(found, key=lambda part: (-abs(part.more), part.name)))

    def share(self, seconds: float) -> float:
        """Of the difference."""
        return seconds / self.difference.estimate if self.difference.estimate else math.nan

    @property
    def own_share(self) -> float:
        """The share of the difference in functions that are the costlier loop's own, those that are told from zero."""
        return self.share(sum(part.more for part in self.groups if part.told))

    @property
    def explained(self) -> float:
        """The share of the difference that the entries account for which are told from zero."""
        return self.share(sum(part.more for part in self.told))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; shares are of the difference."""
        return {
            "schema": 1,
            **{name: value for name, value in asdict(self).items() if name not in ("groups", "work")},
            "explained": self.explained,
            "own_share": self.own_share,
            "entries": [self._part(part) for part in self.entries],
            "groups": [self._part(part) for part in self.groups],
            "work": [self._part(part) for part in self.work],
        }

    def _part(self, part: ExplainedPart) -> dict[str, Any]:
        return {
            **{name: getattr(part, name) for name in ("name", "kind", "base", "own", "more", "error", "told")},
            "share": self.share(part.more),
            "functions": [self._part(one) for one in part.functions],
        }


def _sum(name: str, kind: str, parts: Sequence[ExplainedPart]) -> ExplainedPart:
    functions = tuple(sorted((one for part in parts for one in part.functions), key=lambda one: -abs(one.more)))
    error = math.sqrt(sum(part.error**2 for part in parts))
    return ExplainedPart(name, kind, sum(p.base for p in parts), sum(p.own for p in parts), error, functions)


def timed_difference(
    run: StoredRun, base: str, own: str, rules: StepRules | None = None
) -> tuple[float, StepDifference]:
    """The timed step of a cell, and what another of its group takes more, over the launches that have both.

    Raises:
        ValueError: no launch has both.
    """
    rules = rules or step_rules(run)
    records: dict[str, dict[int, Record]] = {base: {}, own: {}}
    for record in run.records:
        if record.outcome in MEASURED and record.turns is not None and record.cell in records:
            records[record.cell][record.launch] = record
    pairs = [*launch_pairs(run, (records[own], records[base]), rules)]
    if not pairs:
        raise ValueError(f"no launch has turns of both {base} and {own}")
    found = interval_of_differences(
        [pair.ratios.difference for pair in pairs],
        sets=shared_sets([pair.crossed for pair in pairs], [pair.base.fork_server for pair in pairs]),
        layout=LAYOUT_SD * statistics.median(pair.ratios.step + pair.ratios.difference for pair in pairs),
    )
    (periods, least), (_, most) = rules.of(base), rules.of(own)
    step = statistics.fmean(
        step_times(pair.base.turns, periods, most=max(most, least)).mean
        for pair in pairs
        if pair.base.turns is not None
    )
    return step, StepDifference("s", found.estimate, found.low, found.high, found.launches)


@dataclass
class _Taken:
    """Seconds a step and samples, of the two cells: base first."""

    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, side: int, seconds: float, samples: int) -> None:
        self.seconds[side] += seconds
        self.squares[side] += seconds**2 / max(samples, 1)

    @property
    def error(self) -> float:
        return math.sqrt(sum(self.squares))


def explain(base_step: float, difference: StepDifference, pair: SampledPair) -> Explanation:
    """How a timed difference divides.

    Args:
        base_step: seconds of the first cell's timed step.
        difference: what the second takes more; the two change places where it takes less.
        pair: the two cells' samples.
    """
    if difference.estimate < 0:
        low, high = (None if end is None else -end for end in (difference.high, difference.low))
        turned = StepDifference(difference.unit, -difference.estimate, low, high, difference.launches)
        swapped = SampledPair(pair.started, (pair.cells[1], pair.cells[0]))
        return explain(base_step + difference.estimate, turned, swapped)
    steps = (base_step, base_step + difference.estimate)
    sides = [_by_owner(cell.sampled, step) for cell, step in zip(pair.cells, steps, strict=True)]
    functions: dict[tuple[str, str], dict[str, _Taken]] = {}
    for side, owned in enumerate(sides):
        for owner, seconds, samples in owned:
            inside = functions.setdefault((owner.kind, owner.group), {})
            inside.setdefault(owner.function, _Taken()).add(side, seconds, samples)
    parts = [_part(group, kind, inside) for (kind, group), inside in functions.items()]
    parts.sort(key=lambda part: (-abs(part.more), part.name))
    first, second = pair.cells
    overhead = (first.sampled.step / first.free_step, second.sampled.step / second.free_step)
    return Explanation(
        first.cell,
        second.cell,
        *steps,
        difference,
        tuple(part for part in parts if part.kind == "own"),
        tuple(part for part in parts if part.kind == "work"),
        sum(part.more for part in parts if part.name == UNNAMED),
        _tree(sides, steps),
        (sum(first.sampled.samples), sum(second.sampled.samples)),
        overhead,
        second.free_step - first.free_step,
        pair.started,
        _notes(overhead, pair, steps[1] / steps[0]),
    )


def _by_owner(sampled: SampledStacks, step: float) -> list[tuple[Owner, float, int]]:
    """Each stack with whose it is, its seconds of the timed step, and its samples; without what is the stream's own."""
    found = [(owner_of(stack), seconds, samples) for stack, seconds, samples in sampled]
    found = [one for one in found if one[0].kind != "ours"]
    whole = sum(seconds for _, seconds, _ in found)
    return [(owner, seconds * step / whole, samples) for owner, seconds, samples in found] if whole else []


def _part(name: str, kind: str, functions: Mapping[str, _Taken]) -> ExplainedPart:
    inside = [
        ExplainedPart(own, kind, taken.seconds[0], taken.seconds[1], taken.error) for own, taken in functions.items()
    ]
    inside.sort(key=lambda one: (-abs(one.more), one.name))
    whole = _sum(name, kind, inside)
    return replace(whole, functions=tuple(inside))


def _notes(overhead: tuple[float, float], pair: SampledPair, ratio: float) -> tuple[str, ...]:
    found = []
    if abs(overhead[0] - overhead[1]) > UNLIKE_COST:
        found.append(
            f"sampled steps took {overhead[0]:.2f} and {overhead[1]:.2f} times as long as others of the same launch: "
            "shares may be off by as much"
        )
    free = pair.cells[1].free_step / pair.cells[0].free_step
    if abs(free - ratio) > UNLIKE_LAUNCH * max(ratio - 1, 0.02):
        found.append(
            f"steps of the sampled launch that were not sampled have the ratio {free:.2f}, timed ones {ratio:.2f}: "
            "shares are of another difference than the timed one"
        )
    lost = sum(cell.sampled.lost for cell in pair.cells)
    if lost:
        found.append(f"{lost} samples of rare stacks were not kept")
    return tuple(found)


def _tree(sides: Sequence[Sequence[tuple[Owner, float, int]]], steps: tuple[float, float]) -> StackNode:
    """All stacks under their groups, both cells in one tree; frames are matched by name within their group."""
    root: dict[str, Any] = {}
    for side, owned in enumerate(sides):
        for owner, seconds, _ in owned:
            inside = root
            for name in (owner.group, *owner.path):
                node = inside.setdefault(name, {"seconds": [0.0, 0.0], "kind": owner.kind, "inside": {}})
                node["seconds"][side] += seconds
                inside = node["inside"]
    return StackNode("step", steps[0], steps[1], "", _nodes(root))


def _nodes(inside: Mapping[str, Any]) -> tuple[StackNode, ...]:
    made = []
    for name, node in inside.items():
        base, own = node["seconds"]
        made.append(StackNode(name, base, own, node["kind"], _nodes(node["inside"])))
    return tuple(sorted(made, key=lambda node: (-node.own, node.name)))
