"""What a step of one cell does more often than its baseline's, by what does it. Pure; no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.results.step_counts import COUNT_METRICS, Counted, StepCounts

COUNT_WORDS = {
    "python_calls": ("Python call", "Python calls"),
    "allocations": ("allocation", "allocations"),
    "cyclic_garbage": ("object of cyclic garbage", "objects of cyclic garbage"),
    "system_calls": ("system call", "system calls"),
    "operators": ("operator", "operators"),
    "copies": ("copy", "copies"),
    "host_syncs": ("host sync", "host syncs"),
}
FUNCTIONS = "python_calls"  # told by module; the parts of other metrics have names of their own
MOST_NAMED = 6  # modules, operators or system calls in a sentence


@dataclass(frozen=True)
class MetricCount:
    """One metric of a cell, counted in several interpreters.

    Attributes:
        totals: over `steps` steps, of each interpreter.
        by: the first interpreter's, by function, operator or system call, over all steps.
        callers: of an operator, the functions outside of torch that called it.
        unsteady: what was counted otherwise in another interpreter, with the least and the most.
        refused: why it cannot be counted; "" where it is.
    """

    metric: str
    steps: int
    totals: tuple[int, ...]
    by: Mapping[str, int]
    callers: Mapping[str, Mapping[str, int]]
    unsteady: tuple[tuple[str, int, int], ...] = ()
    refused: str = ""

    @property
    def exact(self) -> bool:
        """Whether all interpreters counted the same."""
        return not self.refused and not self.unsteady and len(set(self.totals)) == 1

    @property
    def per_step(self) -> float:
        return self.totals[0] / self.steps

    def to_json(self) -> dict[str, Any]:
        if self.refused:
            return {"refused": self.refused}
        return {
            "per_step": self.per_step,
            "totals": list(self.totals),
            "exact": self.exact,
            "by": dict(sorted(self.by.items(), key=lambda item: (-item[1], item[0]))),
            "unsteady": [list(one) for one in self.unsteady],
        }


@dataclass(frozen=True)
class CountPart:
    """A function, operator or system call that is called more or less often; `base` and `own` are times a step."""

    name: str
    base: float
    own: float
    callers: tuple[str, ...] = ()

    @property
    def more(self) -> float:
        return self.own - self.base

    @property
    def module(self) -> str:
        return self.name.partition(":")[0]


@dataclass(frozen=True)
class CountDifference:
    """A metric that is another in a cell than in its baseline, exactly.

    Attributes:
        base, own: a step.
        parts: what accounts for it, the largest first. They add up to the difference where anything is named at all.
    """

    metric: str
    base: float
    own: float
    parts: tuple[CountPart, ...]

    @property
    def more(self) -> float:
        return self.own - self.base

    def modules(self) -> list[tuple[str, float]]:
        """The difference by module, the largest first."""
        found: dict[str, float] = {}
        for part in self.parts:
            found[part.module] = found.get(part.module, 0.0) + part.more
        return sorted(((name, more) for name, more in found.items() if more), key=lambda one: (-abs(one[1]), one[0]))

    def to_json(self) -> dict[str, Any]:
        parts = [{"name": part.name, "base": part.base, "own": part.own, "more": part.more} for part in self.parts]
        return {"base": self.base, "own": self.own, "more": self.more, "modules": self.modules(), "parts": parts}


def metric_counts(launches: Sequence[StepCounts]) -> dict[str, MetricCount]:
    """The metrics of a cell from what each interpreter counted, by name, in their usual order."""
    found: dict[str, list[Counted]] = {}
    for counts in launches:
        for one in counts.counted:
            found.setdefault(one.metric, []).append(one)
    steps = launches[0].steps if launches else 1
    return {name: _metric(found[name], steps) for name in COUNT_METRICS if name in found}


def _metric(counted: Sequence[Counted], steps: int) -> MetricCount:
    first = counted[0]
    reason = next((one.refused for one in counted if one.refused), "")
    names = {name for one in counted for name in one.by}
    spans = [(name, [one.by.get(name, 0) for one in counted]) for name in sorted(names)]
    unsteady = tuple((name, min(span), max(span)) for name, span in spans if len(set(span)) > 1)
    totals = tuple(one.total for one in counted)
    return MetricCount(first.metric, steps, totals, first.by, first.callers, unsteady, reason)


def count_differences(own: Mapping[str, MetricCount], base: Mapping[str, MetricCount]) -> dict[str, CountDifference]:
    """The metrics that differ, by name; one that is not exact on both sides tells nothing."""
    found = {}
    for name, mine in own.items():
        theirs = base.get(name)
        if theirs is None or not mine.exact or not theirs.exact:
            continue
        if (mine.per_step, mine.by) != (theirs.per_step, theirs.by):
            found[name] = CountDifference(name, theirs.per_step, mine.per_step, _parts(mine, theirs))
    return found


def _parts(own: MetricCount, base: MetricCount) -> tuple[CountPart, ...]:
    parts = [
        CountPart(
            name,
            base.by.get(name, 0) / base.steps,
            own.by.get(name, 0) / own.steps,
            tuple(sorted(own.callers.get(name, {}), key=lambda caller: (-own.callers[name][caller], caller))),
        )
        for name in {*own.by, *base.by}
    ]
    return tuple(sorted((part for part in parts if part.more), key=lambda part: (-abs(part.more), part.name)))


def accounted_for(difference: CountDifference) -> str:
    """What accounts for a difference, the largest first: `96 in logger_connector, 12 fewer in ...`; "" where nothing
    is named, as of allocations."""
    if difference.metric == FUNCTIONS:
        named = [(f"in {short_module(module)}", more) for module, more in difference.modules()]
    else:
        named = [(_with_caller(part), part.more) for part in difference.parts]
    told = [f"{per_step(abs(more))}{'' if more > 0 else ' fewer'} {what}" for what, more in named[:MOST_NAMED]]
    return ", ".join(told) + (f", and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else "")


def short_module(module: str) -> str:
    """The last two parts of a module's name, or the one that both are: `tqdm.utils`, `logger_connector`."""
    return ".".join(dict.fromkeys(module.split(".")[-2:]))


def _with_caller(part: CountPart) -> str:
    return f"{part.name} (from {part.callers[0]})" if part.callers else part.name


def per_step(value: float, *, signed: bool = False) -> str:
    """A count a step, as a fraction where it happens in some steps only: `0.05`."""
    text = f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"+{text}" if signed and value > 0 else text
